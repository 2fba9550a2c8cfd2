"""Sizes of corpora, checked by hand: sentences, mentions, tags, pieces of words."""

import math

import pytest
from hand_corpora import HAND, corpus, sentences
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib import Sentence, load_corpus
from bioner_lib.corpora import (
    ambiguity,
    density,
    lost_by_cutting,
    name_structure,
    pieces_by_place,
    seen_in_train,
    summary,
    tag_balance,
)


def test_summary_of_the_sample():
    frame = summary([load_corpus("sample"), load_corpus("sample-gene")])
    assert frame.loc[0, "documents"] == 56
    assert frame.loc[0, "sentences"] == 336
    assert "Gene 354" in frame.loc[0, "mentions"]


def test_density_by_hand():
    line = density([HAND]).iloc[0]
    assert line["mentions"] == 5
    assert line["per sentence"] == 5 / 4
    assert line["per 100 words"] == pytest.approx(100 * 5 / 14)
    assert line["words per mention"] == 6 / 5
    assert line["longest"] == 2
    assert line["one word (%)"] == 80
    assert line["sentences without (%)"] == 25


def test_a_split_without_mentions_has_no_mean():
    [line] = density([corpus(train=sentences("a b"))]).to_dict("records")
    assert line["mentions"] == line["longest"] == line["per sentence"] == 0
    assert math.isnan(line["words per mention"])


def test_tags_by_hand():
    [line] = tag_balance([HAND]).to_dict("records")
    assert line == {"B": 1, "I": 0, "E": 1, "S": 4, "O": 8, "O (%)": pytest.approx(800 / 14)}
    assert tag_balance([HAND], "dev").empty


spans = st.lists(st.sampled_from(["w", "w/Gene", "w/Chemical"]), min_size=1, max_size=12)


@given(st.lists(spans, min_size=1, max_size=6))
def test_tags_and_shares_add_up(texts):
    made = corpus(train=sentences(*map(" ".join, texts)))
    [tags] = tag_balance([made]).to_dict("records")
    [size] = density([made]).to_dict("records")
    assert sum(tags[prefix] for prefix in "BIESO") == sum(map(len, texts))
    assert tags["B"] == tags["E"]
    assert tags["B"] + tags["S"] == size["mentions"] == sum(made.counts("train").values())
    if size["mentions"]:
        [names] = name_structure([made]).to_dict("records")
        assert 1 <= names["names"] <= names["mentions"] == size["mentions"]
        assert 0 <= ambiguity(made) <= 1 or math.isnan(ambiguity(made))
        same = corpus(train=made.train, test=made.train)
        assert seen_in_train(same) == 1


def test_pieces():
    split = [
        Sentence(["a", "b", "c"], ["O", "B-Gene", "I-Gene"], "d"),
        Sentence(["a"], ["B-Gene"], "d"),
    ]
    pieces = [[[1], [2, 2], [3]], [[1]]]
    assert pieces_by_place(split, pieces) == {"inside mentions": [2, 1, 1], "outside": [1]}
    assert [lost_by_cutting(split, pieces, room) for room in (0, 1, 3, 4)] == [2, 1, 1, 0]
