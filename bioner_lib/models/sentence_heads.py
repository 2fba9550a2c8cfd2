"""Sentence heads: what a sentence as a whole says, beside the tags of its words.

SENTENCE_HEADS lists the kinds. Each has its targets and its loss; its measure is strict precision,
recall and F1 over its labels (`runs.scored`). Training adds the loss, times `sentence_weight`, to
that of the token heads ("auxiliary"). As a "router" the head also weighs their mentions: the logit
of each tag of type t gets log p(t is mentioned) added, so that a sentence in which nothing speaks
for a type gets few mentions of it. BioJointBERT describes such a router, and trains none.

B sentences (windows)   N labelled pieces   D hidden   Y types   T tags
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from ..corpora.corpus import Corpus
from ..corpora.schemes import tag_names
from ..errors import unknown
from .batching import Batch
from .heads import HeadPlan


class SentenceTypes(nn.Module):
    """Which types a sentence mentions: p(t) = sigmoid(z_t), z a linear layer over the maximum of
    the word vectors (Kim 2014, D14-1181).
    """

    is_router = False  # whether it weighs the mentions of the token heads

    def __init__(self, hidden: int, plans: Sequence[HeadPlan], scheme: str):
        super().__init__()
        self.types = list(dict.fromkeys(type for plan in plans for type in plan.types))
        self.linear = nn.Linear(hidden, len(self.types))
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.of_tag: dict[str, list[int]] = {}  # head -> index of the type of each tag, O: Y
        for plan in plans:
            names = [tag.partition("-")[2] for tag in tag_names(plan.types, scheme)]
            index = {type: i for i, type in enumerate(self.types)}
            self.of_tag[plan.name] = [index.get(name, len(self.types)) for name in names]

    def forward(self, hidden: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """(B N D), (B N) -> (B Y)"""
        # a window without a word of its own has no maximum
        lowest = hidden.masked_fill(~valid[..., None], torch.finfo(hidden.dtype).min)
        largest = lowest.amax(1).masked_fill(~valid.any(1)[:, None], 0.0)
        return self.linear(largest)

    def gate(self, logits: torch.Tensor, scores: torch.Tensor, head: str) -> torch.Tensor:
        """A head's logits with log p(t) added for the tags of each type.

        (B N T), (B Y) -> (B N T)
        """
        log_p = logsigmoid(scores.float())
        with_outside = torch.cat([log_p, log_p.new_zeros(len(log_p), 1)], 1)  # O gets 0
        return logits + with_outside[:, None, self.of_tag[head]].to(logits.dtype)

    def targets(self, tags: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """1 where a window holds a mention of a type, from the tags of all heads.

        head -> (B N); returns (B Y)
        """
        found = None
        for head, indices in tags.items():
            of_tag = torch.tensor([*self.of_tag[head]], device=indices.device)
            types = of_tag[indices.clamp(min=0)]  # padding has tag O
            own = nn.functional.one_hot(types, len(self.types) + 1).amax(1)[:, :-1]  # (B Y)
            found = own if found is None else found | own
        return found.float()


SENTENCE_HEADS = {"types": SentenceTypes}


def make_sentence_head(
    name: str, hidden: int, plans: Sequence[HeadPlan], scheme: str
) -> SentenceTypes | None:
    """The sentence head of this name; None for "none".

    "types-router" is the kind "types" as a router. Raises WorkbookError for an unknown one.
    """
    if name == "none":
        return None
    kind, _, use = name.partition("-")
    if kind not in SENTENCE_HEADS or use not in ("", "router"):
        raise unknown("sentence_head", name, ["none", *SENTENCE_HEADS])
    head = SENTENCE_HEADS[kind](hidden, plans, scheme)
    head.is_router = use == "router"
    return head


class SentenceLoss(nn.Module):
    """The mean binary cross-entropy over the types that a window's corpus annotates.

    With `negative` all types count: what a corpus doesn't annotate is taken for absent. A corpus's
    weight (1 where none is given) multiplies the loss of its windows.
    """

    def __init__(
        self,
        head: SentenceTypes,
        corpora: Sequence[Corpus],
        negative: bool,
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__()
        self.head = [head]  # in a list, so that its parameters stay the tagger's
        asked = [[negative or type in corpus.types for type in head.types] for corpus in corpora]
        self.register_buffer("asked", torch.tensor(asked).float(), persistent=False)  # (C Y)
        of_corpus = [(weights or {}).get(corpus.name, 1.0) for corpus in corpora]
        self.register_buffer("weights", torch.tensor(of_corpus), persistent=False)  # (C)

    def forward(self, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
        """(B Y), batch -> scalar"""
        target = self.head[0].targets(batch.tags)
        asked = self.asked[batch.corpus]
        loss = binary_cross_entropy_with_logits(scores.float(), target, reduction="none")
        weighed = loss * asked * self.weights[batch.corpus, None]
        return weighed.sum() / asked.sum().clamp(min=1)
