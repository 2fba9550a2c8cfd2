"""PubTator files, whose mentions are counted in characters."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DataError
from .reading import (
    NO_TYPE,
    Labels,
    Reading,
    Surfaces,
    document_name,
    is_repeated,
    numbered_lines,
    type_of,
)
from .text import annotate

PASSAGE = re.compile(r"(\S+?)\|([ta])\|(.*)")
Line = tuple[int, str]  # its number in the file, its text


def read_pubtator(
    path: Path, labels: Labels = None, concepts: Sequence[str] | None = None
) -> Reading:
    """PubTator: `id|t|title`, `id|a|abstract`, then one annotation per line.

    An annotation is id, start, end, text, type and perhaps concept, separated by tabs; its offsets
    count the characters of title, one blank, abstract. Relation lines are skipped. A document that
    occurs twice is read once. With `concepts` only mentions of these concepts are read.
    """
    path, reading, surfaces = Path(path), Reading(), Surfaces()
    seen: dict[str, str] = {}
    for block in blocks(path):
        document = _PubtatorDocument(path, block, labels, set(concepts or ()))
        document.read(reading, surfaces)
        reading.mentions.update(type for _, _, type in document.mentions)
        where = f"{path}:{block[0][0]}"
        count = len(document.mentions)
        if not is_repeated(document.name, document.text, count, seen, where, reading):
            reading.sentences += annotate(
                document.text, document.mentions, document.name, reading.repairs
            )
    surfaces.check(path)
    return reading


def blocks(path: Path) -> Iterator[list[Line]]:
    """The lines of each PubTator document; empty lines separate documents."""
    block: list[Line] = []
    for line, text in numbered_lines(path):
        if text.strip():
            block.append((line, text))
        elif block:
            yield block
            block = []
    if block:
        yield block


class _PubtatorDocument:
    """One block of lines: its name, text and mentions."""

    def __init__(self, path: Path, block: list[Line], labels: Labels, concepts: set[str]):
        self.path, self.block, self.labels, self.concepts = path, block, labels, concepts
        self.name, self.mentions = "", []
        self.passages: dict[str, str] = {}

    @property
    def text(self) -> str:
        return f"{self.passages.get('t', '')} {self.passages.get('a', '')}"

    def read(self, reading: Reading, surfaces: Surfaces) -> None:
        for line, text in self.block:
            where = f"{self.path}:{line}"
            if match := PASSAGE.fullmatch(text):
                self._add_passage(match, where, text)
            else:
                self._add_annotation(text, where, reading, surfaces)
        if "t" not in self.passages:
            line, text = self.block[0]
            raise DataError(
                f"{self.path}:{line}: a PubTator document starts with 'id|t|title', "
                f"not {text[:60]!r}"
            )
        self.name = document_name(self.name)

    def _add_passage(self, match: re.Match, where: str, text: str) -> None:
        name, kind, passage = match.groups()
        if self.name not in ("", name) or kind in self.passages:
            raise DataError(
                f"{where}: {text[:60]!r} starts another document; "
                "empty lines separate PubTator documents"
            )
        self.name = name
        self.passages[kind] = passage

    def _add_annotation(self, line: str, where: str, reading: Reading, surfaces: Surfaces) -> None:
        cells = line.split("\t")
        if len(cells) < 4 or cells[0] != (self.name or None):
            raise DataError(
                f"{where}: {line[:80]!r} is neither a passage nor an annotation of document "
                f"{self.name or None!r}"
            )
        # a relation line has its name and two concepts instead of offsets
        if not any(sign.isdigit() for sign in cells[1]):
            reading.repairs["relation line passed over"] += 1
            return
        try:
            start, end, surface, label = int(cells[1]), int(cells[2]), cells[3], cells[4]
        except (ValueError, IndexError):
            raise DataError(
                f"{where}: {line[:80]!r}; an annotation is id, start, end, text, type, "
                "separated by tabs"
            ) from None
        text = self.text
        if not 0 <= start < end <= len(text):
            raise DataError(
                f"{where}: offsets {start}-{end} are empty or outside a text of "
                f"{len(text)} characters"
            )
        if not label.strip():
            reading.repairs[NO_TYPE] += 1
            return
        type = type_of(label, self.labels, where)
        own = re.split("[;,]", cells[5] if len(cells) > 5 else "")
        if type and (not self.concepts or self.concepts & set(own)):
            surfaces.compare(surface, text, start, end, where, reading.repairs)
            self.mentions.append((start, end, type))
