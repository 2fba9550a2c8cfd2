"""Publishing a table: the rows of a finished sweep become committed files.

The sweep notebooks/sweeps/published/<table>.yaml says which jobs make the table. It may also name
arms for tables and figures, by fields of their configurations:

    x-names:
      negative: {unannotated: negative}
      mask: {unannotated: mask, heads: per-type}
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..config import FIELDS
from ..errors import WorkbookError, delete_run, unknown
from ..home import replace_text, runs_folder
from ..runs.rows import precision_of, read_row
from ..sweeps.execution import runs_of, state_of
from ..sweeps.jobs import Job
from ..sweeps.reading import parse_yaml, read_sweep
from .measures import FOLDER as MEASURES
from .measures import measures_text
from .published_files import (
    COUNTS,
    JOBS,
    SWEEPS,
    Counts,
    counts_of,
    counts_text,
    sweep_file,
    table_folder,
)
from .table_pages import page

_SHOWN = 8  # unfinished jobs that an error names


def publish(table: str) -> list[Path]:
    """Copy the rows of a table's sweep, with counts and measures; returns the rows' files.

    README.md in the table's folder shows them. The folder is replaced as a whole.

    Raises WorkbookError for an unknown table, jobs that aren't finished, missing predictions or
    such as don't give the row's scores, and taggers that computed in several precisions or on
    several kinds of machine. Nothing is written then.
    """
    jobs = jobs_of(table)
    _check_finished(table, jobs)
    made = {key: runs_of(job) for key, job in jobs.items()}
    rows = [_row(run_id) for run_id in dict.fromkeys(run for runs in made.values() for run in runs)]
    if not rows:
        raise WorkbookError(f"no job of the sweep {SWEEPS}/{table} makes a run: nothing to publish")
    check_machines(rows)
    rows = named_by_sweep(table, rows)
    files = {JOBS: _jobs_text(jobs, made)}
    for row in rows:
        name = f"{row['run_id']}.json"
        files[name] = json.dumps(row, indent=1)
        files[f"{COUNTS}/{name}"] = counts_text(_counts(row))
        files[f"{MEASURES}/{name}"] = measures_text(row)
    _replace_folder(table, files)
    return [table_folder(table) / f"{row['run_id']}.json" for row in rows]


def _replace_folder(table: str, files: Mapping[str, str]) -> None:
    """A table's folder with these files and its page; if anything fails, the old one stays."""
    folder, aside, old = (table_folder(f"{before}{table}") for before in ("", ".new-", ".old-"))
    for left in (aside, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        for name, text in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            replace_text(aside / name, text)
        replace_text(aside / "README.md", page(table, aside.name))
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for left in (aside, old):
            shutil.rmtree(left, ignore_errors=True)


def jobs_of(table: str) -> dict[str, Job]:
    """The jobs of a table's sweep, by a hash of notebook, parameters and the job started from.

    Unlike a job's digest the hash doesn't change when a notebook's text does.

    Raises WorkbookError for an unknown table.
    """
    known = sorted(path.stem for path in sweep_file(table).parent.glob("*.yaml"))
    if table not in known:
        raise unknown("published table", table, known)
    jobs, keys = {}, {"": ""}
    for job in (job for step in read_sweep(f"{SWEEPS}/{table}") for job in step):
        about = [job.notebook.stem, dict(job.parameters), keys[job.parent]]
        text = json.dumps(about, sort_keys=True)
        keys[job.name] = hashlib.sha256(text.encode()).hexdigest()[:8]
        jobs[keys[job.name]] = job
    return jobs


def named_by_sweep(table: str, rows: Sequence[Mapping]) -> list[dict]:
    """The rows with the names that their table's sweep gives to arms; the others as they are.

    Raises WorkbookError for an unknown field, a name that fits no row, and a row that several fit.
    """
    path = sweep_file(table)
    names = parse_yaml(path.read_text(encoding="utf-8")).get("x-names", {})
    for fields in names.values():
        for field in fields:
            if field not in FIELDS:
                raise unknown(f"field in x-names of {path.name}", field, FIELDS)
    found = []
    for row in rows:
        fitting = [name for name, own in names.items() if own.items() <= row["config"].items()]
        if len(fitting) > 1:
            raise WorkbookError(f"{path.name}: the x-names {fitting} all fit {row['run_id']}")
        found.append(dict(row) | ({"name": fitting[0]} if fitting else {}))
    if unused := set(names) - {row.get("name") for row in found}:
        raise WorkbookError(f"{path.name}: no run fits the x-names {sorted(unused)}")
    return found


def check_machines(rows: Iterable[Mapping]) -> None:
    """Raises WorkbookError unless all taggers computed in one precision, on one kind of machine."""
    taggers = [row for row in rows if precision_of(row) != "none"]
    precisions = {row["run_id"]: precision_of(row) for row in taggers}
    machines = {row["run_id"]: row.get("device", {}).get("name", "unknown") for row in taggers}
    for what, by_run in (("precisions", precisions), ("kinds of machine", machines)):
        names = sorted(set(by_run.values()))
        if len(names) > 1:
            first = {name: min(run for run in by_run if by_run[run] == name) for name in names}
            places = [f"{name} ({run}, …)" for name, run in first.items()]
            raise WorkbookError(
                f"one table holds runs of one kind of machine in one precision; these computed "
                f"in {len(names)} {what}: {', '.join(places)}; delete one kind (forget) and make "
                "its runs again where the others were made"
            )


def _check_finished(table: str, jobs: Mapping[str, Job]) -> None:
    # a job that is executed every time is never done for a sweep
    states = {job.name: state_of(replace(job, always=False)) for job in jobs.values()}
    missing = [f"{name} ({state})" for name, state in states.items() if state != "done"]
    if unfinished := len(missing):
        if unfinished > _SHOWN:
            missing[_SHOWN:] = [f"and {unfinished - _SHOWN} more"]
        retry = " --retry-failed" if "failed" in states.values() else ""
        raise WorkbookError(
            f"{unfinished} of {len(jobs)} jobs aren't finished: {', '.join(missing)}; this goes "
            f"on: python -m bioner_lib sweep {SWEEPS}/{table}{retry}"
        )


def _row(run_id: str) -> dict:
    row = read_row(runs_folder() / run_id)
    if row is None:
        raise WorkbookError(f"no finished run {run_id!r} in {runs_folder()}; execute its job again")
    return row


def _counts(row: Mapping) -> dict[str, Counts]:
    """Corpus -> counts of a run's test predictions; raises WorkbookError for another run's."""
    by_corpus = {}
    for corpus, splits in row["scores"].items():
        if "test" not in splits:
            continue
        try:
            counts = counts_of(row, corpus)
        except WorkbookError as error:
            raise WorkbookError(f"{error}; {_again(row['run_id'])}") from None
        for type, table in counts.types.items():
            found = dict(zip(("tp", "fp", "fn"), table.sum(0).tolist(), strict=True))
            scored = {kind: splits["test"]["types"][type][kind] for kind in found}
            if found != scored:
                raise WorkbookError(
                    f"{row['run_id']}: its predictions on {corpus} give {found} for {type}, but "
                    f"its row says {scored}; {_again(row['run_id'])}"
                )
        by_corpus[corpus] = counts
    return by_corpus


def _again(run_id: str) -> str:
    return f"delete the run and make it again: {delete_run(run_id)}"


def _jobs_text(jobs: Mapping[str, Job], made: Mapping[str, Sequence[str]]) -> str:
    content = {}
    for key, job in jobs.items():
        about = {"notebook": job.notebook.stem, "parameters": dict(job.parameters)}
        content[key] = about | {"runs": list(made[key])}
    return json.dumps(content, indent=1) + "\n"
