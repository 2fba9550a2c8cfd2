"""Heads: which layers there are, which corpora teach each, and how their tags become spans.

B sentences   N labelled pieces   D hidden   T tags
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..data.corpora import Corpus
from ..data.schemes import Span, tag_names, to_spans
from ..errors import WorkbookError, unknown

LAYOUTS = ("per-type", "per-corpus", "joint")


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
        return [HeadPlan(name, (name,), tuple(c.name for c in corpora if name in c.types)) for name in types]
    if layout == "per-corpus":
        return [HeadPlan(corpus.name, corpus.types, (corpus.name,), exclusive=True) for corpus in corpora]
    if layout == "joint":
        return [HeadPlan("joint", types, tuple(corpus.name for corpus in corpora))]
    raise unknown("heads", layout, LAYOUTS)


def annotated_tags(plan: HeadPlan, corpus: Corpus, scheme: str) -> list[bool]:
    """For each tag of a head, whether the corpus says anything about it: O and the tags of its own types."""
    return [tag == "O" or tag.partition("-")[2] in corpus.types for tag in tag_names(plan.types, scheme)]


def heads_for(plans: Sequence[HeadPlan], corpus: str, types: Sequence[str]) -> list[str]:
    """The heads whose spans are read for a corpus: a head of its own where there is one, else every head that knows a type."""
    own = [plan.name for plan in plans if plan.exclusive and corpus in plan.corpora]
    found = own or [plan.name for plan in plans if set(plan.types) & set(types)]
    if not found:
        raise WorkbookError(f"no head knows any of {list(types)} ({corpus}); heads: { {p.name: list(p.types) for p in plans} }")
    return found


def allowed_transitions(tags: Sequence[str]) -> torch.Tensor:
    """0 where the scheme lets tag j follow tag i, -inf where it doesn't; the last row is the start of a sentence.  (T+1 T)"""
    whole = any(tag[:2] in ("E-", "S-") for tag in tags)
    table = torch.full((len(tags) + 1, len(tags)), -torch.inf)
    for i, before in enumerate([*tags, "O"]):
        unfinished = whole and before[:2] in ("B-", "I-")
        open_type = before[2:] if before[:2] in ("B-", "I-") else ""
        for j, after in enumerate(tags):
            continues = after[:2] in ("I-", "E-")
            if (continues and after[2:] == open_type) or (not continues and not unfinished):
                table[i, j] = 0.0
    return table


def viterbi(scores: torch.Tensor, transitions: torch.Tensor, start: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """The best tag sequence of each row; what stands where `valid` is False means nothing.

    (B N T), (T T), (B T), (B N) -> (B N)
    """
    best, back = scores[:, 0] + start, []
    for i in range(1, scores.shape[1]):
        step, pointer = (best[:, :, None] + transitions).max(1)
        here = valid[:, i, None]
        best = torch.where(here, step + scores[:, i], best)
        back.append(torch.where(here, pointer, torch.arange(scores.shape[2], device=scores.device)))
    tags = [best.argmax(-1)]
    for pointer in reversed(back):
        tags.append(pointer.gather(1, tags[-1][:, None])[:, 0])
    return torch.stack(tags[::-1], 1)


class SoftmaxHead(nn.Module):
    """A linear layer over each labelled piece, trained tag by tag; decoding takes the most probable sequence that the scheme allows."""

    def __init__(self, hidden: int, types: Sequence[str], scheme: str):
        super().__init__()
        self.tags, self.scheme = tag_names(types, scheme), scheme
        self.linear = nn.Linear(hidden, len(self.tags))
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("allowed", allowed_transitions(self.tags), persistent=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B N D) -> (B N T)"""
        return self.linear(hidden)

    def decode(self, logits: torch.Tensor, valid: torch.Tensor, opens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tag indices and their probabilities; `opens` says which rows start a sentence rather than go on with one.

        (B N T), (B N), (B) -> (B N), (B N)
        """
        scores = logits.float().log_softmax(-1)
        start = self.allowed[-1].expand(len(scores), -1).masked_fill(~opens[:, None], 0.0)
        tags = viterbi(scores, self.allowed[:-1], start, valid)
        return tags, scores.gather(-1, tags[..., None])[..., 0].exp()

    def spans(self, tags: Sequence[int], probabilities: Sequence[float], repairs: Counter) -> list[tuple[int, int, str, float]]:
        """One sentence's tag indices -> (start, end, type, score); the score is the mean probability of the span's tags."""
        found: list[Span] = to_spans([self.tags[tag] for tag in tags], self.scheme, repairs)
        return [(start, end, name, sum(probabilities[start:end]) / (end - start)) for start, end, name in found]
