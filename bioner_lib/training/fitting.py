"""Fitting: train for some epochs, keep the one that is best on dev."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..evaluation.scoring import Score
from ..models.blocks import Cut
from ..models.tagger import MultiTaskTagger
from . import processes
from .checkpoint import Checkpoint
from .choosing import choosing_corpora, chosen_by, dev_scores
from .energy import joules, used
from .loop import Loop
from .progress import report


@dataclass
class Fitted:
    """What a training returns.

    tagger     with the weights of its best epoch
    history    one record per epoch: loss, dev F1, steps, pieces, seconds
    cost       sums over the history
    labelled   corpus -> how many sentences a teacher labelled
    cuts       corpus -> its dev split, cut into windows
    restored   seconds of the epochs that an earlier call trained
    """

    tagger: MultiTaskTagger
    history: list[dict]
    cost: dict[str, float]
    labelled: dict[str, int]
    cuts: dict[str, Cut]
    restored: float


def fit(
    config: RunConfig,
    corpora: Sequence[Corpus],
    folder: Path | None = None,
    progress: bool = True,
    track: str = "",
    also: Sequence[Corpus] = (),
    after: Callable[[int, float], None] | None = None,
) -> Fitted:
    """Train on the train splits of the corpora and choose the epoch on their dev splits.

    Test splits are not looked at. `config.chosen_on` names corpora whose dev splits choose; without
    it the gold ones of `corpora` do, or, where all of those are silver, those of `also`.

    folder   gets a checkpoint per epoch, from which a later call continues
    track    a tracker of accelerate's, such as "tensorboard"; see tracking.py
    after    is called with each epoch and its mean dev F1; what it raises ends the training

    Raises WorkbookError for a loss that isn't finite.
    """
    choosing = choosing_corpora(config, corpora, also)
    loop = Loop(config, corpora, progress, track)
    checkpoint = Checkpoint(folder, loop.parts())
    history = checkpoint.restore()
    restored = sum(record["seconds"] for record in history)
    for epoch in range(len(history), config.epochs):
        record, scores = _train_and_choose(loop, epoch, choosing, history)
        history.append(record)
        checkpoint.save(history, loop.judged)
        _tell(loop, record, scores)
        if after:
            after(epoch, record["dev"]["mean"])
    checkpoint.restore_best(history)
    loop.tracking.finish()
    whole = loop.cuts if processes.count() == 1 else {}
    return Fitted(loop.tagger, history, cost_of(history), loop.labelled, whole, restored)


def _train_and_choose(
    loop: Loop, epoch: int, choosing: Sequence[Corpus], history: Sequence[dict]
) -> tuple[dict, dict[str, dict[str, Score]]]:
    """Train one epoch and score dev; returns the epoch's record, and all scores on dev."""
    started, cpu, energy = time.perf_counter(), time.process_time(), joules()
    before = history[-1]["dev"]["mean"] if history else None
    record = {"epoch": epoch, **loop.one_epoch(epoch, before)}
    dev = [corpus.dev for corpus in choosing]
    with loop.judged():
        scores = dev_scores(loop.tagger, dev, choosing, loop.autocast, loop.cuts)
    record["dev"] = chosen_by(scores)
    record["seconds"] = time.perf_counter() - started
    record["process_seconds"] = time.process_time() - cpu
    record["joules"] = used(energy, joules())
    return record, scores


def _tell(loop: Loop, record: dict, scores: dict[str, dict[str, Score]]) -> None:
    """An epoch's result, for the sweep, the tracker and the person who waits."""
    config, epoch, dev = loop.config, record["epoch"], record["dev"]
    report(config.run_id, epoch, config.epochs, 1.0, dev["mean"], record["seconds"])
    loop.tracking.scores(scores, dev["mean"], sum(loop.steps[: epoch + 1]))
    if loop.progress and processes.rank() == 0:
        print(
            f"epoch {epoch + 1}/{config.epochs}  loss {record['loss']:.4f}  "
            f"dev F1 {100 * dev['mean']:.2f}  {record['seconds']:.0f} s"
        )


def cost_of(history: Sequence[dict]) -> dict[str, float | None]:
    """The sums over a history: joules, seconds, process_seconds, steps; and pieces_per_second."""

    def total(key: str) -> float:
        return sum(record[key] for record in history)

    known = history and all(record["joules"] is not None for record in history)
    return {
        "joules": total("joules") if known else None,
        "seconds": total("seconds"),
        "process_seconds": total("process_seconds"),
        "pieces_per_second": total("pieces") / max(total("training_seconds"), 1e-9),
        "steps": total("steps"),
    }
