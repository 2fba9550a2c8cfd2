"""Strict spans: one scorer for everything, with seqeval beside it as referee.

A span counts if its start, end and type are right. Only the types that the test corpus annotates
are scored, in gold and predictions alike.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ..corpora.schemes import Span, to_tags

Score = dict[str, float | int]
Spans = Sequence[tuple]  # (start, end, type) or (start, end, type, score)


def _measures(tp: int, fp: int, fn: int) -> Score:
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn) if tp + fn else 0.0,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp else 0.0,
        "support": tp + fn,
    }


def counts(gold: Spans, predicted: Spans, types: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """type -> (tp, fp, fn) of one sentence."""
    result = {}
    for type in types:
        right = {(start, end) for start, end, kind, *_ in gold if kind == type}
        found = {(start, end) for start, end, kind, *_ in predicted if kind == type}
        result[type] = (len(right & found), len(found - right), len(right - found))
    return result


def score(
    gold: Sequence[Spans], predicted: Sequence[Spans], types: Sequence[str]
) -> dict[str, Score]:
    """type -> tp, fp, fn, precision, recall, f1, support.

    `micro` is over all spans, `macro` the mean over types that have gold spans.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences but {len(predicted)} predicted ones")
    totals = {type: np.zeros(3, dtype=int) for type in types}
    for right, found in zip(gold, predicted, strict=True):
        for type, triple in counts(right, found, types).items():
            totals[type] += triple
    scores = {type: _measures(*map(int, triple)) for type, triple in totals.items()}
    scores["micro"] = _measures(*map(int, sum(totals.values())))
    supported = [scores[type] for type in types if scores[type]["support"]]
    scores["macro"] = {"support": scores["micro"]["support"]}
    for key in ("precision", "recall", "f1"):
        values = [measures[key] for measures in supported]
        scores["macro"][key] = float(np.mean(values)) if values else 0.0
    return scores


def seqeval_f1(
    gold: Sequence[Spans],
    predicted: Sequence[Spans],
    lengths: Sequence[int],
    types: Sequence[str],
) -> dict[str, float]:
    """type -> F1 by seqeval (strict, IOB2), the referee.

    One type at a time: heads may overlap, and a tag sequence can't hold overlapping spans.
    Sentences without a span of the type are left out, since they don't change its F1.
    """
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    result = {}
    for type in types:
        right, found = [], []
        for a, b, length in zip(gold, predicted, lengths, strict=True):
            own = [_of_type(a, type), _of_type(b, type)]
            if any(own):
                right.append(to_tags(own[0], length))
                found.append(to_tags(own[1], length))
        f1 = f1_score(right, found, mode="strict", scheme=IOB2, zero_division=0) if right else 0.0
        result[type] = float(f1)
    return result


def _of_type(spans: Spans, type: str) -> list[Span]:
    return [Span(*span[:3]) for span in spans if span[2] == type]


def check_referee(scores: dict[str, Score], referee: dict[str, float]) -> None:
    """Raises AssertionError where seqeval finds another F1: a bug of ours, never of a user."""
    for type, f1 in referee.items():
        if abs(scores[type]["f1"] - f1) > 1e-9:
            raise AssertionError(f"{type}: strict F1 {scores[type]['f1']} here, {f1} by seqeval")


def errors(gold: Iterable[tuple], predicted: Iterable[tuple]) -> Counter:
    """How many spans of one sentence are correct, and how the others are wrong, by kind."""
    counts = Counter(correct=0, missed=0)
    counts.update(kind for kind, _ in classified(gold, predicted))
    return counts


def classified(gold: Iterable[tuple], predicted: Iterable[tuple]) -> list[tuple[str, tuple]]:
    """(kind, span) for every span of one sentence, in order.

    correct    predicted and gold
    boundary   a prediction that overlaps a gold span of its type
    type       the words of a gold span, another type
    both       overlaps gold spans, but with neither right
    spurious   overlaps nothing
    missed     a gold span that no wrong prediction overlaps
    """
    gold = {tuple(span[:3]) for span in gold}
    predicted = {tuple(span[:3]) for span in predicted}
    found, touched = [("correct", span) for span in gold & predicted], set()
    for start, end, type in predicted - gold:
        near = [span for span in gold - predicted if span[0] < end and start < span[1]]
        touched |= set(near)
        if not near:
            kind = "spurious"
        elif any(span[:2] == (start, end) for span in near):
            kind = "type"
        else:
            kind = "boundary" if any(span[2] == type for span in near) else "both"
        found.append((kind, (start, end, type)))
    found += [("missed", span) for span in gold - predicted - touched]
    return sorted(found, key=lambda item: (item[1], item[0]))


def token_accuracy(
    gold: Sequence[Spans], predicted: Sequence[Spans], lengths: Sequence[int]
) -> float:
    """Share of words with the right tag, O included.

    It is why some papers print 0.98, and never a headline here.
    """
    wrong = 0
    for right, found in zip(gold, predicted, strict=True):
        differing = _word_tags(right) ^ _word_tags(found)
        wrong += len({word for word, _, _ in differing})
    return 1 - wrong / max(1, sum(lengths))


def _word_tags(spans: Spans) -> set[tuple[int, str, bool]]:
    """(word, type, whether it starts the span) of all words inside spans."""
    tags = set()
    for start, end, type, *_ in spans:
        tags |= {(word, type, word == start) for word in range(start, end)}
    return tags
