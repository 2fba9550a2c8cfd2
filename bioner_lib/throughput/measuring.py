"""Timing arms in turns, on a machine that is described beside the figures."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch

from ..errors import WorkbookError
from ..home import home, outputs, replacing

# does some work once; returns how many items it did, and in how many seconds
Arm = Callable[[], tuple[int, float]]
_SIZE = 2048  # of the square matrices whose product measures the peak


def interleaved(arms: Mapping[str, Arm], repeats: int = 3) -> pd.DataFrame:
    """Run all arms in turns: a machine that slows down slows all of them.

    A first round is not counted: it compiles kernels. One row per arm and repeat: `arm`, `repeat`,
    `items`, `seconds`, `rate` (items per second).
    """
    if repeats < 1:
        raise WorkbookError(f"repeats={repeats}: at least one round has to be counted")
    rows = []
    for repeat in range(-1, repeats):
        for name, arm in arms.items():
            items, seconds = arm()
            if repeat >= 0:
                row = {"arm": name, "repeat": repeat, "items": items, "seconds": seconds}
                rows.append(row | {"rate": items / seconds})
    return pd.DataFrame(rows)


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def matrix_peak(dtype: torch.dtype, device: str = "cpu", repeats: int = 9) -> float:
    """Floating point operations per second of a product of large square matrices: the median."""
    a, b = (torch.randn(_SIZE, _SIZE, device=device).to(dtype) for _ in range(2))

    def product() -> None:
        (a @ b).sum().item()

    product()
    return 2 * _SIZE**3 / statistics.median(timed(product) for _ in range(repeats))


def machine() -> dict[str, object]:
    """Processor, its cores, the threads that torch uses, and whether it multiplies bf16."""
    from ..models.hardware import autocast_dtype, device_name, processor_name

    name = processor_name()
    if torch.cuda.is_available():
        name = f"{name}, {device_name()}"
    return {
        "machine": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "native_bf16": autocast_dtype("auto") is not None,
        "torch": torch.__version__,
    }


def store(measured: pd.DataFrame, name: str) -> Path:
    """Write `outputs/throughput/<name>.csv`, each row with the machine it was measured on."""
    path = outputs() / "throughput" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, "w") as file:
        measured.assign(**machine()).to_csv(file, index=False)
    return path


def read_stored(published: bool = False, what: str = "rate") -> pd.DataFrame:
    """The stored rows that hold a `rate` (or an `f1`), with `file`.

    Those of `outputs/throughput`, or the committed ones.
    """
    folder = home() / "outputs" / "published" if published else outputs()
    tables = []
    for path in sorted((folder / "throughput").glob("*.csv")):
        table = pd.read_csv(path).assign(file=path.stem)
        tables += [table] if what in table else []
    if not tables:
        raise WorkbookError(
            f"no measurements in {folder / 'throughput'}; execute notebooks/85_throughput.ipynb, "
            "or `make bench`"
        )
    return pd.concat(tables)


def ratios(stored: pd.DataFrame) -> pd.DataFrame:
    """How many times as fast the first arm is as each arm: arms by (work, precision), medians.

    `stored` has the rows of `read_stored`; the file's name ends in the work.
    """
    work = stored["file"].str.rpartition("-")[2]
    by = [work.rename("work"), stored["precision"], stored["arm"]]
    rates = stored.groupby(by, sort=False)["rate"].median()
    first = rates.groupby(["work", "precision"], sort=False).transform("first")
    return (first / rates).unstack(["work", "precision"], sort=False)


def summary(stored: pd.DataFrame) -> pd.DataFrame:
    """Median rate of each arm, by file."""
    columns = ["file", "machine", "threads", "precision", "arm"]
    return stored.groupby(columns, sort=False)["rate"].median().round().reset_index()
