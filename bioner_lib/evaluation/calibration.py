"""Do scores mean what they say? Span scores of stored predictions, beside what was right.

A span is right if it is strictly right: start, end and type. Definitions, for n predicted spans
with scores p and r = 1 where right, else 0:

    Brier score   mean of (p - r)^2; 0 is perfect, 0.25 is a coin (Brier 1950)
    ECE           expected calibration error: spans in bins of equal width by p, then the mean over
                  spans of |precision of the bin - mean p of the bin| (Guo et al. 2017)

Mentions that a tagger didn't predict have no score and don't count here; recall is reported beside.

S spans of one type
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import SelectionError, WorkbookError
from ..models.span_scores import calibrated

FEWEST = 20  # predicted spans of a type on dev from which one exponent is chosen
COVERAGES = (0.5, 0.8, 0.95)
_EXPONENTS = np.exp(np.linspace(np.log(0.01), np.log(100), 801))  # 1 % steps


class SpanScores(NamedTuple):
    """The predicted spans of one type: scores (S), whether each is right (S), gold mentions."""

    scores: np.ndarray
    right: np.ndarray
    support: int

    def calibrated(self, exponent: float | None) -> "SpanScores":
        """With scores ** exponent; unchanged for None."""
        if exponent is None:
            return self
        return self._replace(scores=calibrated(self.scores, exponent))


class Fitted(NamedTuple):
    """What dev chose for one type.

    exponent    see `span_scores.Calibration`; None where there were too few spans
    threshold   the lowest calibrated score with the highest dev F1; None with exponent
    spans       predicted spans on dev
    note        what a reader must know, in words; "" where there is nothing
    """

    exponent: float | None
    threshold: float | None
    spans: int
    note: str = ""


def span_scores(predictions: Sequence[Mapping], types: Sequence[str]) -> dict[str, SpanScores]:
    """type -> its predicted spans; `predictions` are dicts with gold and predicted."""
    scores: dict[str, list[float]] = {type: [] for type in types}
    right: dict[str, list[bool]] = {type: [] for type in types}
    support = dict.fromkeys(types, 0)
    for prediction in predictions:
        gold = {tuple(span[:3]) for span in prediction["gold"]}
        for type in (span[2] for span in gold):
            support[type] = support.get(type, 0) + 1
        for *span, score in prediction["predicted"]:
            if span[2] in scores:
                scores[span[2]].append(score)
                right[span[2]].append(tuple(span) in gold)
    return {
        type: SpanScores(np.array(scores[type]), np.array(right[type], dtype=bool), support[type])
        for type in types
    }


def joined(parts: Iterable[SpanScores]) -> SpanScores:
    """The spans of one type from several corpora."""
    scores, right, support = zip(*parts, strict=True)
    return SpanScores(np.concatenate(scores), np.concatenate(right), sum(support))


def reliability(spans: SpanScores, bins: int = 10) -> list[dict[str, float | int]]:
    """One dict per bin that holds a span: low, high, spans, score (mean), precision.

    Bins are of equal width from 0 to 1; a score on a border belongs to the upper bin, 1 to the
    last. Raises WorkbookError for fewer than one bin.
    """
    if bins < 1:
        raise WorkbookError(f"bins={bins}; expected 1 or more")
    index = np.minimum((spans.scores * bins).astype(int), bins - 1)
    found = []
    for k in range(bins):
        own = index == k
        if own.any():
            found.append(
                {
                    "low": k / bins,
                    "high": (k + 1) / bins,
                    "spans": int(own.sum()),
                    "score": float(spans.scores[own].mean()),
                    "precision": float(spans.right[own].mean()),
                }
            )
    return found


def expected_calibration_error(spans: SpanScores, bins: int = 10) -> float:
    """ECE, 0 to 1; nan without a span."""
    return error_of_bins(reliability(spans, bins))


def error_of_bins(bins: Sequence[Mapping[str, float | int]]) -> float:
    """The ECE of the bins that `reliability` gives; nan without one."""
    spans = sum(one["spans"] for one in bins)
    gaps = [one["spans"] * abs(one["precision"] - one["score"]) for one in bins]
    return float(sum(gaps) / spans) if spans else float("nan")


def brier(spans: SpanScores) -> float:
    """Brier score, 0 to 1; nan without a span."""
    if not len(spans.scores):
        return float("nan")
    return float(np.mean((spans.scores - spans.right) ** 2))


def fit(by_type: Mapping[str, SpanScores], role: str) -> dict[str, Fitted]:
    """Exponent and threshold of each type, from the predictions of split `role`.

    The exponent has the lowest negative log likelihood. It is a power because a mention is right
    only if all its tags are right, so its probability is a product, while its score is a mean. A
    temperature on the logit would keep each score on its side of 0.5: after a short training, more
    than half of the mentions with a score below 0.5 may be right.

    A type with fewer than 20 predicted spans keeps its raw scores, and all of them.

    Raises SelectionError for the test split.
    """
    if role == "test":
        raise SelectionError("calibration must not see a test split; fit it on dev predictions")
    return {type: _fit_one(spans) for type, spans in by_type.items()}


def _fit_one(spans: SpanScores) -> Fitted:
    n = len(spans.scores)
    if n < FEWEST:
        note = f"{n} predicted spans, fewer than {FEWEST}: raw scores, no threshold"
        return Fitted(None, None, n, note)
    losses = [_log_loss(spans.calibrated(exponent)) for exponent in _EXPONENTS]
    exponent = float(_EXPONENTS[int(np.argmin(losses))])
    return Fitted(exponent, best_threshold(spans.calibrated(exponent)), n)


def _log_loss(spans: SpanScores) -> float:
    chance = np.clip(np.where(spans.right, spans.scores, 1 - spans.scores), 1e-12, 1)
    return float(-np.log(chance).mean())


def best_threshold(spans: SpanScores) -> float:
    """The threshold with the highest F1; of equal ones the lowest. 0 keeps all spans.

    It lies midway between two scores, so that the rounding of stored scores changes nothing.
    """
    order = np.argsort(-spans.scores, kind="stable")
    scores, right = spans.scores[order], np.cumsum(spans.right[order])
    kept = np.arange(1, len(scores) + 1)
    f1 = 2 * right / np.maximum(kept + spans.support, 1)
    # spans with one score are kept or left out together
    is_last = np.append(scores[1:] < scores[:-1], True)
    best = max(np.flatnonzero(is_last), key=lambda i: (f1[i], i), default=len(scores) - 1)
    if best == len(scores) - 1:
        return 0.0
    return float((scores[best] + scores[best + 1]) / 2)


def at_threshold(spans: SpanScores, threshold: float | None) -> dict[str, float]:
    """precision, recall and f1 (0 to 1) of the spans with at least this score; None keeps all."""
    right = spans.right[spans.scores >= (threshold or 0.0)]
    tp, kept = int(right.sum()), len(right)
    return {
        "precision": tp / kept if kept else 0.0,
        "recall": tp / spans.support if spans.support else 0.0,
        "f1": 2 * tp / (kept + spans.support) if tp else 0.0,
    }


def selective(spans: SpanScores, coverages: Sequence[float] = COVERAGES) -> dict[float, float]:
    """Coverage -> precision, if only so large a share of the predicted spans is kept, best first.

    Of spans with one score at the edge, a share counts. nan without a span. Raises WorkbookError
    for a coverage outside 0 to 1.
    """
    scores = np.sort(spans.scores)[::-1]
    found = {}
    for coverage in coverages:
        if not 0 < coverage <= 1:
            raise WorkbookError(f"coverage={coverage!r}; expected more than 0 and at most 1")
        if not len(scores):
            found[coverage] = float("nan")
            continue
        kept = max(1, round(coverage * len(scores)))
        edge = scores[kept - 1]
        above, at_edge = spans.right[spans.scores > edge], spans.right[spans.scores == edge]
        right = above.sum() + (kept - len(above)) * at_edge.mean()
        found[coverage] = float(right / kept)
    return found
