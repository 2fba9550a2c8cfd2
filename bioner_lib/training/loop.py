"""The loop: a tagger, its data and its optimizer, one epoch at a time.

Everything random in epoch e follows from (seed, e). So a run that was killed and continues from its
last epoch ends as it would have ended.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..corpora.splits import refuse_test
from ..models.batching import Example, collate, epoch_batches, make_examples
from ..models.blocks import Cut
from ..models.hardware import autocast_dtype
from ..models.heads import plan_heads
from ..models.losses import MultiTaskLoss
from . import processes
from .averaging import LastWeights
from .building import build, check_context, seed_everything, soft_teacher, teacher_of
from .embedding_rows import EmbeddingRows
from .objective import Objective
from .optimization import (
    EMBEDDINGS,
    Finite,
    clip_gradient,
    layer_rates,
    make_optimizer,
    warm_up_and_decay,
)
from .progress import EpochBar
from .self_labels import label_hidden
from .shares import share_of
from .tracking import Tracking

_EVERY = 20  # batches between two reports


class Loop:
    """One training: the tagger, its data and its optimizer."""

    def __init__(
        self,
        config: RunConfig,
        corpora: Sequence[Corpus],
        progress: bool = True,
        track: str = "",
    ):
        self.config, self.corpora = config, list(corpora)
        self.progress = progress
        self.tracking = Tracking(track)
        self.accelerator = self.tracking.accelerator
        self.device = self.accelerator.device
        self.autocast = autocast_dtype(config.precision)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        check_context(config, self.corpora)
        self.taught, weights = self._with_teacher()
        self.plans = plan_heads(config.heads, self.taught, config.types)
        self.tagger = build(config, self.plans, self.taught)
        by_head = {} if isinstance(config.loss_weights, str) else config.loss_weights
        # a head of weight 0 stays as an earlier run left it
        learning = {plan.name for plan in self.plans if by_head.get(plan.name, 1)}
        self.tagger.freeze(plan.name for plan in self.tagger.plans if plan.name not in learning)
        self.loss_of = MultiTaskLoss(
            self.plans,
            self.taught,
            config.scheme,
            config.unannotated,
            config.loss_weights,
            weights,
            config.label_smoothing,
            self.tagger.sentence_head,
            config.sentence_weight,
            continues=bool(config.start_from or config.distillation),
        )
        self.train = self._examples()
        self.cuts: dict[str, Cut] = {}
        self.pad = self.tagger.tokenizer.pad_token_id or 0
        teacher = soft_teacher(config, self.tagger)
        objective = Objective(
            self.tagger,
            self.loss_of,
            config.r_drop,
            config.embedding_noise,
            teacher and teacher.to(self.device),
            config.distillation,
        )
        self.model = self.accelerator.prepare(objective)
        # `max_pieces` cuts the batches of each epoch anew, so their number may differ
        counts = [len(self.batches(epoch)) for epoch in range(config.epochs)]
        self.steps = [math.ceil(count / config.accumulate) for count in counts]
        steps = sum(self.steps)
        factor = warm_up_and_decay(config.warmup, steps)
        lowest = config.learning_rate * layer_rates(self.tagger, config.layer_decay)[EMBEDDINGS]
        self.rows = self._embedding_rows([lowest * factor(i) for i in range(steps)])
        table = self.rows.weight if self.rows else None
        self.optimizer = make_optimizer(config, self.tagger, self.loss_of, table)
        self.last = LastWeights(self.tagger, config.average) if config.average > 1 else None
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)
        self.tracking.start(config.run_id)

    def _with_teacher(self) -> tuple[list[Corpus], dict[str, float]]:
        """The corpora that teach, and their loss weights.

        A teacher that labels moves the sentences that it labels into corpora of their own.
        """
        names = zip(self.config.corpora, self.corpora, strict=True)
        weights = {c.name: self.config.corpus_weights.get(name, 1.0) for name, c in names}
        self.labelled: dict[str, int] = {}
        if not self.config.teacher or self.config.distillation:
            return self.corpora, weights
        teacher = teacher_of(self.config).to(self.device)
        rest, labelled = label_hidden(teacher, self.corpora, self.config.confidence, self.autocast)
        for name, corpus in labelled.items():
            weights[corpus.name] = weights[name]
            self.labelled[name] = len(corpus.train)
        return [*rest, *labelled.values()], weights

    def parts(self) -> dict[str, object]:
        """What a checkpoint holds."""
        parts = {
            "model": self.tagger,
            "loss": self.loss_of,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
        }
        more = {"rows": self.rows, "last": self.last}
        return parts | {name: part for name, part in more.items() if part}

    def judged(self) -> AbstractContextManager:
        """Within it the tagger has the weights that dev judges: the last ones, or their mean."""
        return self.last.in_place() if self.last else nullcontext()

    def _embedding_rows(self, rates: Sequence[float]) -> EmbeddingRows | None:
        """The optimizer of the word embeddings; None where the dense one is as fast, or needed.

        On a GPU a pass over all rows costs little; several processes would read different rows.
        """
        table = self.tagger.encoder.get_input_embeddings()
        fits = self.device.type == "cpu" and processes.count() == 1
        if not fits or type(table) is not torch.nn.Embedding or not table.weight.requires_grad:
            return None
        return EmbeddingRows(table, rates, self.config.weight_decay)

    def _examples(self) -> list[list[Example]]:
        """The training examples of each corpus.

        Sentences that a teacher labelled are drawn with the corpus that they come from.
        """
        heads = {plan.name: plan.types for plan in self.plans}
        examples = []
        for i, corpus in enumerate(self.taught):
            split = refuse_test(corpus.train, "training")
            made = make_examples(self.tagger.aligner, split, i, heads, self.config.scheme)
            examples.append(made)
        own, labelled = examples[: len(self.corpora)], examples[len(self.corpora) :]
        names = [corpus.name for corpus in self.corpora]
        for name, more in zip(self.labelled, labelled, strict=True):
            own[names.index(name)].extend(more)
        return own

    def batches(self, epoch: int) -> list[list[Example]]:
        """The epoch's batches; they depend on (seed, epoch) only."""
        c = self.config
        return epoch_batches(
            self.train,
            epoch,
            c.seed,
            c.batch_size,
            c.max_pieces,
            c.sampling,
            c.temperature,
            c.epoch_size,
        )

    def one_epoch(self, epoch: int, dev: float | None = None) -> dict:
        """Train on every batch once; returns loss, steps, pieces and seconds.

        `dev` is shown beside the loss.
        """
        config = self.config
        seed_everything(config.seed, epoch + config.epochs * processes.rank())
        batches, total = self.batches(epoch), 0.0
        steps = math.ceil(len(batches) / config.accumulate)
        self.tracking.start_epoch(epoch, steps, sum(self.steps[:epoch]))
        show = self.progress and processes.rank() == 0
        bar = EpochBar(config.run_id, epoch, config.epochs, dev, show)
        finite = Finite(lambda i: self._place(epoch, i, batches[i]))
        self.model.train()
        for i, examples in enumerate(bar.over(batches)):
            group = _group(i, len(batches), config.accumulate)
            is_last = i == group[-1]
            with nullcontext() if is_last else self.accelerator.no_sync(self.model):
                loss = self._loss(examples)
                self.accelerator.backward(loss / len(group))
            finite.add("loss", loss.detach(), i)
            total += loss.detach()
            if is_last:
                rate = self.scheduler.get_last_lr()[0]
                norm = self._update()
                finite.add("gradient", norm, i)
                self.tracking.step(i // config.accumulate + 1, i + 1, total, norm, rate)
            if (i + 1) % _EVERY == 0:
                finite.check()
                bar.update(i + 1, float(total) / (i + 1))
        finite.check()
        if self.rows:
            self.rows.catch_up()
        if self.last:
            self.last.add()
        total = self.accelerator.reduce(total, "mean")
        return {
            "loss": float(total) / len(batches),
            "steps": steps,
            "pieces": sum(len(e.window.input_ids) for examples in batches for e in examples),
            "training_seconds": bar.seconds,
        }

    def _loss(self, examples: Sequence[Example]) -> torch.Tensor:
        """The loss of this process's share of a batch."""
        share = share_of(examples)
        batch = collate(share.examples, self.pad).to(self.device)
        enabled = self.autocast is not None
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=enabled):
            return self.model(batch, share.words, share.weight)

    def _update(self) -> torch.Tensor:
        """One step of the optimizer; returns the norm of the gradient before clipping."""
        dense = (p for group in self.optimizer.param_groups for p in group["params"])
        rows = self.rows.gradient() if self.rows else None
        norm = clip_gradient(dense, self.config.clip, *([] if rows is None else [rows]))
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        if self.rows:
            self.rows.step()
        return norm

    def _place(self, epoch: int, i: int, examples: Sequence[Example]) -> str:
        """Which step of a run this is, and its batch, for a message."""
        first = examples[0]
        return (
            f"epoch {epoch + 1}, step {i + 1}, batch of {len(examples)} windows whose first "
            f"belongs to sentence {first.window.sentence} of {self.taught[first.corpus].name!r}"
        )


def _group(i: int, batches: int, size: int) -> range:
    """The batches whose gradients are summed for the step that batch i belongs to."""
    start = i // size * size
    return range(start, min(start + size, batches))
