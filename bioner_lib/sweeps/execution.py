"""Executing one job of a sweep, and what it leaves.

outputs/notebooks/<job>.ipynb         executed to the end; its metadata name the runs that it
                                      made or read
outputs/notebooks/<job>.failed.ipynb  executed up to the failing cell; .failed.json holds
                                      parameters and traceback
outputs/sweeps/.locks/                one process at a time works on a job, so that several
                                      sweeps share the work
outputs/sweeps/.progress/<job>.json   exists while a job is executed: by whom, and how far
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
from ..home import outputs, replace_text, runs_folder
from ..training.progress import VARIABLE, read_json, write_json
from .jobs import Job
from .parameters import source_of

# environment variables that limit how many cores a kernel uses
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# errors that come from outside the notebook
DIED = ("DeadKernelError", "KilledWorker", "Kernel died")


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    state    done, failed, or busy (another process works on it)
    trace    the traceback of a failure
    """

    state: str
    trace: str = ""
    seconds: float = 0.0


class NotYet(WorkbookError):
    """A job that can't be executed now: its parent isn't done, or its notebook has changed."""


def state_of(job: Job) -> str:
    """done, failed, or todo. A killed job counts as todo, and one whose results are gone."""
    if job.always:
        return "todo"
    done, record = read_json(executed(job.name)), failure(job)
    results = [runs_folder() / run_id / "run.json" for run_id in _recorded(done, "runs")]
    results += [outputs() / path for path in _recorded(done, "made")]
    if "metadata" in done and all(path.exists() for path in results):
        return "done"
    return "failed" if record and not record.get("died") else "todo"


def runs_of(job: Job) -> list[str]:
    """The runs that a finished job's notebook made or read; empty where it isn't finished."""
    return _recorded(read_json(executed(job.name)), "runs")


def failure(job: Job) -> dict:
    """parameters, traceback and time (`seen`) of a job's last failure; empty where it has none."""
    return read_json(executed(job.name).with_suffix(".failed.json"))


def _recorded(notebook: Mapping, what: str) -> list[str]:
    """The `runs` that an executed notebook made or read; what else it `made` below outputs."""
    return notebook.get("metadata", {}).get("bioner", {}).get(what, [])


def executed(name: str) -> Path:
    """The place of a job's executed notebook."""
    return outputs() / "notebooks" / f"{name}.ipynb"


def progress_file(job: Job) -> Path:
    """The file in which a job's kernel reports how far its run is."""
    return outputs() / "sweeps" / ".progress" / f"{job.name}.json"


def execute(
    job: Job, environment: Mapping[str, str], wait: bool = False, known: float | None = None
) -> Outcome:
    """Execute a job unless it is done, or another sweep tried it meanwhile and failed.

    `known` is the time (`seen`) of the failure that the caller knows, or None. With `wait` it waits
    for another process that works on the job. Errors are part of the outcome.
    """
    started = time.perf_counter()
    with claimed(job, wait) as is_mine:
        if not is_mine:
            return Outcome("busy")
        try:
            state = state_of(job)
            if state == "done":
                return Outcome("done")
            if state == "failed" and failure(job).get("seen") != known:
                return Outcome("failed", failure(job).get("traceback", ""))
            _execute(job, environment)
            return Outcome("done", seconds=time.perf_counter() - started)
        except Exception as error:
            trace = traceback.format_exc()
            record_failure(job, trace, died=_comes_from_outside(error))
            return Outcome("failed", trace, time.perf_counter() - started)
        finally:
            progress_file(job).unlink(missing_ok=True)


def _comes_from_outside(error: Exception) -> bool:
    if isinstance(error, NotYet) or type(error).__name__ in DIED:
        return True
    return any(word in str(error) for word in DIED)


@contextmanager
def claimed(job: Job, wait: bool):
    """Whether this process may work on the job while the block lasts."""
    from filelock import FileLock, Timeout

    from .kernels import STOPPED

    lock = FileLock(_folder(outputs() / "sweeps" / ".locks") / f"{job.name}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1 if wait else 0)
        except Timeout:
            if not wait or STOPPED.is_set():
                yield False
                return
    try:
        yield True
    finally:
        lock.release()


def is_running(job: Job) -> bool:
    """Whether a process works on a job; deletes what a killed one left."""
    place = progress_file(job)
    if not place.exists():
        return False
    with claimed(job, wait=False) as is_mine:
        if is_mine:
            place.unlink(missing_ok=True)
        return not is_mine


def _folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def record_failure(job: Job, trace: str, died: bool) -> None:
    """Write a job's parameters and traceback."""
    record = {
        "notebook": job.notebook.stem,
        "parameters": dict(job.parameters),
        "died": died,
        "traceback": trace,
        "seen": time.time(),
    }
    path = executed(job.name).with_suffix(".failed.json")
    try:
        _folder(path.parent)
        replace_text(path, json.dumps(record, indent=1))
    except OSError as error:  # a full disk: the sweep still prints the traceback
        print(f"can't write {path}: {error}", file=sys.stderr)


def _execute(job: Job, environment: Mapping[str, str]) -> None:
    if source_of(job.notebook) != job.source:
        raise NotYet(f"{job.notebook.name} has changed since the sweep was started; start it again")
    done, place = executed(job.name), progress_file(job)
    _folder(done.parent)
    _folder(place.parent)
    parameters = dict(job.parameters)
    if job.parent:
        options = parameters.get("options", {})
        parameters["options"] = {**options, "start_from": _run_of_parent(job)}
    write_json(place, {"host": platform.node(), "started": time.time()})
    aside, failed = done.with_suffix(".running.ipynb"), done.with_suffix(".failed.ipynb")
    environment = {
        **_divided(environment, parameters),
        "BIONER_OUTPUTS": str(outputs().resolve()),
        VARIABLE: str(place.resolve()),
    }
    try:
        _run_papermill(job.notebook, aside, parameters, environment)
    except Exception:
        if aside.exists():
            aside.replace(failed)
        raise
    _keep(aside, done, read_json(place))
    for leftover in (failed, failed.with_suffix(".json")):
        leftover.unlink(missing_ok=True)


def _divided(environment: Mapping[str, str], parameters: Mapping[str, object]) -> dict[str, str]:
    """The environment of a kernel; the processes of one run share its cores."""
    processes = parameters.get("processes")
    divided = dict(environment)
    if isinstance(processes, int) and processes > 1:
        for name in THREADS:
            if name in divided:
                divided[name] = str(max(1, int(divided[name]) // processes))
    return divided


def _run_papermill(
    notebook: Path, to: Path, parameters: dict, environment: Mapping[str, str]
) -> None:
    import papermill
    from traitlets.config import Config

    from .kernels import Kernel

    config = {
        "KernelManager": {"transport_encryption": "auto"},
        "Kernel": {"environment": environment},
    }
    options = {
        "kernel_name": "python3",
        "progress_bar": False,
        "kernel_manager_class": Kernel,
        # papermill's own cwd= would move this whole process
        "resources": {"metadata": {"path": str(notebook.parent)}},
        "config": Config(config),
    }
    try:
        papermill.execute_notebook(notebook, to, parameters, **options)
    except RuntimeError as error:
        if "Kernel died before replying" not in str(error):
            raise
        # another process took a port between its choice and its use
        papermill.execute_notebook(notebook, to, parameters, **options)


def _keep(aside: Path, done: Path, progress: Mapping) -> None:
    """Put the executed notebook beside each new run and, as the last step, in its own place."""
    content = json.loads(aside.read_text(encoding="utf-8"))
    record = {what: list(progress.get(what, [])) for what in ("runs", "made")}
    content["metadata"]["bioner"] = record
    text = json.dumps(content, indent=1)
    for run_id in record["runs"]:
        copy = runs_folder() / run_id / "notebook.ipynb"
        if copy.parent.is_dir() and not copy.exists():
            replace_text(copy, text)
    replace_text(done, text)
    aside.unlink()


def _run_of_parent(job: Job) -> str:
    """The one run with a tagger that the parent's notebook made."""
    parent = read_json(executed(job.parent))
    if not parent:
        raise NotYet(f"{job.name} starts from {job.parent}, which isn't done")
    recorded = _recorded(parent, "runs")
    if not all((runs_folder() / run / "run.json").exists() for run in recorded):
        raise NotYet(f"{job.name} starts from {job.parent}, whose runs are gone or unfinished")
    runs = [run for run in recorded if (runs_folder() / run / "model").is_dir()]
    if len(runs) != 1:
        raise WorkbookError(
            f"{job.name} starts from {job.parent}, which has {len(runs)} runs with a tagger: "
            f"{sorted(runs)}; it needs one"
        )
    return runs[0]
