"""A record of PubMed: its title, its abstract and its year, out of Entrez's XML."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from ..errors import DataError

# a record, up to its end tag or, where that is missing, up to the next record
_RECORD = re.compile(
    r"<Pubmed(?:Book)?Article>.*?"
    r"(?:</Pubmed(?:Book)?Article>|(?=<Pubmed(?:Book)?Article>|</PubmedArticleSet>)|$)",
    re.DOTALL,
)
_PMID = re.compile(r"<PMID[^>]*>(\d+)")


@dataclass(frozen=True, slots=True)
class Abstract:
    """A record of PubMed; `year` is 0 where it has none."""

    pmid: str
    title: str
    text: str
    year: int

    @property
    def document(self) -> tuple[str, str]:
        """(PMID, title and abstract): what `labelling.split_documents` takes."""
        return self.pmid, f"{self.title} {self.text}".strip()


def records_in(answer: str) -> dict[int, str]:
    """PMID -> XML of each record in an answer; the last one may break off."""
    found = {}
    for block in _RECORD.findall(answer):
        pmid = _PMID.search(block)
        if pmid:
            found[int(pmid[1])] = block
    return found


def is_whole(block: str) -> bool:
    """Whether a record's XML has its end tag."""
    return block.rstrip().endswith("Article>")


def parse_record(block: str) -> Abstract:
    """A `<PubmedArticle>` or `<PubmedBookArticle>` -> Abstract.

    Raises DataError for broken XML, and for a record without a PMID.
    """
    try:
        record = ElementTree.fromstring(block)
    except ElementTree.ParseError as error:
        raise DataError(f"a record that is no XML ({error}): {block[:80]!r}") from None
    is_article = record.tag == "PubmedArticle"
    citation = record.find("MedlineCitation" if is_article else "BookDocument")
    pmid = None if citation is None else citation.findtext("PMID")
    if not pmid:
        raise DataError(f"a record without a PMID: {block[:80]!r}")
    article = citation.find("Article") if is_article else citation
    title, parts = "", []
    if article is not None:
        title = _text(article.find("ArticleTitle"))
        parts = [_text(part) for part in article.findall("Abstract/AbstractText")]
    return Abstract(pmid, title, " ".join(filter(None, parts)), _year(record))


def _year(record: ElementTree.Element) -> int:
    """The year of publication; 0 where there is none."""
    written = record.findtext(".//PubDate/Year") or record.findtext(".//PubDate/MedlineDate") or ""
    year = re.search(r"\d{4}", written)
    return int(year[0]) if year else 0


def _text(element: ElementTree.Element | None) -> str:
    """The text of an element without its tags, on one line."""
    return "" if element is None else " ".join("".join(element.itertext()).split())
