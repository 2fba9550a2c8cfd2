"""Optimizer and learning rate."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from ..config import RunConfig
from ..models.losses import MultiTaskLoss
from ..models.tagger import MultiTaskTagger

_LOG_VARIANCES_RATE = 1e-2  # learning rate of learned loss weights


def make_optimizer(
    config: RunConfig,
    tagger: MultiTaskTagger,
    loss: MultiTaskLoss,
    table: nn.Parameter | None = None,
) -> torch.optim.Optimizer:
    """AdamW for all but `table`. Weight decay is for matrices only, as BERT was trained."""
    decayed, others = [], []
    for name, parameter in tagger.named_parameters():
        if parameter is table:
            continue
        is_bias = name.endswith(("bias", "transitions")) or "gate_bias" in name
        is_decayed = parameter.ndim >= 2 and not is_bias
        (decayed if is_decayed else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if learned := list(loss.parameters()):
        groups.append({"params": learned, "weight_decay": 0.0, "lr": _LOG_VARIANCES_RATE})
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def warm_up_and_decay(warmup: float, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: linear up over the first share, then down to 0."""
    rise = max(1, round(warmup * steps))

    def factor(step: int) -> float:
        up = (step + 1) / rise
        down = (steps - step) / max(1, steps - rise)
        return min(up, max(0.0, down))

    return factor


def clip_gradient(
    parameters: Iterable[nn.Parameter], largest: float, *more: torch.Tensor
) -> torch.Tensor:
    """Scale the gradient to at most this norm, if it is finite; returns its norm before.

    `more` are gradients beside those of the parameters.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    gradients += more
    norm = torch.nn.utils.get_total_norm(gradients)
    if largest < norm < torch.inf:
        torch._foreach_mul_(gradients, largest / norm)
    return norm
