"""Strict spans: one scorer for everything, with seqeval beside it as referee.

A span counts when start, end and type are all right. `types`, the test corpus's own declaration, is applied to both sides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ..corpora.schemes import Span, to_tags

Score = dict[str, float | int]


def _measures(tp: int, fp: int, fn: int) -> Score:
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    f1 = 2 * tp / (2 * tp + fp + fn) if tp else 0.0
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "support": tp + fn,
    }


def counts(
    gold: Iterable[Span], predicted: Iterable[tuple], types: Sequence[str]
) -> dict[str, tuple[int, int, int]]:
    """tp, fp, fn by type of one sentence."""
    result = {}
    for name in types:
        right = {span[:2] for span in gold if span[2] == name}
        found = {tuple(span[:2]) for span in predicted if span[2] == name}
        result[name] = (len(right & found), len(found - right), len(right - found))
    return result


def score(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[tuple]], types: Sequence[str]
) -> dict[str, Score]:
    """Type -> tp, fp, fn, precision, recall, f1, support; also `micro` (over all spans) and `macro` (mean over types with gold)."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences but {len(predicted)} predicted ones")
    totals = {name: np.zeros(3, dtype=int) for name in types}
    for right, found in zip(gold, predicted, strict=True):
        for name, triple in counts(right, found, types).items():
            totals[name] += triple
    scores = {name: _measures(*map(int, triple)) for name, triple in totals.items()}
    scores["micro"] = _measures(*map(int, sum(totals.values())))
    held = [scores[name] for name in types if scores[name]["support"]]
    macro = {
        key: float(np.mean([s[key] for s in held])) if held else 0.0
        for key in ("precision", "recall", "f1")
    }
    scores["macro"] = macro | {"support": scores["micro"]["support"]}
    return scores


def seqeval_f1(
    gold: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[tuple]],
    lengths: Sequence[int],
    types: Sequence[str],
) -> dict[str, float]:
    """Type -> F1 by seqeval, strict, IOB2: the referee. One type at a time, since heads may overlap and a tag sequence can't.

    Sentences in which neither side has the type are left out: they add nothing to its F1.
    """
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    result = {}
    for name in types:
        sides: tuple[list, list] = ([], [])
        for right, found, length in zip(gold, predicted, lengths, strict=True):
            own = [[span[:3] for span in spans if span[2] == name] for spans in (right, found)]
            if own[0] or own[1]:
                for side, spans in zip(sides, own, strict=True):
                    side.append(to_tags(spans, length))
        result[name] = (
            float(f1_score(*sides, mode="strict", scheme=IOB2, zero_division=0))
            if sides[0]
            else 0.0
        )
    return result


def check_referee(scores: dict[str, Score], referee: dict[str, float]) -> None:
    """Raises AssertionError where seqeval sees another F1 than we do: that is a bug of ours, never of a user."""
    for name, f1 in referee.items():
        if abs(scores[name]["f1"] - f1) > 1e-9:
            raise AssertionError(f"{name}: strict F1 {scores[name]['f1']} here, {f1} by seqeval")


def errors(gold: Iterable[Span], predicted: Iterable[tuple]) -> Counter:
    """How one sentence's spans go wrong: boundary, type, both (overlaps with neither right), missed, spurious."""
    gold, predicted = {span[:3] for span in gold}, {tuple(span[:3]) for span in predicted}
    result, touched = Counter(correct=len(gold & predicted)), set()
    for start, end, name in predicted - gold:
        near = [g for g in gold - predicted if g[0] < end and start < g[1]]
        touched |= set(near)
        if not near:
            result["spurious"] += 1
        elif any(g[:2] == (start, end) for g in near):
            result["type"] += 1
        else:
            result["boundary" if any(g[2] == name for g in near) else "both"] += 1
    result["missed"] = len(gold - predicted - touched)
    return result


def token_accuracy(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[tuple]], lengths: Sequence[int]
) -> float:
    """Share of words with the right tag, O included: why some papers print 0.98. Never a headline."""
    wrong = 0
    for right, found in zip(gold, predicted, strict=True):
        # a word's tag is its type and whether it opens the span
        sides = [
            {
                (i, name, i == start)
                for start, end, name in (span[:3] for span in side)
                for i in range(start, end)
            }
            for side in (right, found)
        ]
        wrong += len({i for i, _, _ in sides[0] ^ sides[1]})
    return 1 - wrong / max(1, sum(lengths))
