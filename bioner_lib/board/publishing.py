"""Committed rows: what the tables of README and notebooks are drawn from."""

import json
from collections.abc import Iterable
from pathlib import Path

from ..errors import WorkbookError
from ..home import home
from ..home import outputs as outputs_folder


def publish(
    run_ids: Iterable[str],
    outputs: str | Path | None = None,
    to: Path | None = None,
    table: str = "",
    name: str = "",
) -> list[Path]:
    """Copy rows into outputs/published, from which the README's tables and figures are drawn.

    `table` is a folder there for a table of its own, `name` what the rows' arm is called in it.
    """
    to = (to or home() / "outputs" / "published") / table
    to.mkdir(parents=True, exist_ok=True)
    paths = []
    for run_id in run_ids:
        source = outputs_folder(outputs) / "runs" / run_id / "run.json"
        if not source.exists():
            raise WorkbookError(f"no finished run {run_id!r} in {source.parents[1]}")
        paths.append(to / f"{run_id}.json")
        row = json.loads(source.read_text()) | ({"name": name} if name else {})
        paths[-1].write_text(json.dumps(row, indent=1))
    return paths


def published_rows(table: str = "") -> list[dict]:
    """The committed rows of one table."""
    return [
        json.loads(path.read_text())
        for path in sorted((home() / "outputs" / "published" / table).glob("*.json"))
    ]
