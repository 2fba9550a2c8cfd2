"""The loop: train for some epochs, keep the one that is best on dev.

Everything random in epoch e follows from (seed, e), so a run that was killed and goes on from its last epoch ends where it would
have ended.
"""

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..data.batching import Example, collate, epoch_batches, make_examples
from ..data.corpora import Corpus, Split, refuse_test
from ..errors import WorkbookError
from ..evaluation.scoring import score
from ..models.heads import plan_heads
from ..models.losses import MultiTaskLoss
from ..models.tagger import MultiTaskTagger, load_encoder
from .config import RunConfig


@dataclass
class Fitted:
    """A tagger with the weights of its best epoch, the dev history (one dict an epoch) and what training cost."""

    tagger: MultiTaskTagger
    history: list[dict]
    cost: dict[str, float]


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Python, numpy and torch."""
    mixed = (seed * 1_000_003 + epoch) % 2**32
    random.seed(mixed), np.random.seed(mixed), torch.manual_seed(mixed)


def autocast_dtype(precision: str) -> torch.dtype | None:
    """ "auto" is bf16 where the hardware multiplies it natively, else fp32 (None)."""
    if precision == "auto":
        if torch.cuda.is_available():
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        precision = "bf16" if native else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


def build(config: RunConfig, corpora: Sequence[Corpus]) -> MultiTaskTagger:
    """A fresh tagger for these training corpora."""
    seed_everything(config.seed)
    encoder, tokenizer = load_encoder(config.encoder, config.dropout)
    return MultiTaskTagger(
        encoder, tokenizer, plan_heads(config.heads, corpora), config.scheme, config.dropout,
        config.max_length, config.overlap, config.label_pieces, config.encoder,
    )  # fmt: skip


def dev_f1(tagger: MultiTaskTagger, dev: Sequence[Split], corpora: Sequence[Corpus], autocast: torch.dtype | None) -> dict[str, float]:
    """Corpus -> micro F1 on its dev split, and `mean` over corpora: what an epoch is chosen by."""
    result = {}
    for split, corpus in zip(dev, corpora, strict=True):
        refuse_test(split, "choosing an epoch")
        found = tagger.predict([s.tokens for s in split], corpus.name, corpus.types, autocast=autocast)
        result[corpus.name] = score([s.spans for s in split], found, corpus.types)["micro"]["f1"]
    return result | {"mean": float(np.mean(list(result.values())))}


def fit(
    config: RunConfig, corpora: Sequence[Corpus], folder: Path | None = None, progress: bool = True, watch: Callable | None = None
) -> Fitted:
    """Train on the corpora's train splits, choose the epoch on their dev splits; the test splits are not looked at.

    With a `folder` each epoch leaves a checkpoint there, and training goes on from the last one found. `watch(epoch, record)` is
    called after each epoch. Raises WorkbookError for a loss that isn't finite.
    """
    from accelerate import Accelerator

    autocast = autocast_dtype(config.precision)
    accelerator = Accelerator()
    tagger = build(config, corpora)
    loss_of = MultiTaskLoss(tagger.plans, corpora, config.scheme, config.unannotated, config.loss_weights).to(accelerator.device)
    heads = {plan.name: plan.types for plan in tagger.plans}
    train = [
        make_examples(tagger.aligner, refuse_test(corpus.train, "training"), i, heads, config.scheme) for i, corpus in enumerate(corpora)
    ]
    optimizer = _optimizer(config, tagger)
    steps_an_epoch = math.ceil(len(_batches(config, train, 0)) / config.accumulate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_up_and_decay(config.warmup, config.epochs * steps_an_epoch))
    model, optimizer = accelerator.prepare(tagger, optimizer)
    checkpoint = Checkpoint(folder, tagger, optimizer, scheduler)
    history = checkpoint.restore()
    for epoch in range(len(history), config.epochs):
        started, cpu = time.perf_counter(), time.process_time()
        seed_everything(config.seed, epoch)
        record = _one_epoch(
            config, epoch, _batches(config, train, epoch), accelerator, model, loss_of, optimizer, scheduler, autocast, progress
        )
        record["dev"] = dev_f1(tagger, [corpus.dev for corpus in corpora], corpora, autocast)
        record |= {"seconds": time.perf_counter() - started, "process_seconds": time.process_time() - cpu}
        history.append({"epoch": epoch, **record})
        checkpoint.save(history)
        if watch:
            watch(epoch, history[-1])
    checkpoint.restore_best()
    return Fitted(tagger, history, _cost(history))


def _one_epoch(config, epoch, batches, accelerator, model, loss_of, optimizer, scheduler, autocast, progress: bool) -> dict:
    from tqdm.auto import tqdm

    model.train()
    device, pad = accelerator.device, accelerator.unwrap_model(model).tokenizer.pad_token_id or 0
    total, clock = 0.0, time.perf_counter()
    bar = tqdm(batches, desc=f"epoch {epoch + 1}/{config.epochs}", disable=not progress, leave=False, mininterval=1)
    for step, examples in enumerate(bar, 1):
        batch, last = collate(examples, pad).to(device), step % config.accumulate == 0 or step == len(batches)
        with nullcontext() if last else accelerator.no_sync(model):
            with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
                logits = model(**batch.inputs)
            loss = loss_of(logits, batch)
            if not torch.isfinite(loss):
                raise WorkbookError(_not_finite(config, loss.item(), epoch, step, examples))
            accelerator.backward(loss / config.accumulate)
        if last:
            accelerator.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step(), scheduler.step(), optimizer.zero_grad()
        total += loss.detach()
        if progress and step % 20 == 0:
            bar.set_postfix(loss=f"{float(total) / step:.4f}", refresh=False)
    pieces = sum(len(example.window.input_ids) for examples in batches for example in examples)
    return {"loss": float(total) / len(batches), "steps": len(batches), "pieces": pieces, "training_seconds": time.perf_counter() - clock}


def _not_finite(config: RunConfig, loss: float, epoch: int, step: int, examples: Sequence[Example]) -> str:
    first = examples[0]
    return (
        f"loss is {loss} in epoch {epoch + 1}, step {step}, batch of {len(examples)} windows whose first belongs to sentence "
        f"{first.window.sentence} of {config.corpora[first.corpus]!r}; the last epoch's checkpoint is kept; "
        "a smaller learning_rate usually helps"
    )


def _batches(config: RunConfig, train: Sequence[Sequence[Example]], epoch: int) -> list[list[Example]]:
    return epoch_batches(train, epoch, config.seed, config.batch_size, config.max_pieces, config.sampling, config.temperature)


def _optimizer(config: RunConfig, tagger: MultiTaskTagger) -> torch.optim.Optimizer:
    """AdamW; weight decay for matrices only, as BERT was trained."""
    decayed = [p for p in tagger.parameters() if p.ndim >= 2]
    rest = [p for p in tagger.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _warm_up_and_decay(warmup: float, steps: int) -> Callable[[int], float]:
    """Linear from 0 over the first share of steps, then linear to 0."""
    rise = max(1, round(warmup * steps))
    return lambda step: min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))


def _cost(history: Sequence[dict]) -> dict[str, float]:
    training = sum(record["training_seconds"] for record in history)
    return {
        "seconds": sum(record["seconds"] for record in history),
        "process_seconds": sum(record["process_seconds"] for record in history),
        "pieces_per_second": sum(record["pieces"] for record in history) / max(training, 1e-9),
        "steps": sum(record["steps"] for record in history),
    }


class Checkpoint:
    """`last.pt` (weights, optimizer, schedule, history) and `best.pt` (weights), each replaced in one step."""

    def __init__(self, folder: Path | None, tagger, optimizer, scheduler):
        self.folder, self.tagger, self.optimizer, self.scheduler = folder, tagger, optimizer, scheduler
        self.best: dict | None = None

    def save(self, history: list[dict]) -> None:
        scores = [record["dev"]["mean"] for record in history]
        improved = len(scores) == 1 or scores[-1] > max(scores[:-1])
        weights = self.tagger.state_dict()
        if self.folder is None:
            self.best = {name: value.detach().clone() for name, value in weights.items()} if improved else self.best
            return
        if improved:
            _replace(self.folder / "best.pt", weights)
        state = {"model": weights, "optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}
        _replace(self.folder / "last.pt", {**state, "history": json.dumps(history)})

    def restore(self) -> list[dict]:
        """Load what is there; returns the history so far."""
        if self.folder is None or not (self.folder / "last.pt").exists():
            return []
        state = torch.load(self.folder / "last.pt", map_location="cpu", weights_only=True)
        self.tagger.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        return json.loads(state["history"])

    def restore_best(self) -> None:
        best = self.best if self.folder is None else torch.load(self.folder / "best.pt", map_location="cpu", weights_only=True)
        self.tagger.load_state_dict(best)


def _replace(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    torch.save(content, aside)
    aside.replace(path)
