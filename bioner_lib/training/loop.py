"""The loop: train for some epochs, keep the one that is best on dev.

Everything random in epoch e follows from (seed, e), so a run that was killed and goes on from its last epoch ends where it would
have ended.
"""

import math
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..config import RunConfig
from ..corpora.corpus import Corpus, Split, refuse_test
from ..errors import WorkbookError, unknown
from ..evaluation.scoring import score
from ..home import outputs as outputs_folder
from ..models.batching import Batch, Example, collate, epoch_batches, make_examples
from ..models.encoders import autocast_dtype, load_encoder, load_tokenizer
from ..models.heads import layout_of, plan_heads
from ..models.losses import MultiTaskLoss
from ..models.sharing import OPTIONS
from ..models.tagger import MultiTaskTagger
from . import processes
from .checkpoint import Checkpoint
from .energy import joules, used
from .progress import report
from .self_labels import label_hidden


@dataclass
class Fitted:
    """A tagger with the weights of its best epoch, the dev history (one dict an epoch), what training cost, and what a teacher labelled."""

    tagger: MultiTaskTagger
    history: list[dict]
    cost: dict[str, float]
    labelled: dict[str, int]  # corpus -> sentences


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Python, numpy and torch."""
    mixed = (seed * 1_000_003 + epoch) % 2**32
    random.seed(mixed), np.random.seed(mixed), torch.manual_seed(mixed)


def build(
    config: RunConfig, corpora: Sequence[Corpus], runs: Path | None = None
) -> MultiTaskTagger:
    """A tagger for these training corpora: fresh, or with the weights of the run that `start_from` names in the folder `runs`."""
    seed_everything(config.seed)
    plans = plan_heads(config.heads, corpora)
    options = {
        "scheme": config.scheme, "dropout": config.dropout, "max_length": config.max_length, "overlap": config.overlap,
        "label_pieces": config.label_pieces, "decoder": config.decoder, "sharing": config.sharing,
        "sharing_options": {name: getattr(config, name) for name in ("reversal", "orthogonality", "experts", "balance")},
    }  # fmt: skip
    if not config.start_from:
        encoder, tokenizer = load_encoder(config.encoder, config.dropout)
        return MultiTaskTagger(encoder, tokenizer, plans, encoder_name=config.encoder, **options)
    first = earlier(config, "start_from", runs, config.dropout)
    if first.encoder_name != config.encoder:
        raise WorkbookError(
            f"start_from={config.start_from!r} trained encoder {first.encoder_name!r}, this run says {config.encoder!r}; "
            "a second phase goes on with the same encoder"
        )
    if first.tokenizer.get_vocab() != load_tokenizer(config.encoder).get_vocab():
        raise WorkbookError(
            f"start_from={config.start_from!r} has another tokenizer than encoder {config.encoder!r} has now"
        )
    now = {name: options[name] for name in ("scheme", "label_pieces", "decoder", "sharing")} | {
        "heads": config.heads
    }
    now |= {name: options["sharing_options"][name] for name in OPTIONS[config.sharing]}
    then = first.settings | first.settings["sharing_options"] | {"heads": layout_of(first.plans)}
    for name in now:
        if then[name] != now[name]:
            raise WorkbookError(
                f"start_from={config.start_from!r} was trained with {name}={then[name]!r}, this run says {now[name]!r}; "
                "a second phase keeps it"
            )
    first.settings |= {"max_length": config.max_length, "overlap": config.overlap}
    return first.extended(plans)


def earlier(
    config: RunConfig, name: str, runs: Path | None = None, dropout: float | None = None
) -> MultiTaskTagger:
    """The tagger of the run that `start_from` or `teacher` names; raises WorkbookError where that run left none."""
    folder = (runs or outputs_folder() / "runs") / getattr(config, name)
    if not (folder / "model").is_dir():
        if (folder / "run.json").exists():
            raise WorkbookError(
                f"{name}={folder.name!r}: that run is finished but left no tagger (keep_model=False); delete it, "
                f"from bioner_lib.runs.rows import forget; forget({folder.name!r}), and make it again with its model"
            )
        raise WorkbookError(
            f"{name}={folder.name!r}: no finished run of that name in {folder.parent}; make that run first"
        )
    return MultiTaskTagger.load(folder / "model", dropout)


def dev_f1(
    tagger: MultiTaskTagger,
    dev: Sequence[Split],
    corpora: Sequence[Corpus],
    autocast: torch.dtype | None,
) -> dict[str, float]:
    """Corpus -> micro F1 on its dev split, and `mean` over corpora: what an epoch is chosen by."""
    result = {}
    for split, corpus in zip(dev, corpora, strict=True):
        refuse_test(split, "choosing an epoch")
        mine = [s.tokens for s in split][processes.rank() :: processes.count()]
        found = processes.gather(tagger.predict(mine, corpus.name, corpus.types, autocast=autocast))
        result[corpus.name] = score([s.spans for s in split], found, corpus.types)["micro"]["f1"]
    return result | {"mean": float(np.mean(list(result.values())))}


class Objective(torch.nn.Module):
    """Tagger and loss in one module: whatever wraps it sees every parameter that learns."""

    def __init__(self, tagger: MultiTaskTagger, loss_of: MultiTaskLoss):
        super().__init__()
        self.tagger, self.loss_of = tagger, loss_of

    def forward(self, batch: Batch, words: float | None = None, share: float = 1.0) -> torch.Tensor:
        """scalar"""
        return self.loss_of(self.tagger(**batch.inputs), batch, words, share)


class Loop:
    """One training: the tagger, its data and its optimizer. `one_epoch` fits one screen; `runs` is where earlier runs lie."""

    def __init__(
        self, config: RunConfig, corpora: Sequence[Corpus], progress: bool = True, track: str = "", runs: Path | None = None
    ):  # fmt: skip
        from accelerate import Accelerator
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        if track and track not in LOGGER_TYPE_TO_CLASS:
            raise unknown("tracker", track, LOGGER_TYPE_TO_CLASS)
        if track and track not in {str(tracker) for tracker in get_available_trackers()}:
            raise WorkbookError(f"tracker {track!r} isn't installed: pip install {track}")
        self.config, self.corpora, self.progress, self.track = config, corpora, progress, track
        os.environ.pop(
            "ACCELERATE_GRADIENT_ACCUMULATION_STEPS", None
        )  # what changes numbers stands in the configuration
        self.accelerator = Accelerator(
            mixed_precision="no",
            log_with=track or None,
            project_dir=str(runs.parent / "tensorboard") if track and runs else None,
        )
        self.autocast = autocast_dtype(config.precision)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        taught, weights = (
            list(corpora),
            {
                c.name: config.corpus_weights.get(n, 1.0)
                for n, c in zip(config.corpora, corpora, strict=True)
            },
        )
        self.labelled: dict[str, int] = {}
        if config.teacher:
            teacher = earlier(config, "teacher", runs).to(self.accelerator.device)
            rest, labelled = label_hidden(teacher, corpora, config.confidence, self.autocast)
            taught = [*rest, *labelled.values()]
            weights |= {corpus.name: weights[name] for name, corpus in labelled.items()}
            self.labelled = {name: len(corpus.train) for name, corpus in labelled.items()}
        self.names = [corpus.name for corpus in taught]
        self.tagger = build(config, taught, runs)
        learning = {plan.name for plan in plan_heads(config.heads, taught)}
        plans = [plan for plan in self.tagger.plans if plan.name in learning]
        resting = [
            i for i, plan in enumerate(self.tagger.plans) if plan.name not in learning
        ]  # heads of an earlier phase
        for i in resting:
            self.tagger.heads[i].requires_grad_(False)
        loss_of = MultiTaskLoss(
            plans, taught, config.scheme, config.unannotated, config.loss_weights, weights
        )
        self.loss_of, heads = loss_of, {plan.name: plan.types for plan in plans}
        examples = [
            make_examples(
                self.tagger.aligner, refuse_test(corpus.train, "training"), i, heads, config.scheme
            )
            for i, corpus in enumerate(taught)
        ]
        self.train = examples[: len(corpora)]
        for name, more in zip(
            self.labelled, examples[len(corpora) :], strict=True
        ):  # drawn with the corpus that they come from
            self.train[self.names.index(name)].extend(more)
        self.model, optimizer = (
            Objective(self.tagger, loss_of),
            _optimizer(config, self.tagger, loss_of),
        )
        steps = config.epochs * math.ceil(len(self.batches(0)) / config.accumulate)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, _warm_up_and_decay(config.warmup, steps)
        )
        self.model, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.at_rest = [
            (p, at, p[at].detach().clone()) for i in resting for p, at in self.tagger.sharing.own(i)
        ]
        if track:
            self.accelerator.init_trackers(config.run_id)

    def batches(self, epoch: int) -> list[list[Example]]:
        """The epoch's batches, the same for the same (seed, epoch)."""
        c = self.config
        return epoch_batches(
            self.train, epoch, c.seed, c.batch_size, c.max_pieces, c.sampling, c.temperature
        )

    def one_epoch(self, epoch: int, dev: float | None = None) -> dict:
        """Train on every batch once; returns loss, steps, pieces and seconds. `dev` is shown beside the loss."""
        from tqdm.auto import tqdm

        config, accelerator, device = self.config, self.accelerator, self.accelerator.device
        seed_everything(config.seed, epoch + config.epochs * processes.rank())
        self.model.train()
        batches, pad, total, clock = (
            self.batches(epoch),
            self.tagger.tokenizer.pad_token_id or 0,
            0.0,
            time.perf_counter(),
        )
        bar = tqdm(
            batches,
            desc=f"epoch {epoch + 1}/{config.epochs}",
            disable=not self.progress or processes.rank() > 0,
            leave=False,
            mininterval=1,
        )
        for step, examples in enumerate(bar, 1):
            mine, words, share = _share(examples)
            batch, last = (
                collate(mine, pad).to(device),
                step % config.accumulate == 0 or step == len(batches),
            )
            with nullcontext() if last else accelerator.no_sync(self.model):
                with torch.autocast(
                    device.type, dtype=self.autocast, enabled=self.autocast is not None
                ):
                    loss = self.model(batch, words, share)
                if not torch.isfinite(loss):
                    raise WorkbookError(
                        self._not_finite("loss", loss.item(), epoch, step, examples)
                    )
                group = min(
                    config.accumulate,
                    len(batches) - (step - 1) // config.accumulate * config.accumulate,
                )
                accelerator.backward(loss / group)
            if last:
                norm = accelerator.clip_grad_norm_(self.model.parameters(), config.clip)
                if not torch.isfinite(norm):
                    raise WorkbookError(
                        self._not_finite("gradient", norm.item(), epoch, step, examples)
                    )
                self.optimizer.step(), self.scheduler.step(), self.optimizer.zero_grad()
                for parameter, at, value in self.at_rest:
                    parameter.data[at] = value
            total += loss.detach()
            if step % 20 == 0:
                self._show(bar, epoch * len(batches) + step, float(total) / step, dev)
                taken = (time.perf_counter() - clock) / step * len(batches)
                report(config.run_id, epoch, config.epochs, step / len(batches), dev, taken)
        total = accelerator.reduce(total, "mean")
        pieces = sum(len(example.window.input_ids) for examples in batches for example in examples)
        seconds = time.perf_counter() - clock
        steps = math.ceil(len(batches) / config.accumulate)
        return {
            "loss": float(total) / len(batches),
            "steps": steps,
            "pieces": pieces,
            "training_seconds": seconds,
        }

    def _not_finite(
        self, what: str, value: float, epoch: int, step: int, examples: Sequence[Example]
    ) -> str:
        first = examples[0]
        return (
            f"{what} is {value} in epoch {epoch + 1}, step {step}, batch of {len(examples)} windows whose first belongs to sentence "
            f"{first.window.sentence} of {self.names[first.corpus]!r}; the last epoch's checkpoint is kept; "
            "a smaller learning_rate usually helps"
        )

    def _show(self, bar, step: int, loss: float, dev: float | None) -> None:
        bar.set_postfix(
            {"loss": f"{loss:.4f}"} | ({"dev F1": f"{100 * dev:.2f}"} if dev is not None else {}),
            refresh=False,
        )
        if self.track:
            self.accelerator.log(
                {"loss": loss, "learning_rate": self.scheduler.get_last_lr()[0]}, step=step
            )


def _share(examples: Sequence[Example]) -> tuple[Sequence[Example], float | None, float]:
    """This process's examples of a batch, what its loss is divided by, and what its penalties weigh: gradients are averaged over
    processes, so the words of the whole batch over their number, and the share of the examples times their number. Where there are fewer
    examples than processes some learn nothing from the first one."""
    if (n := processes.count()) == 1:
        return examples, None, 1.0
    words = sum(len(example.window.positions) for example in examples)
    mine = examples[processes.rank() :: n]
    return (
        (mine, max(1, words) / n, n * len(mine) / len(examples))
        if mine
        else (examples[:1], math.inf, 0.0)
    )


def fit(
    config: RunConfig, corpora: Sequence[Corpus], folder: Path | None = None, progress: bool = True, track: str = "",
    also: Sequence[Corpus] = (), after: Callable[[int, float], None] | None = None,
) -> Fitted:  # fmt: skip
    """Train on the corpora's train splits, choose the epoch on their dev splits; the test splits are not looked at.

    Silver labels choose nothing: where all corpora are silver, the epoch is chosen on the dev splits of `also`.

    With a `folder` each epoch leaves a checkpoint there, and training goes on from the last one found. `track` names a tracker of
    accelerate's, such as "tensorboard". `after` hears of each epoch and its mean dev F1; what it raises ends the training.
    Raises WorkbookError for a loss that isn't finite.
    """
    choosing = [corpus for corpus in corpora if not corpus.silver] or [
        c for c in also if "dev" in c.splits and not c.silver
    ]
    if not choosing:
        raise WorkbookError(
            f"{[corpus.name for corpus in corpora]} are silver, and no epoch can be chosen on labels that nobody checked; "
            "name a gold corpus with a dev split in also_test"
        )
    loop = Loop(config, corpora, progress, track, folder and folder.parent)
    checkpoint = Checkpoint(folder, loop.tagger, loop.loss_of, loop.optimizer, loop.scheduler)
    history = checkpoint.restore()
    for epoch in range(len(history), config.epochs):
        started, cpu, energy = time.perf_counter(), time.process_time(), joules()
        record = loop.one_epoch(epoch, history[-1]["dev"]["mean"] if history else None)
        record["dev"] = dev_f1(
            loop.tagger, [corpus.dev for corpus in choosing], choosing, loop.autocast
        )
        record |= {
            "seconds": time.perf_counter() - started,
            "process_seconds": time.process_time() - cpu,
        }
        history.append({"epoch": epoch, **record, "joules": used(energy, joules())})
        checkpoint.save(history)
        report(config.run_id, epoch, config.epochs, 1.0, record["dev"]["mean"], record["seconds"])
        if track:
            loop.accelerator.log(
                {f"dev F1 {name}": f1 for name, f1 in record["dev"].items()},
                step=(epoch + 1) * record["steps"],
            )
        if progress and processes.rank() == 0:
            dev = 100 * record["dev"]["mean"]
            print(
                f"epoch {epoch + 1}/{config.epochs}  loss {record['loss']:.4f}  dev F1 {dev:.2f}  {record['seconds']:.0f} s"
            )
        if after:
            after(epoch, record["dev"]["mean"])
    checkpoint.restore_best(history)
    if track:
        for (
            tracker
        ) in loop.accelerator.trackers:  # end_training() would leave the other processes alone
            tracker.finish()
    return Fitted(loop.tagger, history, _cost(history), loop.labelled)


def _optimizer(
    config: RunConfig, tagger: MultiTaskTagger, loss_of: MultiTaskLoss
) -> torch.optim.Optimizer:
    """AdamW; weight decay for weight matrices only, as BERT was trained; log-variances of losses learn at a rate of their own."""
    decays = {
        name: p.ndim >= 2 and not name.endswith(("bias", "transitions"))
        for name, p in tagger.named_parameters()
    }
    decayed, rest = (
        [p for name, p in tagger.named_parameters() if decays[name] is which]
        for which in (True, False)
    )
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    if own := list(loss_of.parameters()):
        groups.append({"params": own, "weight_decay": 0.0, "lr": 1e-2})
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _warm_up_and_decay(warmup: float, steps: int) -> Callable[[int], float]:
    """Linear from 0 over the first share of steps, then linear to 0."""
    rise = max(1, round(warmup * steps))
    return lambda step: min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))


def _cost(history: Sequence[dict]) -> dict[str, float]:
    training = sum(record["training_seconds"] for record in history)
    energy = [record["joules"] for record in history]
    return {
        "joules": sum(energy) if energy and None not in energy else None,
        "seconds": sum(record["seconds"] for record in history),
        "process_seconds": sum(record["process_seconds"] for record in history),
        "pieces_per_second": sum(record["pieces"] for record in history) / max(training, 1e-9),
        "steps": sum(record["steps"] for record in history),
    }
