"""Heads: which layers there are, which corpora teach each, and how their tags become spans.

A decoder "softmax" scores each tag by itself and takes the best sequence that the scheme allows; "crf" learns the transitions too
(linear-chain conditional random field: Lafferty, McCallum, Pereira 2001; on taggers Lample et al. 2016, N16-1030).

B sentences   N labelled pieces   D hidden   T tags
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from ..choices import DECODERS, LAYOUTS
from ..corpora.corpus import Corpus
from ..corpora.schemes import Span, tag_names, to_spans
from ..errors import WorkbookError, unknown

FORBIDDEN = -1e4  # finite, so that a path which nothing allows has a gradient of 0 and not NaN


@dataclass(frozen=True)
class HeadPlan:
    """A head's name, its types, the corpora that annotate one of them; an exclusive head is asked about its own corpora only."""

    name: str
    types: tuple[str, ...]
    corpora: tuple[str, ...]
    exclusive: bool = False


def plan_heads(layout: str, corpora: Sequence[Corpus]) -> list[HeadPlan]:
    """One head per type, per corpus, or one joint head, for these training corpora."""
    types = tuple(dict.fromkeys(name for corpus in corpora for name in corpus.types))
    if layout == "per-type":
        return [
            HeadPlan(name, (name,), tuple(c.name for c in corpora if name in c.types))
            for name in types
        ]
    if layout == "per-corpus":
        return [
            HeadPlan(corpus.name, corpus.types, (corpus.name,), exclusive=True)
            for corpus in corpora
        ]
    if layout == "joint":
        return [HeadPlan("joint", types, tuple(corpus.name for corpus in corpora))]
    raise unknown("heads", layout, LAYOUTS)


def layout_of(plans: Sequence[HeadPlan]) -> str:
    """The layout that these heads follow."""
    return (
        "per-corpus"
        if any(plan.exclusive for plan in plans)
        else "joint"
        if [plan.name for plan in plans] == ["joint"]
        else "per-type"
    )


def annotated_tags(plan: HeadPlan, corpus: Corpus, scheme: str) -> list[bool]:
    """For each tag of a head, whether the corpus says anything about it: O and the tags of its own types."""
    return [
        tag == "O" or tag.partition("-")[2] in corpus.types for tag in tag_names(plan.types, scheme)
    ]


def heads_for(plans: Sequence[HeadPlan], corpus: str, types: Sequence[str]) -> list[str]:
    """The heads whose spans are read for a corpus: a head of its own where there is one, else every head that knows a type."""
    own = [plan.name for plan in plans if plan.exclusive and corpus in plan.corpora]
    found = own or [plan.name for plan in plans if set(plan.types) & set(types)]
    if not found:
        raise WorkbookError(
            f"no head knows any of {list(types)} ({corpus}); heads: { {p.name: list(p.types) for p in plans} }"
        )
    return found


def allowed_transitions(tags: Sequence[str]) -> torch.Tensor:
    """0 where the scheme lets tag j follow tag i, -inf where it doesn't; the last row opens a sentence, the last column closes it.

    (T+1 T+1)
    """
    whole = any(tag[:2] in ("E-", "S-") for tag in tags)
    table = torch.full((len(tags) + 1, len(tags) + 1), -torch.inf)
    for i, before in enumerate([*tags, "O"]):
        unfinished = whole and before[:2] in ("B-", "I-")
        open_type = before[2:] if before[:2] in ("B-", "I-") else ""
        for j, after in enumerate([*tags, "O"]):
            continues = after[:2] in ("I-", "E-")
            if (continues and after[2:] == open_type) or (not continues and not unfinished):
                table[i, j] = 0.0
    return table


@dataclass
class Chain:
    """Sums and maxima over tag sequences: `table` (T+1 T+1) scores transitions; `valid` (B N), `opens`, `closes` (B) say what is there.

    What stands where `valid` is False counts nothing; a window that doesn't open (close) its sentence may begin (end) with any tag.
    """

    table: torch.Tensor
    valid: torch.Tensor
    opens: torch.Tensor
    closes: torch.Tensor

    def __post_init__(self):
        self.between = self.table[:-1, :-1]
        self.start = self.table[-1, :-1].masked_fill(~self.opens[:, None], 0.0)  # (B T)
        self.end = self.table[:-1, -1].masked_fill(~self.closes[:, None], 0.0)

    def log_partition(self, scores: torch.Tensor) -> torch.Tensor:
        """log of the summed exp-scores of all sequences, 0 for a row of nothing.  (B N T) -> (B)"""
        return (self._forward(scores)[-1] + self.end).logsumexp(-1) * self.valid[:, 0]

    def path_score(self, scores: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        """The score of one sequence a row.  (B N T), (B N) -> (B)"""
        emitted = scores.gather(-1, tags[..., None])[..., 0] * self.valid
        moved = self.between[tags[:, :-1], tags[:, 1:]] * self.valid[:, 1:]
        last = tags.gather(1, self.valid.sum(1, keepdim=True).clamp(min=1) - 1)
        ends = self.start.gather(1, tags[:, :1]) + self.end.gather(1, last)
        return emitted.sum(1) + moved.sum(1) + ends[:, 0] * self.valid[:, 0]

    def marginals(self, scores: torch.Tensor) -> torch.Tensor:
        """p(tag at a place), summed over all sequences (forward-backward).  (B N T) -> (B N T)"""
        forward, backward = self._forward(scores), [self.end]
        for i in range(scores.shape[1] - 1, 0, -1):
            step = (self.between + (scores[:, i] + backward[-1])[:, None, :]).logsumexp(-1)
            backward.append(torch.where(self.valid[:, i, None], step, backward[-1]))
        return (torch.stack(forward, 1) + torch.stack(backward[::-1], 1)).softmax(-1)

    def best(self, scores: torch.Tensor) -> torch.Tensor:
        """The best sequence of each row (Viterbi).  (B N T) -> (B N)"""
        reached, back = scores[:, 0] + self.start, []
        for i in range(1, scores.shape[1]):
            step, pointer = (reached[:, :, None] + self.between).max(1)
            here = self.valid[:, i, None]
            reached = torch.where(here, step + scores[:, i], reached)
            back.append(
                torch.where(here, pointer, torch.arange(scores.shape[2], device=scores.device))
            )
        tags = [(reached + self.end).argmax(-1)]
        for pointer in reversed(back):
            tags.append(pointer.gather(1, tags[-1][:, None])[:, 0])
        return torch.stack(tags[::-1], 1)

    def _forward(self, scores: torch.Tensor) -> list[torch.Tensor]:
        reached = [scores[:, 0] + self.start]
        for i in range(1, scores.shape[1]):
            step = (reached[-1][:, :, None] + self.between).logsumexp(1) + scores[:, i]
            reached.append(torch.where(self.valid[:, i, None], step, reached[-1]))
        return reached


@dataclass
class Output:
    """What a tagger says of a batch: head -> logits (B N T), head -> transition table (T+1 T+1) of a CRF, what its sharing charges."""

    logits: Mapping[str, torch.Tensor]
    tables: Mapping[str, torch.Tensor] = field(default_factory=dict)
    penalty: torch.Tensor | float = 0.0


class Head(nn.Module):
    """A linear layer over each labelled piece, and how its tags are decoded."""

    def __init__(self, hidden: int, types: Sequence[str], scheme: str, decoder: str = "softmax"):
        super().__init__()
        if decoder not in DECODERS:
            raise unknown("decoder", decoder, DECODERS)
        self.tags, self.scheme = tag_names(types, scheme), scheme
        self.linear = nn.Linear(hidden, len(self.tags))
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("allowed", allowed_transitions(self.tags), persistent=False)
        self.transitions = (
            nn.Parameter(torch.zeros_like(self.allowed)) if decoder == "crf" else None
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B N D) -> (B N T)"""
        return self.linear(hidden)

    def table(self) -> torch.Tensor | None:
        """The CRF's transition scores, what the scheme forbids at FORBIDDEN; None for a softmax.  (T+1 T+1)"""
        return (
            None
            if self.transitions is None
            else self.transitions.masked_fill(self.allowed.isneginf(), FORBIDDEN)
        )

    def decode(
        self, logits: torch.Tensor, valid: torch.Tensor, opens: torch.Tensor, closes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tag indices and their probabilities.  (B N T), (B N), (B), (B) -> (B N), (B N)"""
        if self.transitions is None:
            scores = logits.float().log_softmax(-1)
            tags, probabilities = (
                Chain(self.allowed, valid, opens, closes).best(scores),
                scores.exp(),
            )
        else:
            chain = Chain(self.table(), valid, opens, closes)
            tags, probabilities = chain.best(logits.float()), chain.marginals(logits.float())
        return tags, probabilities.gather(-1, tags[..., None])[..., 0]

    def word_tag(self, first: int, last: int) -> str:
        """A word's tag, from the indices of its first and its last labelled piece's tags.

        Where all pieces are labelled, a word opens a mention if its first piece does and closes it if its last piece does.
        """
        first_tag, last_tag = self.tags[first], self.tags[last]
        if first == last or first_tag == "O" or self.scheme != "IOBES":
            return first_tag
        name = first_tag[2:]
        opens, closes = first_tag[0] in "BS", last_tag in (f"E-{name}", f"S-{name}")
        return f"{'IEBS'[2 * opens + closes]}-{name}"

    def spans(
        self, tags: Sequence[str], probabilities: Sequence[float], repairs: Counter
    ) -> list[tuple[int, int, str, float]]:
        """One sentence's tags -> (start, end, type, score); the score is the mean probability of the span's tags."""
        found: list[Span] = to_spans(tags, self.scheme, repairs)
        return [
            (start, end, name, sum(probabilities[start:end]) / (end - start))
            for start, end, name in found
        ]
