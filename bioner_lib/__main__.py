"""The workbook without a browser: python -m bioner_lib fetch | run | tag | sweep …"""

import argparse
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .arguments import parser
from .errors import UnwritableError, WorkbookError, delete_run
from .home import home, outputs
from .sweeps.jobs import Job

STOPPED = 130  # exit status after Ctrl-C or SIGTERM
MISTAKE = 120  # exit status of a call that can't be carried out; lower ones count failed notebooks


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status.

    0 success; 1 to 100: so many notebooks of a sweep failed (100: or more); 120: a mistake in the
    call; 130: stopped by Ctrl-C or SIGTERM.
    """
    try:
        given = parser().parse_args(arguments)
    except SystemExit as error:  # argparse's own status is 2
        return MISTAKE if error.code else 0
    with suppress(ValueError):  # raised outside the main thread
        # a scheduler's SIGTERM ends a sweep as Ctrl-C does
        signal.signal(signal.SIGTERM, _interrupt)
    given.call = sys.argv[1:] if arguments is None else arguments
    try:
        with _Folders(given):
            return COMMANDS[given.command](given)
    except WorkbookError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # status | head
        # nothing more may be flushed into the broken pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error}; make room or solve that, and call again", file=sys.stderr)
        return MISTAKE


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


class _Folders:
    """The folders that options name, as environment variables while the command runs."""

    def __init__(self, given: argparse.Namespace):
        options = {"BIONER_OUTPUTS": "outputs", "BIONER_MIRROR": "mirror"}
        self.new = {}
        for variable, option in options.items():
            if folder := getattr(given, option, None):
                self.new[variable] = str(Path(folder).expanduser().absolute())

    def __enter__(self) -> None:
        self.old = {name: os.environ.get(name) for name in self.new}
        os.environ.update(self.new)

    def __exit__(self, *_) -> None:
        for name, value in self.old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _fetch(given: argparse.Namespace) -> int:
    from .corpora.loading import load_corpus
    from .corpora.registry import CORPORA

    names = given.corpora or [name for name, entry in CORPORA.items() if "repository" in entry]
    missing = 0
    for name in names:
        try:
            splits = load_corpus(name).splits
        except WorkbookError as error:
            missing += 1
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        sizes = [f"{role} {len(split)} sentences" for role, split in splits.items()]
        print(f"{name}: {', '.join(sizes)}", flush=True)
    return MISTAKE if missing else 0


def _run(given: argparse.Namespace) -> int:
    from .config_files import read_config
    from .runs.logs import logged
    from .runs.run import run
    from .training import processes

    config = read_config(given.config)
    with logged(config.run_id, given.call):
        run(config, track=given.track)
    processes.leave()
    return 0


def _evaluate(given: argparse.Namespace) -> int:
    from .runs.scored import evaluate

    folder = _existing_outputs()
    options = {"limit": given.limit, "int8": given.int8}
    result = evaluate(given.run, given.corpus, given.split, **options)
    print(f"{'':<12}{'precision':>10}{'recall':>10}{'F1':>10}{'support':>10}")
    for type, scores in result["types"].items():
        numbers = [f"{scores[key]:>10.4f}" for key in ("precision", "recall", "f1")]
        print(f"{type:<12}{''.join(numbers)}{scores['support']:>10}")
    for type in result["not_asked"]:
        print(f"{type:<13}not asked: no head of this tagger knows it; not in micro or macro")
    print(f"written to {_from_root(folder / 'runs' / given.run / 'evaluations')}")
    return 0


def _tag(given: argparse.Namespace) -> int:
    from tqdm import tqdm

    from .sweeps.executors import opened
    from .tagging.tag_files import count_lines, fetched_texts, refuse_same, tag_texts
    from .tagging.texts import read_texts

    if given.pmids and given.file != "-":
        raise WorkbookError(f"--pmids {given.pmids} and {given.file}: give one of the two")
    source = given.pmids or given.file
    refuse_same(source, given.out)
    if given.pmids:
        texts = fetched_texts(Path(given.pmids), given.email, outputs(write=True) / "pubmed")
    else:
        texts = read_texts(source)
    names = ("types", "flat", "threshold", "precision")
    options = {name: getattr(given, name) for name in names}
    with (
        opened(given.executor, given.workers) as executor,
        tqdm(total=count_lines(source), unit=" texts", disable=None) as bar,
    ):
        done = tag_texts(
            given.model,
            texts,
            given.out,
            given.format,
            executor,
            given.workers,
            given.int8,
            options,
            each=lambda _: bar.update(),
        )
    for problem in done.problems:
        print(f"line {problem.line}: {problem.reason}", file=sys.stderr)
    print(done.summary(given.out))
    return MISTAKE if done.unreadable and not done.documents + done.kept else 0


def _sweep(given: argparse.Namespace) -> int:
    from .sweeps import status
    from .sweeps.executors import opened, run_sweep
    from .sweeps.reading import read_sweep

    if given.workers < 1:
        raise WorkbookError(f"--workers {given.workers}; expected 1 or more")
    if given.executor and given.executor != "dask" and "://" not in given.executor:
        raise WorkbookError(
            f"--executor {given.executor}: a sweep takes threads (no --executor), dask, or "
            "tcp://scheduler:port"
        )
    steps = read_sweep(given.file, given.only)
    if given.dry_run:
        print(status.table(steps, given.workers))
        return 0
    with (
        opened(given.executor, given.workers) as executor,
        status.Watch(Path(given.file).stem, steps) as watch,
    ):
        failed = run_sweep(steps, executor, given.workers, given.retry_failed, watch.tell)
    for job, trace in failed:
        print(f"\n{job.name} {dict(job.parameters)}\n{trace[-1500:]}", file=sys.stderr)
    print(f"{len(failed)} notebooks failed" if failed else "all notebooks are executed")
    _tell_changes(steps)
    return min(len(failed), 100)


def _tell_changes(steps: Iterable[Iterable[Job]]) -> None:
    """Prints which corpora of one's own changed after runs of a sweep: these aren't repeated."""
    from .runs.provenance import changed_corpora
    from .sweeps.execution import runs_of

    runs = dict.fromkeys(run_id for step in steps for job in step for run_id in runs_of(job))
    for corpus, old in changed_corpora(runs).items():
        print(
            f"{corpus} has changed since these runs were made, and they were not made again: "
            f"{', '.join(old)}; to make one again, delete it: {delete_run(old[0])}",
            file=sys.stderr,
        )


def _status(given: argparse.Namespace) -> int:
    from .sweeps import status
    from .sweeps.reading import read_sweep

    _existing_outputs()
    print(status.table(read_sweep(given.file)) if given.file else status.report())
    return 0


def _existing_outputs() -> Path:
    """The folder of runs; raises WorkbookError where there is none.

    A command that only reads makes no folder of a misspelt name.
    """
    folder = outputs()
    if not folder.is_dir():
        raise WorkbookError(
            f"{folder}: no such folder; --outputs or BIONER_OUTPUTS names the folder that holds "
            "runs/"
        )
    return folder


def _board(given: argparse.Namespace) -> int:
    from .board.leaderboard import board_table, board_text, write_leaderboard
    from .runs.rows import read_rows

    folder = _existing_outputs()
    rows = read_rows()
    table = board_table(rows, given.intervals)
    try:
        write_leaderboard(table, rows)
    except UnwritableError as error:  # a folder that may only be read still has its board
        print(f"{error}: the tables are only printed", file=sys.stderr)
    print(board_text(table))
    places = {
        "tables": folder.glob("leaderboard.*"),
        "executed notebooks": (folder / "notebooks").glob("*.ipynb"),
        "figures": (folder / "figures").glob("*.png"),
    }
    for kind, paths in places.items():
        print(f"{kind}:")
        for path in sorted(paths):
            if Path(path.stem).suffix not in (".failed", ".running"):
                print(f"  {_from_root(path)}")
    print("next: make lab opens JupyterLab; start with notebooks/00_quickstart.ipynb")
    return 0


def _publish(given: argparse.Namespace) -> int:
    from .board.publishing import publish

    _existing_outputs()
    rows = publish(given.table, given.part)
    print(f"{len(rows)} rows with their counts in {_from_root(rows[0].parent)}; commit that folder")
    return 0


def _report(given: argparse.Namespace) -> int:
    from .look.report import write_report

    print(_from_root(write_report()))
    return 0


def _from_root(path: Path) -> str:
    """The path as seen from the workbook's root, where it lies below it."""
    return str(path.relative_to(home())) if path.is_relative_to(home()) else str(path)


COMMANDS = {
    "fetch": _fetch,
    "run": _run,
    "evaluate": _evaluate,
    "tag": _tag,
    "sweep": _sweep,
    "status": _status,
    "board": _board,
    "publish": _publish,
    "report": _report,
}

if __name__ == "__main__":
    sys.exit(main())
