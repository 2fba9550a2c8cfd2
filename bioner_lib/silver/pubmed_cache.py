"""Searches and records of PubMed on disk, so that nothing is asked for twice."""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import WorkbookError

_PATIENCE = 60  # seconds in which another process may write


class Cache:
    """One SQLite file; it holds complete searches and records only, however a process ends.

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
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as base, base:
                yield base
        except sqlite3.OperationalError as error:
            raise WorkbookError(f"{self.path}: {error}; call again to go on") from None
        except (sqlite3.DatabaseError, zlib.error) as error:
            raise WorkbookError(
                f"{self.path}: {error}; delete it, and its content is fetched again"
            ) from None

    def search(self, key: str) -> tuple[int, list[int]] | None:
        """How many records a search found, and the PMIDs that it listed; None if it wasn't kept."""
        with self._base() as base:
            found = base.execute("SELECT found FROM searches WHERE key = ?", [key]).fetchone()
        return tuple(json.loads(found[0])) if found else None

    def add_search(self, key: str, count: int, pmids: Sequence[int]) -> None:
        row = [key, json.dumps([count, list(pmids)])]
        with self._base() as base:
            base.execute("INSERT OR REPLACE INTO searches VALUES (?, ?)", row)

    def records(self, pmids: Sequence[int]) -> dict[int, str]:
        """PMID -> XML, of those that were kept."""
        places = ", ".join("?" * len(pmids))
        asked = f"SELECT pmid, xml FROM records WHERE pmid IN ({places})"
        with self._base() as base:
            found = base.execute(asked, list(pmids)).fetchall()
            return {pmid: zlib.decompress(xml).decode() for pmid, xml in found}

    def add_records(self, records: Mapping[int, str]) -> None:
        rows = [(pmid, zlib.compress(xml.encode())) for pmid, xml in records.items()]
        with self._base() as base:
            base.executemany("INSERT OR REPLACE INTO records VALUES (?, ?)", rows)
