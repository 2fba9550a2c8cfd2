"""Sentences that stay on disk: a JSONL file of which memory holds 8 bytes a line, each sentence made when it is asked for."""

import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from .schemes import detect_scheme, to_spans, to_tags
from .tagged_files import jsonl_record
from .text import Sentence

_PEEK = 1_000  # lines that show the tag scheme
_BLOCK = 1 << 26  # bytes


class Lines(Sequence):
    """A JSONL file as a sequence of sentences (tags in IOB2); `types`, where given, are all that its tags may name.

    The file is opened once: parts and views go on reading it where it is replaced meanwhile. Raises DataError for a file that can't be
    read, and where a copy in another process finds another file; a line that can't be read, with its number, when it is asked for.
    """

    def __init__(
        self, path: str | Path, types: Iterable[str] | None = None, tag_field: str = "tags", tag_names: list[str] | None = None,
        starts: np.ndarray | None = None, changes: tuple[Callable[[Sentence], Sentence], ...] = (), scheme: str = "",
        stamp: tuple[int, int] | None = None, opened: tuple[mmap.mmap | bytes, tuple[int, int]] | None = None,
    ):  # fmt: skip
        self.path, self._types, self._fields = (
            Path(path),
            None if types is None else frozenset(types),
            (tag_field, tag_names),
        )
        self._bytes, self._stamp = opened or _opened(self.path)
        if stamp not in (None, self._stamp):
            raise DataError(f"{self.path} has changed since it was loaded; load the corpus again")
        self._starts, self._changes = (
            _line_starts(self._bytes) if starts is None else starts,
            changes,
        )
        self._scheme = scheme or detect_scheme(
            self._record(at)[1] for at in self._starts[:_PEEK].tolist()
        )

    @property
    def documented(self) -> bool:
        """Whether any line names its document."""
        return (
            len(self._starts) > 0
            and re.search(rb'"(?:doc|pmid)"\s*:\s*+(?!null\b|"")', self._bytes) is not None
        )

    def take(self, indices: Iterable[int]) -> "Lines":
        """The sentences with these indices."""
        return self._with(self._starts[np.fromiter(indices, dtype=np.int64)], self._changes)

    def map(self, change: Callable[[Sentence], Sentence]) -> "Lines":
        """Each sentence changed when it is asked for."""
        return self._with(self._starts, (*self._changes, change))

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index):
        return (
            self._with(self._starts[index], self._changes)
            if isinstance(index, slice)
            else self._sentence(int(self._starts[index]))
        )

    def __iter__(self) -> Iterator[Sentence]:
        return (self._sentence(int(at)) for at in self._starts)

    def __reduce__(self):
        return Lines, (
            self.path,
            self._types,
            *self._fields,
            self._starts,
            self._changes,
            self._scheme,
            self._stamp,
        )

    def _with(self, starts: np.ndarray, changes: tuple) -> "Lines":
        opened = self._bytes, self._stamp
        return Lines(
            self.path, self._types, *self._fields, starts, changes, self._scheme, opened=opened
        )

    def _record(self, at: int) -> tuple[list, list, object]:
        end = self._bytes.find(b"\n", at)
        try:
            return jsonl_record(self._bytes[at : end if end >= 0 else None], "", *self._fields)
        except DataError as error:
            raise DataError(f"{self._where(at)}{error}") from None

    def _sentence(self, at: int) -> Sentence:
        tokens, tags, doc = self._record(at)
        if not tokens:
            raise DataError(f"{self._where(at)}: a sentence without words; delete the line")
        try:
            spans = to_spans(tags, self._scheme)
        except ValueError as error:
            raise DataError(f"{self._where(at)}: {error}") from None
        if self._types is not None and (extra := {name for _, _, name in spans} - self._types):
            raise DataError(
                f"{self._where(at)}: a mention of {sorted(extra)}, which types={sorted(self._types)} doesn't declare"
            )
        sentence = Sentence(
            tokens,
            to_tags(spans, len(tokens)),
            str(f"{self.path.stem}-{at}" if doc is None else doc),
        )
        for change in self._changes:
            sentence = change(sentence)
        return sentence

    def _where(self, at: int) -> str:
        before = sum(
            self._bytes[i : min(i + _BLOCK, at)].count(b"\n") for i in range(0, at, _BLOCK)
        )
        return f"{self.path}:{before + 1}"


def _opened(path: Path) -> tuple[mmap.mmap | bytes, tuple[int, int]]:
    """The bytes of a file, and its size and time, which tell it from another one of the same name."""
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if stat.st_size else b""
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None
    return content, (stat.st_size, stat.st_mtime_ns)


def _line_starts(content: mmap.mmap | bytes) -> np.ndarray:
    """Where the lines begin that aren't empty; int64."""
    if not content:
        return np.empty(0, dtype=np.int64)
    content = np.frombuffer(content, dtype=np.uint8)
    ends = [
        np.flatnonzero(content[i : i + _BLOCK] == ord("\n")) + i
        for i in range(0, len(content), _BLOCK)
    ]
    starts = np.concatenate([[0], np.concatenate(ends) + 1])
    starts = starts[starts < len(content)]
    return starts[(content[starts] != ord("\n")) & (content[starts] != ord("\r"))]
