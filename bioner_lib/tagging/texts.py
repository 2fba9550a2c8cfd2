"""The texts of a file, one after the other, for tagging.

.jsonl       one JSON object per line: `text` or `tokens`, and perhaps `id`, `doc` or `pmid`
.pubtator    `id|t|title` and `id|a|abstract`; annotation lines are skipped
.xml, .json  BioC (also in .jsonl); annotations are skipped, passages stand at their offsets
others, -    one text per line; its id is the number of the line

Files whose names end in .gz or .xz, too, are decompressed (.jsonl.gz, .txt.xz).
"""

import json
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import starmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..corpora.bioc_files import bioc_texts
from ..corpora.pubtator_files import PASSAGE
from ..corpora.readers import guess_reader
from ..corpora.reading import PACKED, UNREADABLE, ending, is_missing, reason_of
from ..errors import WorkbookError

_IDS = ("id", "doc", "pmid", "sentence_id")


class Text(NamedTuple):
    """A text, the name that the output gives it, and where its passages start, if any do."""

    id: str
    text: str
    passages: tuple[int, ...] = ()


class Problem(NamedTuple):
    """A line that can't be read, and why."""

    line: int
    reason: str


def read_texts(path: str | Path) -> Iterator[Text | Problem]:
    """The texts of a file, or of standard input for "-". A line that can't be read is a Problem.

    Blank lines are skipped. Raises WorkbookError for a file that is missing, damaged, or UTF-16,
    and for .xml and .json that aren't BioC.
    """
    path = Path(path)
    if _is_bioc(path):
        yield from starmap(_bioc_text, bioc_texts(path))
        return
    with _opened(path) as file:
        if ending(path) == ".pubtator":
            yield from _pubtator_texts(file, path)
            return
        read = _json_text if ending(path) == ".jsonl" else _plain_text
        for number, line in _lines(file, path):
            yield line if isinstance(line, Problem) else read(number, line)


def _is_bioc(path: Path) -> bool:
    """Whether a file is BioC by its ending, or by the first of its JSON lines."""
    if ending(path) != ".jsonl":
        return ending(path) in (".xml", ".json")
    with suppress(WorkbookError):  # a file that can't be read is named later
        return guess_reader(path) == "bioc"
    return False


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed, or of standard input."""
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        with PACKED.get(path.suffix.lower(), open)(path, "rb") as file:
            yield file
    except UNREADABLE as error:
        raise WorkbookError(
            f"{path} can't be read ({reason_of(error)}); give a file with one text per line, a "
            ".jsonl or .pubtator file, or BioC in .xml or .json (each may be compressed as .gz or "
            ".xz), or - for standard input"
        ) from None


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, str | Problem]]:
    """(number, line without its end) for each line that isn't blank."""
    for number, raw in enumerate(file, 1):
        if number == 1 and raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            name = "standard input" if str(path) == "-" else path
            raise WorkbookError(
                f"{name} is UTF-16; convert it to UTF-8 first: iconv -f utf-16 -t utf-8"
            )
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield number, Problem(number, f"not UTF-8 at byte {error.start + 1}")
            continue
        if line.strip():
            yield number, line


def _plain_text(number: int, line: str) -> Text:
    return Text(str(number), line)


def _json_text(number: int, line: str) -> Text | Problem:
    try:
        record = json.loads(line)
    except ValueError as error:
        return Problem(number, f"not JSON ({error})")
    if not isinstance(record, dict):
        return Problem(number, f"{type(record).__name__} instead of an object")
    text, tokens = record.get("text"), record.get("tokens")
    if text is None and isinstance(tokens, list) and all(isinstance(t, str) for t in tokens):
        text = " ".join(tokens)
    if not isinstance(text, str):
        return Problem(number, "neither a `text` nor a list of `tokens`")
    given = next((record[key] for key in _IDS if not is_missing(record.get(key))), number)
    return Text(str(given), text)


def _pubtator_texts(file: BinaryIO, path: Path) -> Iterator[Text | Problem]:
    """Title and abstract are joined by one blank, as PubTator's offsets count."""
    name, passages = "", {}
    for number, line in _lines(file, path):
        if isinstance(line, Problem):
            yield line
        elif match := PASSAGE.fullmatch(line):
            if match[1] != name or match[2] in passages:
                if passages:
                    yield _joined(name, passages)
                name, passages = match[1], {}
            passages[match[2]] = match[3]
        elif not line.startswith(f"{name}\t"):
            yield Problem(number, "neither a passage nor an annotation of PubTator")
    if passages:
        yield _joined(name, passages)


def _bioc_text(name: str, passages: Sequence[tuple[int, str]]) -> Text:
    """A passage that would start inside the previous one stands behind it."""
    text, starts = "", []
    for offset, passage in passages:
        text = text.ljust(offset if offset >= len(text) else len(text) + 1)
        starts.append(len(text))
        text += passage
    return Text(name, text, tuple(starts))


def _joined(name: str, passages: dict[str, str]) -> Text:
    return Text(name, f"{passages.get('t', '')} {passages.get('a', '')}")
