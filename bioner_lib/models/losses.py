"""What the loss makes of types that a corpus doesn't annotate.

For a word with gold tag y and logits s; T all tags, A the tags that its corpus annotates (with O):

    "negative"   -log  exp s_y / sum_{t in T} exp s_t              unannotated means absent
    "mask"       -log  exp s_y / sum_{t in A} exp s_t              unannotated means not asked
    "marginal"   -log  sum_{t in G} exp s_t / sum_{t in T} exp s_t unannotated means any of them
                 with G = {y}; where y = O, G = {O} + T \\ A

With "marginal" T leaves out the tags that no corpus of the run annotates, unless an earlier run or
a teacher has taught them: each O would reward them, and nothing would correct them.

Each is the log-sum-exp over a support minus the log-sum-exp over a gold set. It is 0 where the
corpus annotates none of the head's types (not for "negative": that is its defect). With a CRF both
sums run over the tag sequences whose tags all lie in the sets.

With label smoothing e the loss of a word is (1 - e) times the above plus e times the mean of
-log p(t) over the tags t of the support (Szegedy and others 2016, arXiv 1512.00567); softmax only.

Partial labels: Greenberg, Bansal, Verga, McCallum 2018 (D18-1306); with CRFs Tsuboi et al. 2008
(C08-1113).

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
from .sentence_heads import SentenceLoss, SentenceTypes


def partial_label_nll(
    logits: torch.Tensor,
    tags: torch.Tensor,
    annotated: torch.Tensor,
    unannotated: str,
    chain: Chain | None = None,
    smoothing: float = 0.0,
    taught: torch.Tensor | None = None,
) -> torch.Tensor:
    """Negative log-likelihood per word, 0 where `tags` is IGNORED; with a CRF's `chain`, per row.

    `tags` are the gold tags, `annotated` the tags that the corpus of each row annotates, `taught`
    (T) those that any corpus does (None: all): "marginal" would reward a tag that nothing teaches
    wherever a word is O, so it leaves such tags out.

    (B N T), (B N), (B T) -> (B N), or (B 1) with a chain
    """
    logits = logits.float()
    gold = tags.clamp(min=0)[..., None] == torch.arange(logits.shape[-1], device=tags.device)
    support = supported(logits, annotated, unannotated, taught)
    annotated = annotated[:, None, :].expand_as(logits)
    if unannotated == "marginal":
        gold = gold | (support & ~annotated & (tags == 0)[..., None])
    if chain is None:
        over_support = logits.masked_fill(~support, -torch.inf).logsumexp(-1)
        over_gold = logits.masked_fill(~gold, -torch.inf).logsumexp(-1)
        if smoothing:
            mean = logits.masked_fill(~support, 0.0).sum(-1) / support.sum(-1)
            over_gold = (1 - smoothing) * over_gold + smoothing * mean
        return (over_support - over_gold).masked_fill(tags == IGNORED, 0.0)
    over_support = chain.log_partition(logits.masked_fill(~support, FORBIDDEN))
    if unannotated == "marginal":
        over_gold = chain.log_partition(logits.masked_fill(~gold, FORBIDDEN))
    else:
        over_gold = chain.path_score(logits, tags.clamp(min=0))
    return (over_support - over_gold)[:, None]


def supported(
    logits: torch.Tensor,
    annotated: torch.Tensor,
    unannotated: str,
    taught: torch.Tensor | None = None,
) -> torch.Tensor:
    """The tags in the sum of the softmax.

    These are with "mask" the annotated tags, with "marginal" those that any corpus annotates
    (`taught`; None: all), and with "negative" all.

    (B N T), (B T) -> (B N T) bool
    """
    if unannotated == "mask":
        competing = annotated
    elif unannotated == "marginal" and taught is not None:
        competing = taught.expand_as(annotated)
    else:
        competing = torch.ones_like(annotated)
    return competing[:, None].expand_as(logits)


SOFTNESS = 2.0  # temperature of the probabilities that a pupil learns (Hinton and others 2015)


class HeadLoss(nn.Module):
    """The summed nll of one head.

    annotated   (C T), which tags each corpus annotates
    taught      (T), which tags any corpus annotates; all of a tagger that goes on learning
    weights     (C), each corpus's loss weight for this head
    """

    def __init__(
        self,
        plan: HeadPlan,
        corpora: Sequence[Corpus],
        scheme: str,
        unannotated: str,
        corpus_weights: Mapping[str, float],
        smoothing: float = 0.0,
        continues: bool = False,
    ):
        super().__init__()
        self.name, self.unannotated, self.smoothing = plan.name, unannotated, smoothing
        # the naive merge teaches every head with every sentence
        everybody = unannotated == "negative" and not plan.exclusive
        teaches = [everybody or corpus.name in plan.corpora for corpus in corpora]
        if not any(teaches):
            names = [corpus.name for corpus in corpora]
            raise WorkbookError(
                f"no corpus teaches head {plan.name!r} ({list(plan.types)}): {names} annotate none "
                "of it"
            )
        weights = [
            float(is_taught) * corpus_weights.get(corpus.name, 1.0)
            for is_taught, corpus in zip(teaches, corpora, strict=True)
        ]
        for type in plan.types:
            own = [w for w, corpus in zip(weights, corpora, strict=True) if type in corpus.types]
            if own and not any(own):
                raise WorkbookError(
                    f"corpus_weights gives every corpus that teaches {type!r} to head "
                    f"{plan.name!r} the weight 0; give one a weight above 0, or leave them out"
                )
        annotated = [annotated_tags(plan, corpus, scheme) for corpus in corpora]
        self.register_buffer("annotated", torch.tensor(annotated), persistent=False)
        self.register_buffer("weights", torch.tensor(weights), persistent=False)
        self.register_buffer("taught", self.annotated.any(0) | continues, persistent=False)

    def forward(self, output: Output, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum of nll, and the weighted number of words.  batch -> scalar, scalar"""
        table = output.tables.get(self.name)
        chain = None
        if table is not None:
            chain = Chain(table, batch.valid, batch.opens, batch.closes)
        nll = partial_label_nll(
            output.logits[self.name],
            batch.tags[self.name],
            self.annotated[batch.corpus],
            self.unannotated,
            chain,
            self.smoothing,
            self.taught,
        )
        weights = self.weights[batch.corpus][:, None]
        return (nll * weights).sum(), (batch.valid * weights).sum()

    def divergence(self, one: Output, other: Output, batch: Batch) -> torch.Tensor:
        """The weighted sum over words of the symmetric Kullback-Leibler divergence between two
        outputs, (KL(p, q) + KL(q, p)) / 2 over the support.  scalar
        """
        log_p, log_q = self._log_probabilities(one, other, batch)
        return self._summed(((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1) / 2, batch)

    def divergence_from(self, teacher: Output, output: Output, batch: Batch) -> torch.Tensor:
        """The weighted sum over words of T^2 KL(p, q) over the support, where p and q are what
        teacher and output say at temperature T (SOFTNESS).  scalar
        """
        log_p, log_q = self._log_probabilities(teacher, output, batch, SOFTNESS)
        return self._summed(SOFTNESS**2 * (log_p.exp() * (log_p - log_q)).sum(-1), batch)

    def _log_probabilities(
        self, one: Output, other: Output, batch: Batch, temperature: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of two outputs, over the support.  (B N T), (B N T)"""
        logits = [output.logits[self.name].float() / temperature for output in (one, other)]
        annotated = self.annotated[batch.corpus]
        unsupported = ~supported(logits[0], annotated, self.unannotated, self.taught)
        log_p, log_q = (own.masked_fill(unsupported, FORBIDDEN).log_softmax(-1) for own in logits)
        return log_p, log_q

    def _summed(self, per_word: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The weighted sum over words.  (B N) -> scalar"""
        return (per_word * batch.valid * self.weights[batch.corpus][:, None]).sum()


class MultiTaskLoss(nn.Module):
    """L = 1/M sum_h lambda_h sum_w c_w nll_h(w) + auxiliary losses.

    The auxiliary losses are those of the sharing design and, times `sentence_weight`, of the
    sentence head (`sentence`), if there is one.

    M is the number of labelled words in the batch, c_w the weight of the corpus that holds word w.
    With a CRF there is one nll per sentence. A word that teaches head h nothing adds 0 to its sum.

    With loss_weights="uncertainty" the lambdas are learned: lambda_h = exp(-s_h), and each word
    that teaches head h adds s_h / 2 (Kendall, Gal, Cipolla 2018; s_h is the log of a variance).

    Raises WorkbookError for negative weights, for weights of unknown heads or corpora, for a head
    that no corpus with a weight above 0 teaches, and for a corpus that teaches no head.

    With `continues` heads may know types that none of these corpora annotates, from an earlier run
    or from a teacher.
    """

    def __init__(
        self,
        plans: Sequence[HeadPlan],
        corpora: Sequence[Corpus],
        scheme: str,
        unannotated: str = "mask",
        loss_weights: Mapping[str, float] | str | None = None,
        corpus_weights: Mapping[str, float] | None = None,
        label_smoothing: float = 0.0,
        sentence: SentenceTypes | None = None,
        sentence_weight: float = 0.0,
        continues: bool = False,
    ):
        super().__init__()
        if unannotated not in UNANNOTATED:
            raise unknown("unannotated", unannotated, UNANNOTATED)
        learned = loss_weights == "uncertainty"
        if isinstance(loss_weights, str) and not learned:
            raise unknown("loss_weights", loss_weights, ("uncertainty",))
        given = {} if learned else loss_weights or {}
        lambdas = _checked("loss_weights", "head", given, [plan.name for plan in plans])
        names = [corpus.name for corpus in corpora]
        corpus_weights = _checked("corpus_weights", "corpus", corpus_weights or {}, names)
        for corpus in corpora:
            if not any(corpus.name in plan.corpora for plan in plans):
                known = {plan.name: plan.types for plan in plans}
                raise WorkbookError(
                    f"corpus {corpus.name!r} ({list(corpus.types)}) has no head that learns from "
                    f"it: {known}"
                )
        self.heads = nn.ModuleList(
            HeadLoss(plan, corpora, scheme, unannotated, corpus_weights, label_smoothing, continues)
            for plan in plans
        )
        is_negative = unannotated == "negative"
        self.sentence = None
        if sentence is not None:
            self.sentence = SentenceLoss(sentence, corpora, is_negative, corpus_weights)
        self.sentence_weight = sentence_weight
        values = torch.tensor([lambdas[plan.name] for plan in plans])
        self.register_buffer("lambdas", values, persistent=False)
        self.log_variances = nn.Parameter(torch.zeros(len(plans))) if learned else None

    def forward(
        self, output: Output, batch: Batch, all_words: float | None = None, share: float = 1.0
    ) -> torch.Tensor:
        """scalar

        If the batch is one process's share of a larger one, `all_words` replaces M, and `share`
        multiplies the auxiliary loss.
        """
        return sum(self.parts(output, batch, all_words, share))

    def parts(
        self, output: Output, batch: Batch, all_words: float | None = None, share: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """What the words' labels cost, and the auxiliary loss.  two scalars"""
        total = 0.0
        for i, head in enumerate(self.heads):
            nll, words = head(output, batch)
            if self.log_variances is None:
                total = total + self.lambdas[i] * nll
            else:
                s = self.log_variances[i]
                total = total + (-s).exp() * nll + words * s / 2
        auxiliary = output.penalty
        if self.sentence is not None:
            auxiliary = auxiliary + self.sentence_weight * self.sentence(output.sentence, batch)
        return total / self._words(batch, all_words), share * auxiliary

    def divergence(
        self, one: Output, other: Output, batch: Batch, all_words: float | None = None
    ) -> torch.Tensor:
        """1/M times the sum over heads of lambda_h times `HeadLoss.divergence`.  scalar

        Learned lambdas weigh it, and don't learn from it.
        """
        own = [head.divergence(one, other, batch) for head in self.heads]
        return self._weighted(own) / self._words(batch, all_words)

    def divergence_from(
        self, teacher: Output, output: Output, batch: Batch, all_words: float | None = None
    ) -> torch.Tensor:
        """The same of `HeadLoss.divergence_from`.  scalar"""
        own = [head.divergence_from(teacher, output, batch) for head in self.heads]
        return self._weighted(own) / self._words(batch, all_words)

    def _weighted(self, by_head: Sequence[torch.Tensor]) -> torch.Tensor:
        """The sum over heads of lambda_h times a value; nothing is learned about the lambdas."""
        lambdas = self.lambdas
        if self.log_variances is not None:
            lambdas = (-self.log_variances).exp().detach()
        return (lambdas * torch.stack(list(by_head))).sum()

    @staticmethod
    def _words(batch: Batch, all_words: float | None) -> torch.Tensor | float:
        return batch.valid.sum().clamp(min=1) if all_words is None else all_words


def _checked(
    field: str, by: str, given: Mapping[str, float], names: Sequence[str]
) -> dict[str, float]:
    """A weight for every name, 1 where none is given."""
    for name, weight in given.items():
        if name not in names:
            raise unknown(f"{by} in {field}", name, names)
        if weight < 0:
            raise WorkbookError(f"the weight of {by} {name!r} is {weight}; weights are 0 or more")
    return dict.fromkeys(names, 1.0) | {name: float(weight) for name, weight in given.items()}
