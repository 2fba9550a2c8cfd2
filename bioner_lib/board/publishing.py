"""Committed rows: the tables and figures of README and notebooks are drawn from them."""

import json
from collections.abc import Iterable
from pathlib import Path

from ..errors import WorkbookError
from ..home import home, replace_text, runs_folder


def _folder(table: str) -> Path:
    return home() / "outputs" / "published" / table


def publish(run_ids: Iterable[str], table: str = "", name: str = "") -> list[Path]:
    """Copy rows of finished runs into outputs/published; returns the copies.

    `table` is a folder there for a table of its own; `name` is what it calls the rows' arm.
    """
    folder = _folder(table)
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for run_id in run_ids:
        source = runs_folder() / run_id / "run.json"
        if not source.exists():
            raise WorkbookError(f"no finished run {run_id!r} in {runs_folder()}")
        row = json.loads(source.read_text()) | ({"name": name} if name else {})
        copies.append(folder / f"{run_id}.json")
        replace_text(copies[-1], json.dumps(row, indent=1))
    return copies


def published_rows(table: str = "") -> list[dict]:
    """The committed rows of one table."""
    return [json.loads(path.read_text()) for path in sorted(_folder(table).glob("*.json"))]
