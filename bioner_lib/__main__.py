"""The workbook without a browser: python -m bioner_lib fetch | run | tag | sweep …"""

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from .errors import UnwritableError, WorkbookError
from .home import home, outputs

STOPPED = 130  # exit status after Ctrl-C or SIGTERM
MISTAKE = 120  # exit status of a call that can't be carried out; lower ones count failed notebooks


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status.

    0 success; 1 to 100: so many notebooks of a sweep failed (100: or more); 120: a mistake in the
    call; 130: stopped by Ctrl-C or SIGTERM.
    """
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as error:  # argparse's own status is 2
        return MISTAKE if error.code else 0
    with suppress(ValueError):  # raised outside the main thread
        # a scheduler's SIGTERM ends a sweep as Ctrl-C does
        signal.signal(signal.SIGTERM, _interrupt)
    given.call = sys.argv[1:] if arguments is None else arguments
    commands = {
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
    try:
        with _Folders(given):
            return commands[given.command](given)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bioner_lib", description="The workbook without a browser."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    fetch = commands.add_parser("fetch", help="download and verify corpora")
    fetch.add_argument("corpora", nargs="*", help="names (default: all of the registry)")
    fetch.add_argument("--mirror", help="folder with copies of the files (default: BIONER_MIRROR)")

    run = commands.add_parser(
        "run",
        help="make one run; with several processes under accelerate launch or torchrun",
        description="Make one run. What it prints is also appended to outputs/logs/<run id>.log.",
    )
    run.add_argument(
        "config",
        nargs="+",
        help="field=value of RunConfig, e.g. corpora=bc5cdr seed=42, or a YAML or JSON file",
    )
    run.add_argument(
        "--track", default="", help="a tracker of accelerate's, e.g. tensorboard, wandb, mlflow"
    )

    evaluate = commands.add_parser("evaluate", help="score a finished run's tagger on any corpus")
    evaluate.add_argument("run", help="a run id")
    evaluate.add_argument("corpus", help="a registered name, a view, or a folder")
    evaluate.add_argument("--split", default="test", help="train, dev or test (default: test)")
    evaluate.add_argument("--limit", type=int, default=0, help="sentences; 0 takes all")
    evaluate.add_argument("--int8", action="store_true", help="tag with 8-bit matrix products")

    _add_tag(commands)

    sweep = commands.add_parser("sweep", help="execute what is missing of a sweep's notebooks")
    sweep.add_argument("file", help="a YAML file, or the name of one in notebooks/sweeps")
    sweep.add_argument(
        "--dry-run", action="store_true", help="only print the jobs, their states and times"
    )
    sweep.add_argument(
        "--executor", default="", help="dask, or tcp://scheduler:port (default: this process)"
    )
    sweep.add_argument("--workers", type=int, default=1, help="notebooks side by side (default: 1)")
    sweep.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only the jobs with this parameter; the same name twice: either value",
    )
    sweep.add_argument("--retry-failed", action="store_true", help="execute failed notebooks again")

    status = commands.add_parser("status", help="what the sweeps of this folder are doing")
    status.add_argument("file", nargs="?", help="a sweep, whose jobs are then listed")
    board = commands.add_parser("board", help="print the leaderboard")
    board.add_argument(
        "--intervals",
        action="store_true",
        help="with the 95 % interval of each F1 (reads predictions)",
    )
    publish = commands.add_parser("publish", help="copy a finished table to outputs/published")
    publish.add_argument("table", help="the name of a sweep in notebooks/sweeps/published")
    publish.add_argument("--part", action="store_true", help="also if jobs aren't finished yet")
    report = commands.add_parser("report", help="executed notebooks as pages that open anywhere")
    for command in (run, evaluate, sweep, status, board, publish, report):
        command.add_argument(
            "--outputs", help="folder of runs (default: BIONER_OUTPUTS, or outputs/)"
        )
    return parser


def _add_tag(commands) -> None:
    tag = commands.add_parser("tag", help="find the entities of texts")
    tag.add_argument("model", help="a run id, a folder, or a name on the Hugging Face hub")
    tag.add_argument(
        "file",
        nargs="?",
        default="-",
        help="one text per line, or a .jsonl or .pubtator file (default: standard input)",
    )
    tag.add_argument(
        "-o",
        "--out",
        required=True,
        help="the output; an unfinished one is continued. OUT.made_from.json says what made it",
    )
    formats = "jsonl, pubtator, bioc.xml, bioc.json, brat (a folder) or conll"
    tag.add_argument("--format", default="jsonl", help=f"{formats} (default: jsonl)")
    tag.add_argument("--pmids", help="a file with one PMID per line, instead of texts")
    tag.add_argument("--email", default="", help="your address; NCBI wants it with --pmids")
    tag.add_argument("--types", nargs="+", help="only entities of these types")
    tag.add_argument("--flat", help="of overlapping entities keep by: score, or longest")
    tag.add_argument(
        "--threshold",
        type=_threshold,
        help="the lowest score, 0 to 1; dev takes the threshold of each type with the highest F1 "
        "on dev (a run that `calibrate` was called for: its scores are probabilities of being "
        "right)",
    )
    tag.add_argument("--precision", default="auto", help="auto, bf16 or fp32 (default: auto)")
    tag.add_argument("--int8", action="store_true", help="8-bit products, for a CPU without bf16")
    tag.add_argument(
        "--executor", default="", help="processes, dask, or tcp://scheduler:port (default: none)"
    )
    tag.add_argument("--workers", type=int, default=2, help="of the executor (default: 2)")
    tag.add_argument("--outputs", help="folder of runs (default: BIONER_OUTPUTS, or outputs/)")


def _threshold(text: str) -> float | str:
    """An argument of --threshold."""
    if text == "dev":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected 0 to 1, or dev") from None


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
    return min(len(failed), 100)


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


if __name__ == "__main__":
    sys.exit(main())
