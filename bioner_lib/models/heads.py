"""Heads: which ones there are, which corpora teach each, and how their tags become spans.

The decoder "softmax" scores each tag by itself and takes the best sequence that the scheme allows.
"crf" learns transitions too (linear-chain conditional random field: Lafferty, McCallum, Pereira
2001; for taggers Lample et al. 2016, N16-1030).

B sentences   N labelled pieces   D hidden   T tags
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from ..choices import DECODERS, LAYOUTS
from ..corpora.corpus import Corpus, whole_name
from ..corpora.schemes import tag_names, to_spans
from ..errors import WorkbookError, unknown

FORBIDDEN = -1e4  # finite, so that a path which nothing allows has a gradient of 0 and not NaN


class Prediction(NamedTuple):
    """A predicted mention: words `start` to `end` (exclusive), type, score (0 to 1)."""

    start: int
    end: int
    type: str
    score: float


@dataclass(frozen=True)
class HeadPlan:
    """A head: its name, its types, and the corpora that annotate at least one of them.

    An exclusive head reads only its own corpora.
    """

    name: str
    types: tuple[str, ...]
    corpora: tuple[str, ...]
    exclusive: bool = False


def plan_heads(
    layout: str, corpora: Sequence[Corpus], declared: Sequence[str] = ()
) -> list[HeadPlan]:
    """One head per type, one per corpus, or one joint head, for these training corpora.

    A joint head has the `declared` types, or those that the corpora annotate. Raises WorkbookError
    where a corpus annotates a type that isn't declared.
    """
    types = tuple(dict.fromkeys(type for corpus in corpora for type in corpus.types))
    if missing := [type for type in types if declared and type not in declared]:
        raise WorkbookError(
            f"types={list(declared)} lacks {missing}, which the training corpora annotate; declare "
            "them too, or train on a view such as 'bc5cdr:Disease'"
        )
    if layout == "per-type":
        plans = []
        for type in types:
            names = tuple(corpus.name for corpus in corpora if type in corpus.types)
            plans.append(HeadPlan(type, (type,), names))
        return plans
    if layout == "per-corpus":
        return [HeadPlan(c.name, c.types, (c.name,), exclusive=True) for c in corpora]
    if layout == "joint":
        names = tuple(corpus.name for corpus in corpora)
        return [HeadPlan("joint", tuple(declared) or types, names)]
    raise unknown("heads", layout, LAYOUTS)


def layout_of(plans: Sequence[HeadPlan]) -> str:
    """The layout that these heads follow."""
    if any(plan.exclusive for plan in plans):
        return "per-corpus"
    return "joint" if [plan.name for plan in plans] == ["joint"] else "per-type"


def annotated_tags(plan: HeadPlan, corpus: Corpus, scheme: str) -> list[bool]:
    """For each tag of a head, whether the corpus annotates it: O, and the tags of its types."""
    tags = tag_names(plan.types, scheme)
    return [tag == "O" or tag.partition("-")[2] in corpus.types for tag in tags]


def heads_for(plans: Sequence[HeadPlan], corpus: str, types: Sequence[str]) -> list[str]:
    """The heads that read a corpus: its own head if it has one, else all that know a type.

    A view is read by the head of its corpus. Raises WorkbookError where there is none.
    """
    exclusive = {name: plan.name for plan in plans if plan.exclusive for name in plan.corpora}
    own = [exclusive[name] for name in (corpus, whole_name(corpus)) if name in exclusive][:1]
    names = own or [plan.name for plan in plans if set(plan.types) & set(types)]
    if not names:
        known = {plan.name: list(plan.types) for plan in plans}
        raise WorkbookError(f"no head knows any of {list(types)} ({corpus}); heads: {known}")
    return names


def asked_types(plans: Sequence[HeadPlan], corpus: Corpus) -> list[str]:
    """The types of a corpus that its heads know; raises WorkbookError where there is none."""
    readers = heads_for(plans, corpus.name, corpus.types)
    known = {type for plan in plans if plan.name in readers for type in plan.types}
    return [type for type in corpus.types if type in known]


def allowed_transitions(tags: Sequence[str]) -> torch.Tensor:
    """0 where the scheme lets tag j follow tag i, else -inf.  (T+1 T+1)

    The last row starts a sentence, the last column ends it.
    """
    needs_end = any(tag[:2] in ("E-", "S-") for tag in tags)  # IOBES
    table = torch.full((len(tags) + 1, len(tags) + 1), -torch.inf)
    for i, before in enumerate([*tags, "O"]):
        is_open = before[:2] in ("B-", "I-")
        open_type = before[2:] if is_open else ""
        for j, after in enumerate([*tags, "O"]):
            if after[:2] in ("I-", "E-"):
                allowed = after[2:] == open_type
            else:
                allowed = not (needs_end and is_open)
            if allowed:
                table[i, j] = 0.0
    return table


@dataclass
class Chain:
    """Sums and maxima over tag sequences.

    table           (T+1 T+1), scores of transitions
    valid           (B N); positions where it is False are ignored
    opens, closes   (B); a window that doesn't start (end) its sentence may start (end) with any tag
    """

    table: torch.Tensor
    valid: torch.Tensor
    opens: torch.Tensor
    closes: torch.Tensor

    def __post_init__(self):
        self.between = self.table[:-1, :-1]
        self.start = self.table[-1, :-1].masked_fill(~self.opens[:, None], 0.0)  # (B T)
        self.end = self.table[:-1, -1].masked_fill(~self.closes[:, None], 0.0)  # (B T)

    def log_partition(self, scores: torch.Tensor) -> torch.Tensor:
        """log of the sum of exp(score) over all sequences; 0 for an empty row.  (B N T) -> (B)"""
        return (self._forward(scores)[-1] + self.end).logsumexp(-1) * self.valid[:, 0]

    def path_score(self, scores: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        """The score of one sequence per row.  (B N T), (B N) -> (B)"""
        emitted = scores.gather(-1, tags[..., None])[..., 0].masked_fill(~self.valid, 0.0)
        moved = self.between[tags[:, :-1], tags[:, 1:]].masked_fill(~self.valid[:, 1:], 0.0)
        last = (self.valid.sum(1, keepdim=True) - 1).clamp(min=0)  # position of the last word
        ends = self.start.gather(1, tags[:, :1]) + self.end.gather(1, tags.gather(1, last))
        return emitted.sum(1) + moved.sum(1) + ends[:, 0].masked_fill(~self.valid[:, 0], 0.0)

    def marginals(self, scores: torch.Tensor) -> torch.Tensor:
        """p(tag at a position), summed over all sequences.  (B N T) -> (B N T)"""
        forward, backward = self._forward(scores), [self.end]
        for i in range(scores.shape[1] - 1, 0, -1):
            ahead = (scores[:, i] + backward[-1])[:, None, :]
            step = (self.between + ahead).logsumexp(-1)
            backward.append(torch.where(self.valid[:, i, None], step, backward[-1]))
        return (torch.stack(forward, 1) + torch.stack(backward[::-1], 1)).softmax(-1)

    def best_of_allowed(self, scores: torch.Tensor) -> torch.Tensor:
        """`best`, for a table of 0 (allowed) and -inf: most rows need no search.  (B N T) -> (B N)

        Where the best tags of all positions follow each other legally, no sequence is better.
        """
        tags = scores.argmax(-1)
        legal = self.path_score(torch.zeros_like(scores), tags).isfinite()
        if not legal.all():
            rows = ~legal
            chain = Chain(self.table, self.valid[rows], self.opens[rows], self.closes[rows])
            tags[rows] = chain.best(scores[rows])
        return tags

    def best(self, scores: torch.Tensor) -> torch.Tensor:
        """The best sequence of each row (Viterbi).  (B N T) -> (B N)"""
        reached, pointers = scores[:, 0] + self.start, []
        same = torch.arange(scores.shape[2], device=scores.device)
        for i in range(1, scores.shape[1]):
            step, pointer = (reached[:, :, None] + self.between).max(1)
            here = self.valid[:, i, None]
            reached = torch.where(here, step + scores[:, i], reached)
            pointers.append(torch.where(here, pointer, same))
        tags = [(reached + self.end).argmax(-1)]
        for pointer in reversed(pointers):
            tags.append(pointer.gather(1, tags[-1][:, None])[:, 0])
        return torch.stack(tags[::-1], 1)

    def _forward(self, scores: torch.Tensor) -> list[torch.Tensor]:
        """log of the summed paths that end in each tag, position by position.  N x (B T)"""
        reached = [scores[:, 0] + self.start]
        for i in range(1, scores.shape[1]):
            step = (reached[-1][:, :, None] + self.between).logsumexp(1) + scores[:, i]
            reached.append(torch.where(self.valid[:, i, None], step, reached[-1]))
        return reached


@dataclass
class Output:
    """A tagger's output for a batch.

    logits    head -> (B N T)
    tables    head -> (T+1 T+1), transition scores of heads with a CRF
    penalty   the sharing design's auxiliary loss, a scalar
    sentence  (B Y), scores of the sentence head, where there is one
    """

    logits: Mapping[str, torch.Tensor]
    tables: Mapping[str, torch.Tensor] = field(default_factory=dict)
    penalty: torch.Tensor | float = 0.0
    sentence: torch.Tensor | None = None


class Head(nn.Module):
    """A linear layer over each labelled piece, and the decoding of its tags."""

    def __init__(self, hidden: int, types: Sequence[str], scheme: str, decoder: str = "softmax"):
        super().__init__()
        if decoder not in DECODERS:
            raise unknown("decoder", decoder, DECODERS)
        self.tags, self.scheme = tag_names(types, scheme), scheme
        self.linear = nn.Linear(hidden, len(self.tags))
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("allowed", allowed_transitions(self.tags), persistent=False)
        self.transitions = None
        if decoder == "crf":
            self.transitions = nn.Parameter(torch.zeros_like(self.allowed))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B N D) -> (B N T)"""
        return self.linear(hidden)

    def table(self) -> torch.Tensor | None:
        """The CRF's transition scores, FORBIDDEN where the scheme forbids; None for softmax.

        (T+1 T+1)
        """
        if self.transitions is None:
            return None
        return self.transitions.masked_fill(self.allowed.isneginf(), FORBIDDEN)

    def decode(
        self,
        logits: torch.Tensor,
        valid: torch.Tensor,
        opens: torch.Tensor,
        closes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tag indices and their probabilities.  (B N T), (B N), (B), (B) -> (B N), (B N)"""
        scores = logits.float()
        if self.transitions is None:
            scores = scores.log_softmax(-1)
            tags = Chain(self.allowed, valid, opens, closes).best_of_allowed(scores)
            probabilities = scores.exp()
        else:
            chain = Chain(self.table(), valid, opens, closes)
            tags, probabilities = chain.best(scores), chain.marginals(scores)
        return tags, probabilities.gather(-1, tags[..., None])[..., 0]

    def word_tag(self, first: int, last: int) -> str:
        """A word's tag, from the tag indices of its first and last labelled piece.

        Where all pieces are labelled, a word starts a mention if its first piece does, and ends it
        if its last piece does.
        """
        first_tag, last_tag = self.tags[first], self.tags[last]
        if first == last or first_tag == "O" or self.scheme != "IOBES":
            return first_tag
        type = first_tag[2:]
        starts = first_tag[0] in "BS"
        ends = last_tag in (f"E-{type}", f"S-{type}")
        prefix = ("S" if ends else "B") if starts else ("E" if ends else "I")
        return f"{prefix}-{type}"

    def spans(
        self, tags: Sequence[str], probabilities: Sequence[float], repairs: Counter
    ) -> list[Prediction]:
        """One sentence's tags -> mentions, each scored by the mean probability of its tags."""
        found = []
        for start, end, type in to_spans(tags, self.scheme, repairs):
            score = sum(probabilities[start:end]) / (end - start)
            found.append(Prediction(start, end, type, score))
        return found


class WithHeads:
    """`plans` and `heads`, in one order."""

    plans: list[HeadPlan]
    heads: nn.ModuleList

    @property
    def types(self) -> list[str]:
        """The types that its heads know."""
        return list(dict.fromkeys(type for plan in self.plans for type in plan.types))

    @property
    def named_heads(self) -> list[tuple[str, Head]]:
        return [(plan.name, head) for plan, head in zip(self.plans, self.heads, strict=True)]
