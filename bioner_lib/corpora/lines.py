"""Sentences that stay on disk: a JSONL file of which memory holds 8 bytes per line."""

import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .schemes import detect_scheme, to_spans, to_tags
from .tagged_files import jsonl_record
from .text import Sentence

_PEEK = 1_000  # lines that show the tag scheme
_BLOCK = 1 << 26  # bytes


class _OpenFile(NamedTuple):
    """A mapped file; `stamp` (size, time) tells it from another file of the same name."""

    content: mmap.mmap | bytes
    stamp: tuple[int, int]


class Lines(Sequence):
    """A JSONL file as a sequence of sentences, with tags in IOB2.

    `types` are all types that its tags may name (None: any). The file is opened once: parts and
    views keep reading the same bytes if it is replaced meanwhile.

    Raises DataError for a file that can't be read and, when a copy in another process finds
    another file; for a line that can't be read, with its number, when that line is asked for.
    """

    def __init__(
        self,
        path: str | Path,
        types: Iterable[str] | None = None,
        tag_field: str = "tags",
        tag_names: list[str] | None = None,
    ):
        self.path = Path(path)
        self._types = None if types is None else frozenset(types)
        self._tag_field, self._tag_names = tag_field, tag_names
        self._file = _open(self.path)
        self._starts = _line_starts(self._file.content)
        self._changes: tuple[Callable[[Sentence], Sentence], ...] = ()
        first = self._starts[:_PEEK].tolist()
        self._scheme = detect_scheme(self._record(start)[1] for start in first)

    @property
    def documented(self) -> bool:
        """Whether any line names its document."""
        named = rb'"(?:doc|pmid)"\s*:\s*+(?!null\b|NaN\b|"")'
        return len(self) > 0 and re.search(named, self._file.content) is not None

    def take(self, indices: Iterable[int]) -> "Lines":
        """The sentences with these indices."""
        return self._with(_starts=self._starts[np.fromiter(indices, dtype=np.int64)])

    def map(self, change: Callable[[Sentence], Sentence]) -> "Lines":
        """The sentences, each changed when it is asked for."""
        return self._with(_changes=(*self._changes, change))

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._with(_starts=self._starts[index])
        return self._sentence(int(self._starts[index]))

    def __iter__(self) -> Iterator[Sentence]:
        return (self._sentence(int(start)) for start in self._starts)

    def __getstate__(self) -> dict:
        """Everything but the open file, which another process opens for itself."""
        return {**self.__dict__, "_file": self._file.stamp}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state
        self._file = _open(self.path)
        if self._file.stamp != state["_file"]:
            raise DataError(f"{self.path} has changed since it was loaded; load the corpus again")

    def _with(self, **changes) -> "Lines":
        copy = object.__new__(Lines)
        copy.__dict__ |= self.__dict__ | changes
        return copy

    def _record(self, start: int) -> tuple[list[str], list[str], str | None]:
        end = self._file.content.find(b"\n", start)
        line = self._file.content[start : end if end >= 0 else None]
        try:
            return jsonl_record(line, "", self._tag_field, self._tag_names)
        except DataError as error:
            raise DataError(f"{self._where(start)}{error}") from None

    def _sentence(self, start: int) -> Sentence:
        tokens, tags, doc = self._record(start)
        if not tokens:
            raise DataError(f"{self._where(start)}: a sentence without words; delete the line")
        try:
            spans = to_spans(tags, self._scheme)
        except ValueError as error:
            raise DataError(f"{self._where(start)}: {error}") from None
        types = {span.type for span in spans}
        if self._types is not None and not types <= self._types:
            raise DataError(
                f"{self._where(start)}: a mention of {sorted(types - self._types)}, "
                f"which types={sorted(self._types)} doesn't declare"
            )
        doc = f"{self.path.stem}-{start}" if doc is None else doc
        sentence = Sentence(tokens, to_tags(spans, len(tokens)), doc)
        for change in self._changes:
            sentence = change(sentence)
        return sentence

    def _where(self, start: int) -> str:
        """The file and the number of the line that starts at this byte."""
        blocks = range(0, start, _BLOCK)
        before = sum(self._file.content[i : min(i + _BLOCK, start)].count(b"\n") for i in blocks)
        return f"{self.path}:{before + 1}"


def _open(path: Path) -> _OpenFile:
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            content = b""  # an empty file can't be mapped
            if stat.st_size:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None
    return _OpenFile(content, (stat.st_size, stat.st_mtime_ns))


def _line_starts(content: mmap.mmap | bytes) -> np.ndarray:
    """The byte at which each line starts that isn't blank; int64."""
    if not content:
        return np.empty(0, dtype=np.int64)
    signs = np.frombuffer(content, dtype=np.uint8)
    ends = []
    for i in range(0, len(signs), _BLOCK):
        ends.append(np.flatnonzero(signs[i : i + _BLOCK] == ord("\n")) + i)
    starts = np.concatenate([[0], np.concatenate(ends) + 1])
    starts = starts[starts < len(signs)]
    kept = np.ones(len(starts), dtype=bool)
    for i in np.flatnonzero(np.isin(signs[starts], np.frombuffer(b" \t\r\n", np.uint8))):
        end = content.find(b"\n", starts[i])
        kept[i] = bool(content[starts[i] : end if end >= 0 else None].strip())
    return starts[kept]
