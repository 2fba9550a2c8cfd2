"""What a corpus's silence means to the loss.

For a word with gold tag y, logits s, tags A that the corpus annotates (O among them) and all tags T:

    "negative"   -log  exp s_y / sum_{t in T} exp s_t                      silence means: not there
    "mask"       -log  exp s_y / sum_{t in A} exp s_t                      silence means: not asked
    "marginal"   -log  sum_{t in G} exp s_t / sum_{t in T} exp s_t         silence means: anything that wasn't annotated
                 with G = {y}, or {O} + T \\ A where y = O

All three are log-sum-exp over a support minus log-sum-exp over a gold set, and 0 where the corpus knows none of the head's types
("negative" excepted: that is its defect). With a CRF the two sums run over the tag sequences whose every tag lies in the sets.
Partial labels: Greenberg, Bansal, Verga, McCallum 2018 (D18-1306); for CRFs Tsuboi et al. 2008 (C08-1113).

B sentences   N labelled pieces   T tags   C corpora   H heads
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..choices import UNANNOTATED
from ..corpora.corpus import Corpus
from ..errors import WorkbookError, unknown
from .batching import IGNORED, Batch
from .heads import FORBIDDEN, Chain, HeadPlan, Output, annotated_tags


def partial_label_nll(
    logits: torch.Tensor,
    tags: torch.Tensor,
    annotated: torch.Tensor,
    unannotated: str,
    chain: Chain | None = None,
) -> torch.Tensor:
    """Negative log-likelihood a word, 0 where `tags` is IGNORED; with a `chain` (CRF) one a sentence.

    (B N T), (B N), (B T) -> (B N), or (B 1) with a chain
    """
    logits = logits.float()
    annotated = annotated[:, None, :].expand_as(logits)
    gold = torch.nn.functional.one_hot(tags.clamp(min=0), logits.shape[-1]).bool()
    support = annotated if unannotated == "mask" else torch.ones_like(gold)
    if unannotated == "marginal":
        gold = gold | (~annotated & (tags == 0)[..., None])
    if chain is None:
        within = logits.masked_fill(~support, -torch.inf).logsumexp(-1)
        nll = within - logits.masked_fill(~gold, -torch.inf).logsumexp(-1)
        return nll.masked_fill(tags == IGNORED, 0.0)
    within = chain.log_partition(logits.masked_fill(~support, FORBIDDEN))
    if unannotated == "marginal":
        return (within - chain.log_partition(logits.masked_fill(~gold, FORBIDDEN)))[:, None]
    return (within - chain.path_score(logits, tags.clamp(min=0)))[:, None]


class HeadLoss(nn.Module):
    """Summed nll of one head: `annotated` (C T) says which tags a corpus speaks of, `weights` (C) how much it teaches this head."""

    def __init__(
        self,
        plan: HeadPlan,
        corpora: Sequence[Corpus],
        scheme: str,
        unannotated: str,
        corpus_weights: Mapping[str, float],
    ):
        super().__init__()
        annotated = torch.tensor([annotated_tags(plan, corpus, scheme) for corpus in corpora])
        teaches = [
            corpus.name in plan.corpora or (unannotated == "negative" and not plan.exclusive)
            for corpus in corpora
        ]
        if not any(teaches):
            raise WorkbookError(
                f"no corpus teaches head {plan.name!r} ({list(plan.types)}): {[c.name for c in corpora]} annotate none of it"
            )
        weights = torch.tensor(
            [
                taught * corpus_weights.get(corpus.name, 1.0)
                for taught, corpus in zip(teaches, corpora, strict=True)
            ]
        )
        self.register_buffer("annotated", annotated, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.name, self.unannotated = plan.name, unannotated

    def forward(self, output: Output, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum of nll, and of words that count in it.  batch -> scalar, scalar"""
        table = output.tables.get(self.name)
        chain = None if table is None else Chain(table, batch.valid, batch.opens, batch.closes)
        nll = partial_label_nll(
            output.logits[self.name],
            batch.tags[self.name],
            self.annotated[batch.corpus],
            self.unannotated,
            chain,
        )
        weights = self.weights[batch.corpus][:, None]
        return (nll * weights).sum(), (batch.valid * weights).sum()


class MultiTaskLoss(nn.Module):
    """L = 1/M sum_h lambda_h sum_w c_w nll_h(w) + what the sharing charges; M all labelled words of the batch, c_w the weight of the
    corpus that holds word w; with a CRF there is one nll a sentence.

    A word that a head learns nothing from counts 0 for it, so a batch that teaches a head nothing gives that head 0. With
    loss_weights="uncertainty" the lambdas are learned: exp(-s_h), and each word that head h learns from adds s_h / 2, s_h the log of
    its variance (Kendall, Gal, Cipolla 2018). `corpus_weights` multiplies what a corpus teaches.

    Raises WorkbookError for weights below 0 or of heads and corpora that don't exist, for a head that no corpus teaches and for a
    corpus that teaches no head.
    """

    def __init__(
        self, plans: Sequence[HeadPlan], corpora: Sequence[Corpus], scheme: str, unannotated: str = "mask",
        loss_weights: Mapping[str, float] | str | None = None, corpus_weights: Mapping[str, float] | None = None,
    ):  # fmt: skip
        super().__init__()
        if unannotated not in UNANNOTATED:
            raise unknown("unannotated", unannotated, UNANNOTATED)
        uncertain, given = (
            loss_weights == "uncertainty",
            {} if isinstance(loss_weights, str) else loss_weights or {},
        )
        if isinstance(loss_weights, str) and not uncertain:
            raise unknown("loss_weights", loss_weights, ("uncertainty",))
        lambdas = _checked("head", given, [plan.name for plan in plans])
        corpus_weights = _checked(
            "corpus", corpus_weights or {}, [corpus.name for corpus in corpora]
        )
        for corpus in corpora:
            if not any(corpus.name in plan.corpora for plan in plans):
                raise WorkbookError(
                    f"corpus {corpus.name!r} ({list(corpus.types)}) has no head that learns from it: { {p.name: p.types for p in plans} }"
                )
        self.heads = nn.ModuleList(
            HeadLoss(plan, corpora, scheme, unannotated, corpus_weights) for plan in plans
        )
        self.register_buffer(
            "lambdas", torch.tensor([lambdas[plan.name] for plan in plans]), persistent=False
        )
        self.log_variances = nn.Parameter(torch.zeros(len(plans))) if uncertain else None

    def forward(
        self, output: Output, batch: Batch, all_words: float | None = None, share: float = 1.0
    ) -> torch.Tensor:
        """scalar; where this batch is one process's share of a larger one `all_words` stands for M, and what the sharing charges is
        multiplied by `share`."""
        total = 0.0
        for i, head in enumerate(self.heads):
            nll, words = head(output, batch)
            if self.log_variances is None:
                total = total + self.lambdas[i] * nll
            else:
                total = (
                    total + (-self.log_variances[i]).exp() * nll + words * self.log_variances[i] / 2
                )
        return (
            total / (batch.valid.sum().clamp(min=1) if all_words is None else all_words)
            + share * output.penalty
        )


def _checked(kind: str, given: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    for name, weight in given.items():
        if name not in names:
            raise unknown(f"{kind} in {'loss' if kind == 'head' else kind}_weights", name, names)
        if weight < 0:
            raise WorkbookError(f"the weight of {kind} {name!r} is {weight}; weights are 0 or more")
    return dict.fromkeys(names, 1.0) | {name: float(weight) for name, weight in given.items()}
