import pytest
import seqeval.metrics
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib.corpora.schemes import flat
from bioner_lib.evaluation.scoring import check_referee, errors, score, seqeval_f1, token_accuracy

TYPES = ("Gene", "Disease")
spans = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.sampled_from(TYPES))).map(
    lambda raw: flat((start, min(start + size, 10), name) for start, size, name in raw)
)
pairs = st.lists(st.tuples(spans, spans), min_size=1, max_size=6)


@given(pairs)
def test_equals_seqeval_strict(pairs):
    gold, found = zip(*pairs, strict=True)
    scores = score(gold, found, TYPES)
    check_referee(scores, seqeval_f1(gold, found, [10] * len(gold), TYPES))
    assert scores["micro"]["tp"] + scores["micro"]["fn"] == sum(map(len, gold))
    assert scores["micro"]["tp"] + scores["micro"]["fp"] == sum(map(len, found))


def test_the_referee_reads_only_sentences_that_hold_the_type(monkeypatch):
    """seqeval is slow, and a sentence without a span of the type on either side changes nothing."""
    read = []
    inner = seqeval.metrics.f1_score

    def watched(right, found, **options):
        read.append(len(right))
        return inner(right, found, **options)

    monkeypatch.setattr(seqeval.metrics, "f1_score", watched)
    gold = [[(0, 1, "Gene")], [], [], [(2, 3, "Disease")]]
    found = [[], [(0, 1, "Gene")], [], [(2, 3, "Disease")]]
    assert seqeval_f1(gold, found, [5] * 4, TYPES) == {"Gene": 0.0, "Disease": 1.0}
    assert read == [2, 1]
    assert seqeval_f1([[]], [[]], [5], TYPES) == {"Gene": 0.0, "Disease": 0.0}


def test_referee_refuses_another_f1():
    with pytest.raises(AssertionError, match="by seqeval"):
        check_referee(score([[(0, 1, "Gene")]], [[(0, 1, "Gene")]], ["Gene"]), {"Gene": 0.5})


def test_types_mask_both_sides():
    gold = [[(0, 1, "Gene"), (2, 3, "Disease")]]
    found = [[(0, 1, "Gene"), (2, 4, "Disease"), (5, 6, "Virus")]]
    scores = score(gold, found, ["Gene"])
    assert scores["micro"]["f1"] == 1.0
    assert set(scores) == {"Gene", "micro", "macro"}


def test_hand_checked():
    gold = [[(0, 2, "Gene"), (3, 4, "Gene")], [(0, 1, "Disease")]]
    found = [[(0, 2, "Gene"), (3, 5, "Gene")], []]
    scores = score(gold, found, TYPES)
    assert scores["Gene"] == {
        "tp": 1,
        "fp": 1,
        "fn": 1,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "support": 2,
    }
    assert scores["Disease"]["f1"] == 0
    assert scores["micro"]["f1"] == 0.4
    assert scores["macro"]["f1"] == 0.25


def test_error_kinds():
    gold = [(0, 2, "Gene"), (3, 5, "Gene"), (6, 7, "Disease"), (8, 9, "Gene"), (10, 12, "Gene")]
    found = [(0, 2, "Gene"), (3, 4, "Gene"), (6, 7, "Gene"), (10, 11, "Disease"), (20, 21, "Gene")]
    assert errors(gold, found) == {
        "correct": 1,
        "boundary": 1,
        "type": 1,
        "both": 1,
        "spurious": 1,
        "missed": 1,
    }


@given(pairs)
def test_error_kinds_add_up(pairs):
    for gold, found in pairs:
        kinds = errors(gold, found)
        assert kinds["correct"] + kinds["boundary"] + kinds["type"] + kinds["both"] + kinds[
            "spurious"
        ] == len(found)


def test_token_accuracy_flatters():
    gold = [[(0, 2, "Gene")]]
    assert token_accuracy(gold, [[]], [10]) == 0.8
    assert token_accuracy(gold, [[(0, 1, "Gene")]], [10]) == 0.9
    assert token_accuracy(gold, gold, [10]) == 1.0
    assert token_accuracy([[(0, 1, "Gene"), (1, 2, "Gene")]], gold, [10]) == 0.9


def test_neighbours_are_no_boundary_error():
    """A span that ends where a mention begins, or begins where one ends, shares no word with it."""
    gold = [(2, 4, "Gene")]
    assert errors(gold, [(0, 2, "Gene")]) == {"correct": 0, "spurious": 1, "missed": 1}
    assert errors(gold, [(4, 6, "Gene")]) == {"correct": 0, "spurious": 1, "missed": 1}
    assert errors(gold, [(3, 6, "Gene")]) == {"correct": 0, "boundary": 1, "missed": 0}


def test_token_accuracy_is_over_all_sentences():
    gold = [[(0, 1, "Gene")], [(0, 1, "Gene")], []]
    assert token_accuracy(gold, [[], [], []], [2, 2, 4]) == pytest.approx(6 / 8)
    assert token_accuracy([], [], []) == 1.0


def test_a_type_without_gold_or_without_answers_scores_nothing():
    scores = score([[]], [[(0, 1, "Gene")]], TYPES)
    assert scores["Gene"] == {
        "tp": 0,
        "fp": 1,
        "fn": 0,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 0,
    }
    assert scores["Disease"] == {
        "tp": 0,
        "fp": 0,
        "fn": 0,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 0,
    }
