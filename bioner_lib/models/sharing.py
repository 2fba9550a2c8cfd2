"""Sharing: what stands between the encoder and the heads.

    S               the shared view, the encoder's output
    P_i             GELU(S W_i), the private view of head i

    "hard"          head i reads S
    "private"       head i reads [S, P_i]
    "adversarial"   head i reads [S, P_i]. Auxiliary losses: a discriminator guesses the corpus from
                    the mean of S through a reversed gradient; |S' P_i|^2 (of centred unit vectors,
                    per word) keeps the views apart
    "cross"         head i reads [S, P_i * mean over j != i of sigmoid(P_j W_ij)]: its private view,
                    gated by the views of the other heads
    "moe"           head i reads [S, sum over e of r_ie X_e]: experts X_e = GELU(S W_e), mixed by a
                    soft router r_i = softmax(S R_i). Auxiliary loss: uneven use of the experts

Sources: private and adversarial Liu, Qiu, Huang 2017 (P17-1001), with Ganin et al. 2016 and
Bousmalis et al. 2016; gates Wang et al. 2019, doi:10.1186/s12859-019-3000-5, there for two heads;
experts Ma et al. 2018, doi:10.1145/3219819.3220007.

B sentences   N labelled pieces   D hidden   V private (half of D)   H heads   E experts
C corpora   M words
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu

from ..errors import WorkbookError, unknown

Loss = torch.Tensor | float


def _parameters(count: int, *shape: int) -> nn.ParameterList:
    """One small random matrix per head or expert."""
    return nn.ParameterList(torch.randn(*shape) * 0.02 for _ in range(count))


def _zeros(count: int, *shape: int) -> nn.ParameterList:
    return nn.ParameterList(torch.zeros(*shape) for _ in range(count))


def _stack(parameters: nn.ParameterList) -> torch.Tensor:
    return torch.stack(list(parameters))


class Hard(nn.Module):
    """Every head reads the shared view."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads, self.width = heads, hidden

    def forward(
        self,
        shared: torch.Tensor,
        valid: torch.Tensor | None = None,
        corpus: torch.Tensor | None = None,
    ) -> tuple[list[torch.Tensor], Loss]:
        """One view per head, and the design's auxiliary loss.

        (B N D), (B N), (B) -> H views (B N D'), scalar.  Without `corpus` the loss is 0.
        """
        return [shared] * self.heads, 0.0

    def own(self, head: int) -> list[nn.Parameter]:
        """The parameters that only this head uses; a head that doesn't learn freezes them."""
        return []

    def weights(self, shared: torch.Tensor) -> torch.Tensor:
        """The weight of source k for head i at each word.  (B N D) -> (H K B N)

        Raises WorkbookError for a design without gates or router.
        """
        raise WorkbookError(
            f"sharing={_name(self)!r} has no gates and no router to show; 'cross' and 'moe' have"
        )


class Private(Hard):
    """Each head reads [S, P_i].  H (D + 1) V parameters."""

    def __init__(self, hidden: int, heads: int, views: int | None = None):
        super().__init__(hidden, heads)
        size = hidden // 2
        views = views or heads
        self.width = hidden + size
        self.weight = _parameters(views, hidden, size)
        self.bias = _zeros(views, size)

    def own(self, head):
        return [self.weight[head], self.bias[head]]

    def private(self, shared: torch.Tensor) -> torch.Tensor:
        """(B N D) -> (H B N V)"""
        projected = torch.einsum("bnd,hdv->hbnv", shared, _stack(self.weight))
        return gelu(projected + _stack(self.bias)[:, None, None])

    def mixed(self, shared: torch.Tensor, private: torch.Tensor) -> torch.Tensor:
        """What each head reads beside the shared view.  (B N D), (H B N V) -> (H B N V)"""
        return private

    def auxiliary_loss(
        self,
        shared: torch.Tensor,
        private: torch.Tensor,
        valid: torch.Tensor,
        corpus: torch.Tensor,
    ) -> Loss:
        """scalar"""
        return 0.0

    def forward(self, shared, valid=None, corpus=None):
        private = self.private(shared)
        views = [
            torch.cat([shared, own.to(shared.dtype)], -1) for own in self.mixed(shared, private)
        ]
        if valid is None or corpus is None:
            return views, 0.0
        return views, self.auxiliary_loss(shared, private, valid, corpus)


class _Reverse(torch.autograd.Function):
    """The identity, whose gradient has the opposite sign."""

    @staticmethod
    def forward(context, x):
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        return -gradient


class Adversarial(Private):
    """Private, and C (D + 1) parameters of a discriminator that only training uses."""

    def __init__(
        self,
        hidden: int,
        heads: int,
        corpora: int,
        reversal: float = 0.01,
        orthogonality: float = 0.001,
    ):
        super().__init__(hidden, heads)
        self.reversal, self.orthogonality = reversal, orthogonality
        self.discriminator = nn.Linear(hidden, corpora)

    def auxiliary_loss(self, shared, private, valid, corpus):
        count = valid.sum(1, keepdim=True).clamp(min=1)
        mean = (shared * valid[..., None]).sum(1) / count  # (B D)
        guessed = self.discriminator(_Reverse.apply(mean)).float()
        overlap = squared_overlap(shared[valid], private[:, valid])
        return self.reversal * cross_entropy(guessed, corpus) + self.orthogonality * overlap


def squared_overlap(shared: torch.Tensor, private: torch.Tensor) -> torch.Tensor:
    """|S' P_i|^2 / M, mean over heads; word vectors are centred and have length 1.

    (M D), (H M V) -> scalar
    """
    with torch.autocast(shared.device.type, enabled=False):
        a, b = _unit(shared), _unit(private)
        squares = torch.einsum("md,hmv->hdv", a, b).square().sum((1, 2))
        return squares.mean() / max(1, len(shared))


def _unit(x: torch.Tensor) -> torch.Tensor:
    centred = x.float() - x.float().mean(-2, keepdim=True)
    return centred / centred.norm(dim=-1, keepdim=True).clamp(min=1e-6)


class Cross(Private):
    """Private views gated by the other heads: H (D + 1) V + H^2 (V + 1) V parameters.

    With two heads this is the source's h_0 * sigmoid(W h_1).
    """

    def __init__(self, hidden: int, heads: int):
        super().__init__(hidden, heads)
        size = hidden // 2
        self.gate_weight = _parameters(heads, heads, size, size)
        self.gate_bias = _zeros(heads, heads, size)

    def own(self, head):
        return [*super().own(head), self.gate_weight[head], self.gate_bias[head]]

    def gates(self, private: torch.Tensor) -> torch.Tensor:
        """How far head j opens the view of head i; i = j is not used.  (H B N V) -> (H H B N V)"""
        projected = torch.einsum("jbnv,ijvu->ijbnu", private, _stack(self.gate_weight))
        return (projected + _stack(self.gate_bias)[:, :, None, None]).sigmoid()

    def mixed(self, shared, private):
        if self.heads == 1:
            return private
        others = 1 - torch.eye(self.heads, device=private.device)
        mean = others / (self.heads - 1)
        return private * torch.einsum("ij,ijbnv->ibnv", mean, self.gates(private).float())

    def weights(self, shared):
        return self.gates(self.private(shared)).float().mean(-1)


class MixtureOfExperts(Private):
    """Experts and a router per head: E (D + 1) V + H (D + 1) E parameters.

    The auxiliary loss is E sum_e m_e^2 - 1 with m the mean routing: 0 for equal use.
    """

    def __init__(self, hidden: int, heads: int, experts: int = 4, balance: float = 0.01):
        super().__init__(hidden, heads, views=experts)
        self.balance = balance
        self.router_weight = _parameters(heads, hidden, experts)
        self.router_bias = _zeros(heads, experts)

    def own(self, head):
        return [self.router_weight[head], self.router_bias[head]]

    def weights(self, shared):
        return self._routing(shared).permute(0, 3, 1, 2)

    def mixed(self, shared, private):
        return torch.einsum("hbne,ebnv->hbnv", self._routing(shared), private.float())

    def auxiliary_loss(self, shared, private, valid, corpus):
        mean = self._routing(shared)[:, valid].mean(1)  # (H E)
        experts = mean.shape[-1]
        return self.balance * (experts * mean.square().sum(-1) - 1).mean()

    def _routing(self, shared: torch.Tensor) -> torch.Tensor:
        """(B N D) -> (H B N E)"""
        scores = torch.einsum("bnd,hde->hbne", shared, _stack(self.router_weight))
        return (scores + _stack(self.router_bias)[:, None, None]).float().softmax(-1)


DESIGNS = {
    "hard": Hard,
    "private": Private,
    "adversarial": Adversarial,
    "cross": Cross,
    "moe": MixtureOfExperts,
}
# design -> the fields of RunConfig that it takes
OPTIONS = {
    "hard": (),
    "private": (),
    "adversarial": ("reversal", "orthogonality"),
    "cross": (),
    "moe": ("experts", "balance"),
}


def _name(design: Hard) -> str:
    return next(name for name, kind in DESIGNS.items() if kind is type(design))


def make_sharing(
    name: str,
    hidden: int,
    heads: Sequence[str],
    corpora: int,
    options: Mapping[str, float] | None = None,
) -> Hard:
    """The design for these heads; `options` are its coefficients.

    Raises WorkbookError for an unknown design, and for "cross" with a single head.
    """
    if name not in DESIGNS:
        raise unknown("sharing", name, DESIGNS)
    if name == "cross" and len(heads) == 1:
        raise WorkbookError(
            f"sharing='cross' gates a head's view by the other heads', but {heads[0]!r} is the "
            "only one; take heads='per-type' with several types, or another sharing"
        )
    own = {key: value for key, value in (options or {}).items() if key in OPTIONS[name]}
    if name == "adversarial":
        own["corpora"] = corpora
    return DESIGNS[name](hidden, len(heads), **own)
