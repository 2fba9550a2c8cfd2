"""Optimizer and learning rate."""

import math
import re
from collections.abc import Callable, Iterable

import torch
from torch import nn

from ..config import RunConfig
from ..errors import WorkbookError
from ..models.losses import MultiTaskLoss
from ..models.tagger import MultiTaskTagger

_LOG_VARIANCES_RATE = 1e-2  # learning rate of learned loss weights
_CHARACTERS_RATE = 1e-3  # of the character network, whose weights are new and few
EMBEDDINGS, ABOVE = -1, -2  # below the encoder's layers, above them
_LAYER = re.compile(r"(encoder\.(?:.+?\.)?(?:layers?|h|blocks?))\.(\d+)\.")
_EMBEDDED = re.compile(r"embed|wte|wpe|relative_attention_bias")


def make_optimizer(
    config: RunConfig,
    tagger: MultiTaskTagger,
    loss: MultiTaskLoss,
    table: nn.Parameter | None = None,
) -> torch.optim.Optimizer:
    """AdamW for all but `table`. Weight decay is for matrices only, as BERT was trained."""
    rates = layer_rates(tagger, config.layer_decay)
    # learning rate, is it decayed -> parameters; heads first
    parts = {(config.learning_rate, True): [], (config.learning_rate, False): []}
    for name, parameter in tagger.named_parameters():
        if parameter is table:
            continue
        is_bias = name.endswith(("bias", "transitions")) or "gate_bias" in name
        is_decayed = parameter.ndim >= 2 and not is_bias
        rate = config.learning_rate * rates[_layer(name)]
        if name.startswith("characters."):
            rate, is_decayed = _CHARACTERS_RATE, False
        parts.setdefault((rate, is_decayed), []).append(parameter)
    groups = [
        {"params": own, "weight_decay": config.weight_decay if is_decayed else 0.0, "lr": rate}
        for (rate, is_decayed), own in parts.items()
    ]
    if learned := list(loss.parameters()):
        groups.append({"params": learned, "weight_decay": 0.0, "lr": _LOG_VARIANCES_RATE})
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def layer_rates(tagger: MultiTaskTagger, decay: float) -> dict[int, float]:
    """Layer of the encoder -> share of the learning rate; EMBEDDINGS and ABOVE belong to it.

    Each layer learns `decay` times as fast as the one above it. Heads, and what of the encoder is
    in no layer (ABOVE), learn at full rate: Howard, Ruder 2018, arXiv 1801.06146; Clark and others
    2020, arXiv 2003.10555.

    Raises WorkbookError where the parameters don't name one stack of layers.
    """
    names = [name for name, _ in tagger.named_parameters()]
    found = [match for name in names if (match := _LAYER.match(name))]
    stacks = {match[1] for match in found}
    if decay < 1 and len(stacks) != 1:
        raise WorkbookError(
            f"layer_decay={decay} needs an encoder with one stack of layers; the parameters of "
            f"{tagger.encoder.config.model_type!r} name {len(stacks)}: leave layer_decay out"
        )
    layers = {int(match[2]) for match in found}
    count = len(layers)
    rates = {layer: decay ** (count - layer) for layer in layers}
    return rates | {EMBEDDINGS: decay ** (count + 1), ABOVE: 1.0}


def _layer(name: str) -> int:
    """The encoder's layer that a tagger's parameter belongs to."""
    if match := _LAYER.match(name):
        return int(match[2])
    is_read_first = name.startswith("encoder.") and _EMBEDDED.search(name)
    return EMBEDDINGS if is_read_first else ABOVE


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
    """Scale the gradient to at most this norm; returns its norm before.

    `more` are gradients beside those of the parameters. On a GPU the gradient is always scaled, by
    1 where it is small enough: to look at the norm would be to wait for the device.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    gradients += more
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm.device.type != "cpu" or largest < norm < torch.inf:
        torch._foreach_mul_(gradients, (largest / norm).clamp(max=1.0))
    return norm


class Finite:
    """Watches losses and gradients for NaN and infinity.

    To look at a number is to wait for the device, so numbers are kept and looked at together.
    `place` names the step i in a message.
    """

    def __init__(self, place: Callable[[int], str]):
        self.place, self.kept = place, []

    def add(self, what: str, value: torch.Tensor, i: int) -> None:
        """Keep a scalar of step i."""
        self.kept.append((what, value, i))

    def check(self) -> None:
        """Raises WorkbookError, which names the step, if one of the kept numbers isn't finite."""
        kept, self.kept = self.kept, []
        values = torch.stack([value.float() for _, value, _ in kept]).tolist() if kept else []
        for (what, _, i), value in zip(kept, values, strict=True):
            if not math.isfinite(value):
                raise WorkbookError(
                    f"{what} is {value} in {self.place(i)}; the last epoch's checkpoint is kept; a "
                    "smaller learning_rate usually helps"
                )
