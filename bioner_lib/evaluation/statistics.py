"""Is a difference more than luck?  Resampling over documents, the same documents for both systems.

D documents   R resamples   3 counts (tp, fp, fn)
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import WorkbookError
from .scoring import counts


def document_counts(predictions: Sequence[Mapping], types: Sequence[str]) -> np.ndarray:
    """A run's predictions (dicts of doc, gold, predicted) -> tp, fp, fn a document, documents in order of their names.  (D 3)"""
    docs = {doc: i for i, doc in enumerate(sorted({p["doc"] for p in predictions}))}
    table = np.zeros((len(docs), 3), dtype=np.int64)
    for p in predictions:
        gold = [tuple(span) for span in p["gold"]]
        table[docs[p["doc"]]] += np.sum(list(counts(gold, p["predicted"], types).values()), axis=0)
    return table


def f1(counts: np.ndarray) -> np.ndarray:
    """(... 3) -> (...)"""
    tp, fp, fn = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    return 2 * tp / np.maximum(2 * tp + fp + fn, 1)


def _paired(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape or not len(a) or not np.array_equal(a[:, 0] + a[:, 2], b[:, 0] + b[:, 2]):
        raise WorkbookError(f"paired tests need the same documents with the same gold; got {len(a)} and {len(b)} documents")


def paired_bootstrap(a: np.ndarray, b: np.ndarray, resamples: int = 10_000, seed: int = 13, level: float = 0.95) -> dict[str, float]:
    """F1(a) - F1(b) with its percentile interval, over documents drawn with replacement.  (D 3), (D 3)

    Source: Efron and Tibshirani 1993, ch. 13; for NLP Berg-Kirkpatrick et al. 2012 (D12-1091).
    """
    _paired(a, b)
    rng, size = np.random.default_rng(seed), len(a)
    differences = np.empty(resamples)
    for i in range(resamples):
        weights = np.bincount(rng.integers(size, size=size), minlength=size)
        differences[i] = f1(weights @ a) - f1(weights @ b)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return {"difference": float(f1(a.sum(0)) - f1(b.sum(0))), "low": float(low), "high": float(high)}


def paired_permutation(a: np.ndarray, b: np.ndarray, resamples: int = 10_000, seed: int = 13) -> float:
    """Two-sided p of F1(a) = F1(b), swapping the systems' answers document by document.  (D 3), (D 3)

    Source: Noreen 1989; the +1 of Phipson and Smyth 2010 keeps p above 0.
    """
    _paired(a, b)
    rng = np.random.default_rng(seed)
    observed, total, change = abs(f1(a.sum(0)) - f1(b.sum(0))), a.sum(0), b - a
    as_far = 0
    for _ in range(resamples):
        moved = rng.integers(2, size=len(a)) @ change
        as_far += abs(f1(total + moved) - f1(b.sum(0) - moved)) >= observed - 1e-12
    return (as_far + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the given order."""
    order = np.argsort(p_values)
    corrected, running = np.empty(len(p_values)), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = running
    return corrected.tolist()
