import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib import Lexicon, load_corpus
from bioner_lib.errors import DataError, SelectionError

words = st.lists(st.sampled_from("abcde"), min_size=1, max_size=4).map(tuple)


@given(st.dictionaries(words, st.sampled_from(["X", "Y"]), max_size=12), st.lists(st.sampled_from("abcdef"), max_size=20))
def test_equals_brute_force(terms, tokens):
    """Leftmost, then longest, found by looking at every span."""
    expected, start = [], 0
    while start < len(tokens):
        ends = [end for end in range(len(tokens), start, -1) if tuple(tokens[start:end]) in terms]
        if ends:
            expected.append((start, ends[0], terms[tuple(tokens[start : ends[0]])]))
        start = ends[0] if ends else start + 1
    assert Lexicon(terms).tag(tokens) == expected


def test_case_matters_for_symbols_only():
    lexicon = Lexicon({("WAS",): "Gene", ("Optic", "atrophy"): "Disease"})
    assert lexicon.tag(["This", "was", "OPTIC", "Atrophy", ",", "WAS"]) == [(2, 4, "Disease"), (5, 6, "Gene")]


def test_empty_terms_are_refused():
    for term in ((), ("a", "")):
        with pytest.raises(DataError, match="empty"):
            Lexicon({term: "X"})


def test_dictionary_of_a_training_split():
    sample = load_corpus("sample")
    lexicon = Lexicon.from_mentions(sample.train)
    assert set(lexicon.terms.values()) == set(sample.types)
    assert len(Lexicon.from_mentions(sample.train, min_precision=0.0).terms) > len(lexicon.terms)
    with pytest.raises(SelectionError, match="must not see the test split"):
        Lexicon.from_mentions(sample.test)
