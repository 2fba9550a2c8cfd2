"""Corpora at a glance: one line of measures per corpus."""

import pandas as pd
import pytest
from hand_corpora import HAND, corpus, sentences

from bioner_lib import load_corpus
from bioner_lib.corpora import portraits
from bioner_lib.home import home


def test_portraits_by_hand():
    [line] = portraits([HAND]).to_dict("records")
    rounded = {measure: round(value, 1) for measure, value in line.items() if value == value}
    assert rounded == {
        "mentions per 100 words": 35.7,
        "words per mention": 1.2,
        "distinct names (%)": 60,
        "ambiguous (%)": 20,
        "test seen in train (%)": 66.7,
    }, "no test sentence has eight words"


def test_without_train_nothing_is_known():
    alone = portraits([corpus(test=sentences("a/Gene"))])
    assert alone.isna().all(axis=None)


@pytest.mark.real
def test_real_portraits_are_the_committed_ones(mirror):
    """After a change of a measure: portraits(corpora).round(1).to_csv(path)."""
    path = home() / "outputs" / "published" / "corpora.csv"
    committed = pd.read_csv(path, index_col="corpus")
    counted = portraits([load_corpus(name) for name in committed.index]).round(1)
    pd.testing.assert_frame_equal(counted, committed)
