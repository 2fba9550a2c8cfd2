"""PubMed's titles and abstracts through NCBI Entrez (library: Biopython, which keeps to NCBI's rate of 3 or, with a key, 10 a second).

A search is cut by publication date into slices below the 10,000 records that Entrez hands out; every batch of records is kept on disk,
so a download that was killed, or whose network went away, goes on where it was.
"""

import gzip
import hashlib
import http.client
import json
import re
import time
import urllib.error
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from ..errors import DataError, WorkbookError

MOST = 9_999  # records that one search hands out
BATCH = 200  # records a request
_RECORD = re.compile(r"<PubmedArticle>.*?</PubmedArticle>", re.DOTALL)
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
        """(PMID, title and abstract): what `silver.split_documents` takes."""
        return self.pmid, f"{self.title} {self.text}".strip()


@dataclass
class PubMed:
    """Searches and downloads; `dropped` counts what isn't handed on and `malformed` names records that couldn't be read.

    `email` is NCBI's rule, `api_key` optional. Raises WorkbookError without an address, and where Entrez can't be reached after
    `tries` attempts that wait ever longer, `pause` seconds at first.
    """

    email: str
    cache: Path
    api_key: str = ""
    tries: int = 6
    pause: float = 1.0
    dropped: Counter = field(default_factory=Counter)
    malformed: list[str] = field(default_factory=list)

    def __post_init__(self):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.email):
            raise WorkbookError(
                f"email={self.email!r}; NCBI wants an e-mail address with every request, so that it can write before it blocks"
            )
        self.cache = Path(self.cache)

    def abstracts(
        self, query: str, since: str = "1900-01-01", until: str = "", limit: int = 0, exclude: Container[str] = ()
    ) -> Iterator[Abstract]:
        """Records published from `since` to `until` (YYYY-MM-DD, today if empty), at most `limit`, those without an abstract left out.

        `exclude` holds PMIDs, such as `evaluation_documents()`, that are passed over.
        """
        first, last = _day(since), _day(until) if until else date.today()
        if first > last:
            raise WorkbookError(f"since={since!r} lies after until={last.isoformat()!r}")
        seen: set[str] = set()
        for start, end, count in self._slices(query, first, last):
            session: dict[str, str] = {}
            for at in range(0, min(count, MOST), BATCH):
                for abstract in self._records(self._batch(query, start, end, at, session)):
                    why = "of an evaluation corpus" if abstract.pmid in exclude else "repeated" if abstract.pmid in seen else ""
                    why = why or ("without an abstract" if not abstract.text else "")
                    if why:
                        self.dropped[why] += 1
                        continue
                    seen.add(abstract.pmid)
                    yield abstract
                    if len(seen) == limit:
                        return

    def count(self, query: str, since: str = "1900-01-01", until: str = "") -> int:
        """How many records a search has."""
        return self._search(query, _day(since), _day(until) if until else date.today())["count"]

    def _slices(self, query: str, start: date, end: date) -> Iterator[tuple[date, date, int]]:
        count = self._search(query, start, end)["count"]
        if count <= MOST or start == end:
            if count > MOST:
                self.dropped["beyond what Entrez hands out of one day"] += count - MOST
            if count:
                yield start, end, count
            return
        middle = start + (end - start) // 2
        yield from self._slices(query, start, middle)
        yield from self._slices(query, middle + timedelta(days=1), end)

    def _search(self, query: str, start: date, end: date, fresh: bool = False) -> dict:
        text = self._ask("esearch", self._key("esearch", query, start, end, fresh), "</eSearchResult>", term=query, usehistory="y",
                         mindate=f"{start:%Y/%m/%d}", maxdate=f"{end:%Y/%m/%d}", datetype="pdat", retmax=0)  # fmt: skip
        found = {tag: re.search(rf"<{tag}>([^<]*)</{tag}>", text) for tag in ("Count", "WebEnv", "QueryKey")}
        if not found["Count"]:
            said = re.search(r"<ERROR>([^<]*)</ERROR>", text)
            raise WorkbookError(f"PubMed doesn't understand {query!r}: {said[1] if said else text[:200]}")
        return {"count": int(found["Count"][1])} | {tag: match[1] for tag, match in found.items() if match}

    def _batch(self, query: str, start: date, end: date, at: int, session: dict[str, str]) -> str:
        key = self._key("efetch", query, start, end, at)
        if not session and not (self.cache / key).exists():  # a session is asked for only where something is missing
            session |= self._search(query, start, end, fresh=True)
        return self._ask("efetch", key, "</PubmedArticleSet>", WebEnv=session.get("WebEnv", ""), query_key=session.get("QueryKey", ""),
                         retstart=at, retmax=BATCH, retmode="xml")  # fmt: skip

    def _key(self, *parts: object) -> str:
        fresh = parts[0] == "esearch" and parts[-1] is True  # sessions die, so they aren't kept
        return "" if fresh else f"{parts[0]}-{hashlib.sha256(json.dumps(list(map(str, parts))).encode()).hexdigest()[:20]}.xml.gz"

    def _ask(self, service: str, key: str, ending: str, **parameters) -> str:
        """One answer, from the cache or from Entrez; an answer that breaks off before its `ending` is asked for again."""
        path = self.cache / key
        if key and path.exists():
            return gzip.decompress(path.read_bytes()).decode()
        from Bio import Entrez

        Entrez.email, Entrez.api_key, Entrez.tool, Entrez.max_tries = self.email, self.api_key or None, "bioner_lib", 1
        problem: object = ""
        for attempt in range(self.tries):
            wait = self.pause * 2**attempt
            try:
                with getattr(Entrez, service)(db="pubmed", **parameters) as answer:
                    content = answer.read()
                text = content.decode(errors="replace") if isinstance(content, bytes) else content
                if text.rstrip().endswith(ending):
                    if key:
                        self._keep(path, text)
                    return text
                problem = f"an answer that breaks off after {len(text)} characters"
            except urllib.error.HTTPError as error:
                if error.code // 100 == 4 and error.code != 429:
                    raise WorkbookError(f"PubMed refused a request: {error.code} {error.reason}") from None
                problem, wait = f"{error.code} {error.reason}", max(wait, float(error.headers.get("Retry-After") or 0))
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                problem = error
            if attempt + 1 < self.tries:
                time.sleep(wait)
        raise WorkbookError(
            f"PubMed can't be reached ({problem}, {self.tries} tries); what was fetched lies in {self.cache}: call again to go on"
        )

    def _keep(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".tmp")
        aside.write_bytes(gzip.compress(text.encode(), mtime=0))
        aside.replace(path)

    def _records(self, text: str) -> Iterator[Abstract]:
        for block in _RECORD.findall(text):
            try:
                yield parse_record(block)
            except (ElementTree.ParseError, DataError):
                self.dropped["malformed"] += 1
                self.malformed.append(found[1] if (found := _PMID.search(block)) else block[:60])


def parse_record(block: str) -> Abstract:
    """A `<PubmedArticle>` element -> Abstract; raises ParseError for broken XML and DataError for a record without a PMID."""
    record = ElementTree.fromstring(block)
    pmid = record.findtext("MedlineCitation/PMID")
    if not pmid:
        raise DataError(f"a record without a PMID: {block[:80]!r}")
    article = record.find("MedlineCitation/Article")
    title = _text(article.find("ArticleTitle")) if article is not None else ""
    parts = article.findall("Abstract/AbstractText") if article is not None else []
    year = re.search(r"\d{4}", record.findtext(".//PubDate/Year") or record.findtext(".//PubDate/MedlineDate") or "")
    return Abstract(pmid, title, " ".join(filter(None, map(_text, parts))), int(year[0]) if year else 0)


def _text(element: ElementTree.Element | None) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WorkbookError(f"{text!r} is no date; expected YYYY-MM-DD") from None
