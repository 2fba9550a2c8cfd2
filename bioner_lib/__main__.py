"""python -m bioner_lib fetch | run | sweep | status | board"""

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from .errors import UnwritableError, WorkbookError

STOPPED = 130  # by Ctrl-C or SIGTERM
MISTAKE = (
    120  # the exit status of a call that can't be carried out; lower ones count failed notebooks
)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0; 1 to 100, so many notebooks of a sweep failed (100: or more); 120, a mistake in the call; 130, Ctrl-C
    or SIGTERM."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as error:  # argparse's own status is 2
        return MISTAKE if error.code else 0
    with suppress(ValueError):  # not in the main thread
        signal.signal(
            signal.SIGTERM, _interrupt
        )  # what a scheduler sends ends a sweep as Ctrl-C does
    commands = {"fetch": _fetch, "run": _run, "sweep": _sweep, "status": _status, "board": _board}
    try:
        return commands[given.command](given)
    except WorkbookError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # status | head
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nothing is flushed into the broken pipe at exit
        return 0
    except OSError as error:
        print(f"error: {error}; make room or mend that, and call again", file=sys.stderr)
        return MISTAKE


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bioner_lib", description="The workbook without a browser."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="download and verify corpora")
    fetch.add_argument("corpora", nargs="*", help="names; all of the registry where none is given")
    fetch.add_argument(
        "--mirror", help="folder with the same files; else BIONER_MIRROR, else the public address"
    )
    run = commands.add_parser(
        "run", help="make one run; also under accelerate launch or torchrun, with several processes"
    )
    run.add_argument(
        "config",
        nargs="+",
        help="field=value of RunConfig, e.g. corpora=bc5cdr seed=42, or a YAML or JSON file of them",
    )
    run.add_argument(
        "--track", default="", help="a tracker of accelerate's, e.g. tensorboard, wandb, mlflow"
    )
    sweep = commands.add_parser(
        "sweep", help="execute the notebooks of a sweep, what is missing only"
    )
    sweep.add_argument("file", help="a YAML file, or the name of one in notebooks/sweeps")
    sweep.add_argument(
        "--dry-run",
        action="store_true",
        help="only print the jobs, their states and the time that like ones took",
    )
    sweep.add_argument(
        "--executor",
        default="",
        help="threads of this process where none is given; dask, or tcp://scheduler:port",
    )
    sweep.add_argument(
        "--workers", type=int, default=1, help="notebooks side by side on this machine (default: 1)"
    )
    sweep.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only the jobs with this parameter; the same name twice: either value",
    )
    sweep.add_argument(
        "--retry-failed", action="store_true", help="execute again what failed before"
    )
    status = commands.add_parser("status", help="what the sweeps of this folder are doing")
    status.add_argument("file", nargs="?", help="a sweep, whose jobs are then listed")
    board = commands.add_parser("board", help="print the leaderboard")
    for command in (run, sweep, status, board):
        command.add_argument(
            "--outputs", help="folder of runs (default: BIONER_OUTPUTS, or outputs/)"
        )
    return parser


def _fetch(given) -> int:
    from .corpora.loading import load_corpus
    from .corpora.registry import CORPORA

    names, missing = (
        given.corpora or [name for name, entry in CORPORA.items() if "repository" in entry],
        0,
    )
    for name in names:
        try:
            corpus = load_corpus(name, mirror=given.mirror)
            print(
                f"{name}: "
                + ", ".join(
                    f"{role} {len(split)} sentences" for role, split in corpus.splits.items()
                ),
                flush=True,
            )
        except WorkbookError as error:
            missing += 1
            print(f"{name}: {error}", file=sys.stderr, flush=True)
    return MISTAKE if missing else 0


def _run(given) -> int:
    from .config import read_config
    from .runs.run import run
    from .training import processes

    run(read_config(given.config), outputs=given.outputs, track=given.track)
    processes.leave()
    return 0


def _sweep(given) -> int:
    from .sweeps import status
    from .sweeps.executors import opened, run_sweep
    from .sweeps.reading import read_sweep

    if given.workers < 1:
        raise WorkbookError(f"--workers {given.workers}; expected 1 or more")
    if given.executor and given.executor != "dask" and "://" not in given.executor:
        raise WorkbookError(
            f"--executor {given.executor}: a sweep takes threads (no --executor), dask, or tcp://scheduler:port"
        )
    steps = read_sweep(given.file, given.only, given.outputs)
    if given.dry_run:
        print(status.table(steps, given.outputs, given.workers))
        return 0
    with (
        opened(given.executor, given.workers) as executor,
        status.Watch(Path(given.file).stem, steps, given.outputs) as watch,
    ):
        failed = run_sweep(
            steps, given.outputs, executor, given.workers, given.retry_failed, watch.tell
        )
    for job, trace in failed:
        print(f"\n{job.name} {dict(job.parameters)}\n{trace[-1500:]}", file=sys.stderr)
    print(f"{len(failed)} notebooks failed" if failed else "all notebooks are executed")
    return min(len(failed), 100)


def _status(given) -> int:
    from .sweeps import status
    from .sweeps.reading import read_sweep

    folder = _existing(given.outputs)
    print(
        status.table(read_sweep(given.file, outputs=folder), folder)
        if given.file
        else status.report(folder)
    )
    return 0


def _existing(given: str | None) -> Path:
    """The folder of runs; raises WorkbookError where it isn't there: what only reads makes no folder of a misspelt name."""
    from .home import outputs

    if not (folder := outputs(given)).is_dir():
        raise WorkbookError(
            f"{folder}: no such folder; --outputs or BIONER_OUTPUTS names the folder that holds runs/"
        )
    return folder


def _board(given) -> int:
    from .board.leaderboard import board_text, write_leaderboard
    from .board.results import aggregate, results
    from .home import home
    from .runs.rows import read_rows

    folder = _existing(given.outputs)
    rows = read_rows(folder)
    try:
        table = write_leaderboard(rows, folder)
    except UnwritableError as error:
        table = aggregate(results(rows))  # a folder that may only be read still has its board
        print(f"{error}: the tables are only printed", file=sys.stderr)
    print(board_text(table))
    for kind, place, pattern in (
        ("tables", folder, "leaderboard.*"),
        ("figures", folder / "figures", "*.png"),
        ("executed notebooks", folder / "notebooks", "*.ipynb"),
    ):
        found = [
            path
            for path in sorted(place.glob(pattern))
            if Path(path.stem).suffix not in (".failed", ".running")
        ]
        print(f"{kind}:", *(f"  {_from_root(path, home())}" for path in found), sep="\n")
    return 0


def _from_root(path, base) -> str:
    """The path as seen from the workbook's root, where it lies below it."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


if __name__ == "__main__":
    sys.exit(main())
