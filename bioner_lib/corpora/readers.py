"""The readers by name, and which one reads a user's file."""

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from .bioc_files import BIOC_KEY, read_bioc
from .brat_folders import is_brat, read_brat
from .dataset_files import read_parquet
from .inline_files import INLINE, read_inline
from .pubtator_files import PASSAGE, read_pubtator
from .reading import Reading, ending, numbered_lines
from .tagged_files import read_conll, read_jsonl

READERS: dict[str, Callable[..., Reading]] = {
    "conll": read_conll,
    "jsonl": read_jsonl,
    "pubtator": read_pubtator,
    "bioc": read_bioc,
    "brat": read_brat,
    "inline": read_inline,
    "parquet": read_parquet,
}
# a word and its tag, in 2 to 4 columns
_TAGGED = re.compile(r"^[^\t\n]+(?:\t[^\t\n]*){0,2}\t(?:O|[BIESLUWM](?:-.+)?)\s*$", re.MULTILINE)
_TAGGED_BY_BLANKS = re.compile(r"^\S+(?: \S+){0,2} (?:O|[BIESLUWM]-\S+)\s*$", re.MULTILINE)
ENDINGS = {
    ".tsv": "conll",
    ".conll": "conll",
    ".iob": "conll",
    ".bio": "conll",
    ".jsonl": "jsonl",
    ".pubtator": "pubtator",
    ".xml": "bioc",
    ".json": "bioc",
    ".parquet": "parquet",
}


def guess_reader(path: Path) -> str:
    """The reader for a user's file: by its ending; for .txt, .json(l) and others by its start."""
    path = Path(path)
    kind = ending(path)
    if is_brat(path):
        return "brat"
    if kind in ENDINGS and kind not in (".json", ".jsonl"):  # perhaps not a text, or not in UTF-8
        return ENDINGS[kind]
    head = "\n".join(text for _, text in islice(numbered_lines(path), 20)).lstrip()
    if kind in (".json", ".jsonl"):
        first = head.split("\n", 1)[0]
        may_be_lines = kind == ".jsonl" or (first.startswith("{") and first.endswith("}"))
        return "jsonl" if may_be_lines and not BIOC_KEY.search(first) else "bioc"
    if PASSAGE.match(head):
        return "pubtator"
    by_tabs = _TAGGED.search(head)
    is_tagged = by_tabs or _TAGGED_BY_BLANKS.search(head)
    if (INLINE.search(head) and not by_tabs) or (head.startswith("# ") and not is_tagged):
        return "inline"
    return "jsonl" if head.startswith("{") else "conll"
