"""Self-labelling: a trained tagger says what the silence of its own training text hides.

Of each training sentence the teacher tags the types that its corpus doesn't annotate. Sentences in which the teacher is sure of every
word move into a new corpus that annotates those types as well; the others stay as they were, their silence still unknown. A person's
labels are never changed, and where a teacher's span overlaps one it gives way.

Silver labels a teacher may contradict: `denoise`.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from ..choices import DENOISING
from ..data.corpus import Corpus, Split, refuse_test
from ..data.schemes import flat, to_tags
from ..data.text import Sentence
from ..errors import WorkbookError, unknown
from ..models.tagger import MultiTaskTagger, autocast_dtype


def label_hidden(
    teacher: MultiTaskTagger, corpora: Sequence[Corpus], confidence: float, autocast: torch.dtype | None = None
) -> tuple[list[Corpus], dict[str, Corpus]]:
    """The corpora with what stays hidden in train, and by corpus the sentences that were labelled (a train split only).

    `confidence` is the least probability, 0 to 1, of any word's tag in a sentence that is taken; choose it on dev.
    Raises WorkbookError where the teacher knows no type that is hidden in any of them.
    """
    known = dict.fromkeys(name for plan in teacher.plans for name in plan.types)
    wanted = dict.fromkeys(name for corpus in corpora for name in corpus.types)
    rest, labelled = [], {}
    for corpus in corpora:
        hidden = [name for name in wanted if name in known and name not in corpus.types]
        train = refuse_test(corpus.train, "self-labelling")
        if not hidden or not train:
            rest.append(corpus)
            continue
        tokens = [sentence.tokens for sentence in train]
        taken, left = [], []
        for sentence, (spans, p) in zip(train, teacher.predictions(tokens, types=hidden, autocast=autocast), strict=True):
            if p < confidence:
                left.append(sentence)
                continue
            free = [span[:3] for span in spans if not any(span[0] < end and start < span[1] for start, end, _ in sentence.spans)]
            taken.append(replace(sentence, tags=to_tags([*sentence.spans, *flat(free)], len(sentence.tokens))))
        rest.append(replace(corpus, splits={**corpus.splits, "train": Split(left, "train", corpus.name)}))
        name = f"{corpus.name} with self-labelled {'+'.join(hidden)}"
        types = (*corpus.types, *hidden)
        labelled[corpus.name] = Corpus(name, types, {"train": Split(taken, "train", name)}, corpus.documented, official=False)
    if not labelled:
        raise WorkbookError(
            f"the teacher knows {list(known)}, and none of these is hidden in a corpus of this run: { {c.name: c.types for c in corpora} }"
        )
    return rest, labelled


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
    shared = [name for name in silver.types if name in {name for plan in teacher.plans for name in plan.types}]
    if not silver.silver or not shared:
        raise WorkbookError(
            f"a teacher of {[plan.types for plan in teacher.plans]} has nothing to say about {silver.name!r}: {silver.types}"
        )
    counts, kept = dict.fromkeys(("agreed", "unsure", "contradicted"), 0), []
    autocast = autocast_dtype(precision)
    tokens = (sentence.tokens for sentence in silver.train)
    for sentence, (spans, p) in zip(silver.train, teacher.predictions(tokens, types=shared, autocast=autocast), strict=True):
        theirs = {span[:3] for span in spans}
        same = theirs == {span for span in sentence.spans if span[2] in shared}
        said = "unsure" if p < confidence else "agreed" if same else "contradicted"
        counts[said] += 1
        if said == "agreed" or (how == "drop" and said == "unsure"):
            kept.append(sentence)
        elif how == "relabel" and said == "contradicted":
            others = [span for span in sentence.spans if span[2] not in shared]
            free = [span for span in others if not any(span[0] < end and start < span[1] for start, end, _ in theirs)]
            kept.append(replace(sentence, tags=to_tags([*flat(theirs), *free], len(sentence.tokens))))
    return kept, counts
