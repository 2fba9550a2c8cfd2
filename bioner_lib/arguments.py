"""What `python -m bioner_lib` can be called with; `__main__` does what was asked."""

import argparse


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; `command` names the one that was given."""
    parser = argparse.ArgumentParser(
        prog="python -m bioner_lib", description="The workbook without a browser."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_fetch, _add_run, _add_evaluate, _add_tag, _add_sweep, _add_tables):
        add(commands)
    for name, command in commands.choices.items():
        if name != "fetch":
            command.add_argument(
                "--outputs", help="folder of runs (default: BIONER_OUTPUTS, or outputs/)"
            )
    return parser


def _add_fetch(commands) -> None:
    fetch = commands.add_parser("fetch", help="download and verify corpora")
    fetch.add_argument("corpora", nargs="*", help="names (default: all of the registry)")
    fetch.add_argument("--mirror", help="folder with copies of the files (default: BIONER_MIRROR)")


def _add_run(commands) -> None:
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


def _add_evaluate(commands) -> None:
    evaluate = commands.add_parser("evaluate", help="score a finished run's tagger on any corpus")
    evaluate.add_argument("run", help="a run id")
    evaluate.add_argument("corpus", help="a registered name, a view, or a folder")
    evaluate.add_argument("--split", default="test", help="train, dev or test (default: test)")
    evaluate.add_argument("--limit", type=int, default=0, help="sentences; 0 takes all")
    evaluate.add_argument("--int8", action="store_true", help="tag with 8-bit matrix products")


def _add_tag(commands) -> None:
    tag = commands.add_parser("tag", help="find the entities of texts")
    tag.add_argument("model", help="a run id, a folder, or a name on the Hugging Face hub")
    tag.add_argument(
        "file",
        nargs="?",
        default="-",
        help="one text per line, or a .jsonl or .pubtator file, or BioC in .xml or .json; also as "
        ".gz or .xz (default: standard input)",
    )
    tag.add_argument(
        "-o",
        "--out",
        required=True,
        help="the output; an unfinished one is continued. OUT.made_from.jsonl says what made it",
    )
    formats = "jsonl, pubtator, bioc.xml, bioc.json, brat (a folder) or conll"
    tag.add_argument("--format", default="jsonl", help=f"{formats} (default: jsonl)")
    tag.add_argument("--pmids", help="a file with one PMID per line, instead of texts")
    tag.add_argument("--email", default="", help="your address; NCBI wants it with --pmids")
    tag.add_argument("--types", nargs="+", help="only entities of these types")
    tag.add_argument(
        "--flat", help="of entities that overlap keep one: score (the highest), or longest"
    )
    tag.add_argument(
        "--threshold",
        type=_threshold,
        help="lowest score to keep, 0 to 1; dev: for each type the threshold with the highest dev "
        "F1 (of a run that was calibrated: its scores are probabilities of being right)",
    )
    tag.add_argument("--precision", default="auto", help="auto, bf16 or fp32 (default: auto)")
    tag.add_argument("--int8", action="store_true", help="8-bit products, for a CPU without bf16")
    tag.add_argument(
        "--executor", default="", help="processes, dask, or tcp://scheduler:port (default: none)"
    )
    tag.add_argument(
        "--workers", type=int, default=2, help="number of workers of the executor (default: 2)"
    )


def _threshold(text: str) -> float | str:
    """An argument of --threshold."""
    if text == "dev":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected 0 to 1, or dev") from None


def _add_sweep(commands) -> None:
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
    status = commands.add_parser("status", help="state of the sweeps in the outputs folder")
    status.add_argument("file", nargs="?", help="a sweep, whose jobs are then listed")


def _add_tables(commands) -> None:
    board = commands.add_parser("board", help="print the leaderboard")
    board.add_argument(
        "--intervals",
        action="store_true",
        help="with the 95 %% interval of each F1 (reads predictions)",
    )
    publish = commands.add_parser("publish", help="copy a finished table to outputs/published")
    publish.add_argument("table", help="the name of a sweep in notebooks/sweeps/published")
    publish.add_argument("--part", action="store_true", help="publish the finished jobs only")
    commands.add_parser("report", help="executed notebooks as pages that open anywhere")
