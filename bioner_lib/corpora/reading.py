"""What every reader shares: labels, tags, open files, repairs that are counted.

Every error names file and line. `labels` maps a label of the source to a type of the workbook; a
label mapped to "" is left out, and one that is not in the map is an error. Without a map labels are
taken as they are.
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
from typing import TextIO

from ..errors import DataError, unknown
from .text import Sentence


@dataclass
class Reading:
    """What one file held: sentences, mentions by type as the source counts them, and repairs by name.

    `documented` says whether some sentence's `doc` is a real document; where none is named `doc` is a sentence's own name.
    """

    sentences: list[Sentence] = field(default_factory=list)
    mentions: Counter = field(default_factory=Counter)
    repairs: Counter = field(default_factory=Counter)
    documented: bool = True


# the repairs that lose a mention: what the source counts, less these, is what is trained and scored
DROPS = (
    "overlapping mention dropped", "mention without a word dropped", "mentions of repeated documents dropped",
    "discontinuous mention dropped",
)  # fmt: skip
NO_TYPE = "annotation without a type passed over"
_OTHER_TEXT = "mention text differs from its offsets"


def type_of(label: str, labels: Mapping[str, str] | None, where: str) -> str:
    """The workbook's type of a source's label, "" for one that is left out; blanks around a label don't count."""
    label = label.strip()
    if labels is None:
        return label
    if label not in labels:
        raise DataError(
            f"{where}: {unknown('label', label, labels)}; add it to the label map, as '' to leave it out"
        )
    return labels[label]


@dataclass
class Surfaces:
    """Mention texts that a source states beside their offsets, compared with the text that stands there."""

    compared: int = 0
    different: int = 0
    example: str = ""

    def compare(
        self, stated: str, text: str, start: int, end: int, where: str, repairs: Counter
    ) -> None:
        self.compared += 1
        if " ".join(stated.split()) != " ".join(text[start:end].split()):
            self.different += 1
            repairs[_OTHER_TEXT] += 1
            self.example = (
                self.example
                or f"{where}: {stated!r}, but at {start}-{end} stands {text[start:end]!r}"
            )

    def check(self, path: Path) -> None:
        """Raises DataError where most differ: then the offsets count something else than the characters of this text."""
        if 2 * self.different > self.compared:
            raise DataError(
                f"{path}: {self.different} of {self.compared} mentions have another text than stands at their offsets ({self.example}); "
                "offsets count characters from 0 (PubTator's of title, one blank, abstract): mend the offsets or the text"
            )


def refuse_half_a_character(texts: Iterable[str], where: str) -> None:
    """JSON can hold half of a surrogate pair, which no UTF-8 file can: predictions on it could not be written."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            near = text[max(0, error.start - 20) : error.end]
            raise DataError(
                f"{where}: {near!r} holds half of a surrogate pair, which is no character; mend the escape"
            ) from None


def document_name(doc: object) -> str:
    """One name for one document: PMID:123, "PMID 123", 123 and 123.0 (as pandas writes numbers in a column with gaps) are the same."""
    doc = int(doc) if isinstance(doc, float) and doc.is_integer() else doc
    return re.sub(r"^PMID[\W_]*(?=\d+$)", "", str(doc).strip(), flags=re.IGNORECASE)


def is_repeated(
    doc: str, text: str, mentions: int, seen: dict[str, str], where: str, reading: Reading
) -> bool:
    """Whether a document was read before, which is counted; raises DataError where it had another text."""
    if doc not in seen:
        seen[doc] = text
        return False
    if seen[doc] != text:
        raise DataError(f"{where}: document {doc!r} stands twice with different texts")
    reading.repairs["repeated document dropped"] += 1
    reading.repairs["mentions of repeated documents dropped"] += mentions
    return True


@contextmanager
def open_text(path: str | Path) -> Iterator[TextIO]:
    """A UTF-8 text file, or a .gz or .xz of one, with only line feeds as ends: real text holds other Unicode separators inside words.

    Raises DataError where it isn't one, or isn't there.
    """
    opening = {".xz": lzma.open, ".gz": gzip.open}.get(Path(path).suffix, open)
    try:
        with opening(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert it first, e.g. with iconv") from None
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f"{path} can't be read: {getattr(error, 'strerror', None) or error or 'it breaks off'}"
        ) from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text)."""
    with open_text(path) as file:
        for number, text in enumerate(file, 1):
            yield number, text.rstrip("\r\n")
