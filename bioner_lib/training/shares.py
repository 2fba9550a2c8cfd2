"""One process's share of a batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..models.batching import Example
from . import processes


@dataclass(frozen=True)
class Share:
    """One process's part of a batch.

    words    replaces the number of words that the loss is divided by; None for one process
    weight   multiplies the auxiliary loss
    """

    examples: Sequence[Example]
    words: float | None = None
    weight: float = 1.0


def share_of(examples: Sequence[Example]) -> Share:
    """This process's share of a batch.

    Gradients are averaged over n processes. So the loss of a share is divided by the words of the
    whole batch over n, and its auxiliary loss is weighted by n times its part of the examples. A
    process without an example takes the first one and learns nothing from it.
    """
    n = processes.count()
    if n == 1:
        return Share(examples)
    mine = examples[processes.rank() :: n]
    if not mine:
        return Share(examples[:1], math.inf, 0.0)
    words = sum(len(example.window.positions) for example in examples)
    return Share(mine, max(1, words) / n, n * len(mine) / len(examples))
