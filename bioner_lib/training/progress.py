"""How far a run is: a bar for people, and a small file for the sweep that started it.

The environment variable BIONER_PROGRESS names the file. The sweep and `status` read it.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..home import outputs, replace_text

VARIABLE = "BIONER_PROGRESS"


def report(
    run_id: str, epoch: int, epochs: int, share: float, dev: float | None, seconds: float
) -> None:
    """Write that `share` (0 to 1) of this epoch (counted from 0) is done.

    `dev` is the last dev F1 (0 to 1), `seconds` the time that one epoch takes.
    """
    left = seconds * (epochs - epoch - share)
    _update(
        run=run_id,
        epoch=epoch + 1,
        epochs=epochs,
        share=round(share, 3),
        dev=dev,
        left=round(left),
    )


def add_run(run_id: str) -> None:
    """Write that this run was made or read."""
    _add("runs", run_id)


def add_made(path: Path) -> None:
    """Write that this file or folder below outputs was made.

    A sweep's job counts as done only while it exists.
    """
    _add("made", str(path.resolve().relative_to(outputs().resolve())))


def _add(key: str, name: str) -> None:
    if place := os.environ.get(VARIABLE):
        names = read_json(Path(place)).get(key, [])
        _update(**{key: list(dict.fromkeys([*names, name]))})


def _update(**changes) -> None:
    if place := os.environ.get(VARIABLE):
        write_json(Path(place), read_json(Path(place)) | changes)


def write_json(path: Path, content: Mapping) -> None:
    """Replace a JSON file in one step. A folder that is gone doesn't stop a run."""
    with suppress(OSError):
        replace_text(path, json.dumps(content | {"seen": time.time()}), lasting=False)


def read_json(path: Path) -> dict:
    """The content of a JSON file; empty where it can't be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def line(progress: Mapping) -> str:
    """A run's progress in one line."""
    if "run" not in progress:
        return ""
    dev = "" if progress["dev"] is None else f", dev F1 {100 * progress['dev']:.1f}"
    epoch = f"epoch {progress['epoch']}/{progress['epochs']} {100 * progress['share']:.0f} %"
    return f"{epoch}{dev}, {duration(progress['left'])} left in this run"


def duration(seconds: float) -> str:
    """45 s, 12 min, 3.5 h"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class EpochBar:
    """Shows and reports one epoch, every 20 batches."""

    def __init__(self, run_id: str, epoch: int, epochs: int, dev: float | None, show: bool):
        self.run_id, self.epoch, self.epochs, self.dev, self.show = run_id, epoch, epochs, dev, show
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def over(self, batches: list):
        """The batches, behind a progress bar."""
        from tqdm.auto import tqdm

        self.size = len(batches)
        self.bar = tqdm(
            batches,
            desc=f"epoch {self.epoch + 1}/{self.epochs}",
            disable=not self.show,
            leave=False,
            mininterval=1,
        )
        return self.bar

    def update(self, step: int, loss: float) -> None:
        """`loss` is the mean so far."""
        shown = {"loss": f"{loss:.4f}"}
        if self.dev is not None:
            shown["dev F1"] = f"{100 * self.dev:.2f}"
        self.bar.set_postfix(shown, refresh=False)
        whole = self.seconds / step * self.size
        report(self.run_id, self.epoch, self.epochs, step / self.size, self.dev, whole)
