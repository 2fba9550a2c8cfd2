"""Executing all jobs of a sweep through concurrent.futures: threads of this process, each with a kernel, or a cluster (library: Dask)."""

import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from ..home import from_environment, home
from ..home import outputs as outputs_folder
from .execution import THREADS, Outcome, execute, failure, state_of, worked_on
from .jobs import Job

LOST = 10  # workers that may be lost while they work on one job before the job counts as failed
_ROOM = 200 * 2**20  # bytes that a run needs at least


@contextmanager
def opened(kind: str, workers: int = 1) -> Iterator[Executor | None]:
    """An executor by name: "" (None: whoever asks does without), "processes" (for functions, not for sweeps), "dask" (a cluster of this
    machine's processes), or the address of a Dask scheduler such as "tcp://10.0.0.1:8786", whose machines share this file system.

    Raises WorkbookError for another name, for Dask where it isn't installed, and for a scheduler that doesn't answer.
    """
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
            f"unknown executor {kind!r}; known: processes, dask, or the address of a Dask scheduler such as tcp://host:8786"
        )


@contextmanager
def _client(kind: str, workers: int):
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise WorkbookError(
            f"executor {kind!r} needs Dask, which isn't installed: pip install -c constraints.txt -e '.[cluster]'"
        ) from None
    if kind != "dask":
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
        return
    slots = {"BIONER_SLOTS": str(workers)}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": LOST}),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, env=slots
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_sweep(
    steps: Iterable[list[Job]], outputs: str | Path | None = None, executor: Executor | None = None, workers: int = 1,
    retry_failed: bool = False, tell: Callable[[Job, Outcome], None] | None = None,
) -> list[tuple[Job, str]]:  # fmt: skip
    """Execute what is missing, step by step; returns the jobs that failed with their tracebacks. One failure doesn't stop the others.

    Jobs that failed before aren't tried again without `retry_failed`. `tell` hears what became of each job. Without an
    `executor` there are `workers` threads, each with a kernel of its own, cores and GPUs divided among them; when they are interrupted
    the kernels are stopped. Raises WorkbookError where outputs have no room left.
    """
    folder, steps = outputs_folder(outputs, write=True).resolve(), list(steps)
    if (free := shutil.disk_usage(folder).free) < _ROOM:
        raise WorkbookError(
            f"{folder} has {free / 2**20:.0f} MiB left and a run needs more; make room, or set BIONER_OUTPUTS"
        )
    tell, failed = tell or (lambda job, outcome: None), []
    for job in (job for jobs in steps for job in jobs):
        worked_on(job, folder)  # and what a killed sweep left is gone
    with nullcontext(executor) if executor else _threads(workers) as pool:
        for jobs in steps:
            todo, known = [], {}
            for job in jobs:
                known[job.name] = failure(job, folder).get("seen")
                if not retry_failed and state_of(job, folder) == "failed":
                    said = f"failed before; --retry-failed tries again\n{failure(job, folder).get('traceback', '')}"
                    failed.append((job, said)), tell(job, Outcome("failed", said))
                else:
                    todo.append(job)
            work = (
                partial(_on_a_worker, told=_folders())
                if executor
                else _Places(min(workers, len(jobs))).execute
            )
            failed += _step(pool, work, todo, folder, known, tell)
    return failed


def _step(
    pool: Executor,
    work: Callable,
    jobs: list[Job],
    outputs: Path,
    known: Mapping[str, float | None],
    tell: Callable,
) -> list[tuple[Job, str]]:
    failed, wait = [], False
    while jobs:
        waiting: dict[Future, Job] = {
            pool.submit(work, job, outputs, wait=wait, known=known[job.name]): job for job in jobs
        }
        jobs, wait = [], True  # first all others, then those that another sweep works on
        for future in as_completed(waiting):
            job, outcome = waiting[future], _result(future)
            tell(job, outcome)
            if outcome.state == "busy":
                jobs.append(job)
            elif outcome.state == "failed":
                failed.append((job, outcome.said))
    return failed


def _result(future: Future) -> Outcome:
    try:
        return future.result()
    except CancelledError:
        return Outcome(
            "failed",
            "the cluster gave it up: its scheduler is gone or was closed; the same command goes on",
        )
    except Exception:  # the worker was lost, and with it what it would have said
        return Outcome("failed", traceback.format_exc())


@contextmanager
def _threads(workers: int) -> Iterator[Executor]:
    from .kernels import STOPPED, stop_all

    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:  # Ctrl-C: what runs goes on from its last epoch next time
        stop_all()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        STOPPED.clear()
    pool.shutdown()


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _shares(workers: int) -> list[dict[str, str]]:
    """This machine divided among workers: the environment of each one's kernels."""
    gpus, n = _gpus(), str(max(1, cores() // workers))
    mine = (
        [",".join(gpus[i::workers]) or gpus[i % len(gpus)] for i in range(workers)] if gpus else []
    )
    threads = dict.fromkeys(THREADS, n) | {"TOKENIZERS_PARALLELISM": "false"}
    return [threads | ({"CUDA_VISIBLE_DEVICES": mine[i]} if gpus else {}) for i in range(workers)]


def _folders() -> dict[str, str]:
    """What kernels must know wherever they work."""
    folders = {
        "BIONER_HOME": home() if os.environ.get("BIONER_HOME") else None,
        "BIONER_MIRROR": from_environment("BIONER_MIRROR"),
    }
    return {name: str(path) for name, path in folders.items() if path}


def _gpus() -> list[str]:
    if (told := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in told.split(",") if name]
    if not (asked := shutil.which("nvidia-smi")):
        return []
    listed = subprocess.run([asked, "-L"], capture_output=True, text=True, check=False).stdout
    return [str(i) for i, _ in enumerate(re.findall(r"^GPU \d+:", listed, re.MULTILINE))]


class _Places:
    """Shares of this machine: a job takes one while it runs."""

    def __init__(self, workers: int):
        self._free: SimpleQueue = SimpleQueue()
        for share in _shares(workers):
            self._free.put(_folders() | share)

    def execute(self, job: Job, outputs: Path, wait: bool, known: float | None) -> Outcome:
        place = self._free.get()
        try:
            return execute(job, outputs, place, wait, known)
        finally:
            self._free.put(place)


def _on_a_worker(
    job: Job, outputs: Path, wait: bool, known: float | None, told: dict[str, str]
) -> Outcome:
    """On a machine of a cluster: of BIONER_SLOTS workers each has its share; one alone has what its scheduler bound it to."""
    from distributed import get_worker

    slots, name = int(os.environ.get("BIONER_SLOTS", "1")), str(get_worker().name)
    share = _shares(slots)[int(name) % slots if name.isdigit() else 0]
    return execute(job, outputs, told | share, wait, known)
