"""Sweep files and their notebooks, which train for seconds; processes that execute them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
from small_runs import rows_in


def write_notebook(path, cells) -> None:
    """A notebook of code cells; the first holds its parameters."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "python3",
        "language": "python",
    }
    nbformat.write(notebook, path)


def sweep(folder, text) -> Path:
    """A sweep file."""
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def training_sweep(folder, tiny, more="") -> Path:
    """A sweep of one step, `first`, that executes small.ipynb."""
    fields = {
        "corpora": "sample",
        "encoder": str(tiny),
        "heads": "joint",
        "epochs": 2,
        "limit": 24,
        "max_length": 128,
        "overlap": 16,
    }
    parameters = f"{{options: {json.dumps(fields)}}}"
    step = f"{{notebook: small.ipynb, name: first, parameters: {parameters}, {more}}}"
    return sweep(folder, f"steps:\n- {step}\n")


def add_second_step(path) -> None:
    """Append a copy of a training sweep's step that starts from `first` and takes one epoch."""
    text = path.read_text()
    second = text.splitlines()[1].replace("name: first", "start_from: first")
    path.write_text(text + second.replace('"epochs": 2', '"epochs": 1') + "\n")


def results_in(folder) -> dict[str, dict]:
    """What doesn't depend on time in the rows of a sweep folder, by run."""
    return {
        row["run_id"]: {key: row[key] for key in ("config", "scores", "data", "repairs")}
        for row in rows_in(folder / "outputs")
    }


def start_sweep(path, *more) -> subprocess.Popen:
    command = [sys.executable, "-m", "bioner_lib", "sweep", str(path), "--workers", "2", *more]

    def hear_interrupts():
        # a shell's background jobs ignore SIGINT, and their children inherit that
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def descendants(pid) -> list[int]:
    """The processes that a process started, and those that these started."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
    numbers = [int(number) for number in table.split()]
    children = list(zip(numbers[::2], numbers[1::2], strict=True))
    found = [pid]
    for one in found:
        found += [child for child, parent in children if parent == one]
    return found[1:]
