"""Is a difference more than luck?  The same test documents for both systems, several seeds each.

S seeds   D documents   R resamples   3 counts (tp, fp, fn)
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import WorkbookError
from .scoring import counts

_CELLS = 4_000_000  # of the resampling weights that are held at once


def document_counts(predictions: Sequence[Mapping], types: Sequence[str]) -> np.ndarray:
    """A run's predictions (dicts of doc, gold, predicted) -> tp, fp, fn per document, documents in order of their names.  (D 3)"""
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


def paired_difference(
    a: np.ndarray, b: np.ndarray, resamples: int = 10_000, seed: int = 13, level: float = 0.95
) -> dict[str, float]:
    """Mean F1 of a minus mean F1 of b, its interval, and a two-sided p of "no difference".  (S D 3), (S D 3)

    Two sources of luck are added up. Documents: drawn with replacement, the same ones for both systems. Seeds: the standard error of
    the difference between two means, from the spread of F1 over each system's seeds, times draws of Student's t. With one seed the
    second part can't be known and is left out: interval and p are then for that seed only.

    p is the share of resamples whose distance from the observed difference is at least as large as the difference itself; the +1 keeps
    it above 0. Raises WorkbookError where the systems were not tested on the same documents with the same gold.

    Source: Efron and Tibshirani 1993, ch. 13; for NLP Berg-Kirkpatrick et al. 2012 (D12-1091); seeds Welch 1947; +1 Phipson and
    Smyth 2010.
    """
    _same_gold(a, b)
    rng = np.random.default_rng(seed)
    observed = f1(a.sum(1)).mean() - f1(b.sum(1)).mean()
    drawn = [
        [_f1_by_seed(side, weights) for side in (a, b)]
        for weights in _resampled(a.shape[1], resamples, rng)
    ]
    by_seed = [np.concatenate(parts) for parts in zip(*drawn, strict=True)]  # (R S) each
    moved = by_seed[0].mean(1) - by_seed[1].mean(1)
    error, freedom = _error_of_seeds([f1(side.sum(1)) for side in (a, b)], by_seed)
    if error:
        moved = moved + error * rng.standard_t(freedom, resamples)
    low, high = np.quantile(moved, [(1 - level) / 2, (1 + level) / 2])
    as_far = np.count_nonzero(np.abs(moved - observed) >= abs(observed) - 1e-12)
    return {
        "difference": float(observed),
        "low": float(low),
        "high": float(high),
        "p": float((as_far + 1) / (resamples + 1)),
    }


def _same_gold(a: np.ndarray, b: np.ndarray) -> None:
    gold = [(side[..., 0] + side[..., 2]) for side in (a, b)]
    documents = {side.shape[-1] for side in gold}
    if len(documents) > 1 or documents == {0} or any((side != gold[0][0]).any() for side in gold):
        raise WorkbookError(
            f"paired tests need the same documents with the same gold; got {gold[0].shape[-1]} and {gold[1].shape[-1]} documents"
        )


def _error_of_seeds(
    sides: Sequence[np.ndarray], resampled: Sequence[np.ndarray]
) -> tuple[float, float]:
    """Standard error that seeds add to the difference of two means, and its degrees of freedom (Welch).  two (S), two (R S)

    The variance of F1 over seeds, less the part that would vanish on a larger test set: how far a seed's F1 moves away from
    its system's mean when documents are drawn again. That part is in the resampled documents already. 0 where a side has one seed.
    """
    if min(len(side) for side in sides) < 2:
        return 0.0, 1.0
    parts, sizes = [], []
    for side, moved in zip(sides, resampled, strict=True):
        n = len(side)
        by_documents = (moved - moved.mean(1, keepdims=True)).var(0).sum() / (n - 1)
        parts.append(max(0.0, side.var(ddof=1) - by_documents) / n)
        sizes.append(n - 1)
    variance = sum(parts)
    if not variance:
        return 0.0, 1.0
    freedom = variance**2 / sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    return float(np.sqrt(variance)), float(freedom)


def _resampled(documents: int, resamples: int, rng: np.random.Generator):
    """How often each document was drawn, some resamples at a time.  yields (r D)"""
    step = max(1, _CELLS // documents)
    for start in range(0, resamples, step):
        r = min(step, resamples - start)
        drawn = rng.integers(documents, size=(r, documents)) + documents * np.arange(r)[:, None]
        yield (
            np.bincount(drawn.ravel(), minlength=r * documents)
            .reshape(r, documents)
            .astype(np.float64)
        )


def _f1_by_seed(tables: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(S D 3), (r D) -> (r S)"""
    seeds, documents, _ = tables.shape
    columns = tables.transpose(1, 0, 2).reshape(documents, -1)
    return f1((weights @ columns).reshape(len(weights), seeds, 3))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the given order."""
    order = np.argsort(p_values)
    corrected, running = np.empty(len(p_values)), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = running
    return corrected.tolist()
