"""Self-labelling: a trained tagger says what the silence of its own training text hides.

Of each training sentence the teacher tags the types that its corpus doesn't annotate. Sentences in which the teacher is sure of every
word move into a new corpus that annotates those types as well; the others stay as they were, their silence still unknown. A person's
labels are never changed, and where a teacher's span overlaps one it gives way.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from ..corpora.corpus import Corpus, Split, refuse_test
from ..corpora.schemes import flat, to_tags
from ..errors import WorkbookError
from ..models.tagger import MultiTaskTagger


def label_hidden(
    teacher: MultiTaskTagger,
    corpora: Sequence[Corpus],
    confidence: float,
    autocast: torch.dtype | None = None,
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
        for sentence, (spans, p) in zip(
            train, teacher.predictions(tokens, types=hidden, autocast=autocast), strict=True
        ):
            if p < confidence:
                left.append(sentence)
                continue
            free = [
                span[:3]
                for span in spans
                if not any(span[0] < end and start < span[1] for start, end, _ in sentence.spans)
            ]
            taken.append(
                replace(
                    sentence, tags=to_tags([*sentence.spans, *flat(free)], len(sentence.tokens))
                )
            )
        rest.append(
            replace(corpus, splits={**corpus.splits, "train": Split(left, "train", corpus.name)})
        )
        name = f"{corpus.name} with self-labelled {'+'.join(hidden)}"
        types = (*corpus.types, *hidden)
        labelled[corpus.name] = Corpus(
            name, types, {"train": Split(taken, "train", name)}, corpus.documented, official=False
        )
    if not labelled:
        raise WorkbookError(
            f"the teacher knows {list(known)}, and none of these is hidden in a corpus of this run: { {c.name: c.types for c in corpora} }"
        )
    return rest, labelled
