"""brat standoff: a folder with id.txt and id.ann for each document."""

import re
from pathlib import Path

from ..corpora.documents import Document, without_halves
from ..errors import WorkbookError
from ..home import replace_text
from ..runs.rows import file_name
from .writing import refuse_again

_BREAKS = re.compile(r"[\r\n]+")
_CUT = re.compile(r".*\.ann\.[0-9a-f]{8}\.tmp")  # what a kill leaves of a file


class BratWriter:
    """The text as it is, and a line per entity; the score is a note.

    The .ann file is written last, so a document with one is whole. Where a mention goes over the
    end of a line it has one fragment per line, as brat wants it. A type keeps letters, digits, -
    and _.

    Raises WorkbookError for a file in the folder's place, and for a folder that holds other files.
    """

    lost, holds_empty, own_ids = 0, True, True

    def __init__(self, path: Path, whole: bool = False):
        self.path = path
        self.written: set[str] = set()
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

    def held(self, key: str) -> int:
        """1 where an earlier call has written the document of a key, else 0."""
        return int((self.path / f"{key}.ann").exists())

    def taken(self, id: str) -> bool:
        """Whether an earlier call has written the document of this id."""
        key = self.key(id)
        return key not in self.written and bool(self.held(key))

    def key(self, id: str) -> str:
        """The name of the document's files: two ids never share one."""
        return file_name(without_halves(id) or "text")

    def write(self, document: Document) -> None:
        """Add a document; raises WorkbookError for the id of another one."""
        name, text = self.key(document.id), without_halves(document.text)
        refuse_again(name, self.written)
        with (self.path / f"{name}.txt").open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        replace_text(self.path / f"{name}.ann", _annotations(document, text), lasting=False)


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
