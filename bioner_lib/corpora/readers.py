"""Files -> sentences: CoNLL, JSONL, PubTator, BioC, inline markup.

Every reader returns a `Reading`; every error names file and line; whatever a reader mends it counts in `repairs`.
`labels` maps a source's label to the workbook's type; a label mapped to "" is known and left out, one that is not in the map
is an error. Without a map labels are taken as they are.
"""

from collections.abc import Callable
from pathlib import Path

from .annotated_files import PASSAGE, read_bioc, read_pubtator
from .inline_files import INLINE, read_inline
from .reading import Reading, numbered_lines
from .tagged_files import read_conll, read_jsonl

READERS: dict[str, Callable[..., Reading]] = {
    "conll": read_conll,
    "jsonl": read_jsonl,
    "pubtator": read_pubtator,
    "bioc": read_bioc,
    "inline": read_inline,
}
ENDINGS = {
    ".tsv": "conll", ".conll": "conll", ".iob": "conll", ".bio": "conll", ".jsonl": "jsonl", ".pubtator": "pubtator",
    ".xml": "bioc", ".json": "bioc",
}  # fmt: skip


def guess_reader(path: Path) -> str:
    """The reader for a user's file: by its ending, or for .txt and .json by its first lines."""
    path = Path(path)
    head = "".join(
        text + "\n" for _, (_, text) in zip(range(20), numbered_lines(path), strict=False)
    )
    if path.suffix.lower() == ".txt" or path.suffix.lower() not in ENDINGS:
        if PASSAGE.match(head.lstrip()):
            return "pubtator"
        if INLINE.search(head) or head.startswith("# "):
            return "inline"
        return "jsonl" if head.lstrip().startswith("{") else "conll"
    if path.suffix.lower() == ".json":
        first = head.lstrip().split("\n", 1)[0]
        return (
            "jsonl"
            if first.startswith("{") and first.endswith("}") and '"documents"' not in first
            else "bioc"
        )
    return ENDINGS[path.suffix.lower()]
