import numpy as np
import pytest

from bioner_lib.errors import WorkbookError
from bioner_lib.evaluation.statistics import document_counts, f1, holm, paired_bootstrap, paired_permutation


def systems(better: float, docs=60, seed=0):
    """tp, fp, fn by document of two systems on the same gold, ten spans a document."""
    rng = np.random.default_rng(seed)
    right = [rng.binomial(10, p, docs) for p in (0.7 + better, 0.7)]
    return [np.stack([tp, 10 - tp, 10 - tp], axis=1) for tp in right]


def test_clear_difference_is_found_and_none_is_not():
    a, b = systems(0.1)
    found = paired_bootstrap(a, b, 2000)
    assert found["low"] < found["difference"] < found["high"] and found["low"] > 0
    assert found["difference"] == pytest.approx(f1(a.sum(0)) - f1(b.sum(0)))
    assert paired_permutation(a, b, 2000) < 0.01
    assert paired_permutation(a, a, 200) == 1.0
    assert paired_bootstrap(a, a, 200) == {"difference": 0.0, "low": 0.0, "high": 0.0}


def test_permutation_p_is_uniform_without_a_difference():
    p_values = [paired_permutation(*systems(0.0, 30, seed), 200, seed) for seed in range(60)]
    assert 0.3 < np.mean(p_values) < 0.7 and np.mean(np.array(p_values) < 0.05) < 0.15


def test_permutation_is_exact_on_few_documents():
    a, b = np.array([[1, 0, 0]] * 3), np.array([[0, 0, 1]] * 3)
    assert paired_permutation(a, b, 20_000) == pytest.approx(2 / 8, abs=0.02)


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
    with pytest.raises(WorkbookError, match="same documents"):
        paired_bootstrap(np.array([[1, 0, 0]]), np.array([[1, 0, 1]]))
