"""What finished runs left, read without torch.

outputs/runs/<run id>/run.json       the row: config, versions, scores, dev history, cost
outputs/runs/<run id>/predictions/   <corpus>.<split>.jsonl: gold and predicted mentions
outputs/runs/<run id>/model/         what MultiTaskTagger.from_pretrained reads
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..config import RunConfig, is_released
from ..errors import WorkbookError, damaged, delete_run, unknown
from ..home import runs_folder

PARENTS = ("start_from", "teacher")  # fields that name an earlier run
MEMBER = "seed "  # before the seed of an ensemble's member


def read_row(folder: Path) -> dict | None:
    """A finished run's row, or None."""
    path = Path(folder) / "run.json"
    return read_json_of_run(path) if path.exists() else None


def read_rows() -> list[dict]:
    """The rows of all finished runs, ordered by run id."""
    paths = sorted(runs_folder().glob("*/run.json"))
    return [read_json_of_run(path) for path in paths if not path.parent.name.startswith(".")]


def read_json_of_run(path: Path) -> dict:
    """A JSON file of a run's folder; raises WorkbookError for a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, error) from None


def config_of(row: Mapping) -> RunConfig:
    """A row's configuration; raises WorkbookError for one that this version can't read."""
    try:
        return RunConfig(**row["config"])
    except WorkbookError as error:
        raise WorkbookError(
            f"the row of run {row['run_id']} can't be read ({error}); another version of the "
            f"workbook made it: update this one, or delete the run: {delete_run(row['run_id'])}"
        ) from None


def is_readable(row: Mapping) -> bool:
    """Whether this version can read the row's configuration."""
    try:
        config_of(row)
    except WorkbookError:
        return False
    return True


def precision_of(row: Mapping) -> str:
    """The precision that a run computed in: bf16, fp32 or none."""
    return row.get("device", {}).get("precision") or row["config"].get("precision", "auto")


def earlier_runs(config: RunConfig) -> dict[str, str]:
    """Names of the runs or released taggers that a run builds on: by field, or "seed 13".

    An ensemble builds on its members, and they on what its fields name.
    """
    if config.members:
        return {f"{MEMBER}{seed}": own.run_id for seed, own in config.members.items()}
    return {field: getattr(config, field) for field in PARENTS if getattr(config, field)}


def parents_of(config: RunConfig) -> dict[str, dict]:
    """The runs that this one builds on, as `earlier_runs`: run_id, arm, name, phases.

    Raises WorkbookError for one that isn't finished.
    """
    parents = {}
    for field, run_id in earlier_runs(config).items():
        if is_released(run_id):
            continue
        row = read_row(runs_folder() / run_id)
        if row is None:
            raise WorkbookError(
                f"{field}={run_id!r}: no finished run of that name in {runs_folder()}; make that "
                "run first"
            )
        parents[field] = {
            "run_id": run_id,
            "arm": arm_of(row),
            "name": config_of(row).slug,
            "phases": phases(row),
        }
    return parents


def arm(config: RunConfig, parents: Mapping[str, Mapping[str, str]], precision: str) -> str:
    """Hash shared by all seeds of one configuration, parents included; 8 hex digits.

    Runs in another precision are another arm.
    """
    parts = [config.digest(("seed", "precision", *PARENTS)), precision]
    parts += [f"{field}={parents[field]['arm']}" for field in sorted(parents)]
    if is_released(config.start_from):
        parts.append(config.start_from)
    if is_released(config.teacher):
        parts.append(f"teacher={config.teacher}")
    return hashlib.sha256("-".join(parts).encode()).hexdigest()[:8]


def arm_of(row: Mapping) -> str:
    """The arm of a finished run."""
    return arm(config_of(row), row.get("parents", {}), precision_of(row))


def inputs_of(row: Mapping) -> str:
    """Hash of the corpora and the encoder that a run was made from; 4 hex digits.

    The seeds of an arm share it, unless a file was changed between two of them.
    """
    made = row.get("made_from") or {}
    inputs = json.dumps([made.get("encoder"), made.get("data")], sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()[:4]


def phases(row: Mapping) -> list[dict]:
    """The configurations of all phases that made a run's weights, the first phase first.

    Each has the precision that it computed in.
    """
    parents = row.get("parents", {})
    earlier = parents.get("start_from", {}).get("phases", [])
    for field, parent in parents.items():
        if field.startswith(MEMBER):  # all members have the same ones
            earlier = parent["phases"][:-1]
    last = dict(row["config"])
    if precision_of(row) != "none":
        last["precision"] = precision_of(row)
    return [*earlier, last]


def read_predictions(run_id: str, corpus: str, role: str) -> list[dict]:
    """One dict per sentence: doc, tokens, gold [[start, end, type]] and predicted [[…, score]].

    Raises WorkbookError for a missing file, for a damaged one, and for one with fewer sentences
    than the run predicted.
    """
    path = runs_folder() / run_id / "predictions" / f"{file_name(corpus)}.{role}.jsonl"
    if not path.exists():
        found = sorted(p.name for p in path.parent.glob("*.jsonl"))
        raise WorkbookError(f"{path} is missing; the run holds {found}")
    predictions = read_prediction_file(path, run_id)
    row = read_row(runs_folder() / run_id) or {}
    expected = row.get("data", {}).get(corpus, {}).get("sentences", {}).get(role)
    if expected is not None and len(predictions) != expected:
        reason = f"has {len(predictions)} sentences where the run predicted {expected}"
        raise _damaged_predictions(path, run_id, reason)
    return predictions


def read_prediction_file(path: Path, run_id: str) -> list[dict]:
    """A file as `read_predictions` reads it; raises WorkbookError for a damaged one."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    except UnicodeDecodeError as error:
        is_last = error.end == len(error.object)
        reason = "ends in the middle of a line" if is_last else f"is not UTF-8 ({error})"
        raise _damaged_predictions(path, run_id, reason) from None
    predictions = []
    for number, line in enumerate(lines, 1):
        try:
            predictions.append(json.loads(line))
        except ValueError as error:
            is_last = number == len(lines)
            reason = f"is damaged (line {number}: {error})"
            if is_last:
                reason = "ends in the middle of a line"
            raise _damaged_predictions(path, run_id, reason) from None
    return predictions


def _damaged_predictions(path: Path, run_id: str, reason: str) -> WorkbookError:
    """The error for a file of predictions that can't be read."""
    return WorkbookError(
        f"{path} {reason}; copy it again, or delete the run and make it again: {delete_run(run_id)}"
    )


def predicted_splits(run_id: str) -> list[tuple[str, str]]:
    """(corpus, split) of a finished run's predictions; raises WorkbookError for an unknown run."""
    row = read_row(runs_folder() / run_id)
    if row is None:
        raise unknown("run", run_id, [row["run_id"] for row in read_rows()])
    return [(corpus, role) for corpus, splits in row["scores"].items() for role in splits]


def file_name(corpus: str) -> str:
    """A corpus's name as part of a file's name; two corpora never share one."""
    plain = re.sub(r"[^A-Za-z0-9@+._-]", "_", corpus)[:100]
    if plain == corpus:
        return plain
    return f"{plain}-{hashlib.sha256(corpus.encode()).hexdigest()[:8]}"


def lock_path(run_id: str) -> Path:
    """The file that the one process locks which works on a run; its folder is made."""
    path = runs_folder() / ".locks" / f"{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def forget(run_id: str) -> None:
    """Delete a run, finished or not.

    Raises WorkbookError where there is none of that id, and while another process works on it.
    """
    from filelock import FileLock, Timeout

    runs = runs_folder()
    folders = []
    if re.fullmatch(r"\w[\w.+-]*", run_id):
        folders = [runs / run_id, runs / f".working-{run_id}"]
    existing = [folder for folder in folders if folder.is_dir()]
    if not existing:
        names = {path.name.removeprefix(".working-") for path in runs.glob("*")} - {".locks"}
        raise unknown("run", run_id, names)
    try:
        with FileLock(lock_path(run_id), timeout=0):
            for folder in existing:
                shutil.rmtree(folder)
    except Timeout:
        raise WorkbookError(
            f"another process works on run {run_id}, so it can't be deleted; stop that process "
            "first, or wait until it has finished"
        ) from None
