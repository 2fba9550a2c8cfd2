"""Where jobs are executed: concurrent.futures executors of this machine, or of a cluster (library: Dask)."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from ..errors import WorkbookError

LOST = 10  # workers that may be lost while they work on one job before the job counts as failed


@contextmanager
def opened(kind: str, workers: int = 1) -> Iterator[Executor | None]:
    """An executor by name: "" (None: whoever asks uses threads), "processes", "dask" (a cluster of this machine's processes), or the
    address of a Dask scheduler such as "tcp://10.0.0.1:8786", whose machines share this file system.

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
            f"executor {kind!r} needs Dask, which isn't installed: pip install -c constraints.txt 'bioner-workbook[cluster]'"
        ) from None
    if kind != "dask":
        try:
            client = Client(kind, timeout="10s")
        except (OSError, ValueError) as error:
            raise WorkbookError(f"no scheduler answers at {kind} ({type(error).__name__}: {error}); nothing was started") from None
        with client:
            yield client
        return
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": LOST}),
        LocalCluster(workers, threads_per_worker=1, dashboard_address=None, env={"BIONER_SLOTS": str(workers)}) as cluster,
        Client(cluster) as client,
    ):
        yield client
