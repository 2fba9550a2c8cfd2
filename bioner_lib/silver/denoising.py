"""Denoising: a tagger that was trained on gold checks silver labels."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan

from ..choices import DENOISING
from ..corpora.corpus import Corpus
from ..corpora.schemes import Span, flat, to_tags
from ..corpora.text import Sentence
from ..errors import WorkbookError, unknown
from ..evaluation.scoring import score
from ..models.hardware import autocast_dtype
from ..models.tagger import MultiTaskTagger


def denoise(
    teacher: MultiTaskTagger,
    silver: Corpus,
    how: str,
    confidence: float,
    precision: str = "auto",
) -> tuple[list[Sentence], dict[str, int]]:
    """The sentences that are left of a silver corpus; how many the teacher agreed with, was unsure
    of, or contradicted.

    "drop"      leaves out sentences that the teacher contradicts (confident learning)
    "relabel"   gives them the teacher's labels, and leaves out those that it is unsure of
                (self-training)

    The teacher is unsure of a sentence if any of its tags is less probable than `confidence` (0 to
    1; choose it on dev). Types that the teacher doesn't know keep the lexicon's labels.

    Raises WorkbookError for another `how` or `confidence`, for a corpus that isn't silver, and
    where the teacher knows none of its types.
    """
    if not 0 <= confidence <= 1:
        raise WorkbookError(f"confidence={confidence}; expected a probability, 0 to 1")
    if how not in DENOISING:
        raise unknown("denoising", how, DENOISING)
    shared = [type for type in silver.types if type in teacher.types]
    if not silver.silver or not shared:
        raise WorkbookError(
            f"a teacher of {teacher.types} knows no silver label of {silver.name!r}: {silver.types}"
        )
    counts = dict.fromkeys(("agreed", "unsure", "contradicted"), 0)
    kept = []
    autocast = autocast_dtype(precision)
    predictions = teacher.predictions(silver.train, types=shared, autocast=autocast)
    for sentence, (mentions, p) in zip(silver.train, predictions, strict=True):
        spans = [Span(*mention[:3]) for mention in mentions]
        verdict = "agreed"
        if p < confidence:
            verdict = "unsure"
        elif set(spans) != {span for span in sentence.spans if span.type in shared}:
            verdict = "contradicted"
        counts[verdict] += 1
        if verdict == "agreed" or (how == "drop" and verdict == "unsure"):
            kept.append(sentence)
        elif how == "relabel" and verdict == "contradicted":
            kept.append(_relabelled(sentence, spans, shared))
    return kept, counts


def against_truth(
    sentences: Sequence[Sentence], types: Sequence[str], truth: Corpus
) -> dict[str, float]:
    """How many sentences there are; precision and recall (0 to 1) of their labels in those that the
    train split of `truth` holds, too.

    Only types that `truth` annotates count. NaN where it shares no sentence or none of `types`.
    """
    known = {tuple(sentence.tokens): sentence.spans for sentence in truth.train}
    held = [sentence for sentence in sentences if tuple(sentence.tokens) in known]
    shared = [type for type in types if type in truth.types]
    measured = {"precision": nan, "recall": nan}
    if held and shared:
        right = [known[tuple(sentence.tokens)] for sentence in held]
        found = [[(*span, 1.0) for span in sentence.spans] for sentence in held]
        measured = score(right, found, shared)["micro"]
    return {"sentences": len(sentences)} | {k: measured[k] for k in ("precision", "recall")}


def _relabelled(sentence: Sentence, spans: Sequence[Span], shared: Sequence[str]) -> Sentence:
    """A sentence with the teacher's labels, and with those of other types that they leave free."""
    others = []
    for span in sentence.spans:
        overlaps = any(span.start < end and start < span.end for start, end, _ in spans)
        if span.type not in shared and not overlaps:
            others.append(span)
    tags = to_tags([*flat(spans), *others], len(sentence.tokens))
    return replace(sentence, tags=tags)
