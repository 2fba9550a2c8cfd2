"""What all readers share: labels, opened files, and repairs that are counted.

Every error names file and line. `labels` maps each label of the source to a type; "" leaves a label
out, and an unknown label is an error. Without a map, labels are the types.
"""

import gzip
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

from ..errors import DataError, unknown
from .text import Sentence

# repairs that lose a mention: it is neither trained on nor scored
DROPS = (
    "overlapping mention dropped",
    "mention without a word dropped",
    "mentions of repeated documents dropped",
    "discontinuous mention dropped",
)
NO_TYPE = "annotation without a type passed over"
# files beside the data that are no data
BESIDE = re.compile(
    r"corpus\.toml|\..*|.*\.(tmp|md|lock|conf)"
    r"|(readme|licen[cs]e|notice|citation|changes|changelog|guidelines)\b.*",
    re.IGNORECASE,
)
Labels = Mapping[str, str] | None  # label of a file -> type
PACKED = {".xz": lzma.open, ".gz": gzip.open}  # how files with these endings are opened
# what a file that is missing, cut or damaged raises
UNREADABLE = (lzma.LZMAError, zlib.error, EOFError, OSError)


@dataclass
class Reading:
    """What a file held: sentences, mentions by type as the source counts them, repairs by name.

    `documented` is True if the file names documents; without names, each sentence gets its own.
    """

    sentences: list[Sentence] = field(default_factory=list)
    mentions: Counter = field(default_factory=Counter)
    repairs: Counter = field(default_factory=Counter)
    documented: bool = True


def type_of(label: str, labels: Mapping[str, str] | None, where: str) -> str:
    """The type of a source's label, "" for one that is left out. Blanks around it are ignored."""
    label = label.strip()
    if labels is None:
        return label
    if label not in labels:
        raise DataError(
            f"{where}: {unknown('label', label, labels)}; "
            "add it to the label map, as '' to leave it out"
        )
    return labels[label]


@dataclass
class Surfaces:
    """Compares the text that a source states for a mention with the text at its offsets."""

    compared: int = 0
    different: int = 0
    example: str = ""

    def compare(
        self, stated: str, text: str, start: int, end: int, where: str, repairs: Counter
    ) -> None:
        self.compared += 1
        found = text[start:end]
        if stated.split() != found.split():
            self.different += 1
            repairs["mention text differs from its offsets"] += 1
            example = f"{where}: {stated!r}, but the text at {start}-{end} is {found!r}"
            self.example = self.example or example

    def check(self, path: Path) -> None:
        """Raises DataError where most mentions differ: then the offsets don't fit this text."""
        if 2 * self.different > self.compared:
            raise DataError(
                f"{path}: the text at the offsets of {self.different} of {self.compared} mentions "
                f"differs from the stated text ({self.example}); offsets count characters from 0 "
                "(in PubTator: of title, one blank, abstract): correct the offsets or the text"
            )


def refuse_half_a_character(texts: Iterable[str], where: str) -> None:
    """Raises DataError for half of a surrogate pair.

    JSON can hold one and UTF-8 can't, so predictions on it could not be written.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            near = text[max(0, error.start - 20) : error.end]
            raise DataError(
                f"{where}: {near!r} holds half of a surrogate pair, which is no character; "
                "correct the escape"
            ) from None


def is_missing(value: object) -> bool:
    """Whether a field is empty; NaN is what pandas writes into a column with gaps."""
    return value is None or value == "" or value != value


def document_name(doc: object) -> str:
    """One name per document: PMID:123, "PMID 123", 123 and 123.0 are the same.

    pandas writes 123.0 for a number in a column with gaps.
    """
    if isinstance(doc, float) and doc.is_integer():
        doc = int(doc)
    return re.sub(r"^PMID[\W_]*(?=\d+$)", "", str(doc).strip(), flags=re.IGNORECASE)


def is_repeated(
    doc: str, text: str, mentions: int, seen: dict[str, str], where: str, reading: Reading
) -> bool:
    """Whether a document was read before; a repetition is counted.

    Raises DataError where the earlier text was different.
    """
    if doc not in seen:
        seen[doc] = text
        return False
    if seen[doc] != text:
        raise DataError(f"{where}: document {doc!r} occurs twice with different texts")
    reading.repairs["repeated document dropped"] += 1
    reading.repairs["mentions of repeated documents dropped"] += mentions
    return True


def ending(path: Path) -> str:
    """The ending of a file's name in small letters; of a compressed one what precedes .gz, .xz."""
    is_packed = path.suffix.lower() in PACKED
    return Path(path.stem if is_packed else path.name).suffix.lower()


@contextmanager
def open_text(path: str | Path, encoding: str = "utf-8-sig") -> Iterator[TextIO]:
    """A UTF-8 text file, also compressed as .gz or .xz.

    A byte order mark at its start is left out, unless `encoding` is "utf-8".
    Lines end at line feeds only: real text holds other Unicode separators inside words.
    Raises DataError for a file that is missing, broken or not UTF-8.
    """
    try:
        with _unpacked(path, "rt", encoding=encoding, newline="\n") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert it first, e.g. with iconv") from None


def read_bytes(path: Path) -> bytes:
    """What a file holds, also one compressed as .gz or .xz.

    Raises DataError for a file that is missing or broken.
    """
    with _unpacked(path, "rb") as file:
        return file.read()


@contextmanager
def _unpacked(path: str | Path, mode: str, **options: str) -> Iterator[IO]:
    opening = PACKED.get(Path(path).suffix.lower(), open)
    try:
        with opening(path, mode, **options) as file:
            yield file
    except UNREADABLE as error:
        raise DataError(f"{path} can't be read: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """Why a file can't be read, in words."""
    return getattr(error, "strerror", None) or str(error) or "it ends too early"


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, text without its line end)."""
    with open_text(path) as file:
        for number, text in enumerate(file, 1):
            yield number, text.rstrip("\r\n")
