"""What goes wrong, named: every message carries the value and the way out."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class WorkbookError(ValueError):
    """Something a user can correct: bad data, an unknown name, an impossible combination."""


class DataError(WorkbookError):
    """A file that does not hold what its format or its registry entry promises."""


class UnwritableError(WorkbookError):
    """A folder for results that may only be read."""


class SelectionError(WorkbookError):
    """A choice was about to see the test split."""


def unknown(kind: str, value: object, known: Iterable[str]) -> WorkbookError:
    """The error for a name that doesn't exist, with the nearest one that does.

    >>> print(unknown("corpus", "ncbi", ["bc5cdr", "ncbi-disease"]))
    unknown corpus 'ncbi'; did you mean 'ncbi-disease'? known: ['bc5cdr', 'ncbi-disease']
    """
    known = sorted(set(map(str, known)))
    near = get_close_matches(str(value), known, n=1, cutoff=0.4)
    near = near or [name for name in known if str(value) in name]
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return WorkbookError(f"unknown {kind} {value!r}{hint} known: {known}")


def delete_run(run_id: str) -> str:
    """How a user deletes a run, as part of a message."""
    return f"from bioner_lib import forget; forget({run_id!r})"


def damaged(path: Path, error: Exception) -> WorkbookError:
    """The error for a file of a run that can't be read."""
    run_id = path.parent.name.removeprefix(".working-")
    reason = str(error).splitlines()[0] if str(error) else "it ends too early"
    return WorkbookError(
        f"{path} is damaged ({reason}); delete the run and make it again: {delete_run(run_id)}"
    )
