"""Years and journals of a corpus's documents, where its files name them."""

from collections.abc import Iterator, Sequence

import pandas as pd

from ..errors import WorkbookError
from .bioc_files import bioc_documents
from .concepts import sources
from .corpus import Corpus
from .overlap import is_pmid

NOTHING = "the source has none"


def stated_publications(corpus_name: str) -> dict[str, dict[str, str]]:
    """Document -> its `year` and `journal`, those that the infons of its BioC file state.

    {} for every other format: PubTator, CoNLL and JSON lines have no place for them.
    """
    found: dict[str, dict[str, str]] = {}
    for path, reader, _ in sources(corpus_name):
        if reader == "bioc":
            for name, document in bioc_documents(path):
                found[name] = dict(_stated(document))
    return {name: stated for name, stated in found.items() if stated}


def _stated(document) -> Iterator[tuple[str, str]]:
    for part in (*reversed(document.passages), document):  # the document's own infons count most
        for key in ("year", "journal"):
            if part.infons.get(key):
                yield key, str(part.infons[key])


def metadata(corpora: Sequence[Corpus]) -> pd.DataFrame:
    """One line per corpus: documents, those named by a PMID, years, journals.

    What the source doesn't state is said to be missing; nothing is looked up elsewhere.
    """
    lines = []
    for corpus in corpora:
        docs = {sentence.doc for split in corpus.splits.values() for sentence in split}
        try:
            stated = stated_publications(corpus.base or corpus.name)
        except WorkbookError:
            stated = {}
        years = sorted(own["year"] for own in stated.values() if "year" in own)
        journals = {own["journal"] for own in stated.values() if "journal" in own}
        lines.append(
            {
                "corpus": corpus.name,
                "documents": f"{len(docs):,}" if corpus.documented else NOTHING,
                "with PMID": sum(map(is_pmid, docs)) if corpus.documented else 0,
                "years": f"{years[0]} to {years[-1]} ({len(years)} documents)"
                if years
                else NOTHING,
                "journals": f"{len(journals):,}" if journals else NOTHING,
            }
        )
    return pd.DataFrame(lines)
