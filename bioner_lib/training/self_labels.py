"""Self-labelling: a trained tagger labels the types that its training text hides.

The teacher tags, in each training sentence, the types that its corpus doesn't annotate. Sentences
in which every tag is probable enough move to a new corpus that annotates those types too. All other
sentences stay as they were. A person's labels never change: where a teacher's mention overlaps one,
the teacher's is dropped.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from ..corpora.corpus import Corpus
from ..corpora.schemes import Span, flat, to_tags
from ..corpora.splits import Split, refuse_test
from ..errors import WorkbookError
from ..models.tagger import MultiTaskTagger


def label_hidden(
    teacher: MultiTaskTagger,
    corpora: Sequence[Corpus],
    confidence: float,
    autocast: torch.dtype | None = None,
) -> tuple[list[Corpus], dict[str, Corpus]]:
    """The corpora without the labelled sentences; corpus -> its labelled sentences (train only).

    A sentence is labelled if each of its tags has at least the probability `confidence` (0 to 1;
    choose it on dev). Raises WorkbookError where the teacher knows no hidden type.
    """
    asked = dict.fromkeys(type for corpus in corpora for type in corpus.types)
    rest, labelled = [], {}
    for corpus in corpora:
        hidden = [t for t in asked if t in teacher.types and t not in corpus.types]
        train = refuse_test(corpus.train, "self-labelling")
        if not hidden or not train:
            rest.append(corpus)
            continue
        sure, unsure = [], []
        predictions = teacher.predictions(train, types=hidden, autocast=autocast)
        for sentence, (mentions, p) in zip(train, predictions, strict=True):
            if p < confidence:
                unsure.append(sentence)
                continue
            spans = [*sentence.spans, *flat(without_overlap(mentions, sentence.spans))]
            sure.append(replace(sentence, tags=to_tags(spans, len(sentence.tokens))))
        splits = {**corpus.splits, "train": Split(unsure, "train", corpus.name)}
        rest.append(replace(corpus, splits=splits))
        labelled[corpus.name] = _labelled(corpus, hidden, sure)
    if not labelled:
        types = {corpus.name: corpus.types for corpus in corpora}
        raise WorkbookError(
            f"the teacher knows {teacher.types}, and none of these is hidden in a corpus of this "
            f"run: {types}"
        )
    return rest, labelled


def _labelled(corpus: Corpus, hidden: list[str], sentences: list) -> Corpus:
    name = f"{corpus.name} with self-labelled {'+'.join(hidden)}"
    splits = {"train": Split(sentences, "train", name)}
    types = (*corpus.types, *hidden)
    return Corpus(name, types, splits, corpus.documented, official=False)


def without_overlap(mentions: Sequence[tuple], others: Sequence[Span]) -> list[Span]:
    """The mentions that overlap none of the others."""
    return [
        Span(start, end, type)
        for start, end, type, *_ in mentions
        if not any(start < other.end and other.start < end for other in others)
    ]
