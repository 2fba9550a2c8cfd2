"""brat standoff: a folder with a text, id.txt, and its annotations, id.ann, for each document."""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from ..errors import DataError
from .reading import (
    BESIDE,
    Reading,
    Surfaces,
    document_name,
    is_repeated,
    numbered_lines,
    open_text,
    type_of,
)
from .text import Mention, annotate

_ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")


def is_brat(path: Path) -> bool:
    """Whether a folder holds brat annotations."""
    return path.is_dir() and any(path.glob("*.ann"))


def read_brat(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """The documents of one folder. Relations, events, attributes and notes are skipped.

    A mention with several fragments, between which more than a line's end lies, is discontinuous: a
    tag sequence can't hold it, so it is left out and counted. So are overlaps, of which the
    leftmost longest stays.

    Raises DataError for an .ann file without its text, and for lines and offsets that are wrong.
    """
    path, reading, surfaces = Path(path), Reading(), Surfaces()
    seen: dict[str, str] = {}
    for annotations in sorted(path.glob("*.ann")):
        if not annotations.with_suffix(".txt").exists():
            raise DataError(f"{annotations}: no {annotations.stem}.txt beside it")
    for file in sorted(path.glob("*.txt")):
        is_annotated = file.with_suffix(".ann").exists()
        if not is_annotated and BESIDE.fullmatch(file.name):
            continue
        with open_text(file, "utf-8") as opened:  # offsets count a byte order mark, too
            text = opened.read()
        mentions: list[Mention] = []
        if is_annotated:
            mentions = _mentions(file.with_suffix(".ann"), text, labels, reading, surfaces)
        else:
            reading.repairs["text without annotations"] += 1
        reading.mentions.update(type for _, _, type in mentions)
        name = document_name(file.stem)
        if not is_repeated(name, text, len(mentions), seen, str(file), reading):
            reading.sentences += annotate(text, mentions, name, reading.repairs)
    surfaces.check(path)
    return reading


def _mentions(
    path: Path, text: str, labels: Mapping[str, str] | None, reading: Reading, surfaces: Surfaces
) -> list[Mention]:
    found = []
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        if not line.startswith("T"):
            continue
        match = _ENTITY.fullmatch(line)
        if match is None:
            raise DataError(
                f"{where}: {line[:80]!r}; an entity is T1, tab, type, start, end, tab, its text"
            )
        if not (type := type_of(match[1], labels, where)):
            continue
        pieces = sorted(tuple(map(int, piece.split())) for piece in match[2].split(";"))
        start, end = pieces[0][0], pieces[-1][1]
        if not all(0 <= a < b <= len(text) for a, b in pieces):
            raise DataError(
                f"{where}: offsets {match[2]} are empty or outside a text of {len(text)} characters"
            )
        gaps = [(a, b) for (_, a), (b, _) in pairwise(pieces)]
        if any(b < a or text[a:b].strip("\r\n") for a, b in gaps):
            reading.mentions[type] += 1
            reading.repairs["discontinuous mention dropped"] += 1
            continue
        if match[3]:
            surfaces.compare(match[3], text, start, end, where, reading.repairs)
        found.append((start, end, type))
    return found
