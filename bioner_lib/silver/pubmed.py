"""Titles and abstracts of PubMed through NCBI Entrez.

Biopython keeps to NCBI's rate: 3 requests per second, 10 with a key. Entrez lists fewer than 10,000
records per search, so a search is cut into slices by publication date. Records are fetched by their
PMIDs, and kept on disk: nothing is asked for twice, whatever the search, and a download that was
killed continues where it was. (Sessions of Entrez's history server end, and its lists shift.)
"""

import email.utils
import http.client
import json
import os
import re
import sqlite3
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
import zlib
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ..errors import DataError, WorkbookError

MOST = 9_999  # records that one search lists
BATCH = 200  # records per request
TIMEOUT = 60  # seconds of silence
_FIRST = date(1900, 1, 1)
_LONGEST_WAIT = 600.0  # seconds, whatever a server asks for
# a record, up to its end tag or, where that is missing, up to the next record
_RECORD = re.compile(
    r"<Pubmed(?:Book)?Article>.*?"
    r"(?:</Pubmed(?:Book)?Article>|(?=<Pubmed(?:Book)?Article>|</PubmedArticleSet>)|$)",
    re.DOTALL,
)
_PMID = re.compile(r"<PMID[^>]*>(\d+)")
# errors that go away
_PASSING = re.compile(
    r"backend|tim(?:ed|e) ?out|unavailable|try again|unable to obtain", re.IGNORECASE
)


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
    """Searches and downloads.

    email       NCBI asks for one
    cache       the folder that keeps searches and records
    api_key     optional; by default the environment variable NCBI_API_KEY
    tries       attempts per request; the first waits `pause` seconds, each further one longer
    dropped     counts records that are not returned, by reason
    malformed   PMIDs of records that couldn't be read

    Raises WorkbookError without an e-mail address, and where Entrez can't be reached.
    """

    email: str
    cache: Path
    api_key: str = field(default_factory=lambda: os.environ.get("NCBI_API_KEY", ""), repr=False)
    tries: int = 6
    pause: float = 1.0
    dropped: Counter = field(default_factory=Counter)
    malformed: list[str] = field(default_factory=list)

    def __post_init__(self):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.email):
            raise WorkbookError(
                f"email={self.email!r}; NCBI wants an e-mail address with every request, so that "
                "it can write before it blocks"
            )
        self.cache = Path(self.cache)
        self._kept = _Kept(self.cache / "pubmed.sqlite")

    def abstracts(
        self,
        query: str,
        since: str = "",
        until: str = "",
        limit: int = 0,
        exclude: Container[str] = (),
    ) -> Iterator[Abstract]:
        """Records with an abstract, published from `since` to `until`, the newest first.

        Dates are YYYY-MM-DD; without the first one all are taken, without the last one those until
        today. `limit` is the largest number (0: all).
        `exclude` holds PMIDs to skip, such as `evaluation_documents()`. Raises WorkbookError for
        wrong dates or numbers, and for a search that PubMed doesn't understand or finds nothing
        for.
        """
        first, last = _days(since, until)
        if limit < 0:
            raise WorkbookError(f"limit={limit}; expected a number of abstracts, or 0 for all")
        whole = self._found(query, first, last)
        seen: set[int] = set()
        n_found = 0
        for pmids in self._slices(query, first, last, whole):
            wanted = []
            for pmid in pmids:
                if str(pmid) in exclude:
                    self.dropped["of an evaluation corpus"] += 1
                elif pmid in seen:
                    self.dropped["repeated"] += 1
                else:
                    wanted.append(pmid)
            seen.update(wanted)
            for abstract in self.fetch(wanted):
                yield abstract
                n_found += 1
                if n_found == limit:
                    return

    def fetch(self, pmids: Sequence[int]) -> Iterator[Abstract]:
        """The records of these PMIDs that have an abstract; `dropped` counts the others."""
        for at in range(0, len(pmids), BATCH):
            yield from self._records(pmids[at : at + BATCH])

    def count(self, query: str, since: str = "", until: str = "") -> int:
        """How many records a search finds; raises WorkbookError for none."""
        return self._found(query, *_days(since, until))[0]

    def _found(self, query: str, start: date, end: date) -> tuple[int, list[int]]:
        found = self._search(query, start, end)
        if not found[0]:
            raise WorkbookError(
                f"PubMed finds nothing for {query!r} from {start} to {end}{self._unknown_phrases}"
            )
        return found

    def _slices(
        self, query: str, start: date, end: date, found: tuple[int, list[int]]
    ) -> Iterator[list[int]]:
        """PMIDs, the newest first; too many for one search are cut into years, months, days."""
        count, pmids = found
        if count > MOST and start < end:
            for first, last in reversed(_parts(start, end)):
                yield from self._slices(query, first, last, self._search(query, first, last))
            return
        if count > len(pmids):
            self.dropped["beyond what Entrez hands out of one day"] += count - len(pmids)
        yield sorted(pmids, reverse=True)

    def _search(self, query: str, start: date, end: date) -> tuple[int, list[int]]:
        """The number of records, and the PMIDs of the first MOST; kept if it can't grow."""
        self._unknown_phrases, before = "", []
        if kept := self._kept.search(key := json.dumps([query, str(start), str(end)])):
            return kept

        def wrong(text: str) -> str:
            if (count := re.search(r"<Count>(\d+)</Count>", text)) and text.rstrip().endswith(
                "</eSearchResult>"
            ):
                listed = re.findall(r"<Id>(\d+)</Id>", text)
                if len(listed) >= min(int(count[1]), MOST) or listed in before:
                    return ""
                before.append(listed)
                return f"a list of {len(listed)} of {count[1]} records"
            message = re.search(r"<ERROR>([^<]*)</ERROR>", text)
            if message and not _PASSING.search(message[1]):
                raise WorkbookError(f"PubMed doesn't understand {query!r}: {message[1]}")
            return (
                message[1] if message else f"an answer that breaks off after {len(text)} characters"
            )

        text = self._ask(
            "esearch",
            wrong,
            term=query,
            mindate=f"{start:%Y/%m/%d}",
            maxdate=f"{end:%Y/%m/%d}",
            datetype="pdat",
            retmax=MOST,
        )
        if phrases := re.findall(r"<PhraseNotFound>([^<]*)</PhraseNotFound>", text):
            self._unknown_phrases = f"; it doesn't know {', '.join(map(repr, phrases))}"
        found = (
            int(re.search(r"<Count>(\d+)</Count>", text)[1]),
            [int(pmid) for pmid in re.findall(r"<Id>(\d+)</Id>", text)],
        )
        if found[0] and end < date.today():
            self._kept.add_search(key, *found)
        return found

    def _records(self, pmids: Sequence[int]) -> Iterator[Abstract]:
        kept = self._kept.records(pmids)
        if missing := [pmid for pmid in pmids if pmid not in kept]:
            blocks = [
                (_PMID.search(block), block) for block in _RECORD.findall(self._fetch(missing))
            ]
            fetched = {int(pmid[1]): block for pmid, block in blocks if pmid}
            self._kept.add_records(
                {
                    pmid: block
                    for pmid, block in fetched.items()
                    if block.rstrip().endswith("Article>")
                }
            )
            kept |= fetched
        for pmid in pmids:
            if pmid not in kept:
                self.dropped["not handed out"] += 1
                continue
            try:
                abstract = parse_record(kept[pmid])
            except (ElementTree.ParseError, DataError):
                self.dropped["malformed"] += 1
                self.malformed.append(str(pmid))
                continue
            if abstract.text:
                yield abstract
            else:
                self.dropped["without an abstract"] += 1

    def _fetch(self, pmids: Sequence[int]) -> str:
        """The records of these PMIDs.

        Deleted ones are missing, so an answer with fewer is believed when it comes twice.
        """
        shorter = []

        def wrong(text: str) -> str:
            if message := re.search(r"<ERROR>([^<]*)</ERROR>", text):
                return message[1]
            if not text.rstrip().endswith("</PubmedArticleSet>"):
                return f"an answer that breaks off after {len(text)} characters"
            came = {
                int(pmid[1]) for block in _RECORD.findall(text) if (pmid := _PMID.search(block))
            }
            if came >= set(pmids) or came in shorter:
                return ""
            shorter.append(came)
            return f"{len(came & set(pmids))} of {len(pmids)} records"

        return self._ask("efetch", wrong, id=",".join(map(str, pmids)), retmode="xml")

    def _ask(self, service: str, wrong: Callable[[str], str], **parameters) -> str:
        """An answer in which nothing is `wrong`, asked for again until it is."""
        from Bio import Entrez

        Entrez.email, Entrez.api_key, Entrez.tool, Entrez.max_tries = (
            self.email,
            self.api_key or None,
            "bioner_lib",
            1,
        )
        Entrez.urlopen = _open
        problem: object = ""
        for attempt in range(self.tries):
            wait = self.pause * 2**attempt
            try:
                with getattr(Entrez, service)(db="pubmed", **parameters) as answer:
                    content = answer.read()
                text = content.decode(errors="replace") if isinstance(content, bytes) else content
                if not (problem := wrong(text)):
                    return text
            except urllib.error.HTTPError as error:
                if error.code // 100 == 4 and error.code != 429:
                    raise WorkbookError(
                        f"PubMed refused a request: {error.code} {error.reason}"
                    ) from None
                problem, wait = (
                    f"{error.code} {error.reason}",
                    max(wait, _seconds(error.headers.get("Retry-After"))),
                )
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                problem = error
            if attempt + 1 < self.tries:
                time.sleep(wait)
        raise WorkbookError(
            f"PubMed can't be reached ({problem}, {self.tries} tries); what was fetched is kept in "
            f"{self.cache}: call again to go on"
        )


class _Kept:
    """Searches and records on disk (SQLite); only complete ones, however the process ends.

    Raises WorkbookError for a damaged file.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._base() as base:
            base.execute("CREATE TABLE IF NOT EXISTS searches (key TEXT PRIMARY KEY, found TEXT)")
            base.execute("CREATE TABLE IF NOT EXISTS records (pmid INTEGER PRIMARY KEY, xml BLOB)")

    @contextmanager
    def _base(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction, so that any thread or process may ask."""
        try:
            with closing(sqlite3.connect(self.path, timeout=TIMEOUT)) as base, base:
                yield base
        except sqlite3.OperationalError as error:
            raise WorkbookError(f"{self.path}: {error}; call again to go on") from None
        except (sqlite3.DatabaseError, zlib.error) as error:
            raise WorkbookError(
                f"{self.path}: {error}; delete it, and its content is fetched again"
            ) from None

    def search(self, key: str) -> tuple[int, list[int]] | None:
        with self._base() as base:
            found = base.execute("SELECT found FROM searches WHERE key = ?", [key]).fetchone()
        return tuple(json.loads(found[0])) if found else None

    def add_search(self, key: str, count: int, pmids: list[int]) -> None:
        with self._base() as base:
            base.execute(
                "INSERT OR REPLACE INTO searches VALUES (?, ?)", [key, json.dumps([count, pmids])]
            )

    def records(self, pmids: Sequence[int]) -> dict[int, str]:
        """PMID -> XML, of those that are on disk."""
        with self._base() as base:
            found = base.execute(
                f"SELECT pmid, xml FROM records WHERE pmid IN ({', '.join('?' * len(pmids))})",
                list(pmids),
            ).fetchall()
            return {pmid: zlib.decompress(xml).decode() for pmid, xml in found}

    def add_records(self, blocks: dict[int, str]) -> None:
        with self._base() as base:
            packed = [(pmid, zlib.compress(block.encode())) for pmid, block in blocks.items()]
            base.executemany("INSERT OR REPLACE INTO records VALUES (?, ?)", packed)


def _open(request: urllib.request.Request):
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # Biopython's own waits for ever


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After says, which is a number of seconds or a date."""
    try:
        wait = float(retry_after or 0)
    except ValueError:
        try:
            wait = (
                email.utils.parsedate_to_datetime(retry_after) - datetime.now(UTC)
            ).total_seconds()
        except (TypeError, ValueError):
            wait = 0.0
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _parts(start: date, end: date) -> list[tuple[date, date]]:
    """A range by calendar years; one within a year by months; one within a month by days."""
    years, months, parts = start.year < end.year, start.month < end.month, []
    while start <= end:
        month_ends = start.replace(day=monthrange(start.year, start.month)[1])
        last = min(end, date(start.year, 12, 31) if years else month_ends if months else start)
        parts.append((start, last))
        start = last + timedelta(days=1)
    return parts


def parse_record(block: str) -> Abstract:
    """A `<PubmedArticle>` or `<PubmedBookArticle>` -> Abstract.

    Raises ParseError for broken XML, and DataError for a record without a PMID.
    """
    record = ElementTree.fromstring(block)
    citation = "MedlineCitation" if record.tag == "PubmedArticle" else "BookDocument"
    pmid = record.findtext(f"{citation}/PMID")
    if not pmid:
        raise DataError(f"a record without a PMID: {block[:80]!r}")
    article = (
        record.find(f"{citation}/Article")
        if record.tag == "PubmedArticle"
        else record.find(citation)
    )
    title = _text(article.find("ArticleTitle")) if article is not None else ""
    parts = article.findall("Abstract/AbstractText") if article is not None else []
    year = re.search(
        r"\d{4}",
        record.findtext(".//PubDate/Year") or record.findtext(".//PubDate/MedlineDate") or "",
    )
    return Abstract(
        pmid, title, " ".join(filter(None, map(_text, parts))), int(year[0]) if year else 0
    )


def _text(element: ElementTree.Element | None) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _days(since: str, until: str) -> tuple[date, date]:
    try:
        first, last = (
            date.fromisoformat(since) if since else _FIRST,
            date.fromisoformat(until) if until else date.today(),
        )
    except ValueError as error:
        raise WorkbookError(
            f"since={since!r}, until={until!r}: {error}; expected YYYY-MM-DD"
        ) from None
    if first > last:
        raise WorkbookError(f"since={since!r} lies after until={last.isoformat()!r}")
    return first, last
