"""What finished runs left, read without torch.

outputs/runs/<run id>/run.json                          the row: config, versions, scores, dev history, cost
outputs/runs/<run id>/predictions/<corpus>.<split>.jsonl  gold and predicted spans with scores
outputs/runs/<run id>/model/                            what MultiTaskTagger.load reads
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..errors import WorkbookError
from ..home import outputs as outputs_folder
from .config import RunConfig

PARENTS = ("start_from", "teacher")  # fields that name an earlier run


def read_row(folder: Path) -> dict | None:
    """A finished run's row, or None."""
    path = Path(folder) / "run.json"
    return read_json_of_run(path) if path.exists() else None


def read_rows(outputs: str | Path | None = None) -> list[dict]:
    """The rows of all finished runs, by run id."""
    paths = sorted((outputs_folder(outputs) / "runs").glob("*/run.json"))
    return [read_json_of_run(path) for path in paths if path.parent.name[0] != "."]


def read_json_of_run(path: Path) -> dict:
    """A JSON file of a run's folder; raises WorkbookError for a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> WorkbookError:
    """The error for a file of a run that can't be read."""
    run_id = path.parent.name.removeprefix(".working-")
    return WorkbookError(
        f"{path} is damaged ({str(error).splitlines()[0] if str(error) else 'it breaks off'}); the run has to be made again: "
        f"from bioner_lib.runs.rows import forget; forget({run_id!r})"
    )


def parents_of(config: RunConfig, runs: Path) -> dict[str, dict]:
    """The runs that this one builds on, by field: run_id, arm, name, phases.

    Raises WorkbookError for one that isn't finished.
    """
    found = {}
    for name in PARENTS:
        if run_id := getattr(config, name):
            row = read_row(runs / run_id)
            if row is None:
                raise WorkbookError(f"{name}={run_id!r}: no finished run of that name in {runs}; make that run first")
            parent = RunConfig(**row["config"])
            before = row.get("parents", {})
            found[name] = {"run_id": run_id, "arm": arm(parent, before), "name": parent.slug, "phases": phases(row)}
    return found


def arm(config: RunConfig, parents: Mapping[str, Mapping[str, str]]) -> str:
    """8 hex digits that runs share which differ in their seed only, and so do the runs that they build on."""
    bare = config.digest(("seed", *PARENTS))
    said = [bare, *(f"{name}={parents[name]['arm']}" for name in sorted(parents))]
    return hashlib.sha256("-".join(said).encode()).hexdigest()[:8] if parents else bare


def phases(row: Mapping) -> list[dict]:
    """The configs of all phases that made a run's weights, the first one first."""
    return [*row.get("parents", {}).get("start_from", {}).get("phases", []), row["config"]]


def read_predictions(run_id: str, corpus: str, role: str, outputs: str | Path | None = None) -> list[dict]:
    """One dict a sentence: doc, tokens, gold [[start, end, type]], predicted [[start, end, type, score]]."""
    path = outputs_folder(outputs) / "runs" / run_id / "predictions" / f"{file_name(corpus)}.{role}.jsonl"
    if not path.exists():
        held = sorted(p.name for p in path.parent.glob("*.jsonl"))
        raise WorkbookError(f"{path} is missing; the run holds {held}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def file_name(corpus: str) -> str:
    """A corpus's name as part of a file's name."""
    return corpus.replace(":", "_").replace("/", "_")


def forget(run_id: str, outputs: str | Path | None = None) -> None:
    """Delete a run, finished or not."""
    runs = outputs_folder(outputs) / "runs"
    for name in (run_id, f".working-{run_id}"):
        shutil.rmtree(runs / name, ignore_errors=True)
