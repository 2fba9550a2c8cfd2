"""What test shares with train, checked by hand: names, concepts, sentences, documents."""

import math

import pandas as pd
import pytest
from hand_corpora import HAND, corpus, corpus_with_concepts, sentences

from bioner_lib import load_corpus
from bioner_lib.corpora import (
    duplicates,
    leaked_sentences,
    seen_by_type,
    seen_in_train,
    shared_documents,
)


def test_overlap_by_hand():
    assert seen_in_train(HAND) == 2 / 3  # TP53 was a gene in train
    frame = seen_by_type([HAND]).set_index("type")
    assert frame.loc["Chemical", "test mentions"] == 3
    assert frame.loc["Chemical", "name seen (%)"] == pytest.approx(200 / 3)
    assert frame.loc["Gene", "test mentions"] == 0
    assert math.isnan(frame.loc["Gene", "name seen (%)"])
    assert frame["concept seen (%)"].isna().all()


def test_concepts_that_train_has_shown(tmp_path):
    [seen] = seen_by_type([corpus_with_concepts(tmp_path)]).to_dict("records")
    assert seen["name seen (%)"] == 50  # WD, gout
    assert seen["concept seen (%)"] == pytest.approx(200 / 3)  # D1 twice, D4 not
    assert seen["new name of it (%)"] == pytest.approx(100 / 3)


def test_short_sentences_are_no_leak():
    heading, long = "Materials and methods", "one two three four five six seven eight"
    made = corpus(train=sentences(heading, long), test=sentences(heading, long, "a b c d e f g h"))
    [line] = leaked_sentences([made]).to_dict("records")
    assert line == {
        "corpus": "mine",
        "test sentences": 3,
        "in train": 2,
        "of ≥ 8 words": 2,
        "≥ 8 words, in train": 1,
        "leaked (%)": 50,
    }
    assert duplicates([made]).loc["mine", "mine"] == 2
    assert duplicates([made], 9).loc["mine", "mine"] == 0
    assert leaked_sentences([corpus(train=sentences("a"))]).empty


def test_shared_documents_by_hand():
    other = corpus("other", train=sentences("a b", doc="10009"), test=sentences("c", doc="10002"))
    unnamed = corpus("unnamed", documented=False, train=sentences("a"), test=sentences("b"))
    table = shared_documents([HAND, other, unnamed])
    assert table.loc["mine", "mine"] == 0
    assert table.loc["other", "mine"] == 1  # 10009
    assert table.loc["mine", "other"] == 1  # 10002
    assert table.loc["unnamed"].isna().all()
    assert table["unnamed"].isna().all()


@pytest.mark.parametrize("doc", ["x", "1"], ids=["a word", "a small number only counts"])
def test_documents_without_pmids_are_not_compared(doc):
    made = corpus(train=sentences("a", doc=doc), test=sentences("b", doc=doc))
    assert shared_documents([made]).isna().all(axis=None)


@pytest.mark.real
def test_real_leaks_are_mostly_headings(mirror):
    frame = leaked_sentences([load_corpus(name) for name in ("linnaeus", "bc5cdr", "jnlpba")])
    assert frame["in train"].tolist() == [564, 16, 108]
    assert frame["≥ 8 words, in train"].tolist() == [19, 0, 98]


@pytest.mark.real
def test_real_documents_are_shared_between_corpora(mirror):
    names = ["bc5cdr", "nlm-gene", "biored", "bc2gm"]
    table = shared_documents([load_corpus(name) for name in names])
    assert table.loc["biored", "bc5cdr"] == 53
    assert table.loc["nlm-gene", "biored"] == 19
    assert table.loc["biored", "nlm-gene"] == 16
    assert pd.isna(table.loc["bc2gm", "biored"])


@pytest.mark.real
def test_real_concepts_are_seen_as_10_explore_corpora_says(mirror):
    [seen] = seen_by_type([load_corpus("ncbi-disease-pubtator")]).round().to_dict("records")
    assert (seen["concept seen (%)"], seen["new name of it (%)"]) == (83, 21)
