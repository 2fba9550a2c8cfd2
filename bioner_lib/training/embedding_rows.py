"""AdamW for a table of word embeddings that works on the rows of a batch only.

Half of a small encoder's weights are word embeddings, of which a batch reads 1 %. All other rows
have gradient 0, yet AdamW (Loshchilov, Hutter 2019) moves them: weight decay shrinks them, and
their moments push on. Here a row waits until it is read, and then makes up for the steps that it
missed. With weights w and moments m, v after step s, the weights after step t > s are

    w prod_k (1 - a_k d)  -  m / (sqrt(v) + e)  sum_k a_k b_k r^(k-s)          k = s+1 ... t

    a_k  learning rate    d  weight decay    A, B  decay rates of m and v    r = A / sqrt(B)
    b_k = sqrt(1 - B^k) / (1 - A^k)

The product and the sum come from tables over all steps. Neglected are the decay of the pushes by d,
and that e doesn't shrink with sqrt(v); `tests/test_embedding_rows.py` bounds the difference.

V rows   D hidden   R rows of one step
"""

from collections.abc import Sequence

import torch
from torch import nn

_A, _B, _EPSILON = 0.9, 0.999, 1e-8  # AdamW's defaults


class EmbeddingRows:
    """The optimizer of `table`; `rates` are the learning rates of all steps.

    Whoever reads rows through the table finds them up to date. Whoever reads its weights directly
    calls `catch_up` first.
    """

    def __init__(self, table: nn.Embedding, rates: Sequence[float], weight_decay: float):
        self.table, self.weight = table, table.weight
        self.first, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.last = torch.zeros(len(self.weight), dtype=torch.long)  # step that a row has reached
        self.steps = 0
        self.rates = torch.tensor(rates, dtype=torch.float64)
        k = torch.arange(1, len(rates) + 1)
        pushes = self.rates * (1 - _B**k).sqrt() / (1 - _A**k)
        self.ratio = _A / _B**0.5
        ahead = [0.0]  # sum of all pushes after a step
        for push in reversed(pushes.tolist()):
            ahead.append(self.ratio * (push + ahead[-1]))
        self.ahead = torch.tensor(ahead[::-1], dtype=torch.float64)
        shrunk = (-self.rates * weight_decay).log1p().cumsum(0)
        self.log_decay = torch.cat([shrunk.new_zeros(1), shrunk])
        table.sparse = True  # the gradient holds the rows of the batch only
        table.register_forward_pre_hook(lambda _, inputs: self.catch_up(inputs[0].unique()))

    @torch.no_grad()
    def catch_up(self, rows: torch.Tensor | None = None) -> None:
        """Make up for the steps that these rows missed; None: all rows.  (R)"""
        rows = (self.last < self.steps).nonzero()[:, 0] if rows is None else rows
        rows = rows[self.last[rows] < self.steps]
        if not len(rows):
            return
        s, t = self.last[rows], self.steps
        # ahead[s] sums a_k b_k r^(k-s) over all k > s; the difference leaves k = s+1 ... t
        push = self.ahead[s] - self.ratio ** (t - s) * self.ahead[t]
        decay = (self.log_decay[t] - self.log_decay[s]).exp()
        m, v = self.first[rows], self.second[rows]
        moved = m / v.sqrt().add_(_EPSILON) * push.float()[:, None]
        self.weight[rows] = self.weight[rows] * decay.float()[:, None] - moved
        self.first[rows] = m * (_A ** (t - s)).float()[:, None]
        self.second[rows] = v * (_B ** (t - s)).float()[:, None]
        self.last[rows] = t

    def gradient(self) -> torch.Tensor | None:
        """The gradient of the rows that were read; None before a backward pass.  (R D)"""
        if self.weight.grad is None:
            return None
        if not self.weight.grad.is_coalesced():
            self.weight.grad = self.weight.grad.coalesce()
        return self.weight.grad.values()

    @torch.no_grad()
    def step(self) -> None:
        """One step of AdamW on the rows that have a gradient."""
        gradient = self.gradient()
        i = self.steps
        self.steps += 1
        if gradient is None:
            return
        rows = self.weight.grad.indices()[0]
        decay = (self.log_decay[self.steps] - self.log_decay[i]).exp().item()
        first = self.first[rows].lerp_(gradient, 1 - _A)
        second = self.second[rows].mul_(_B).addcmul_(gradient, gradient, value=1 - _B)
        correction = (1 - _B**self.steps) ** 0.5
        denominator = second.sqrt().div_(correction).add_(_EPSILON)
        size = self.rates[i].item() / (1 - _A**self.steps)
        self.weight[rows] = (self.weight[rows] * decay).addcdiv_(first, denominator, value=-size)
        self.first[rows], self.second[rows] = first, second
        self.last[rows] = self.steps
        self.weight.grad = None

    def state_dict(self) -> dict[str, torch.Tensor | int]:
        """Call `catch_up` first: all rows are then at the same step."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: dict) -> None:
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.steps = state["steps"]
        self.last.fill_(self.steps)
