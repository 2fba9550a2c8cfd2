"""Is a difference more than luck? Same test documents for both systems, several seeds each.

S seeds   D documents   R resamples   3 counts (tp, fp, fn)
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from ..errors import WorkbookError
from .scoring import counts

_CELLS = 4_000_000  # of the resampling weights that are held at once


def document_counts(predictions: Sequence[Mapping], types: Sequence[str]) -> np.ndarray:
    """A run's predictions -> tp, fp, fn per document, ordered by the documents' names.  (D 3)

    `predictions` are dicts with doc, gold and predicted.
    """
    if not predictions:
        raise WorkbookError("no predictions: the file is empty; make the run again")
    documents = sorted({p["doc"] for p in predictions})
    index = {doc: i for i, doc in enumerate(documents)}
    table = np.zeros((len(documents), 3), dtype=np.int64)
    for p in predictions:
        by_type = counts(p["gold"], p["predicted"], types)
        table[index[p["doc"]]] += np.sum(list(by_type.values()), axis=0)
    return table


def f1(counts: np.ndarray) -> np.ndarray:
    """(... 3) -> (...)"""
    tp, fp, fn = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    return 2 * tp / np.maximum(2 * tp + fp + fn, 1)


def paired_difference(
    a: np.ndarray, b: np.ndarray, resamples: int = 10_000, seed: int = 13, level: float = 0.95
) -> dict[str, float]:
    """Mean F1 of a minus mean F1 of b, its interval, and a two-sided p.  (S D 3), (S D 3)

    Two sources of luck are added. Documents are drawn with replacement, the same ones for both
    systems. Seeds add the standard error of the difference between two means, from the spread of
    F1 over each system's seeds, times draws of Student's t. With one seed this part is unknown and
    left out: interval and p are then for that seed only.

    p is the share of resamples that are at least as far from the observed difference as the
    observed difference is from 0; +1 keeps it above 0.

    One document can't be drawn otherwise: the interval is unknown (NaN), and p is 1.

    Raises WorkbookError unless the systems were tested on the same documents with the same gold.

    Sources: Efron and Tibshirani 1993, ch. 13; for NLP Berg-Kirkpatrick et al. 2012 (D12-1091);
    seeds Welch 1947; +1 Phipson and Smyth 2010.
    """
    observed = f1(a.sum(1)).mean() - f1(b.sum(1)).mean()
    moved, _ = _moved_differences(a, b, resamples, seed)
    if a.shape[1] == 1:
        return {"difference": float(observed), "low": np.nan, "high": np.nan, "p": 1.0}
    low, high = np.quantile(moved, [(1 - level) / 2, (1 + level) / 2])
    as_far = np.count_nonzero(np.abs(moved - observed) >= abs(observed) - 1e-12)
    return {
        "difference": float(observed),
        "low": float(low),
        "high": float(high),
        "p": float((as_far + 1) / (resamples + 1)),
    }


def smallest_difference(
    a: np.ndarray,
    b: np.ndarray,
    resamples: int = 10_000,
    seed: int = 13,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The smallest true difference in F1 (0 to 1) that these runs would mostly show.

    (S D 3), (S D 3)

    It is the *minimum detectable effect*: if the systems really differ by so much, the test of
    `paired_difference` at level `alpha` finds it in a share `power` of such experiments:

        c[alpha] + z[power] * SE,    SE^2 = SE_documents^2 + SE_seeds^2

    c is the distance from 0 that the test asks for, SE the standard error of the difference, both
    from the paired bootstrap, and z the normal quantile (0.84 for 80 %). For one seed and many
    documents c is 1.96 SE, and all of it 2.80 SE. It depends on how far the two systems agree, so
    it belongs to this pair. "No difference found" rules out larger differences only. With few seeds
    SE_seeds is a rough estimate, and so is the result. NaN for one document.

    Raises WorkbookError unless the systems were tested on the same documents with the same gold,
    and for `alpha` or `power` outside 0 to 1.

    Sources: Bloom 1995, doi:10.1177/0193841X9501900504; for NLP Card et al. 2020,
    2020.emnlp-main.745.
    """
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise WorkbookError(f"{name}={value!r}; expected a number between 0 and 1")
    moved, error = _moved_differences(a, b, resamples, seed)
    if a.shape[1] == 1:
        return np.nan
    critical = np.quantile(np.abs(moved - np.median(moved)), 1 - alpha)
    return float(critical + NormalDist().inv_cdf(power) * error)


def _moved_differences(
    a: np.ndarray, b: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, float]:
    """The differences that other documents and seeds would give, (R), and their standard error."""
    rng = np.random.default_rng(seed)
    by_seed = _resampled_pair(a, b, resamples, rng)
    moved = by_seed[0].mean(1) - by_seed[1].mean(1)
    variance = moved.var()
    of_seeds, freedom = _error_of_seeds([f1(side.sum(1)) for side in (a, b)], by_seed)
    if of_seeds:
        moved = moved + of_seeds * rng.standard_t(freedom, resamples)
    return moved, float(np.sqrt(variance + of_seeds**2))


def _resampled_pair(
    a: np.ndarray, b: np.ndarray, resamples: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """F1 by resample and seed of both systems, on the same drawn documents.  two (R S)"""
    _same_gold(a, b)
    drawn = []
    for weights in _resampled(a.shape[1], resamples, rng):
        drawn.append([_f1_by_seed(side, weights) for side in (a, b)])
    return [np.concatenate(parts) for parts in zip(*drawn, strict=True)]


def f1_interval(
    table: np.ndarray, resamples: int = 1_000, seed: int = 13, level: float = 0.95
) -> dict[str, float]:
    """Mean F1 of one system over seeds, with its interval.  (S D 3)

    Documents and seeds count as luck, as in `paired_difference`; with one seed the interval is for
    that seed only. Intervals of two systems may overlap although their paired difference is clear.
    One document says nothing of other documents: low and high are NaN.
    """
    rng = np.random.default_rng(seed)
    weights = _resampled(table.shape[1], resamples, rng)
    by_seed = np.concatenate([_f1_by_seed(table, drawn) for drawn in weights])  # (R S)
    each = f1(table.sum(1))
    error, freedom = _error_of_seeds([each], [by_seed])
    moved = by_seed.mean(1)
    if error:
        moved = moved + error * rng.standard_t(freedom, resamples)
    if table.shape[1] < 2:
        return {"f1": float(each.mean()), "low": np.nan, "high": np.nan}
    low, high = np.quantile(moved, [(1 - level) / 2, (1 + level) / 2])
    return {"f1": float(each.mean()), "low": max(0.0, float(low)), "high": min(1.0, float(high))}


def _same_gold(a: np.ndarray, b: np.ndarray) -> None:
    """Raises WorkbookError unless all seeds of both sides have the same gold per document."""
    gold = [side[..., 0] + side[..., 2] for side in (a, b)]  # tp + fn
    sizes = [side.shape[-1] for side in gold]
    is_same = sizes[0] == sizes[1] > 0 and all((side == gold[0][0]).all() for side in gold)
    if not is_same:
        raise WorkbookError(
            "paired tests need the same documents with the same gold; got "
            f"{sizes[0]} and {sizes[1]} documents"
        )


def _error_of_seeds(
    sides: Sequence[np.ndarray], resampled: Sequence[np.ndarray]
) -> tuple[float, float]:
    """What seeds add to the error of a difference or mean, and its degrees of freedom (Welch).

    (S), (R S) of each system

    It is the variance of F1 over seeds, less the part that would vanish on a larger test set: how
    far a seed's F1 moves from its system's mean when documents are drawn again. That part is in the
    resampled documents already. 0 where a side has one seed.
    """
    if min(len(side) for side in sides) < 2:
        return 0.0, 1.0
    parts, freedoms = [], []
    for side, moved in zip(sides, resampled, strict=True):
        n = len(side)
        by_documents = (moved - moved.mean(1, keepdims=True)).var(0).sum() / (n - 1)
        parts.append(max(0.0, side.var(ddof=1) - by_documents) / n)
        freedoms.append(n - 1)
    variance = sum(parts)
    if not variance:
        return 0.0, 1.0
    squares = sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    return float(np.sqrt(variance)), float(variance**2 / squares)


def _resampled(documents: int, resamples: int, rng: np.random.Generator):
    """How often each document was drawn, some resamples at a time.  yields (r D)"""
    step = max(1, _CELLS // documents)
    for start in range(0, resamples, step):
        r = min(step, resamples - start)
        drawn = rng.integers(documents, size=(r, documents))
        cells = (drawn + documents * np.arange(r)[:, None]).ravel()
        counted = np.bincount(cells, minlength=r * documents)
        yield counted.reshape(r, documents).astype(np.float64)


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
