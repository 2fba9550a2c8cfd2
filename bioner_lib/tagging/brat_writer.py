"""brat standoff: a folder with id.txt and id.ann for each document."""

import re
from collections import Counter, defaultdict, deque
from pathlib import Path

from ..corpora.documents import Document, without_halves
from ..errors import WorkbookError
from ..home import replace_text
from ..runs.rows import file_name

_BREAKS = re.compile(r"[\r\n]+")
_CUT = re.compile(r".*\.ann\.[0-9a-f]{8}\.tmp")  # what a kill leaves of a file


class BratWriter:
    """The text as it is, and a line per entity; the score is a note.

    The .ann file is written last, so a document with one is whole. Where a mention goes over the
    end of a line it has one fragment per line, as brat wants it. A type keeps letters, digits, -
    and _.

    Raises WorkbookError for a file in the folder's place, and for a folder that holds other files.
    """

    lost, holds_empty = 0, True

    def __init__(self, path: Path, whole: bool = False):
        self.path = path
        self._asked: Counter = Counter()
        self._names: dict[str, deque[str]] = defaultdict(deque)
        if path.exists() and not path.is_dir():
            raise WorkbookError(f"{path} is a file; brat needs a folder: name another one")
        for left in path.glob("*.ann.*.tmp"):
            if _CUT.fullmatch(left.name):
                left.unlink()
        others = [p.name for p in path.glob("*") if p.suffix not in (".txt", ".ann", ".conf")]
        if others:
            raise WorkbookError(f"{path} holds {sorted(others)[:3]}; name another folder for brat")

    def __enter__(self) -> "BratWriter":
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_) -> None:
        pass

    def taken(self, id: str) -> bool:
        """Whether the next document of this id is in the folder already."""
        name = self._next_name(id)
        if (self.path / f"{name}.ann").exists():
            return True
        self._names[id].append(name)
        return False

    def write(self, document: Document) -> None:
        """Add a document."""
        waiting = self._names[document.id]
        name = waiting.popleft() if waiting else self._next_name(document.id)
        text = without_halves(document.text)
        with (self.path / f"{name}.txt").open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        replace_text(self.path / f"{name}.ann", _annotations(document, text), lasting=False)

    def _next_name(self, id: str) -> str:
        """The file of the next document of an id: two documents never share one."""
        count = self._asked[id]
        self._asked[id] += 1
        return file_name(id or "text") + (f"~{count + 1}" if count else "")


def _annotations(document: Document, text: str) -> str:
    lines = []
    for number, entity in enumerate(document.entities, 1):
        start, words = entity["start"], text[entity["start"] : entity["end"]]
        pieces, reached = [], 0
        for gap in [*_BREAKS.finditer(words), None]:
            end = len(words) if gap is None else gap.start()
            pieces.append(f"{start + reached} {start + end}")
            reached = end if gap is None else gap.end()
        type = re.sub(r"[^\w-]", "_", entity["entity_group"])
        said = _BREAKS.sub(" ", words).replace("\t", " ")
        lines.append(f"T{number}\t{type} {';'.join(pieces)}\t{said}\n")
        lines.append(f"#{number}\tAnnotatorNotes T{number}\tscore {entity['score']:.4f}\n")
    return "".join(lines)
