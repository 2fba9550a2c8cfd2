"""Names of mentions, checked by hand: abbreviations, ambiguous words, names per concept."""

import pytest
from hand_corpora import HAND, corpus, corpus_with_concepts, sentences

from bioner_lib import load_corpus
from bioner_lib.corpora import (
    ambiguity,
    ambiguous_words,
    concept_structure,
    is_abbreviation,
    name_structure,
)


def test_names_by_hand():
    [line] = name_structure([HAND]).to_dict("records")
    assert line["mentions"] == 5
    assert line["names"] == 3  # lead ion, tp53, lead
    assert line["distinct (%)"] == 60
    assert line["once (%)"] == pytest.approx(100 / 3)
    assert line["top ten (%)"] == 100
    assert line["most frequent"].split(", ")[:2] == ["tp53", "lead"]
    assert line["abbreviations (%)"] == 40
    assert line["several types (%)"] == 40  # lead, twice


def test_the_ten_most_frequent_names():
    names = " ".join(f"n{k}/Gene and" for k in range(12)) + " n0/Gene"
    [line] = name_structure([corpus(train=sentences(names))]).to_dict("records")
    assert line["top ten (%)"] == pytest.approx(100 * 11 / 13)


@pytest.mark.parametrize("text", ["TP53", "IL - 2", "DM", "mRNA"])
def test_what_looks_like_an_abbreviation(text):
    assert is_abbreviation(text)


@pytest.mark.parametrize(
    "text",
    ["NF - kappaB", "p53", "lead", "Lead", "M", "insulin", "ADENOCARCINOMA", "", "Breast Cancer"],
)
def test_what_looks_like_a_word(text):
    assert not is_abbreviation(text)


def test_ambiguous_words_by_hand():
    frame = ambiguous_words([HAND, corpus("plain", train=sentences("a/Gene"))])
    readings = "part of a longer mention 1, Gene 1, no mention 1"
    assert frame.to_dict("records") == [{"corpus": "mine", "word": "lead", "readings": readings}]
    # lead: one gene and one that is no mention; Lead and TP53 (twice) have one reading
    assert ambiguity(HAND) == pytest.approx(1 / 5)


def test_ambiguous_words_of_the_sample():
    words = set(ambiguous_words([load_corpus("sample")], most=20)["word"])
    assert {"MS", "lead", "cold"} <= words


def test_concepts_of_an_own_corpus_by_hand(tmp_path):
    line = concept_structure([corpus_with_concepts(tmp_path)]).loc["own"]
    assert line["concepts"] == 3
    assert line["without (%)"] == 0
    assert line["names per concept"] == pytest.approx(4 / 3)  # D1 has two names
    assert line["most names"] == 2
    assert line["concepts per name"] == pytest.approx(4 / 3)  # gout has two concepts
    assert line["several concepts (%)"] == pytest.approx(100 / 3)


def test_what_has_no_identifiers_says_so():
    frame = concept_structure([load_corpus("sample"), HAND])
    assert "has no identifiers" in frame.loc["sample", "note"]
    assert "unknown corpus 'mine'" in frame.loc["mine", "note"]
    assert frame["concepts"].isna().all()


@pytest.mark.real
def test_real_names_are_as_10_explore_corpora_says(mirror):
    names = name_structure([load_corpus("linnaeus"), load_corpus("bc2gm")])
    assert names["top ten (%)"].round().tolist() == [52, 3]
