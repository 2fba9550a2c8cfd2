"""Numbers about corpora: sizes, ambiguous surfaces, duplicates, pieces."""

from bioner_lib import load_corpus
from bioner_lib.corpora.inspection import (
    ambiguous_surfaces,
    duplicates,
    lost_by_cutting,
    pieces_by_place,
    seen_in_train,
    summary,
)
from bioner_lib.corpora.text import Sentence


def test_inspection():
    sample = load_corpus("sample")
    frame = summary([sample, load_corpus("sample-gene")])
    assert frame.loc[0, "documents"] == 56
    assert frame.loc[0, "sentences"] == 336
    assert "Gene 354" in frame.loc[0, "mentions"]
    assert {"MS", "lead", "cold"} <= set(ambiguous_surfaces(sample).index)
    assert duplicates([sample]).loc["sample", "sample"] == 0
    assert 0.2 < seen_in_train(sample) < 0.5
    split = [
        Sentence(["a", "b", "c"], ["O", "B-Gene", "I-Gene"], "d"),
        Sentence(["a"], ["B-Gene"], "d"),
    ]
    pieces = [[[1], [2, 2], [3]], [[1]]]
    assert pieces_by_place(split, pieces) == {"inside mentions": [2, 1, 1], "outside": [1]}
    assert [lost_by_cutting(split, pieces, room) for room in (0, 1, 3, 4)] == [2, 1, 1, 0]
