"""What a corpus's silence means to the loss.

For a word with gold tag y, logits s, tags A that the corpus annotates (O among them) and all tags T:

    "negative"   -log  exp s_y / sum_{t in T} exp s_t                      silence means: not there
    "mask"       -log  exp s_y / sum_{t in A} exp s_t                      silence means: not asked
    "marginal"   -log  sum_{t in G} exp s_t / sum_{t in T} exp s_t         silence means: anything that wasn't annotated
                 with G = {y}, or {O} + T \\ A where y = O

All three are log-sum-exp over a support minus log-sum-exp over a gold set, and 0 where the corpus knows none of the head's types
("negative" excepted: that is its defect). Partial labels: Greenberg, Bansal, Verga, McCallum 2018 (D18-1306).

B sentences   N labelled pieces   T tags   C corpora
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..data.batching import IGNORED, Batch
from ..data.corpora import Corpus
from ..errors import WorkbookError, unknown
from .heads import HeadPlan, annotated_tags

UNANNOTATED = ("negative", "mask", "marginal")


def partial_label_nll(logits: torch.Tensor, tags: torch.Tensor, annotated: torch.Tensor, unannotated: str) -> torch.Tensor:
    """Negative log-likelihood a word, 0 where `tags` is IGNORED.  (B N T), (B N), (B T) -> (B N)"""
    logits = logits.float()
    annotated = annotated[:, None, :].expand_as(logits)
    gold = torch.nn.functional.one_hot(tags.clamp(min=0), logits.shape[-1]).bool()
    support = annotated if unannotated == "mask" else torch.ones_like(gold)
    if unannotated == "marginal":
        gold = gold | (~annotated & (tags == 0)[..., None])
    within = logits.masked_fill(~support, -torch.inf).logsumexp(-1)
    nll = within - logits.masked_fill(~gold, -torch.inf).logsumexp(-1)
    return nll.masked_fill(tags == IGNORED, 0.0)


class HeadLoss(nn.Module):
    """Summed nll of one head: `annotated` (C T) and `teaches` (C) say what each corpus can tell it."""

    def __init__(self, plan: HeadPlan, corpora: Sequence[Corpus], scheme: str, unannotated: str, weight: float):
        super().__init__()
        annotated = torch.tensor([annotated_tags(plan, corpus, scheme) for corpus in corpora])
        teaches = torch.tensor([corpus.name in plan.corpora or (unannotated == "negative" and not plan.exclusive) for corpus in corpora])
        self.register_buffer("annotated", annotated, persistent=False)
        self.register_buffer("teaches", teaches, persistent=False)
        self.name, self.unannotated, self.weight = plan.name, unannotated, weight

    def forward(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """(B N T), batch -> scalar"""
        nll = partial_label_nll(logits, batch.tags[self.name], self.annotated[batch.corpus], self.unannotated)
        return self.weight * nll[self.teaches[batch.corpus]].sum()


class MultiTaskLoss(nn.Module):
    """L = sum_h lambda_h sum_w nll_h(w) / number of words in the batch.

    A word that a head learns nothing from counts 0 for it, so a batch that teaches a head nothing gives that head 0.
    Raises WorkbookError for weights below 0 or of heads that don't exist.
    """

    def __init__(
        self, plans: Sequence[HeadPlan], corpora: Sequence[Corpus], scheme: str, unannotated: str = "mask",
        loss_weights: Mapping[str, float] | None = None,
    ):  # fmt: skip
        super().__init__()
        if unannotated not in UNANNOTATED:
            raise unknown("unannotated", unannotated, UNANNOTATED)
        weights = {plan.name: 1.0 for plan in plans}
        for head, weight in (loss_weights or {}).items():
            if head not in weights:
                raise unknown("head in loss_weights", head, weights)
            if weight < 0:
                raise WorkbookError(f"the loss weight of head {head!r} is {weight}; weights are 0 or more")
            weights[head] = float(weight)
        self.heads = nn.ModuleList(HeadLoss(plan, corpora, scheme, unannotated, weights[plan.name]) for plan in plans)

    def forward(self, logits: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        """head -> (B N T), batch -> scalar"""
        total = sum(head(logits[head.name], batch) for head in self.heads)
        return total / batch.valid.sum().clamp(min=1)
