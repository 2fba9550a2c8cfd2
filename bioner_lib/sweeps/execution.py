"""Executing one job of a sweep, and its traces.

outputs/notebooks/<job>.ipynb         executed to the end: written aside, renamed last; its metadata name the runs that it made or read
outputs/notebooks/<job>.failed.ipynb  executed up to the failing cell, and .failed.json: parameters, traceback
outputs/sweeps/.locks/                one process at a time works on a job, so that several sweeps share the work
outputs/sweeps/.progress/<job>.json   there while a job is worked on: by whom, and how far its run is
"""

import json
import platform
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import WorkbookError
from ..home import replace_text
from ..training.progress import VARIABLE, read_json, write_json
from .jobs import Job
from .parameters import source_of

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)  # variables that say how many cores a kernel may use
DIED = (
    "DeadKernelError",
    "KilledWorker",
    "Kernel died",
)  # what happened to a job rather than what it did


@dataclass(frozen=True)
class Outcome:
    """What became of a job: done, failed, or busy (another process works on it); a failure's traceback."""

    state: str
    said: str = ""
    seconds: float = 0.0


class NotYet(WorkbookError):
    """A job that can't be executed as things are: its parent isn't done, or its notebook is another one now."""


def state_of(job: Job, outputs: Path) -> str:
    """done, failed, or todo. A job that was killed counts as todo, and so does one whose runs or silver corpora are gone."""
    if job.always:
        return "todo"
    done, record = read_json(executed(job.name, outputs)), failure(job, outputs)
    left = [outputs / "runs" / run_id / "run.json" for run_id in _noted(done, "runs")]
    left += [outputs / made for made in _noted(done, "made")]
    if "metadata" in done and all(path.exists() for path in left):
        return "done"
    return "failed" if record and not record.get("died") else "todo"


def failure(job: Job, outputs: Path) -> dict:
    """parameters, traceback and time (`seen`) of a job's last failure; empty where there is none."""
    return read_json(executed(job.name, outputs).with_suffix(".failed.json"))


def _noted(notebook: Mapping, what: str) -> list[str]:
    """The `runs` that an executed notebook made or read, or what else it `made` (paths below the outputs)."""
    return notebook.get("metadata", {}).get("bioner", {}).get(what, [])


def executed(name: str, outputs: Path) -> Path:
    """Where a job's executed notebook lies."""
    return outputs / "notebooks" / f"{name}.ipynb"


def progress_file(job: Job, outputs: Path) -> Path:
    """Where a job's kernel says how far its run is."""
    return outputs / "sweeps" / ".progress" / f"{job.name}.json"


def execute(
    job: Job,
    outputs: Path,
    environment: Mapping[str, str],
    wait: bool = False,
    known: float | None = None,
) -> Outcome:
    """Execute one job unless it is done, or has failed otherwise than is `known` (the `seen` of its last failure, None for none:
    another sweep tried it meanwhile). What goes wrong in it is its outcome; raises OSError only where its lock can't be had.

    With `wait` it waits for another process that works on it.
    """
    started = time.perf_counter()
    with _claimed(job, outputs, wait) as mine:
        if not mine:
            return Outcome("busy")
        try:
            if (state := state_of(job, outputs)) == "done":
                return Outcome("done")
            if state == "failed" and (record := failure(job, outputs)).get("seen") != known:
                return Outcome("failed", record.get("traceback", ""))
            _execute(job, outputs, environment)
            return Outcome("done", seconds=time.perf_counter() - started)
        except Exception as error:
            said = traceback.format_exc()
            died = (
                isinstance(error, NotYet)
                or type(error).__name__ in DIED
                or any(word in str(error) for word in DIED)
            )
            _record(job, outputs, said, died)
            return Outcome("failed", said, time.perf_counter() - started)
        finally:
            progress_file(job, outputs).unlink(missing_ok=True)


@contextmanager
def _claimed(job: Job, outputs: Path, wait: bool):
    from filelock import FileLock, Timeout

    lock = FileLock(_made(outputs / "sweeps" / ".locks") / f"{job.name}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1 if wait else 0)
        except Timeout:
            if not wait or _stopped():
                yield False
                return
    try:
        yield True
    finally:
        lock.release()


def _stopped() -> bool:
    from .kernels import STOPPED

    return STOPPED.is_set()


def worked_on(job: Job, outputs: Path) -> bool:
    """Whether a process works on a job; what a killed one left is dropped."""
    if not (place := progress_file(job, outputs)).exists():
        return False
    with _claimed(job, outputs, wait=False) as mine:
        if mine:
            place.unlink(missing_ok=True)
        return not mine


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _record(job: Job, outputs: Path, said: str, died: bool) -> None:
    record = {
        "notebook": job.notebook.stem,
        "parameters": dict(job.parameters),
        "died": died,
        "traceback": said,
        "seen": time.time(),
    }
    path = executed(job.name, outputs).with_suffix(".failed.json")
    try:
        _made(path.parent)
        replace_text(path, json.dumps(record, indent=1))
    except OSError as error:  # the disk is full: the sweep still says so itself
        print(f"can't write {path}: {error}", file=sys.stderr)


def _execute(job: Job, outputs: Path, environment: Mapping[str, str]) -> None:
    import papermill
    from traitlets.config import Config

    from .kernels import Kernel

    done, parameters, place = (
        executed(job.name, outputs),
        dict(job.parameters),
        progress_file(job, outputs),
    )
    if source_of(job.notebook) != job.source:
        raise NotYet(f"{job.notebook.name} has changed since the sweep was started; start it again")
    _made(done.parent), _made(place.parent)
    if job.parent:
        parameters["options"] = {
            **parameters.get("options", {}),
            "start_from": _parents_run(job, outputs),
        }
    write_json(place, {"host": platform.node(), "started": time.time()})
    told = {**environment, "BIONER_OUTPUTS": str(outputs), VARIABLE: str(place)}
    if (
        isinstance(ranks := parameters.get("processes"), int) and ranks > 1
    ):  # one run's processes share its cores
        told |= {
            name: str(max(1, int(environment[name]) // ranks))
            for name in THREADS
            if name in environment
        }
    options = {
        "kernel_name": "python3", "progress_bar": False, "kernel_manager_class": Kernel,
        "resources": {"metadata": {"path": str(job.notebook.parent)}},  # papermill's own cwd= moves the whole process
        "config": Config({"KernelManager": {"transport_encryption": "auto"}, "Kernel": {"environment": told}}),
    }  # fmt: skip
    aside, failed = done.with_suffix(".running.ipynb"), done.with_suffix(".failed.ipynb")
    try:
        try:
            papermill.execute_notebook(job.notebook, aside, parameters, **options)
        except RuntimeError as error:
            if "Kernel died before replying" not in str(error):
                raise
            # a port was taken between choice and use
            papermill.execute_notebook(job.notebook, aside, parameters, **options)
    except Exception:
        if aside.exists():
            aside.replace(failed)
        raise
    _keep(aside, done, read_json(place), outputs)
    for leftover in (failed, failed.with_suffix(".json")):
        leftover.unlink(missing_ok=True)


def _keep(aside: Path, done: Path, told: Mapping, outputs: Path) -> None:
    """The executed notebook beside each run that it was the first to make, then, as the last step, in its own place."""
    content = json.loads(aside.read_text(encoding="utf-8"))
    content["metadata"]["bioner"] = {what: list(told.get(what, [])) for what in ("runs", "made")}
    text = json.dumps(content, indent=1)
    for run_id in told.get("runs", []):
        if (run := outputs / "runs" / run_id).is_dir() and not (run / "notebook.ipynb").exists():
            replace_text(run / "notebook.ipynb", text)
    replace_text(done, text)
    aside.unlink()


def _parents_run(job: Job, outputs: Path) -> str:
    """The one run with a tagger that the parent's notebook made."""
    parent = read_json(executed(job.parent, outputs))
    if not parent:
        raise NotYet(f"{job.name} starts from {job.parent}, which isn't done")
    runs = sorted(
        run_id
        for run_id in _noted(parent, "runs")
        if (outputs / "runs" / run_id / "model").is_dir()
    )
    if len(runs) != 1:
        raise WorkbookError(
            f"{job.name} starts from {job.parent}, which has {len(runs)} runs with a tagger: {runs}; it needs one"
        )
    return runs[0]
