"""Sharing: what stands between the encoder and the heads.

    "hard"         every head reads the shared view S, the encoder's output
    "private"      head i reads [S, P_i], P_i = GELU(S W_i) its private view
    "adversarial"  private; a discriminator guesses the corpus from the mean of S through a reversed gradient, and |S' P_i|^2, of centred
                   unit vectors and over the number of words, is charged
    "cross"        head i reads [S, P_i * mean over j != i of sigmoid(P_j W_ij)], its private view gated by the other heads'
    "moe"          head i reads [S, sum over e of r_ie X_e], experts X_e = GELU(S W_e) mixed by a soft router r_i = softmax(S R_i)

Sources: shared-private and adversarial Liu, Qiu, Huang 2017 (P17-1001) with Ganin et al. 2016 and Bousmalis et al. 2016; gates Wang
et al. 2019, doi:10.1186/s12859-019-3000-5, there for two heads; experts Ma et al. 2018, doi:10.1145/3219819.3220007.

B sentences   N labelled pieces   D hidden   V private (half of D)   H heads   E experts   C corpora
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu

from ..errors import WorkbookError, unknown


class Hard(nn.Module):
    """(B N D) -> one view a head, and what the design charges in training."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads, self.width = heads, hidden

    def forward(
        self,
        shared: torch.Tensor,
        valid: torch.Tensor | None = None,
        corpus: torch.Tensor | None = None,
    ) -> tuple[list[torch.Tensor], torch.Tensor | float]:
        """(B N D), (B N), (B) -> H views (B N D'), scalar; without `valid` and `corpus` nothing is charged."""
        return [shared] * self.heads, 0.0

    def own(self, head: int) -> list[tuple[nn.Parameter, int]]:
        """The parameters that only head i reads through, and where in them they stand."""
        return []

    def weights(self, shared: torch.Tensor) -> torch.Tensor:
        """How much head i takes of source k at each place, for designs that have gates or a router.  (B N D) -> (H K B N)"""
        raise WorkbookError(
            f"sharing={_name(self)!r} has no gates and no router to show; 'cross' and 'moe' have"
        )


class Private(Hard):
    """Adds H (D + 1) V parameters."""

    def __init__(self, hidden: int, heads: int, views: int | None = None):
        super().__init__(hidden, heads)
        size = hidden // 2
        self.width = hidden + size
        self.weight = nn.Parameter(torch.randn(views or heads, hidden, size) * 0.02)
        self.bias = nn.Parameter(torch.zeros(views or heads, 1, 1, size))

    def own(self, head):
        return [(self.weight, head), (self.bias, head)]

    def private(self, shared: torch.Tensor) -> torch.Tensor:
        """(B N D) -> (H B N V)"""
        return gelu(torch.einsum("bnd,hdv->hbnv", shared, self.weight) + self.bias)

    def mixed(self, shared: torch.Tensor, private: torch.Tensor) -> torch.Tensor:
        """What a head reads beside the shared view.  (B N D), (H B N V) -> (H B N V)"""
        return private

    def charge(
        self, shared: torch.Tensor, private: torch.Tensor, valid: torch.Tensor, corpus: torch.Tensor
    ) -> torch.Tensor | float:
        """scalar"""
        return 0.0

    def forward(self, shared, valid=None, corpus=None):
        private = self.private(shared)
        views = [
            torch.cat([shared, own.to(shared.dtype)], -1) for own in self.mixed(shared, private)
        ]
        return views, 0.0 if valid is None or corpus is None else self.charge(
            shared, private, valid, corpus
        )


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        return -gradient


class Adversarial(Private):
    """Adds H (D + 1) V parameters, and C (D + 1) of the discriminator that only training uses."""

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

    def charge(self, shared, private, valid, corpus):
        count = valid.sum(1, keepdim=True).clamp(min=1)
        mean = (shared * valid[..., None]).sum(1) / count
        guessed = cross_entropy(self.discriminator(_Reverse.apply(mean)).float(), corpus)
        return self.reversal * guessed + self.orthogonality * squared_overlap(
            shared[valid], private[:, valid]
        )


def squared_overlap(shared: torch.Tensor, private: torch.Tensor) -> torch.Tensor:
    """|S' P_i|^2 / M, mean over heads, over M words whose vectors are centred and of length 1.  (M D), (H M V) -> scalar"""
    with torch.autocast(shared.device.type, enabled=False):
        a, b = (x.float() - x.float().mean(-2, keepdim=True) for x in (shared, private))
        a, b = (x / x.norm(dim=-1, keepdim=True).clamp(min=1e-6) for x in (a, b))
        return torch.einsum("md,hmv->hdv", a, b).square().sum((1, 2)).mean() / max(1, len(shared))


class Cross(Private):
    """Adds H (D + 1) V + H^2 (V + 1) V parameters; for two heads the source's h_0 * sigmoid(W h_1)."""

    def __init__(self, hidden: int, heads: int):
        super().__init__(hidden, heads)
        size = hidden // 2
        self.gate_weight = nn.Parameter(torch.randn(heads, heads, size, size) * 0.02)
        self.gate_bias = nn.Parameter(torch.zeros(heads, heads, 1, 1, size))

    def own(self, head):
        return [*super().own(head), (self.gate_weight, head), (self.gate_bias, head)]

    def gates(self, private: torch.Tensor) -> torch.Tensor:
        """How far the view of head j opens that of head i; what stands at i = j is not used.  (H B N V) -> (H H B N V)"""
        return (
            torch.einsum("jbnv,ijvu->ijbnu", private, self.gate_weight) + self.gate_bias
        ).sigmoid()

    def mixed(self, shared, private):
        if self.heads == 1:
            return private
        others = 1 - torch.eye(self.heads, device=private.device)
        return private * torch.einsum(
            "ij,ijbnv->ibnv", others / (self.heads - 1), self.gates(private).float()
        )

    def weights(self, shared):
        return self.gates(self.private(shared)).float().mean(-1)


class MixtureOfExperts(Private):
    """Adds E (D + 1) V + H (D + 1) E parameters; charges E sum_e m_e^2 - 1, m the mean routing: 0 where all experts serve alike."""

    def __init__(self, hidden: int, heads: int, experts: int = 4, balance: float = 0.01):
        super().__init__(hidden, heads, views=experts)
        self.balance = balance
        self.router_weight = nn.Parameter(torch.randn(heads, hidden, experts) * 0.02)
        self.router_bias = nn.Parameter(torch.zeros(heads, 1, 1, experts))

    def own(self, head):
        return [(self.router_weight, head), (self.router_bias, head)]

    def weights(self, shared):
        return self._routing(shared).permute(0, 3, 1, 2)

    def mixed(self, shared, private):
        return torch.einsum("hbne,ebnv->hbnv", self._routing(shared), private.float())

    def charge(self, shared, private, valid, corpus):
        mean = self._routing(shared)[:, valid].mean(1)
        return self.balance * (mean.shape[-1] * mean.square().sum(-1) - 1).mean()

    def _routing(self, shared: torch.Tensor) -> torch.Tensor:
        return (
            (torch.einsum("bnd,hde->hbne", shared, self.router_weight) + self.router_bias)
            .float()
            .softmax(-1)
        )


DESIGNS = {
    "hard": Hard,
    "private": Private,
    "adversarial": Adversarial,
    "cross": Cross,
    "moe": MixtureOfExperts,
}

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
    name: str, hidden: int, heads: list[str], corpora: int, options: dict[str, float] | None = None
) -> Hard:
    """A design for these heads; `options` are its coefficients (reversal, orthogonality; experts, balance).

    Raises WorkbookError for an unknown design and for gates without another head to open them.
    """
    if name not in DESIGNS:
        raise unknown("sharing", name, DESIGNS)
    if name == "cross" and len(heads) == 1:
        raise WorkbookError(
            f"sharing='cross' gates a head's view by the other heads', but {heads[0]!r} is the only one; "
            "take heads='per-type' with several types, or another sharing"
        )
    more = {"corpora": corpora} if name == "adversarial" else {}
    return DESIGNS[name](
        hidden,
        len(heads),
        **more,
        **{key: value for key, value in (options or {}).items() if key in OPTIONS[name]},
    )
