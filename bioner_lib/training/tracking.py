"""What a tracker such as TensorBoard is told (library: accelerate).

    loss, learning_rate, gradient_norm     at the first step and at each tenth of an epoch
    dev <corpus>/<type>/<measure>          after each epoch: precision, recall, f1 (0 to 1)
    dev F1 mean                            by which the epoch is chosen

Steps are those of the optimizer, counted from 1 over the whole training. The loss is the mean over
the batches since the report before, the gradient's norm is that before clipping.
"""

import math
import os
from collections.abc import Mapping

import torch

from ..errors import WorkbookError, unknown
from ..evaluation.scoring import Score
from ..home import outputs

_MEASURES = ("precision", "recall", "f1")


class Tracking:
    """The device and the other processes, and a tracker; "" tracks nothing.

    Raises WorkbookError for a tracker that is unknown or isn't installed.
    """

    def __init__(self, track: str):
        self.track = track
        self.accelerator = _accelerator(track)
        self.due: frozenset[int] = frozenset()

    def start(self, run_id: str) -> None:
        if self.track:
            self.accelerator.init_trackers(run_id)

    def start_epoch(self, epoch: int, steps: int, before: int) -> None:
        """An epoch (counted from 0) of so many steps begins; `before` it so many were done."""
        self.before = before
        self.due = due(epoch, steps) if self.track else frozenset()
        self.loss, self.batches = 0.0, 0

    def step(
        self, step: int, batches: int, loss: torch.Tensor, norm: torch.Tensor, rate: float
    ) -> None:
        """The epoch's step (from 1) is done; `loss` is the sum over its batches so far.

        Tensors are read only at a step that is reported: reading makes a GPU wait.
        """
        if step not in self.due:
            return
        so_far = float(loss)
        values = {
            "loss": (so_far - self.loss) / (batches - self.batches),
            "learning_rate": rate,
            "gradient_norm": float(norm),
        }
        self.loss, self.batches = so_far, batches
        self.accelerator.log(values, step=self.before + step)

    def scores(self, scores: Mapping[str, Mapping[str, Score]], mean: float, step: int) -> None:
        """Corpus -> type (or micro) -> measures on dev, and the mean micro F1, after an epoch."""
        if not self.track:
            return
        values = {"dev F1 mean": mean}
        for corpus, by_type in scores.items():
            for type, measures in by_type.items():
                if type != "macro":
                    values |= {f"dev {corpus}/{type}/{key}": measures[key] for key in _MEASURES}
        self.accelerator.log(values, step=step)

    def finish(self) -> None:
        if self.track:
            # not accelerator.end_training(), which would leave the other processes alone
            for tracker in self.accelerator.trackers:
                tracker.finish()


def due(epoch: int, steps: int) -> frozenset[int]:
    """The steps of an epoch, counted from 1, that are reported.

    >>> sorted(due(0, 40))
    [1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    """
    tenths = {math.ceil(steps * tenth / 10) for tenth in range(1, 11)}
    return frozenset(tenths | {1} if epoch == 0 else tenths)


def _accelerator(track: str):
    """The device, the other processes, and a tracker (library: accelerate)."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    if track and track not in LOGGER_TYPE_TO_CLASS:
        raise unknown("tracker", track, LOGGER_TYPE_TO_CLASS)
    if track and track not in {str(tracker) for tracker in get_available_trackers()}:
        raise WorkbookError(f"tracker {track!r} isn't installed: pip install {track}")
    # what changes numbers is in the configuration, not in the environment
    os.environ.pop("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", None)
    # nor in what a Trainer of this process has set before
    AcceleratorState._reset_state()
    folder = str(outputs() / "tensorboard") if track else None
    return Accelerator(mixed_precision="no", log_with=track or None, project_dir=folder)
