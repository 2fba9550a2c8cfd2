"""python -m bioner_lib fetch | sweep | board"""

import argparse
import sys

from .errors import WorkbookError


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for failed notebooks, 2 for a mistake in the call."""
    parser = argparse.ArgumentParser(prog="python -m bioner_lib", description="The workbook without a browser.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="download and verify corpora")
    fetch.add_argument("corpora", nargs="*", help="names; all of the registry where none is given")
    fetch.add_argument("--mirror", help="folder with the same files; else BIONER_MIRROR, else the public address")
    sweep = commands.add_parser("sweep", help="execute the notebooks of a sweep, what is missing only")
    sweep.add_argument("file", help="a YAML file, or the name of one in notebooks/sweeps")
    sweep.add_argument("--workers", type=int, default=1, help="notebooks side by side (default: 1)")
    sweep.add_argument("--outputs", help="folder of runs (default: BIONER_OUTPUTS, or outputs/)")
    commands.add_parser("board", help="print the leaderboard").add_argument("--outputs")
    given = parser.parse_args(arguments)
    try:
        return {"fetch": _fetch, "sweep": _sweep, "board": _board}[given.command](given)
    except WorkbookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _fetch(given) -> int:
    from .data.corpora import CORPORA, load_corpus

    names, missing = given.corpora or [name for name, entry in CORPORA.items() if "repository" in entry], 0
    for name in names:
        try:
            corpus = load_corpus(name, mirror=given.mirror)
            print(f"{name}: " + ", ".join(f"{role} {len(split)} sentences" for role, split in corpus.splits.items()), flush=True)
        except WorkbookError as error:
            missing += 1
            print(f"{name}: {error}", file=sys.stderr, flush=True)
    return 2 if missing else 0


def _sweep(given) -> int:
    from .runs.sweeps import read_sweep, run_sweep

    if given.workers < 1:
        raise WorkbookError(f"--workers {given.workers}; expected 1 or more")
    failed = run_sweep(read_sweep(given.file), given.outputs, given.workers)
    for job, trace in failed:
        print(f"\n{job.name} {dict(job.parameters)}\n{trace[-1500:]}", file=sys.stderr)
    print(f"{len(failed)} notebooks failed" if failed else "all notebooks are executed")
    return 1 if failed else 0


def _board(given) -> int:
    from .board.leaderboard import write_leaderboard
    from .home import home, outputs
    from .runs.rows import read_rows

    write_leaderboard(read_rows(given.outputs), given.outputs)
    folder = outputs(given.outputs)
    print((folder / "leaderboard.md").read_text(encoding="utf-8"))
    for kind, place, pattern in (
        ("tables", folder, "leaderboard.*"),
        ("figures", folder / "figures", "*.png"),
        ("executed notebooks", folder / "notebooks", "*.ipynb"),
    ):
        print(f"{kind}:", *(f"  {_from_root(path, home())}" for path in sorted(place.glob(pattern))), sep="\n")
    return 0


def _from_root(path, base) -> str:
    """The path as seen from the workbook's root, where it lies below it."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


if __name__ == "__main__":
    sys.exit(main())
