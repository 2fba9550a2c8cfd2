"""Committed tables: what outputs/published holds, read without the runs that made it.

outputs/published/<table>/<run id>.json          a run's row
outputs/published/<table>/counts/<run id>.json   its right and wrong mentions per test document
outputs/published/<table>/jobs.json              the jobs of the table's sweep, and their runs

D documents, ordered by name (sentences, where a corpus has no documents)
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import WorkbookError, unknown
from ..evaluation.statistics import document_counts
from ..home import home, runs_folder
from ..runs.rows import read_predictions
from ..sweeps.jobs import Job
from ..sweeps.reading import read_sweep

JOBS = "jobs.json"
COUNTS = "counts"
SWEEPS = "published"  # folder of notebooks/sweeps
_KINDS = ("tp", "fp", "fn")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Counts:
    """tp, fp, fn of one run on the test documents of one corpus.

    documents   hash of documents and words: equal for runs tested on the same text
    types       type -> counts per document.  (D 3)
    """

    documents: str
    types: Mapping[str, np.ndarray]

    def of(self, types: Sequence[str]) -> np.ndarray:
        """The counts of these types together.  (D 3)"""
        return np.sum([self.types[type] for type in types], axis=0)


def table_folder(table: str) -> Path:
    """The folder of a committed table; "" is the folder of all tables."""
    return home() / "outputs" / "published" / table


def sweep_file(table: str) -> Path:
    """The YAML file whose jobs make a table."""
    return home() / "notebooks" / "sweeps" / SWEEPS / f"{table}.yaml"


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


def published_jobs(table: str) -> dict[str, dict]:
    """Key of `jobs_of` -> notebook, parameters and runs of the jobs behind a committed table."""
    path = table_folder(table) / JOBS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def published_tables() -> list[str]:
    """The names of the committed tables that hold rows."""
    folders = sorted(path for path in table_folder("").glob("[!.]*") if path.is_dir())
    return [folder.name for folder in folders if _row_files(folder)]


def published_rows(table: str = "") -> list[dict]:
    """The committed rows of one table; each says in `table` where it comes from."""
    paths = _row_files(table_folder(table))
    return [json.loads(path.read_text(encoding="utf-8")) | {"table": table} for path in paths]


def published_counts(table: str) -> dict[str, dict[str, Counts]]:
    """Run id -> corpus -> right and wrong mentions per test document, of one committed table."""
    paths = sorted((table_folder(table) / COUNTS).glob("*.json"))
    return {path.stem: _read_counts(path) for path in paths}


def counts_of(row: Mapping, corpus: str) -> Counts:
    """Right and wrong mentions per test document, for the types that the run was asked for.

    A row of `published_rows` is counted from its table's committed counts, where it has them. Any
    other row is counted from the predictions in its run's folder.

    Raises WorkbookError where neither exists.
    """
    if (path := _counts_file(row)).exists():
        return _counts_of_corpus(_read_counts(path), corpus, path)
    return counted(read_predictions(row["run_id"], corpus, "test"), asked_of(row, corpus))


def has_counts(row: Mapping) -> bool:
    """Whether `counts_of` finds the row's committed counts, or its predictions on this machine."""
    predictions = runs_folder() / row["run_id"] / "predictions"
    return _counts_file(row).exists() or predictions.exists()


def _counts_file(row: Mapping) -> Path:
    """Where a committed row's counts lie; a row without a table has none."""
    return table_folder(row.get("table", "")) / COUNTS / f"{row['run_id']}.json"


def asked_of(row: Mapping, corpus: str) -> list[str]:
    """The types that a run was asked for on a corpus."""
    not_asked = row["scores"][corpus]["test"].get("not_asked", [])
    return [type for type in row["data"][corpus]["types"] if type not in not_asked]


def counted(predictions: Sequence[Mapping], types: Sequence[str]) -> Counts:
    """Predictions (dicts with doc, gold and predicted) -> counts."""
    text = json.dumps([[p["doc"], p.get("tokens")] for p in predictions])
    documents = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Counts(documents, {type: document_counts(predictions, [type]) for type in types})


def counts_text(by_corpus: Mapping[str, Counts]) -> str:
    """The JSON of a file of counts.

    A document is one character, 0-9 and a-z for 0 to 35, so that 5,000 documents take 5 kB. A
    greater number makes it a list of numbers.
    """
    content = {}
    for corpus, counts in by_corpus.items():
        types = {}
        for type, table in counts.types.items():
            columns = zip(_KINDS, table.T.tolist(), strict=True)
            types[type] = {kind: _written(values) for kind, values in columns}
        content[corpus] = {"documents": counts.documents, "types": types}
    return json.dumps(content, indent=1) + "\n"


def _written(values: list[int]) -> str | list[int]:
    if max(values, default=0) >= len(_DIGITS):
        return values
    return "".join(_DIGITS[value] for value in values)


def _numbers(written: str | list[int]) -> list[int]:
    return [_DIGITS.index(one) for one in written] if isinstance(written, str) else written


def _read_counts(path: Path) -> dict[str, Counts]:
    """Corpus -> counts; raises WorkbookError for a damaged file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        by_corpus = {}
        for corpus, about in content.items():
            types = {}
            for type, columns in about["types"].items():
                values = [_numbers(columns[kind]) for kind in _KINDS]
                types[type] = np.array(values, dtype=np.int64).T
            by_corpus[corpus] = Counts(about["documents"], types)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkbookError(
            f"{path} is damaged ({error!r}); get it again with git checkout, or "
            "publish its table again"
        ) from None
    return by_corpus


def _counts_of_corpus(by_corpus: Mapping[str, Counts], corpus: str, path: Path) -> Counts:
    if corpus not in by_corpus:
        raise WorkbookError(f"{path} has no counts of {corpus!r}; it has {sorted(by_corpus)}")
    return by_corpus[corpus]


def _row_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if path.name != JOBS]
