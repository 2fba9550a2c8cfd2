"""Names -> identifiers of HGNC, MeSH or the NCBI Taxonomy, by the entries of a lexicon."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..silver.lexicons import Entry, read_entries

_LETTERS = map(chr, range(ord("α"), ord("ω") + 1))
_GREEK = {letter: unicodedata.name(letter).split()[-1].lower() for letter in _LETTERS}
_GREEK["λ"] = "lambda"  # Unicode writes it LAMDA


class Grounding(NamedTuple):
    """The identifiers that a name may mean.

    how    "exact", "normalized", or "none"
    ids    sorted; several where the name is ambiguous, empty where nothing has it
    """

    how: str
    ids: tuple[str, ...]


class Grounder:
    """Looks names up: first as they are written, then normalized.

    Normalized names have no case, blanks, hyphens or plural s, and their Greek letters are spelled.
    Only entries of the same type are looked at, and only those with an identifier.
    """

    def __init__(self, entries: Iterable[Entry]):
        self._exact: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._normalized: dict[tuple[str, str], set[str]] = defaultdict(set)
        for entry in entries:
            if entry.id:
                name = " ".join(entry.words)
                self._exact[entry.type, squeezed(name)].add(entry.id)
                self._normalized[entry.type, normalized(name)].add(entry.id)

    @classmethod
    def load(cls, path: str | Path) -> "Grounder":
        """From a lexicon's file, as 70_lexicons writes it; raises DataError for any other file."""
        return cls(read_entries(path))

    def ground(self, name: str, type: str) -> Grounding:
        """The identifiers of a name of this type."""
        for how, key, table in (
            ("exact", squeezed(name), self._exact),
            ("normalized", normalized(name), self._normalized),
        ):
            if ids := table.get((type, key)):
                return Grounding(how, tuple(sorted(ids)))
        return Grounding("none", ())


def squeezed(name: str) -> str:
    """A name without blanks: sources and texts cut words at different places."""
    return "".join(name.split())


def normalized(name: str) -> str:
    """A name as it is compared when its spelling doesn't matter."""
    spelled = "".join(_GREEK.get(sign, sign) for sign in name.casefold())
    bare = re.sub(r"[\W_]+", "", spelled)
    is_plural = len(bare) > 4 and bare.endswith("s") and not bare.endswith(("ss", "us", "is"))
    return bare[:-1] if is_plural else bare
