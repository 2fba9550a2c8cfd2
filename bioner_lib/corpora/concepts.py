"""The concept identifiers of a corpus's mentions, beside its sentences, which don't hold them.

They are read from the verified PubTator files of registered corpora. Sentences and fingerprints
stay as they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .corpus import Corpus
from .reading import document_name, numbered_lines
from .registry import CORPORA, fetch_file, split_name

# (document, type, `surface` of a mention) -> its identifiers
Concepts = Mapping[tuple[str, str, str], frozenset[str]]
_NONE = frozenset({"", "-", "-1", "none", "null", "n/a"})  # how files write "no identifier"
_WHOLE = ("Variant",)  # types whose identifiers hold the separators of lists: p|SUB|R|42|W


def surface(words: Sequence[str]) -> str:
    """The words of a mention as one text without blanks and case: IL-2 and "il - 2" are equal."""
    return "".join("".join(words).split()).casefold()


def concepts_of(corpus: Corpus) -> Concepts:
    """The identifiers of all mentions of a corpus, document by document.

    Empty for a corpus without identifiers: anything but a registered corpus in PubTator files
    (ncbi-disease-pubtator, bc5cdr-pubtator, nlm-gene, biored, s800-virus). A mention of several
    concepts has all of their identifiers; one without identifier has none.

    Raises DataError for files that can't be fetched or have wrong bytes.
    """
    name = split_name(corpus.name)[0]
    entry = CORPORA.get(name, {})
    if entry.get("reader") != "pubtator":
        return {}
    kept = frozenset(entry.get("concepts", ()))
    found: dict[tuple[str, str, str], frozenset[str]] = {}
    for role in entry["files"]:
        for doc, label, text, identifiers in _annotations(fetch_file(name, role)):
            type = entry["labels"].get(label.strip(), "")
            own = identifiers_in(identifiers, type)
            if type in corpus.types and (not kept or kept & own):
                key = (doc, type, surface([text]))
                found[key] = found.get(key, frozenset()) | own
    return found


def identifiers_in(cell: str, type: str = "") -> frozenset[str]:
    """The identifiers of one cell of a PubTator file; "-1" and the like are none.

    Lists are separated by comma, semicolon, bar or plus sign. A variant's identifier is the cell.
    """
    parts = [cell] if type in _WHOLE else re.split(r"[,;|+]", cell)
    found = {part.strip().removeprefix("MESH:") for part in parts}
    return frozenset(part for part in found if part.casefold() not in _NONE)


def _annotations(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """(document, label, text, identifiers) of each annotation that has a cell for identifiers."""
    for _, line in numbered_lines(path):
        cells = line.split("\t")
        # a relation line has a name where an annotation has its offsets
        if len(cells) > 5 and cells[1].isdigit() and cells[2].isdigit():
            yield document_name(cells[0]), cells[4], cells[3], cells[5]
