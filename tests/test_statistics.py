import numpy as np
import pytest

from bioner_lib.errors import WorkbookError
from bioner_lib.evaluation.statistics import document_counts, f1, holm, paired_difference


def arm(rng, quality, spread=0.0, seeds=3):
    """tp, fp, fn by seed and document: ten gold spans per document, found with its probability, which a seed moves.  (S D 3)"""
    moved = [np.clip(quality + rng.normal(0, spread), 0.01, 0.99) for _ in range(seeds)]
    tp = np.stack([rng.binomial(10, p) for p in moved])
    return np.stack([tp, 10 - tp, 10 - tp], axis=-1)


def quality(rng, documents=120):
    return np.clip(rng.normal(0.8, 0.15, documents), 0.05, 0.98)


def test_a_clear_difference_is_found_with_its_sign_and_size():
    rng = np.random.default_rng(0)
    q = quality(rng)
    better, worse = arm(rng, q), arm(rng, q - 0.1)
    found = paired_difference(better, worse, 2_000)
    assert found["difference"] == pytest.approx(f1(better.sum(1)).mean() - f1(worse.sum(1)).mean())
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["p"] < 0.01
    reversed_ = paired_difference(worse, better, 2_000)
    assert reversed_["difference"] == -found["difference"]
    assert reversed_["high"] < 0


def test_nothing_is_found_where_nothing_is():
    a = arm(np.random.default_rng(0), 0.8 * np.ones(20), seeds=1)
    assert paired_difference(a, a, 200) == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


@pytest.mark.parametrize("spread", [0.0, 0.0035, 0.0059, 0.02])
def test_an_arm_against_itself_with_other_seeds_is_rarely_significant(spread):
    """At a nominal 5 %, whether seeds differ by nothing, by what is seen on NCBI-disease (sd 0.35 and 0.59 points), or by more."""
    rng = np.random.default_rng(1)
    p_values = []
    for k in range(300):
        q = quality(rng)
        p_values.append(paired_difference(arm(rng, q, spread), arm(rng, q, spread), 300, k)["p"])
    assert np.mean(np.array(p_values) < 0.05) <= 0.07
    assert np.mean(np.array(p_values) < 0.5) > 0.25, "and not so careful that nothing is ever found"


def test_seeds_that_spread_widen_the_interval():
    rng = np.random.default_rng(2)
    q = quality(rng)
    calm, wild = (paired_difference(arm(rng, q, spread), arm(rng, q, spread), 2_000) for spread in (0.0, 0.08))
    assert wild["high"] - wild["low"] > 2 * (calm["high"] - calm["low"])


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = {0.95: 0, 0.5: 0}
    for k in range(200):
        q = np.clip(rng.normal(0.7, 0.1, 100), 0.1, 0.9)
        a, b = arm(rng, q, 0.01), arm(rng, q - 0.02, 0.01)
        for level in covered:
            found = paired_difference(a, b, 400, k, level)
            covered[level] += found["low"] <= 0.02 <= found["high"]
    assert 0.92 <= covered[0.95] / 200 <= 1.0
    assert 0.45 <= covered[0.5] / 200 <= 0.8


def test_one_seed_counts_documents_only():
    rng = np.random.default_rng(4)
    q = quality(rng)
    a, b = arm(rng, q, 0.1, seeds=1), arm(rng, q, 0.1, seeds=1)
    first = paired_difference(a, b, 4_000)
    differences = []
    for _ in range(4_000):
        docs = rng.integers(len(q), size=len(q))
        differences.append(f1(a[0, docs].sum(0)) - f1(b[0, docs].sum(0)))
    assert [first["low"], first["high"]] == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.004)


def test_chunks_do_not_change_a_result(monkeypatch):
    rng = np.random.default_rng(5)
    q = quality(rng, 40)
    a, b = arm(rng, q), arm(rng, q)
    whole = paired_difference(a, b, 500)
    monkeypatch.setattr("bioner_lib.evaluation.statistics._CELLS", 1_000)
    assert paired_difference(a, b, 500)["difference"] == whole["difference"]
    assert paired_difference(a, b, 500)["low"] == pytest.approx(whole["low"], abs=0.01)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_document_counts_and_pairing():
    predictions = [
        {"doc": "b", "gold": [[0, 1, "Gene"]], "predicted": [[0, 1, "Gene", 0.9]]},
        {"doc": "a", "gold": [[0, 1, "Gene"], [2, 3, "Disease"]], "predicted": [[1, 2, "Gene", 0.9]]},
        {"doc": "b", "gold": [], "predicted": []},
    ]
    assert document_counts(predictions, ["Gene"]).tolist() == [[0, 1, 1], [1, 0, 0]]
    one, other, shorter = np.array([[[1, 0, 0], [2, 0, 1]]]), np.array([[[1, 0, 1], [2, 0, 1]]]), np.array([[[1, 0, 0]]])
    for b in (other, shorter, one[:, :0]):
        with pytest.raises(WorkbookError, match="same documents with the same gold"):
            paired_difference(one, b)
    swapped = one[:, ::-1]
    with pytest.raises(WorkbookError, match="same documents with the same gold"):
        paired_difference(one, swapped)
    with pytest.raises(WorkbookError, match="same documents with the same gold"):
        paired_difference(np.concatenate([one, swapped]), one)
