"""What all writers share: an output that is continued, and characters that a format can't hold."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..corpora.documents import Document, without_halves
from ..errors import WorkbookError

REPLACEMENT = "\ufffd"
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def for_xml(text: str) -> str:
    """The text with U+FFFD for what XML can't hold, control characters for the most part."""
    return _NO_XML.sub(REPLACEMENT, text)


class Writer:
    """Writes documents to a file.

    `taken` says whether an earlier call has written the next document of an id; ask it once for
    each document, in order. In a `whole` output the last document wasn't cut by a kill. `lost`
    counts entities that the format can't hold.

    Raises WorkbookError for an existing file of another kind, which is left as it is.
    """

    holds_empty = True  # whether a text without a word leaves something in the output
    own_ids = True  # whether two documents must not have one id

    def __init__(self, path: Path, whole: bool = False):
        self.path, self.whole, self.lost = path, whole, 0
        self.done: Counter = Counter()
        self.written: set[str] = set()
        if path.is_dir():
            raise WorkbookError(f"{path} is a folder; name a file for the output")

    def __enter__(self) -> "Writer":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        end = self._end_of_whole_documents() if self.path.exists() else 0
        self.file = self.path.open("r+b" if self.path.exists() else "w+b")
        self.file.truncate(end)
        self.file.seek(end)
        return self

    def __exit__(self, *_) -> None:
        self.file.close()

    def held(self, key: str) -> int:
        """How many documents of a key an earlier call has written; ask before `taken`."""
        return self.done[key]

    def taken(self, id: str) -> bool:
        """Whether the next document of this id is in the output already."""
        key = self.key(id)
        if not self.done[key]:
            return False
        self.done[key] -= 1
        return True

    def key(self, id: str) -> str:
        """The id as the format holds it."""
        return without_halves(id)

    def write(self, document: Document) -> None:
        """Add a document; raises WorkbookError for an id that another one has, where they must
        differ."""
        if self.own_ids:
            refuse_again(self.key(document.id), self.written)
        self.file.write(self.record(document).encode())
        self.file.flush()

    def record(self, document: Document) -> str:
        """The document in this format."""
        raise NotImplementedError

    def _end_of_whole_documents(self) -> int:
        """Where to go on, in bytes; fills `done`."""
        starts: list[tuple[int, str]] = []
        with self.path.open("rb") as file:
            for start, id in self.documents(file):
                starts.append((start, id))
        if self.whole:
            self.done = Counter(id for _, id in starts)
            return self.path.stat().st_size
        if not starts:
            return 0
        self.done = Counter(id for _, id in starts[:-1])
        return starts[-1][0]

    def documents(self, file: BinaryIO) -> Iterator[tuple[int, str]]:
        """(first byte, id) of each document of an output."""
        raise NotImplementedError

    def refuse(self, found: bytes) -> WorkbookError:
        """The error for a file that isn't of this format."""
        start = found[:40].decode(errors="replace")
        return WorkbookError(
            f"{self.path} exists and is no output of this format (it holds {start!r}); name "
            "another file, or delete it"
        )


def refuse_again(key: str, written: set[str]) -> None:
    """Adds the key of a document; raises WorkbookError if it is there already."""
    if key in written:
        raise WorkbookError(
            f"two documents have the id {key!r}, which this format can't tell apart; give each an "
            "id of its own"
        )
    written.add(key)


def numbered_bytes(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(first byte, line) of each line."""
    at = 0
    for line in file:
        yield at, line
        at += len(line)
