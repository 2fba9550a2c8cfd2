"""What training minimises: tagger and loss as one module, with published additions.

    L = loss(x)                                            plain
    L = (loss(x) + loss(x')) / 2 + a divergence(x, x')     R-Drop: two dropout masks
    L = (loss(x) + loss(x + r)) / 2                        adversarial noise on word embeddings
    L = (1 - d) loss(x) + d divergence(teacher, x)         distillation

a is `r_drop`, d is `distillation`. r points where the loss of the labels grows fastest, r = e g /
|g| with g its gradient with respect to the word embeddings of a window and e = `embedding_noise`;
auxiliary losses have no part in g, since some of them (`adversarial`) reverse it. R-Drop and noise
take two passes, distillation takes one of the teacher, which doesn't learn.

Sources: R-Drop Liang and others 2021, arXiv 2106.14448; noise Miyato, Dai, Goodfellow 2017, arXiv
1605.07725; distillation Hinton, Vinyals, Dean 2015, arXiv 1503.02531.

B windows   P pieces   E width of the word embeddings
"""

import torch
from torch import nn

from ..models.batching import Batch
from ..models.ensemble import Ensemble
from ..models.losses import MultiTaskLoss
from ..models.tagger import MultiTaskTagger


class Objective(nn.Module):
    """Tagger and loss as one module, so that a wrapper sees every parameter that learns."""

    def __init__(
        self,
        tagger: MultiTaskTagger,
        loss_of: MultiTaskLoss,
        r_drop: float = 0.0,
        embedding_noise: float = 0.0,
        teacher: MultiTaskTagger | Ensemble | None = None,
        distillation: float = 0.0,
    ):
        super().__init__()
        self.tagger, self.loss_of = tagger, loss_of
        self.r_drop, self.embedding_noise = r_drop, embedding_noise
        self.distillation = distillation
        self._teacher = (teacher,)  # in a tuple it is no part of this module, and never trains

    def forward(self, batch: Batch, words: float | None = None, share: float = 1.0) -> torch.Tensor:
        """scalar; `words` and `share` as for MultiTaskLoss"""
        if self.embedding_noise:
            return self._with_noise(batch, words, share)
        output = self.tagger(**batch.inputs)
        labels, auxiliary = self.loss_of.parts(output, batch, words, share)
        if self.distillation:
            (teacher,) = self._teacher
            with torch.no_grad():
                taught = teacher(**batch.inputs)
            soft = self.loss_of.divergence_from(taught, output, batch, words)
            return (1 - self.distillation) * labels + self.distillation * soft + auxiliary
        loss = labels + auxiliary
        if not self.r_drop:
            return loss
        again = self.tagger(**batch.inputs)
        mean = (loss + self.loss_of(again, batch, words, share)) / 2
        return mean + self.r_drop * self.loss_of.divergence(output, again, batch, words)

    def _with_noise(self, batch: Batch, words: float | None, share: float) -> torch.Tensor:
        """The mean of the losses without and with noise.  scalar"""
        embeddings = self.tagger.encoder.get_input_embeddings()
        size = (*batch.input_ids.shape, embeddings.embedding_dim)
        noise = torch.zeros(size, device=batch.input_ids.device, requires_grad=True)  # (B P E)
        labels, auxiliary = self._noisy_parts(embeddings, noise, batch, words, share)
        (gradient,) = torch.autograd.grad(labels, noise, retain_graph=True)
        norm = gradient.norm(dim=(1, 2), keepdim=True).clamp(min=1e-12)
        worst = self.embedding_noise * gradient / norm
        again = self._noisy_parts(embeddings, worst, batch, words, share)
        return (labels + auxiliary + sum(again)) / 2

    def _noisy_parts(
        self,
        embeddings: nn.Module,
        noise: torch.Tensor,
        batch: Batch,
        words: float | None,
        share: float,
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """`MultiTaskLoss.parts` with (B P E) added to what the word embeddings return."""
        hook = embeddings.register_forward_hook(lambda _, inputs, found: found + noise)
        try:
            return self.loss_of.parts(self.tagger(**batch.inputs), batch, words, share)
        finally:
            hook.remove()
