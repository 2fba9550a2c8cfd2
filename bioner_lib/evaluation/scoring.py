"""Strict spans: one scorer for everything, with seqeval beside it as referee.

A span counts if its start, end and type are right. Only the types that the test corpus annotates
are scored, in gold and predictions alike.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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


def relaxed_score(
    gold: Sequence[Spans], predicted: Sequence[Spans], types: Sequence[str]
) -> dict[str, Score]:
    """type, `micro` -> relaxed_precision, relaxed_recall, relaxed_f1 (0 to 1), support.

    RELAXED, never a headline: a span counts if it shares a word with a span of its type on the
    other side. So one prediction over two mentions finds both, and one word of a long name finds
    it. Precision is over predictions, recall over gold spans ("type matching" of SemEval-2013 task
    9.1, Segura-Bedmar et al. 2013, S13-2056).

    Raises ValueError unless there are as many gold as predicted sentences.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences but {len(predicted)} predicted ones")
    totals = {}
    for type in types:
        total = np.zeros(4, dtype=int)  # predictions that touch, predictions, gold touched, gold
        for a, b in zip(gold, predicted, strict=True):
            right, found = set(_of_type(a, type)), set(_of_type(b, type))
            total += [_touching(found, right), len(found), _touching(right, found), len(right)]
        totals[type] = total
    totals["micro"] = sum(totals.values(), np.zeros(4, dtype=int))
    return {type: _relaxed_measures(*map(int, total)) for type, total in totals.items()}


def _touching(spans: Iterable[tuple], others: Iterable[tuple]) -> int:
    return sum(any(_overlap(span, other) for other in others) for span in spans)


def _relaxed_measures(right: int, predicted: int, found: int, support: int) -> Score:
    precision = right / predicted if predicted else 0.0
    recall = found / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {
        "relaxed_precision": precision,
        "relaxed_recall": recall,
        "relaxed_f1": f1,
        "support": support,
    }


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
    """How many spans of one sentence are correct, and how the others are wrong, by kind.

    These are the spans of `classified`: all predictions, and the missed gold spans. Rows that were
    written before `split` and `merged` existed count both under `boundary`.
    """
    counts = Counter(correct=0, missed=0)
    counts.update(kind for kind, _ in classified(gold, predicted))
    return counts


def classified(gold: Iterable[tuple], predicted: Iterable[tuple]) -> list[tuple[str, tuple]]:
    """(kind, span) for every prediction of one sentence and every missed gold span, in order."""
    by_gold, by_prediction = kinds(gold, predicted)
    found = [(kind, span) for span, kind in by_prediction.items()]
    found += [(kind, span) for span, kind in by_gold.items() if kind == "missed"]
    return sorted(found, key=lambda item: (item[1], item[0]))


class Kinds(NamedTuple):
    """One sentence: span (start, end, type) -> its kind, for gold and for predicted spans."""

    gold: dict[tuple, str]
    predicted: dict[tuple, str]


def kinds(gold: Iterable[tuple], predicted: Iterable[tuple]) -> Kinds:
    """The one kind of every gold and of every predicted span of a sentence.

    correct    gold and predicted. Correct spans explain nothing else: all that follows is about
               the other spans
    boundary   one prediction overlaps one gold span of its type, or several overlap several
    split      several predictions overlap one gold span of their type
    merged     one prediction overlaps several gold spans of its type
    type       no overlap within the type, but the same words have another type
    both       no overlap within the type and not the same words, but an overlap
    spurious   a prediction that overlaps nothing
    missed     a gold span that nothing overlaps

    Spans of one type overlap directly or through others: two gold spans whose common border was
    moved are one group with two predictions, `boundary` all four.

    The counts of `correct` are tp; all other kinds add up to fp (predicted) and fn (gold).
    """
    gold = {tuple(span[:3]) for span in gold}
    predicted = {tuple(span[:3]) for span in predicted}
    lost, wrong = sorted(gold - predicted), sorted(predicted - gold)
    found = Kinds(dict.fromkeys(gold & predicted, "correct"), {})
    found.predicted.update(found.gold)
    for own, others in _groups(lost, wrong):
        shape = "boundary"
        if len(own) == 1 < len(others):
            shape = "split"
        elif len(others) == 1 < len(own):
            shape = "merged"
        found.gold.update(dict.fromkeys(own, shape))
        found.predicted.update(dict.fromkeys(others, shape))
    for span in lost:
        found.gold.setdefault(span, _kind_across_types(span, wrong, "missed"))
    for span in wrong:
        found.predicted.setdefault(span, _kind_across_types(span, lost, "spurious"))
    return found


def _groups(lost: Sequence[tuple], wrong: Sequence[tuple]) -> list[tuple[list, set]]:
    """Gold spans and predictions of one type that overlap, directly or through others."""
    groups: list[tuple[list, set]] = []
    for span in lost:
        near = {other for other in wrong if other[2] == span[2] and _overlap(span, other)}
        if not near:
            continue
        joined, apart = ([span], near), []
        for group in groups:
            if group[1] & near:
                joined = (joined[0] + group[0], joined[1] | group[1])
            else:
                apart.append(group)
        groups = [*apart, joined]
    return groups


def _kind_across_types(span: tuple, others: Sequence[tuple], alone: str) -> str:
    near = [other for other in others if _overlap(span, other)]
    if not near:
        return alone
    return "type" if any(other[:2] == span[:2] for other in near) else "both"


def _overlap(a: tuple, b: tuple) -> bool:
    return a[0] < b[1] and b[0] < a[1]


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
