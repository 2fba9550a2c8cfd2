import pytest
import seqeval.metrics
from hypothesis import given
from hypothesis import strategies as st

from bioner_lib.corpora.schemes import flat
from bioner_lib.evaluation.scoring import (
    check_referee,
    classified,
    errors,
    kinds,
    relaxed_score,
    score,
    seqeval_f1,
    token_accuracy,
)

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


def test_a_mention_in_pieces_is_split_and_two_in_one_are_merged():
    gold, pieces = [(0, 5, "Gene")], [(0, 2, "Gene"), (3, 5, "Gene")]
    assert errors(gold, pieces) == {"correct": 0, "split": 2, "missed": 0}
    assert kinds(gold, pieces).gold == {(0, 5, "Gene"): "split"}
    assert errors(pieces, gold) == {"correct": 0, "merged": 1, "missed": 0}
    assert set(kinds(pieces, gold).gold.values()) == {"merged"}


def test_pieces_of_another_type_do_not_split():
    gold = [(0, 5, "Gene")]
    assert errors(gold, [(0, 2, "Gene"), (3, 5, "Disease")]) == {
        "correct": 0,
        "boundary": 1,
        "both": 1,
        "missed": 0,
    }


def test_a_correct_span_is_no_piece():
    """One of two mentions is right; what lies over the other one is a boundary error."""
    gold = [(0, 2, "Gene"), (3, 5, "Gene")]
    assert errors(gold, [(0, 2, "Gene"), (2, 5, "Gene")])["boundary"] == 1


def test_a_moved_border_between_two_mentions_is_a_boundary_error():
    gold, found = [(0, 2, "Gene"), (2, 6, "Gene")], [(0, 3, "Gene"), (3, 6, "Gene")]
    by_gold, by_prediction = kinds(gold, found)
    assert set(by_gold.values()) == set(by_prediction.values()) == {"boundary"}


def test_gold_spans_have_kinds_too():
    gold = [(0, 2, "Gene"), (3, 5, "Gene"), (6, 7, "Disease"), (8, 9, "Gene")]
    found = [(0, 2, "Gene"), (3, 5, "Disease"), (5, 7, "Gene")]
    assert kinds(gold, found).gold == {
        (0, 2, "Gene"): "correct",
        (3, 5, "Gene"): "type",
        (6, 7, "Disease"): "both",
        (8, 9, "Gene"): "missed",
    }


NAMES = {"correct", "boundary", "split", "merged", "type", "both", "spurious", "missed"}


@given(pairs)
def test_every_span_has_one_kind_and_the_kinds_add_up(pairs):
    for gold, found in pairs:
        by_gold, by_prediction = kinds(gold, found)
        assert set(by_gold) == set(gold)
        assert set(by_prediction) == set(found)
        assert set(by_gold.values()) <= NAMES - {"spurious"}
        assert set(by_prediction.values()) <= NAMES - {"missed"}
        micro = score([gold], [found], TYPES)["micro"]
        for side, wrong in ((by_gold, "fn"), (by_prediction, "fp")):
            correct = sum(kind == "correct" for kind in side.values())
            assert (correct, len(side) - correct) == (micro["tp"], micro[wrong])
        counted = errors(gold, found)
        assert sum(counted.values()) == len(found) + counted["missed"]
        assert sum(counted.values()) == len(classified(gold, found))


@given(pairs)
def test_kinds_by_brute_force(pairs):
    """Groups are grown span by span, over both sides, until nothing is added."""
    for gold, found in pairs:
        by_side = dict(enumerate(kinds(gold, found)))
        wrong = [(side, *s) for side in (0, 1) for s, kind in by_side[side].items()]
        wrong = [span for span in wrong if by_side[span[0]][span[1:]] != "correct"]
        for side, *span in wrong:
            near = [o for o in wrong if o[0] != side and o[1] < span[1] and span[0] < o[2]]
            group = {(side, *span)}
            for _ in wrong:
                for a in list(group):
                    touching = [o for o in wrong if o[0] != a[0] and o[1] < a[2] and a[1] < o[2]]
                    group |= {o for o in touching if o[3] == a[3]}
            golds = sum(one[0] == 0 for one in group)
            shape = {(True, False): "split", (False, True): "merged"}.get(
                (golds == 1 < len(group) - 1, len(group) - golds == 1 < golds), "boundary"
            )
            if len(group) == 1:
                shape = ("missed", "spurious")[side]
                if near:
                    same_words = any(list(o[1:3]) == span[:2] for o in near)
                    shape = "type" if same_words else "both"
            assert by_side[side][tuple(span)] == shape


def test_relaxed_by_hand():
    """Two of three predictions touch a gene, and one of them touches both genes."""
    gold = [[(0, 2, "Gene"), (3, 5, "Gene"), (8, 9, "Disease")]]
    found = [[(1, 4, "Gene"), (6, 7, "Gene"), (8, 9, "Gene"), (4, 5, "Gene")]]
    scores = relaxed_score(gold, found, TYPES)
    assert scores["Gene"] == {
        "relaxed_precision": 0.5,
        "relaxed_recall": 1.0,
        "relaxed_f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert scores["Disease"]["relaxed_f1"] == 0.0
    assert scores["micro"]["relaxed_recall"] == pytest.approx(2 / 3)
    assert score(gold, found, TYPES)["micro"]["f1"] == 0.0, "strict finds none"


def test_relaxed_needs_a_common_word_and_pairs():
    assert relaxed_score([[(0, 2, "Gene")]], [[(2, 3, "Gene")]], TYPES)["Gene"]["relaxed_f1"] == 0
    with pytest.raises(ValueError, match="1 gold sentences but 0 predicted"):
        relaxed_score([[]], [], TYPES)


@given(pairs)
def test_relaxed_is_never_below_strict(pairs):
    gold, found = zip(*pairs, strict=True)
    strict, relaxed = score(gold, found, TYPES), relaxed_score(gold, found, TYPES)
    for type in (*TYPES, "micro"):
        assert relaxed[type]["relaxed_f1"] >= strict[type]["f1"] - 1e-12
        assert relaxed[type]["support"] == strict[type]["support"]


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
