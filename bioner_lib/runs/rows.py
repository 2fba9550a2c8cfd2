"""What finished runs left, read without torch.

outputs/runs/<run id>/run.json                          the row: config, versions, scores, dev history, cost
outputs/runs/<run id>/predictions/<corpus>.<split>.jsonl  gold and predicted spans with scores
outputs/runs/<run id>/model/                            what MultiTaskTagger.load reads
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..config import RunConfig
from ..errors import WorkbookError, damaged, unknown
from ..home import outputs as outputs_folder

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


def config_of(row: Mapping) -> RunConfig:
    """A row's configuration; raises WorkbookError, which names the run, for one that this version can't read."""
    try:
        return RunConfig(**row["config"])
    except WorkbookError as error:
        raise WorkbookError(
            f"the row of run {row['run_id']} can't be read ({error}); another version of the workbook made it: update this one, "
            f"or delete the run: from bioner_lib.runs.rows import forget; forget({row['run_id']!r})"
        ) from None


def precision_of(row: Mapping) -> str:
    """The precision that a run computed in (bf16, fp32, none), whatever its configuration left open."""
    return row.get("device", {}).get("precision") or row["config"].get("precision", "auto")


def parents_of(config: RunConfig, runs: Path) -> dict[str, dict]:
    """The runs that this one builds on, by field: run_id, arm, name, phases.

    Raises WorkbookError for one that isn't finished.
    """
    parents = {}
    for name in PARENTS:
        if run_id := getattr(config, name):
            row = read_row(runs / run_id)
            if row is None:
                raise WorkbookError(
                    f"{name}={run_id!r}: no finished run of that name in {runs}; make that run first"
                )
            parents[name] = {
                "run_id": run_id,
                "arm": arm_of(row),
                "name": config_of(row).slug,
                "phases": phases(row),
            }
    return parents


def arm(config: RunConfig, parents: Mapping[str, Mapping[str, str]], precision: str) -> str:
    """Hash shared by all seeds of one configuration, parents included, computed in one precision; 8 hex digits."""
    parts = [config.digest(("seed", "precision", *PARENTS)), precision]
    parts += [f"{name}={parents[name]['arm']}" for name in sorted(parents)]
    return hashlib.sha256("-".join(parts).encode()).hexdigest()[:8]


def arm_of(row: Mapping) -> str:
    """The arm of a finished run."""
    return arm(config_of(row), row.get("parents", {}), precision_of(row))


def phases(row: Mapping) -> list[dict]:
    """The configs of all phases that made a run's weights, the first one first, each with the precision that it computed in."""
    earlier, used = (
        row.get("parents", {}).get("start_from", {}).get("phases", []),
        precision_of(row),
    )
    return [*earlier, {**row["config"]} | ({} if used == "none" else {"precision": used})]


def read_predictions(
    run_id: str, corpus: str, role: str, outputs: str | Path | None = None
) -> list[dict]:
    """One dict a sentence: doc, tokens, gold [[start, end, type]], predicted [[start, end, type, score]]."""
    path = (
        outputs_folder(outputs)
        / "runs"
        / run_id
        / "predictions"
        / f"{file_name(corpus)}.{role}.jsonl"
    )
    if not path.exists():
        held = sorted(p.name for p in path.parent.glob("*.jsonl"))
        raise WorkbookError(f"{path} is missing; the run holds {held}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def file_name(corpus: str) -> str:
    """A corpus's name as part of a file's name; two corpora never share one."""
    plain = re.sub(r"[^A-Za-z0-9@+._-]", "_", corpus)[:100]
    return (
        plain if plain == corpus else f"{plain}-{hashlib.sha256(corpus.encode()).hexdigest()[:8]}"
    )


def forget(run_id: str, outputs: str | Path | None = None) -> None:
    """Delete a run, finished or not; raises WorkbookError where there is none of that id."""
    runs = outputs_folder(outputs) / "runs"
    folders = (
        [runs / run_id, runs / f".working-{run_id}"] if re.fullmatch(r"\w[\w.+-]*", run_id) else []
    )
    held = [folder for folder in folders if folder.is_dir()]
    if not held:
        names = {
            path.name.removeprefix(".working-") for path in runs.glob("*") if path.name != ".locks"
        }
        raise unknown("run", run_id, names)
    for folder in held:
        shutil.rmtree(folder)
