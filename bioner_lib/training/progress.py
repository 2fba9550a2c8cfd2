"""What a run tells others while it goes on: a small file in the place that BIONER_PROGRESS names, read by a sweep and by `status`."""

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
    """Say that `share` (0 to 1) of this epoch (from 0) is done; `dev` is the last dev F1 (0 to 1), `seconds` what an epoch takes."""
    if not (place := os.environ.get(VARIABLE)):
        return
    left = seconds * (epochs - epoch - share)
    now = {
        "run": run_id,
        "epoch": epoch + 1,
        "epochs": epochs,
        "share": round(share, 3),
        "dev": dev,
        "left": round(left),
    }
    write_json(Path(place), read_json(Path(place)) | now)


def add_run(run_id: str) -> None:
    """Say that this run was made or read."""
    _add("runs", run_id)


def add_made(path: Path) -> None:
    """Say that this file or folder below the outputs was made: a sweep's job is done only while it is there."""
    _add("made", str(path.resolve().relative_to(outputs().resolve())))


def _add(what: str, name: str) -> None:
    if place := os.environ.get(VARIABLE):
        told = read_json(Path(place))
        write_json(Path(place), told | {what: list(dict.fromkeys([*told.get(what, []), name]))})


def write_json(path: Path, content: Mapping) -> None:
    """Replace a JSON file in one step; a folder that went away is no reason to stop a run."""
    with suppress(OSError):
        replace_text(path, json.dumps(content | {"seen": time.time()}), lasting=False)


def read_json(path: Path) -> dict:
    """What was written last; empty where there is nothing that can be read."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def line(said: Mapping) -> str:
    """One line for people."""
    if "run" not in said:
        return ""
    dev = "" if said["dev"] is None else f", dev F1 {100 * said['dev']:.1f}"
    return f"epoch {said['epoch']}/{said['epochs']} {100 * said['share']:.0f} %{dev}, {duration(said['left'])} left in this run"


def duration(seconds: float) -> str:
    """45 s, 12 min, 3.5 h"""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
