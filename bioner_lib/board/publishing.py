"""Publishing a table: the rows of a finished sweep become committed files.

The sweep notebooks/sweeps/published/<table>.yaml says which jobs make the table. It may also name
arms for tables and figures, by fields of their configurations:

    x-names:
      negative: {unannotated: negative}
      mask: {unannotated: mask, heads: per-type}
      after gold: {corpora: [silver], start_from: {corpora: [gold]}}  # the phase before
      single-task: [{corpora: [bc5cdr]}, {corpora: [bc2gm]}]  # any of them
    # the page compares the other arms of its training corpora and budget with this one, or with
    # each of several
    x-base: mask
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ..config import FIELDS
from ..config_files import parse_yaml
from ..errors import WorkbookError, delete_run, unknown
from ..home import replace_text, runs_folder
from ..runs.rows import phases, precision_of, read_row
from ..sweeps.execution import runs_of, state_of
from ..sweeps.jobs import Job
from .measures import FOLDER as MEASURES
from .measures import measures_text
from .published_files import (
    COUNTS,
    JOBS,
    SWEEPS,
    Counts,
    counts_of,
    counts_text,
    jobs_of,
    published_jobs,
    sweep_file,
    table_folder,
)
from .table_pages import page

_SHOWN = 8  # unfinished jobs that an error names
_ARCHITECTURES = ("", "x86_64", "aarch64")


def publish(table: str, part: bool = False) -> list[Path]:
    """Copy the rows of a table's sweep, with counts and measures; returns the rows' files.

    README.md in the table's folder shows them. The folder is replaced as a whole; jobs that were
    published before and aren't finished on this machine stay as they are. `part` publishes what is
    finished so far, and README.md says that jobs are missing.

    Raises WorkbookError for an unknown table, jobs that aren't finished, missing predictions or
    such as don't give the row's scores, and taggers that computed in several precisions or on
    several kinds of machine. Nothing is written then.
    """
    jobs, before = jobs_of(table), _kept_jobs(table)
    made = {key: runs_of(job) for key, job in jobs.items() if _state(job) == "done"}
    kept = {key: before[key] for key in jobs if key in before and key not in made}
    missing = [job for key, job in jobs.items() if key not in made and key not in kept]
    if missing and not part:
        raise _unfinished(table, missing, len(jobs))
    here = list(dict.fromkeys(chain(*made.values())))
    older = _committed_files(table, set(chain(*kept.values())) - set(here))
    rows = [_row(run_id) for run_id in here]
    rows += [json.loads(text) for path, text in older.items() if "/" not in path]
    if not rows:
        raise WorkbookError(f"no job of the sweep {SWEEPS}/{table} makes a run: nothing to publish")
    check_machines(rows)
    rows = named_by_sweep(table, rows, whole=not missing)
    done = {key: job for key, job in jobs.items() if job not in missing}
    files = {JOBS: _jobs_text(done, made | kept)} | older
    for row in rows:
        name = f"{row['run_id']}.json"
        files[name] = json.dumps(row, indent=1)
        if name not in older:
            files[f"{COUNTS}/{name}"] = counts_text(_counts(row))
            files[f"{MEASURES}/{name}"] = measures_text(row)
    _replace_folder(table, files)
    return [table_folder(table) / f"{row['run_id']}.json" for row in rows]


def _kept_jobs(table: str) -> dict[str, list[str]]:
    """The jobs of the committed table whose files are all there, with their runs."""
    held = {str(path.relative_to(table_folder(table))) for path in table_folder(table).rglob("*")}
    jobs = {key: job["runs"] for key, job in published_jobs(table).items()}
    return {key: runs for key, runs in jobs.items() if held.issuperset(_files_of(runs))}


def _committed_files(table: str, runs: Iterable[str]) -> dict[str, str]:
    """Path in the table's folder -> text, of these runs' rows, counts and measures."""
    paths = _files_of(sorted(runs))
    return {path: (table_folder(table) / path).read_text(encoding="utf-8") for path in paths}


def _files_of(runs: Iterable[str]) -> list[str]:
    return [f"{folder}{run}.json" for run in runs for folder in ("", f"{COUNTS}/", f"{MEASURES}/")]


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


def named_by_sweep(table: str, rows: Sequence[Mapping], whole: bool = True) -> list[dict]:
    """The rows with the names that their table's sweep gives to arms; the others as they are.

    Raises WorkbookError for an unknown field, a row that several names fit, and in a whole table a
    name that fits no row.
    """
    path = sweep_file(table)
    names = parse_yaml(path.read_text(encoding="utf-8")).get("x-names", {})
    for given in names.values():
        for field in _fields_of(given):
            if field not in FIELDS:
                raise unknown(f"field in x-names of {path.name}", field, FIELDS)
    found = []
    for row in rows:
        fitting = [name for name, given in names.items() if _fits_any(phases(row), given)]
        if len(fitting) > 1:
            raise WorkbookError(f"{path.name}: the x-names {fitting} all fit {row['run_id']}")
        # a row that was published before may have the name of an older sweep file
        without = {key: value for key, value in row.items() if key != "name"}
        found.append(without | ({"name": fitting[0]} if fitting else {}))
    unused = set(names) - {row.get("name") for row in found}
    if unused and whole:
        raise WorkbookError(f"{path.name}: no run fits the x-names {sorted(unused)}")
    return found


def _fields_of(given: Mapping | Sequence[Mapping]) -> list[str]:
    """The fields that an x-name asks for, those of earlier phases too."""
    if not isinstance(given, Mapping):
        return [field for fields in given for field in _fields_of(fields)]
    before = given.get("start_from")
    return [*given, *(_fields_of(before) if isinstance(before, Mapping) else ())]


def _fits_any(configs: Sequence[Mapping], given: Mapping | Sequence[Mapping]) -> bool:
    """Whether a run's phases have these fields, or those of one of several."""
    return any(
        _fits(configs, fields) for fields in ([given] if isinstance(given, Mapping) else given)
    )


def _fits(configs: Sequence[Mapping], fields: Mapping) -> bool:
    """Whether a run's phases have these fields; `start_from: {...}` asks the phase before."""
    before = fields.get("start_from")
    if isinstance(before, Mapping):
        fields = {name: value for name, value in fields.items() if name != "start_from"}
        if len(configs) < 2 or not _fits(configs[:-1], before):
            return False
    return all(_value(configs[-1], name) == value for name, value in fields.items())


def _value(config: Mapping, field: str) -> object:
    """A row's value of a field; rows from before the field was added have its default."""
    default = FIELDS[field].default
    return config.get(field, list(default) if isinstance(default, tuple) else default)


def check_machines(rows: Iterable[Mapping]) -> None:
    """Raises WorkbookError unless all taggers computed in one precision, on one kind of machine.

    Old rows name an architecture (x86_64) for a machine: these say nothing of its kind.
    """
    taggers = [row for row in rows if precision_of(row) != "none"]
    precisions = {row["run_id"]: precision_of(row) for row in taggers}
    machines = {
        row["run_id"]: row["device"]["name"]
        for row in taggers
        if row.get("device", {}).get("name", "") not in _ARCHITECTURES
    }
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


def _state(job: Job) -> str:
    # a job that is executed every time is never done for a sweep
    return state_of(replace(job, always=False))


def _unfinished(table: str, missing: Sequence[Job], total: int) -> WorkbookError:
    states = {job.name: _state(job) for job in missing}
    named = [f"{name} ({state})" for name, state in states.items()]
    if len(named) > _SHOWN:
        named[_SHOWN:] = [f"and {len(missing) - _SHOWN} more"]
    retry = " --retry-failed" if "failed" in states.values() else ""
    return WorkbookError(
        f"{len(missing)} of {total} jobs aren't finished: {', '.join(named)}; --part publishes the "
        f"others, and this goes on: python -m bioner_lib sweep {SWEEPS}/{table}{retry}"
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
