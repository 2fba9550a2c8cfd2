"""Species and viruses of the NCBI taxonomy: its table, NCBI's dump, and the package's tries."""

import lzma

import pytest
from small_corpora import write

from bioner_lib.errors import DataError
from bioner_lib.silver.taxonomy import descendants, read_taxonomy
from bioner_lib.silver.terms import Term, select

HEADER = "taxid\tparent\tname\n"


def names_in(path, *taxon):
    return [term.name for term in read_taxonomy(path, *taxon)]


def types_in(path, taxon):
    return [(term.name, term.type) for term in read_taxonomy(path, taxon)]


@pytest.fixture
def dump(tmp_path):
    """NCBI's dump of the viruses with one family, and of one species outside them."""
    folder = tmp_path / "dump"
    folder.mkdir()
    nodes = "1\t|\t1\t|\n10239\t|\t1\t|\n10240\t|\t10239\t|\n9606\t|\t1\t|\n"
    names = (
        "10240\t|\tPoxviridae\t|\n10240\t|\tpoxviruses\t|\n9606\t|\tHomo sapiens\t|\n"
        "9606\t|\tHomo sapiens Linnaeus, 1758\t|\t\t|\tauthority\t|\n"
    )
    write(folder, "nodes.dmp", nodes)
    write(folder, "names.dmp", names)
    return folder


def test_a_compressed_table_has_the_viruses_below_their_root(tmp_path):
    table = (
        "taxid\tparent\trank_code\tname\n1\t1\t0\troot\n10239\t1\t40\tViruses\n"
        "10240\t10239\t5\tPoxviridae\n9606\t1\t9\tHomo sapiens\n"
    )
    path = tmp_path / "names.tsv.xz"
    path.write_bytes(lzma.compress(table.encode()))
    assert [(t.name, t.id) for t in read_taxonomy(path)] == [("Poxviridae", "NCBITaxon:10240")]


def test_a_dump_has_the_names_below_each_root(dump):
    species = [("Poxviridae", "Species"), ("poxviruses", "Species")]
    species += [("Homo sapiens", "Species"), ("H. sapiens", "Species")]
    viruses = [("Poxviridae", "Virus"), ("poxviruses", "Virus")]
    assert names_in(dump) == ["Poxviridae", "poxviruses"]
    assert types_in(dump, "1:Species") == species
    assert types_in(dump, "10239:Virus 1:Species") == viruses + species


@pytest.mark.parametrize("wrong", ["10239", "7:Species", "10239:"])
def test_a_wrong_taxon_is_named(dump, wrong):
    message = f"taxon '{wrong}': expected a taxid of .*dump, a colon and a type, as in 10239:Virus"
    with pytest.raises(DataError, match=message):
        list(read_taxonomy(dump, wrong))


def test_descendants_include_the_root():
    assert descendants({"1": "1", "2": "1", "3": "2", "4": "1"}, "2") == {"2", "3"}


def test_a_species_of_viruses_with_strains_keeps_its_own_names(tmp_path):
    rows = ("10239\t1\tViruses", "11646\t10239\tLentivirus", "99\t11646\tunclassified Lentivirus")
    rows += ("11676\t11646\tHuman immunodeficiency virus 1", "7\t11676\tHIV-1 isolate XYZ")
    table = write(tmp_path, "names.tsv", HEADER + "\n".join([*rows, "5\t99\tx"]))
    species = names_in(table, "11676:Virus")
    assert species[:2] == ["Human immunodeficiency virus 1", "HIV-1 isolate XYZ"]
    assert "HIV-1" in species
    assert "Lentivirus" not in names_in(table, "11646:Virus")
    assert names_in(table, "99:Virus") == ["x"]


def test_one_abbreviation_of_several_species(tmp_path):
    rows = (
        "1\t1\troot\n2\t1\tEscherichia\n562\t2\tEscherichia coli\n"
        "5962\t1\tEntamoeba coli\n9606\t1\tHomo sapiens\n"
    )
    path = write(tmp_path, "names.tsv", HEADER + rows)
    found = {t.name: t.id for t in read_taxonomy(path, "1:Species")}
    assert found["E. coli"] == ""
    assert found["H. sapiens"] == "NCBITaxon:9606"
    assert "root" not in found
    assert names_in(path, "9606:Species") == ["Homo sapiens", "H. sapiens"], "a species is itself"
    own = Term("E. coli", "Species", "NCBITaxon:562")
    chosen = select([*read_taxonomy(path, "1:Species"), own])
    assert (["E", ".", "coli"], "Species", "NCBITaxon:562", False) in chosen.entries


def test_placeholder_names_are_dropped():
    names = [
        "uncultured bacterium",
        "Bacillus sp. X1",
        "Bacillus cf. cereus",
        "Bacillus cereus",
        "environmental samples",
    ]
    selection = select(Term(name, "Species", "NCBITaxon:1") for name in names)
    assert [" ".join(words) for words, *_ in selection.entries] == ["Bacillus cereus"]
    assert selection.dropped["unnamed organism", "Species"] == 4
    assert len(select([Term("environmental illness", "Disease", "MESH:D018777")]).entries) == 1


def test_the_taxonomy_of_the_package(tmp_path):
    """Its form: tries of records, and a compressed text of names that one of them points into."""
    marisa_trie, zstandard = pytest.importorskip("marisa_trie"), pytest.importorskip("zstandard")

    def save(name, form, records):
        marisa_trie.RecordTrie(form, list(records.items())).save(str(tmp_path / name))

    parents = {"1": 1, "10239": 1, "11118": 10239, "694009": 11118, "9606": 1}
    starts = {"10239": 0, "11118": 8, "694009": 22, "9606": 27}
    save("taxa.marisa", "IBBB", {taxid: (parent, 0, 0, 0) for taxid, parent in parents.items()})
    save("scientific_name.marisa", "I", {taxid: (start,) for taxid, start in starts.items()})
    save("common_name.marisa", "I", {"9606": (4,)})
    texts = {"scientific_name": b"Viruses\nCoronaviridae\nSARS\nHomo sapiens\n"}
    texts["common_name"] = b"ape\nhuman\n"
    for name, text in texts.items():
        (tmp_path / f"{name}.zstd").write_bytes(zstandard.compress(text))

    found = {(term.name, term.id) for term in read_taxonomy(tmp_path)}
    aliases = {("SARS-CoV", "NCBITaxon:694009")}  # ours
    assert found == {("Coronaviridae", "NCBITaxon:11118"), ("SARS", "NCBITaxon:694009")} | aliases
    everything = set(types_in(tmp_path, "1:Species"))
    assert {("human", "Species"), ("H. sapiens", "Species"), ("SARS-CoV", "Species")} < everything


def test_a_table_with_other_columns_is_named(tmp_path):
    with pytest.raises(DataError, match="expected columns taxid"):
        list(read_taxonomy(write(tmp_path, "x.tsv", "a\tb\n1\t2\n")))


def test_a_folder_without_a_dump_is_named(tmp_path):
    with pytest.raises(DataError, match="can't be read: No such file"):
        list(read_taxonomy(tmp_path))


def test_a_row_with_missing_cells_is_named(tmp_path):
    write(tmp_path, "table.tsv", HEADER + "1\t1\troot\n10239\t1\n")
    message = r"table\.tsv:3: no name in .*complete the row or delete it"
    with pytest.raises(DataError, match=message):
        list(read_taxonomy(tmp_path / "table.tsv"))


def test_a_line_of_a_dump_with_missing_cells_is_named(tmp_path):
    write(tmp_path, "nodes.dmp", "1\t|\t1\t|\n10239\n")
    write(tmp_path, "names.dmp", "1\t|\troot\t|\t\t|\tscientific name\t|\n")
    message = r"nodes\.dmp:2: '10239'; expected cells between tab, bar, tab"
    with pytest.raises(DataError, match=message):
        list(read_taxonomy(tmp_path))
