"""Executing the jobs of a sweep: one job, its lock and its traces; and all of them through a concurrent.futures.Executor.

outputs/notebooks/<job>.ipynb         executed to the end: written aside, renamed last
outputs/notebooks/<job>.failed.ipynb  executed up to the failing cell, and .failed.json: parameters, traceback
outputs/notebooks/.locks/             one process at a time works on a job, so that several sweeps share the work
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from ..errors import WorkbookError
from ..home import outputs as outputs_folder
from .progress import VARIABLE, write_json
from .sweeps import Job

_ROW = re.compile(r"row: runs/(\S+)/run\.json")
_ROOM = 200 * 2**20  # bytes that a run needs at least
DIED = ("DeadKernelError", "KilledWorker", "Kernel died")  # what happened to a job rather than what it did


@dataclass(frozen=True)
class Outcome:
    """What became of a job: done, failed, or busy (another process works on it); a failure's traceback."""

    state: str
    said: str = ""
    seconds: float = 0.0


def state_of(job: Job, outputs: Path) -> str:
    """done, failed, or todo; what died or was killed is to do again."""
    done, record = _place(job.name, outputs), failure(job, outputs)
    if not job.always and done.exists() and all((outputs / "runs" / run_id / "run.json").exists() for run_id in rows_of(done)):
        return "done"
    return "failed" if record and not record["died"] else "todo"


def failure(job: Job, outputs: Path) -> dict:
    """parameters, traceback and time of a job's last failure; empty where there is none."""
    path = _place(job.name, outputs).with_suffix(".failed.json")
    return json.loads(path.read_text()) if path.exists() else {}


def rows_of(executed: Path) -> set[str]:
    """The runs that an executed notebook made or read, from what it printed."""
    return set(_ROW.findall(executed.read_text(encoding="utf-8")))


def _place(name: str, outputs: Path) -> Path:
    return outputs / "notebooks" / f"{name}.ipynb"


def progress_file(job: Job, outputs: Path) -> Path:
    """Where a job's kernel says how far its run is."""
    return outputs / "sweeps" / ".progress" / f"{job.name}.json"


def execute(job: Job, outputs: Path, environment: Mapping[str, str], wait: bool = False) -> Outcome:
    """Execute one job unless it is done; never raises. With `wait` it waits for another process that works on it."""
    started = time.perf_counter()
    try:
        with _claimed(job, outputs, wait) as mine:
            if not mine:
                return Outcome("busy")
            if state_of(job, outputs) == "done":
                return Outcome("done")
            _execute(job, outputs, environment)
            return Outcome("done", seconds=time.perf_counter() - started)
    except Exception as error:
        said = traceback.format_exc()
        _record(job, outputs, said, type(error).__name__ in DIED or any(word in str(error) for word in DIED))
        return Outcome("failed", said, time.perf_counter() - started)
    finally:
        progress_file(job, outputs).unlink(missing_ok=True)


@contextmanager
def _claimed(job: Job, outputs: Path, wait: bool):
    from filelock import FileLock, Timeout

    lock = FileLock(_made(outputs / "sweeps" / ".locks") / f"{job.name}.lock")
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _record(job: Job, outputs: Path, said: str, died: bool) -> None:
    record = {"notebook": job.notebook.stem, "parameters": dict(job.parameters), "died": died, "traceback": said, "seen": time.time()}
    path = _place(job.name, outputs).with_suffix(".failed.json")
    try:
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(record, indent=1))
        aside.replace(path)
    except OSError as error:  # the disk is full: the sweep still says so itself
        print(f"can't write {path}: {error}", file=sys.stderr)


def _execute(job: Job, outputs: Path, environment: Mapping[str, str]) -> None:
    import papermill
    from traitlets.config import Config

    from .kernels import Kernel

    done, parameters = _place(job.name, outputs), dict(job.parameters)
    _made(done.parent)
    if job.parent:
        parameters["options"] = {**parameters.get("options", {}), "start_from": _parents_run(job, outputs)}
    place = progress_file(job, outputs)
    _made(place.parent)
    write_json(place, {"host": platform.node(), "started": time.time()})
    told = {**environment, "BIONER_OUTPUTS": str(outputs), VARIABLE: str(place)}
    if mirror := os.environ.get("BIONER_MIRROR"):  # whatever the kernel's working folder is
        told["BIONER_MIRROR"] = str(Path(mirror).resolve())
    options = {
        "kernel_name": "python3", "progress_bar": False, "cwd": str(job.notebook.parent), "kernel_manager_class": Kernel,
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
    for leftover in (failed, failed.with_suffix(".json")):
        leftover.unlink(missing_ok=True)
    aside.replace(done)
    for run_id in rows_of(done):
        if (run := outputs / "runs" / run_id).is_dir():
            (run / "notebook.ipynb").write_bytes(done.read_bytes())


def _parents_run(job: Job, outputs: Path) -> str:
    """The one run with a tagger that the parent's notebook made."""
    place = _place(job.parent, outputs)
    if not place.exists():
        raise WorkbookError(f"{job.name} starts from {job.parent}, which isn't done")
    runs = sorted(run_id for run_id in rows_of(place) if (outputs / "runs" / run_id / "model").is_dir())
    if len(runs) != 1:
        raise WorkbookError(f"{job.name} starts from {job.parent}, which has {len(runs)} runs with a tagger: {runs}; it needs one")
    return runs[0]


def run_sweep(
    steps: Iterable[list[Job]], outputs: str | Path | None = None, executor: Executor | None = None, workers: int = 1,
    retry_failed: bool = False, tell: Callable[[Job, Outcome], None] | None = None,
) -> list[tuple[Job, str]]:  # fmt: skip
    """Execute what is missing, step by step; returns the jobs that failed with their tracebacks. One failure doesn't stop the others.

    Jobs that failed before aren't tried again without `retry_failed`. `tell` hears what became of each job. Without an
    `executor` there are `workers` threads, each with a kernel of its own, cores and GPUs divided among them.
    Raises WorkbookError where outputs have no room left.
    """
    folder = outputs_folder(outputs).resolve()
    if (free := shutil.disk_usage(folder).free) < _ROOM:
        raise WorkbookError(f"{folder} has {free / 2**20:.0f} MiB left and a run needs more; make room, or set BIONER_OUTPUTS")
    tell, failed = tell or (lambda job, outcome: None), []
    with nullcontext(executor) if executor else ThreadPoolExecutor(workers) as pool:
        for jobs in steps:
            todo = []
            for job in jobs:
                if not retry_failed and state_of(job, folder) == "failed":
                    said = f"failed before; --retry-failed tries again\n{failure(job, folder)['traceback']}"
                    failed.append((job, said)), tell(job, Outcome("failed", said))
                else:
                    todo.append(job)
            failed += _step(pool, todo, folder, min(workers, len(jobs)), executor is None, tell)
    return failed


def _step(pool: Executor, jobs: list[Job], outputs: Path, workers: int, local: bool, tell: Callable) -> list[tuple[Job, str]]:
    places, failed = _Places(workers) if local else None, []
    wait = False
    while jobs:
        waiting: dict[Future, Job] = {pool.submit(places.execute if places else _on_a_worker, job, outputs, wait): job for job in jobs}
        jobs = []
        for future in as_completed(waiting):
            job, outcome = waiting[future], _result(future)
            tell(job, outcome)
            if outcome.state == "busy":  # first the others, then wait for it
                jobs.append(job)
            elif outcome.state == "failed":
                failed.append((job, outcome.said))
        wait = True
    return failed


def _result(future: Future) -> Outcome:
    try:
        return future.result()
    except Exception:  # the worker was lost, and with it what it would have said
        return Outcome("failed", traceback.format_exc())


def _on_a_worker(job: Job, outputs: Path, wait: bool) -> Outcome:
    """On a machine of a cluster, whose cores this job has to itself."""
    return execute(job, outputs, _threads(cores() // slots()), wait)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots() -> int:
    """How many jobs of one sweep a machine of the cluster works on at once; a scheduler of batch jobs has bound each to its cores."""
    return int(os.environ.get("BIONER_SLOTS", "1"))


def _threads(n: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, n)), "MKL_NUM_THREADS": str(max(1, n)), "TOKENIZERS_PARALLELISM": "false"}


class _Places:
    """Cores and GPUs of this machine, divided among workers: a job takes a place while it runs."""

    def __init__(self, workers: int):
        gpus = _gpus()
        self._free: SimpleQueue = SimpleQueue()
        for i in range(workers):
            self._free.put(_threads(cores() // workers) | ({"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}))

    def execute(self, job: Job, outputs: Path, wait: bool) -> Outcome:
        place = self._free.get()
        try:
            return execute(job, outputs, place, wait)
        finally:
            self._free.put(place)


def _gpus() -> list[str]:
    if (told := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in told.split(",") if name]
    if not (asked := shutil.which("nvidia-smi")):
        return []
    listed = subprocess.run([asked, "-L"], capture_output=True, text=True, check=False).stdout
    return [str(i) for i, _ in enumerate(re.findall(r"^GPU \d+:", listed, re.MULTILINE))]
