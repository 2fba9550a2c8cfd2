"""Titles and abstracts of PubMed, by search or by PMID.

Entrez lists fewer than 10,000 records per search, so a search is cut into slices by publication
date. Records are fetched by their PMIDs, and kept on disk: nothing is asked for twice, whatever the
search, and a download that was killed continues where it was. (Sessions of Entrez's history server
end, and its lists shift.)
"""

import json
import re
from calendar import monthrange
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ..errors import DataError, WorkbookError
from .entrez import Entrez
from .pubmed_cache import Cache
from .pubmed_records import Abstract, is_whole, parse_record, records_in

MOST = 9_999  # records that one search lists
BATCH = 200  # records per request
_FIRST = date(1900, 1, 1)
_COUNT = re.compile(r"<Count>(\d+)</Count>")
_LISTED = re.compile(r"<Id>(\d+)</Id>")
_ERROR = re.compile(r"<ERROR>([^<]*)</ERROR>")
_NOT_FOUND = re.compile(r"<PhraseNotFound>([^<]*)</PhraseNotFound>")
# errors that go away
_PASSING = re.compile(
    r"backend|tim(?:ed|e) ?out|unavailable|try again|unable to obtain", re.IGNORECASE
)


@dataclass(frozen=True)
class _Found:
    """What a search found: how many records, the PMIDs that it lists, words it doesn't know."""

    count: int
    pmids: Sequence[int]
    unknown: Sequence[str] = ()


class PubMed:
    """Searches and downloads.

    email       NCBI asks for one
    cache       the folder that keeps searches and records
    options     api_key, tries and pause of `Entrez`
    dropped     counts records that are not returned, by reason
    malformed   PMIDs of records that couldn't be read

    Raises WorkbookError without an e-mail address, and where Entrez can't be reached.
    """

    def __init__(self, email: str, cache: str | Path, **options):
        self._entrez = Entrez(email, Path(cache), **options)
        self._cache = Cache(Path(cache) / "pubmed.sqlite")
        self.dropped: Counter = Counter()
        self.malformed: list[str] = []

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
            batch = pmids[at : at + BATCH]
            records = self._records(batch)
            for pmid in batch:
                abstract = self._abstract(pmid, records)
                if abstract:
                    yield abstract

    def count(self, query: str, since: str = "", until: str = "") -> int:
        """How many records a search finds; raises WorkbookError for none."""
        return self._found(query, *_days(since, until)).count

    def _found(self, query: str, start: date, end: date) -> _Found:
        found = self._search(query, start, end)
        if not found.count:
            unknown = ", ".join(map(repr, found.unknown))
            raise WorkbookError(
                f"PubMed finds nothing for {query!r} from {start} to {end}"
                + (f"; it doesn't know {unknown}" if unknown else "")
            )
        return found

    def _slices(self, query: str, start: date, end: date, found: _Found) -> Iterator[list[int]]:
        """PMIDs, the newest first; too many for one search are cut into years, months, days."""
        if found.count > MOST and start < end:
            for first, last in reversed(_parts(start, end)):
                yield from self._slices(query, first, last, self._search(query, first, last))
            return
        beyond = found.count - len(found.pmids)
        if beyond > 0:
            self.dropped["beyond what Entrez hands out of one day"] += beyond
        yield sorted(found.pmids, reverse=True)

    def _search(self, query: str, start: date, end: date) -> _Found:
        """The number of records, and the PMIDs of the first MOST; kept if it can't grow."""
        key = json.dumps([query, str(start), str(end)])
        kept = self._cache.search(key)
        if kept:
            return _Found(*kept)
        days = {"mindate": f"{start:%Y/%m/%d}", "maxdate": f"{end:%Y/%m/%d}", "datetype": "pdat"}
        fault = _SearchFault(query)
        text = self._entrez.ask("esearch", fault, term=query, retmax=MOST, **days)
        found = _Found(int(_COUNT.search(text)[1]), _pmids(text), _NOT_FOUND.findall(text))
        if found.count and end < date.today():
            self._cache.add_search(key, found.count, found.pmids)
        return found

    def _records(self, pmids: Sequence[int]) -> dict[int, str]:
        """PMID -> XML, from disk or from Entrez; without those that Entrez doesn't hand out."""
        kept = self._cache.records(pmids)
        missing = [pmid for pmid in pmids if pmid not in kept]
        if not missing:
            return kept
        asked = {"id": ",".join(map(str, missing)), "retmode": "xml"}
        fetched = records_in(self._entrez.ask("efetch", _FetchFault(missing), **asked))
        self._cache.add_records({pmid: xml for pmid, xml in fetched.items() if is_whole(xml)})
        return kept | fetched

    def _abstract(self, pmid: int, records: dict[int, str]) -> Abstract | None:
        """A record with an abstract; None for any other, which is counted."""
        if pmid not in records:
            self.dropped["not handed out"] += 1
            return None
        try:
            abstract = parse_record(records[pmid])
        except DataError:
            self.dropped["malformed"] += 1
            self.malformed.append(str(pmid))
            return None
        if not abstract.text:
            self.dropped["without an abstract"] += 1
            return None
        return abstract


class _SearchFault:
    """What is wrong with an answer to a search; a list that is too short is believed when it comes
    twice. Raises WorkbookError for a search that PubMed doesn't understand."""

    def __init__(self, query: str):
        self.query = query
        self.before: list[list[int]] = []

    def __call__(self, text: str) -> str:
        count = _COUNT.search(text)
        if count and text.rstrip().endswith("</eSearchResult>"):
            listed = _pmids(text)
            if len(listed) >= min(int(count[1]), MOST) or listed in self.before:
                return ""
            self.before.append(listed)
            return f"a list of {len(listed)} of {count[1]} records"
        error = _ERROR.search(text)
        if not error:
            return f"an answer that breaks off after {len(text)} characters"
        if not _PASSING.search(error[1]):
            raise WorkbookError(f"PubMed doesn't understand {self.query!r}: {error[1]}")
        return error[1]


class _FetchFault:
    """What is wrong with an answer that should hold these records. Deleted ones are missing, so an
    answer with fewer is believed when it comes twice."""

    def __init__(self, pmids: Sequence[int]):
        self.pmids = set(pmids)
        self.before: list[set[int]] = []

    def __call__(self, text: str) -> str:
        error = _ERROR.search(text)
        if error:
            return error[1]
        if not text.rstrip().endswith("</PubmedArticleSet>"):
            return f"an answer that breaks off after {len(text)} characters"
        came = set(records_in(text))
        if came >= self.pmids or came in self.before:
            return ""
        self.before.append(came)
        return f"{len(came & self.pmids)} of {len(self.pmids)} records"


def _pmids(text: str) -> list[int]:
    """The PMIDs that a search lists."""
    return [int(pmid) for pmid in _LISTED.findall(text)]


def _parts(start: date, end: date) -> list[tuple[date, date]]:
    """A range by calendar years; one within a year by months; one within a month by days."""
    by_year, by_month = start.year < end.year, start.month < end.month
    parts = []
    while start <= end:
        last = start
        if by_year:
            last = date(start.year, 12, 31)
        elif by_month:
            last = start.replace(day=monthrange(start.year, start.month)[1])
        last = min(end, last)
        parts.append((start, last))
        start = last + timedelta(days=1)
    return parts


def _days(since: str, until: str) -> tuple[date, date]:
    """First and last day; raises WorkbookError for what is no date, and for a wrong order."""
    try:
        first = date.fromisoformat(since) if since else _FIRST
        last = date.fromisoformat(until) if until else date.today()
    except ValueError as error:
        raise WorkbookError(
            f"since={since!r}, until={until!r}: {error}; expected YYYY-MM-DD"
        ) from None
    if first > last:
        raise WorkbookError(f"since={since!r} lies after until={last.isoformat()!r}")
    return first, last
