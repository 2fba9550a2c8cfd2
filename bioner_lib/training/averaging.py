"""The mean of a tagger's weights after its last epochs, which dev judges in their place.

Weights that were averaged over the end of a training are often better than the last ones: Vaswani
and others 2017, arXiv 1706.03762, section 6.1. The training itself goes on from the last ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

Weights = dict[str, torch.Tensor]


class LastWeights:
    """The weights of `model` after its last `count` epochs; fewer at the beginning."""

    def __init__(self, model: nn.Module, count: int):
        self.model, self.count = model, count
        self.kept: list[Weights] = []

    def add(self) -> None:
        """Called after each epoch."""
        self.kept = [*self.kept, copied_weights(self.model)][-self.count :]

    def mean(self) -> Weights:
        """The mean of each tensor; of one that counts something, the last value."""
        mean = {}
        for name, last in self.kept[-1].items():
            if last.is_floating_point():
                values = torch.stack([weights[name] for weights in self.kept])
                # in double precision the mean of equal values is that value
                last = values.double().mean(0).to(last.dtype)
            mean[name] = last
        return mean

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the mean weights as long as the block lasts."""
        self.model.load_state_dict(self.mean())
        try:
            yield
        finally:
            self.model.load_state_dict(self.kept[-1])

    def state_dict(self) -> dict[str, list[Weights]]:
        return {"kept": self.kept}

    def load_state_dict(self, state: dict[str, list[Weights]]) -> None:
        now = self.model.state_dict()
        self.kept = [{k: v.to(now[k].device) for k, v in one.items()} for one in state["kept"]]


def copied_weights(model: nn.Module) -> Weights:
    """The model's weights as they are now, which later steps don't change."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
