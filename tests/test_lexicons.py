import gzip
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioner_lib import Lexicon, load_corpus
from bioner_lib.corpora import tokenize
from bioner_lib.errors import DataError, SelectionError
from bioner_lib.silver.labelling import label
from bioner_lib.silver.lexicons import save_entries

WORDS = st.sampled_from(["a", "A", "b", "B", "ab", "aB", "ß", "ss", "-", "İ"])
ENTRIES = st.lists(
    st.tuples(
        st.lists(WORDS, min_size=1, max_size=4),
        st.sampled_from(["X", "Y"]),
        st.just("7"),
        st.booleans(),
    ),
    max_size=12,
)


def brute_force(entries, tokens):
    """Leftmost, then longest, then first: found by looking at every span and every entry."""
    spans, start = [], 0
    while start < len(tokens):
        for end in range(len(tokens), start, -1):
            here = tokens[start:end]
            fits = [
                e
                for e in entries
                if (
                    e[0] == here
                    if e[3]
                    else [w.casefold() for w in e[0]] == [w.casefold() for w in here]
                )
            ]
            if fits:
                spans.append((start, end, fits[0][1]))
                break
        start = spans[-1][1] if spans and spans[-1][1] > start else start + 1
    return spans


@settings(max_examples=300)
@given(ENTRIES, st.lists(WORDS, max_size=20))
def test_equals_brute_force(entries, tokens):
    assert Lexicon(entries).tag(tokens) == brute_force(entries, tokens)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("form_of_terms", ["NFC", "NFD"])
def test_a_letter_and_its_accent_are_one_letter(form, form_of_terms):
    """Text from PDFs writes ç as c and a sign of its own (NFD)."""
    text = unicodedata.normalize(form, "Behçet disease, Å 2")
    tokens = tokenize(text)
    assert [unicodedata.normalize("NFC", token) for token in tokens][:2] == ["Behçet", "disease"]
    assert len(tokens) == 5
    term = tokenize(unicodedata.normalize(form_of_terms, "Behçet disease"))
    symbol = [unicodedata.normalize(form_of_terms, "Å")]
    entries = [(term, "Disease", "1", False), (symbol, "Gene", "2", True)]
    assert Lexicon(entries).tag(tokens) == [(0, 2, "Disease"), (3, 4, "Gene")]


def test_overlapping_keys_and_keys_inside_longer_ones():
    """Keys that overlap, and a key inside a longer one that doesn't match in the end."""
    longer = ["Middle", "East", "respiratory", "syndrome", "virus"]
    entries = [
        (["b"], "X"),
        (["a", "b", "b"], "X"),
        (longer, "Virus"),
        (["syndrome"], "Disease"),
        (["cat"], "X"),
    ]
    lexicon = Lexicon((words, name, str(i), False) for i, (words, name) in enumerate(entries, 1))
    assert lexicon.find(["a", "c", "a", "b"]) == [(3, 4, "X", "1")]
    assert lexicon.find(["Middle", "East", "respiratory", "syndrome", "(", "MERS", ")"]) == [
        (3, 4, "Disease", "4")
    ]
    assert lexicon.find(["category", "concat", "cat"]) == [(2, 3, "X", "5")], "whole words only"
    assert lexicon.find(["a b", "b"]) == [(1, 2, "X", "1")], "a word that holds a blank is one word"


def test_case_matters_for_symbols_only():
    lexicon = Lexicon(
        [(["WAS"], "Gene", "HGNC:1", True), (["Optic", "atrophy"], "Disease", "", False)]
    )
    assert lexicon.tag(["This", "was", "OPTIC", "Atrophy", ",", "WAS"]) == [
        (2, 4, "Disease"),
        (5, 6, "Gene"),
    ]


def test_empty_terms_are_refused():
    for term in ([], ["a", ""]):
        with pytest.raises(DataError, match="empty"):
            Lexicon([(term, "X", "", False)])
    assert Lexicon([]).tag(["a"]) == []
    assert Lexicon([(["a"], "X", "", False)]).tag([]) == []


def test_one_file_with_the_hashes_of_its_sources(tmp_path):
    (tmp_path / "source.tsv").write_text("OPA1\tGene\n")
    entries = [
        (["SARS", "-", "CoV", "-", "2"], "Virus", "NCBITaxon:2697049", True),
        (["optic", "atrophy"], "Disease", "", False),
    ]
    for name in ("a.gz", "b.gz"):
        save_entries(entries, tmp_path / name, [tmp_path / "source.tsv"], {"made": "here"})
    again = Lexicon.load(tmp_path / "a.gz")
    tokens = ["SARS", "-", "CoV", "-", "2", "and", "Optic", "atrophy"]
    assert (
        again.find(tokens)
        == Lexicon(entries).find(tokens)
        == [(0, 5, "Virus", "NCBITaxon:2697049"), (6, 8, "Disease", "")]
    )
    assert again.about["made"] == "here"
    assert len(again.about["sources"]["source.tsv"]) == 64
    assert again.types == ("Virus", "Disease")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes(), json.dumps(
        again.about
    )


def test_dictionary_of_a_training_split():
    sample = load_corpus("sample")
    lexicon = Lexicon.from_mentions(sample.train)
    assert set(lexicon.types) == set(sample.types)
    assert len(Lexicon.from_mentions(sample.train, min_precision=0.0)) > len(lexicon)
    with pytest.raises(SelectionError, match="must not see the test split"):
        Lexicon.from_mentions(sample.test)


def test_a_lexicon_is_written_in_one_step(tmp_path):
    """Whatever breaks off leaves the old file, and no other."""
    path = tmp_path / "lexicon.gz"
    save_entries([(["OPA1"], "Gene", "1", True)], path, [])
    before = path.read_bytes()

    def breaks_off():
        yield ["TP53"], "Gene", "2", True
        assert path.read_bytes() == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_entries(breaks_off(), path, [])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["lexicon.gz"]


def test_a_file_that_is_no_lexicon_is_named(tmp_path):
    save_entries([(["OPA1"], "Gene", "1", True)], tmp_path / "a.gz", [])
    whole = (tmp_path / "a.gz").read_bytes()
    (tmp_path / "half.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.gz").write_text("OPA1\tGene\n")
    (tmp_path / "other.gz").write_bytes(gzip.compress(b"{}\nOPA1\tGene\n"))
    for name in ("half.gz", "text.gz", "other.gz", "none.gz"):
        with pytest.raises(
            DataError, match=rf"{name} can't be read as a lexicon: .*; make it again"
        ):
            Lexicon.load(tmp_path / name)
    with pytest.raises(DataError, match=r"none\.gz: no such lexicon"):
        label([("1", "OPA1")], tmp_path / "none.gz", tmp_path / "mine")


def test_no_type_has_the_name_of_an_average():
    with pytest.raises(DataError, match="a type can't be called 'micro'"):
        Lexicon([(["OPA1"], "micro", "1", True)])


def test_two_writers_of_one_lexicon_leave_a_whole_one(tmp_path):
    """The second begins and ends while the first one writes."""
    path = tmp_path / "lexicon.gz"

    def entries():
        yield ["OPA1"], "Gene", "1", True
        save_entries([(["TP53"], "Gene", "2", True)], path, [])
        assert Lexicon.load(path).tag(["OPA1", "TP53"]) == [(1, 2, "Gene")]
        yield ["BRCA1"], "Gene", "3", True

    save_entries(entries(), path, [])
    assert Lexicon.load(path).tag(["OPA1", "TP53", "BRCA1"]) == [(0, 1, "Gene"), (2, 3, "Gene")]
    assert [p.name for p in tmp_path.iterdir()] == ["lexicon.gz"]


def test_a_word_that_holds_a_blank_is_found():
    """As words of a user's own corpus may."""
    lexicon = Lexicon([(["type 2", "diabetes"], "Disease", "", False), (["a"], "X", "", False)])
    assert lexicon.tag(["in", "Type 2", "diabetes", "a", "a b"]) == [(1, 3, "Disease"), (3, 4, "X")]
    assert lexicon.tag(["type", "2", "diabetes"]) == [], "other words"


def test_a_word_that_holds_a_blank_outlives_its_file(tmp_path):
    entries = [(["type 2", "diabetes"], "Disease", "1", False), (["HLA A"], "Gene", "2", True)]
    save_entries(entries, tmp_path / "a.gz", [])
    for lexicon in (Lexicon(entries), Lexicon.load(tmp_path / "a.gz")):
        assert lexicon.find(["Type 2", "diabetes", "HLA A", "hla a"]) == [
            (0, 2, "Disease", "1"),
            (2, 3, "Gene", "2"),
        ]
        assert lexicon.find(["type", "2", "diabetes", "HLA", "A"]) == []


def test_a_term_that_no_line_can_hold_is_refused(tmp_path):
    for word in ("a\tb", "a\nb", "a\rb"):
        with pytest.raises(DataError, match="a tab or a line's end in it can't be saved"):
            save_entries([([word], "Gene", "", False)], tmp_path / "a.gz", [])
    assert not list(tmp_path.iterdir())


def test_three_hundred_types():
    lexicon = Lexicon([([f"w{i}"], f"T{i}", "\U0001f9ec", False) for i in range(300)])
    assert lexicon.find(["w299", "w0"]) == [
        (0, 1, "T299", "\U0001f9ec"),
        (1, 2, "T0", "\U0001f9ec"),
    ]
