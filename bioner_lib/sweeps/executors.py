"""Executing the jobs of a sweep: threads of this process, or a cluster (library: Dask).

Each thread or worker starts a kernel per job.
"""

import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue

from ..errors import WorkbookError
from ..home import home, mirror, outputs
from .execution import THREADS, Outcome, execute, failure, is_running, state_of
from .jobs import Job

LOST = 10  # a job fails if so many workers were lost while they worked on it
_ROOM = 200 * 2**20  # bytes that a run needs at least

Tell = Callable[[Job, Outcome], None]


@contextmanager
def opened(kind: str, workers: int = 1) -> Iterator[Executor | None]:
    """An executor by its name.

    ""                  yields None: run in this process
    "processes"         for functions, not for sweeps
    "dask"              a cluster of this machine's processes
    "tcp://host:port"   a Dask scheduler, whose machines share this file system

    Raises WorkbookError for another name, for Dask where it isn't installed, and for a scheduler
    that doesn't answer.
    """
    if workers < 1:
        raise WorkbookError(f"workers={workers}; expected 1 or more")
    if kind == "":
        yield None
    elif kind == "processes":
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield pool
    elif kind == "dask" or "://" in kind:
        with _client(kind, workers) as client:
            yield client.get_executor(pure=False, retries=0)
    else:
        raise WorkbookError(
            f"unknown executor {kind!r}; known: processes, dask, or the address of a Dask "
            "scheduler such as tcp://host:8786"
        )


@contextmanager
def _client(kind: str, workers: int):
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise WorkbookError(
            f"executor {kind!r} needs Dask, which isn't installed: "
            "pip install -c constraints.txt -e '.[cluster]'"
        ) from None
    if kind == "dask":
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": LOST}),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                env={"BIONER_SLOTS": str(workers)},
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(kind, timeout="10s")
    except (OSError, ValueError) as error:
        raise WorkbookError(
            f"no scheduler answers at {kind} ({type(error).__name__}: {error}); nothing was started"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            print(
                f"the scheduler at {kind} has no workers yet; notebooks wait for them",
                file=sys.stderr,
            )
        yield client


def run_sweep(
    steps: Iterable[list[Job]],
    executor: Executor | None = None,
    workers: int = 1,
    retry_failed: bool = False,
    tell: Tell | None = None,
) -> list[tuple[Job, str]]:
    """Execute what is missing, step by step; returns failed jobs with their tracebacks.

    A failed job doesn't stop the others, and is executed again only with `retry_failed`. `tell` is
    called with the outcome of each job. Without an executor, `workers` threads divide the cores
    and GPUs of this machine; an interrupt stops their kernels.

    Raises WorkbookError where outputs have no room left.
    """
    folder, steps = outputs(write=True), list(steps)
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        raise WorkbookError(
            f"{folder} has {free / 2**20:.0f} MiB left and a run needs more; make room, or set "
            "BIONER_OUTPUTS"
        )
    tell = tell or (lambda job, outcome: None)
    for job in (job for step in steps for job in step):
        is_running(job)  # deletes what a killed sweep left
    failed: list[tuple[Job, str]] = []
    with nullcontext(executor) if executor else _threads(workers) as pool:
        for jobs in steps:
            todo = []
            for job in jobs:
                if not retry_failed and state_of(job) == "failed":
                    trace = failure(job).get("traceback", "")
                    trace = f"failed before; --retry-failed runs it again\n{trace}"
                    failed.append((job, trace))
                    tell(job, Outcome("failed", trace))
                else:
                    todo.append(job)
            if executor:
                work = partial(_on_a_worker, folders=_folders())
            else:
                work = _Places(min(workers, len(jobs))).execute
            failed += _run_step(pool, work, todo, tell)
    return failed


def _run_step(pool: Executor, work: Callable, jobs: list[Job], tell: Tell) -> list[tuple[Job, str]]:
    """Execute the jobs of one step side by side."""
    known = {job.name: failure(job).get("seen") for job in jobs}
    failed, wait = [], False
    while jobs:
        waiting: dict[Future, Job] = {}
        for job in jobs:
            waiting[pool.submit(work, job, wait=wait, known=known[job.name])] = job
        # first all jobs that are free, then those that another sweep works on
        jobs, wait = [], True
        for future in as_completed(waiting):
            job, outcome = waiting[future], _outcome(future)
            tell(job, outcome)
            if outcome.state == "busy":
                jobs.append(job)
            elif outcome.state == "failed":
                failed.append((job, outcome.trace))
    return failed


def _outcome(future: Future) -> Outcome:
    try:
        return future.result()
    except CancelledError:
        return Outcome(
            "failed",
            "the cluster gave it up: its scheduler is gone or was closed; the same command goes on",
        )
    except Exception:  # the worker was lost, and its traceback with it
        return Outcome("failed", traceback.format_exc())


@contextmanager
def _threads(workers: int) -> Iterator[Executor]:
    from .kernels import STOPPED, stop_all

    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:  # an interrupt: runs continue from their last epoch next time
        stop_all()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        STOPPED.clear()
    pool.shutdown()


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shares(workers: int) -> list[dict[str, str]]:
    """The environment of each worker's kernels: its share of cores and GPUs.

    Where OMP_NUM_THREADS is set, no kernel takes more threads.
    """
    gpus, threads = _gpus(), max(1, cores() // workers)
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    threads = str(min(threads, int(limit)) if limit.isdigit() and int(limit) else threads)
    shares = []
    for i in range(workers):
        share = dict.fromkeys(THREADS, threads) | {"TOKENIZERS_PARALLELISM": "false"}
        if gpus:
            # with more workers than GPUs, several share one
            own = ",".join(gpus[i::workers])
            share["CUDA_VISIBLE_DEVICES"] = own or gpus[i % len(gpus)]
        shares.append(share)
    return shares


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    tool = shutil.which("nvidia-smi")
    if not tool:
        return []
    answer = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout
    count = len(re.findall(r"^GPU \d+:", answer, re.MULTILINE))
    return [str(i) for i in range(count)]


def _folders() -> dict[str, str]:
    """The folders that kernels and workers must know wherever they run."""
    folders: dict[str, Path | None] = {
        "BIONER_OUTPUTS": outputs().resolve(),
        "BIONER_HOME": home() if os.environ.get("BIONER_HOME") else None,
        "BIONER_MIRROR": mirror(),
    }
    return {name: str(path) for name, path in folders.items() if path}


class _Places:
    """Shares of this machine; a job takes one while it runs."""

    def __init__(self, workers: int):
        self._free: SimpleQueue = SimpleQueue()
        for share in _shares(workers):
            self._free.put(_folders() | share)

    def execute(self, job: Job, wait: bool, known: float | None) -> Outcome:
        place = self._free.get()
        try:
            return execute(job, place, wait, known)
        finally:
            self._free.put(place)


def _on_a_worker(job: Job, wait: bool, known: float | None, folders: dict[str, str]) -> Outcome:
    """Execute a job on a worker of a cluster.

    Of BIONER_SLOTS workers of one machine, each has its share. A worker that is alone on its
    machine has what its scheduler gave it.
    """
    from distributed import get_worker

    os.environ.update(folders)
    slots, name = int(os.environ.get("BIONER_SLOTS", "1")), str(get_worker().name)
    share = _shares(slots)[int(name) % slots if name.isdigit() else 0]
    return execute(job, folders | share, wait, known)
