"""Denoising: a tagger that was trained on gold reads silver labels and may contradict them."""

from dataclasses import replace

from ..choices import DENOISING
from ..corpora.corpus import Corpus
from ..corpora.schemes import flat, to_tags
from ..corpora.text import Sentence
from ..errors import WorkbookError, unknown
from ..models.encoders import autocast_dtype
from ..models.tagger import MultiTaskTagger


def denoise(
    teacher: MultiTaskTagger, silver: Corpus, how: str, confidence: float, precision: str = "auto"
) -> tuple[list[Sentence], dict[str, int]]:
    """The sentences of a silver corpus after a teacher, trained on gold, has read them; and how many sentences it agreed
    with, was unsure of, and contradicted.

    Of the types that both know: "drop" leaves out the sentences that the teacher labels otherwise and is sure of (confident learning),
    "relabel" gives those that it is sure of the teacher's labels and leaves the others out (self-training). Sure: no word's tag is less
    probable than `confidence`, 0 to 1; choose it on dev. Types that the teacher doesn't know keep the lexicon's labels.
    Raises WorkbookError for another `how` or `confidence`, for a corpus that isn't silver, and where the teacher knows none of its types.
    """
    if not 0 <= confidence <= 1:
        raise WorkbookError(f"confidence={confidence}; expected a probability, 0 to 1")
    if how not in DENOISING:
        raise unknown("denoising", how, DENOISING)
    shared = [
        name
        for name in silver.types
        if name in {name for plan in teacher.plans for name in plan.types}
    ]
    if not silver.silver or not shared:
        raise WorkbookError(
            f"a teacher of {[plan.types for plan in teacher.plans]} has nothing to say about {silver.name!r}: {silver.types}"
        )
    counts, kept = dict.fromkeys(("agreed", "unsure", "contradicted"), 0), []
    autocast = autocast_dtype(precision)
    tokens = (sentence.tokens for sentence in silver.train)
    for sentence, (spans, p) in zip(
        silver.train, teacher.predictions(tokens, types=shared, autocast=autocast), strict=True
    ):
        theirs = {span[:3] for span in spans}
        same = theirs == {span for span in sentence.spans if span[2] in shared}
        said = "unsure" if p < confidence else "agreed" if same else "contradicted"
        counts[said] += 1
        if said == "agreed" or (how == "drop" and said == "unsure"):
            kept.append(sentence)
        elif how == "relabel" and said == "contradicted":
            others = [span for span in sentence.spans if span[2] not in shared]
            free = [
                span
                for span in others
                if not any(span[0] < end and start < span[1] for start, end, _ in theirs)
            ]
            kept.append(
                replace(sentence, tags=to_tags([*flat(theirs), *free], len(sentence.tokens)))
            )
    return kept, counts
