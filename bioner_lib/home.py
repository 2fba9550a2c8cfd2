"""Where the workbook's folders are, whichever folder a notebook was started in, and how its files are replaced."""

import os
from pathlib import Path
from uuid import uuid4

from .errors import UnwritableError


def home() -> Path:
    """The workbook's root: `BIONER_HOME`, else the checkout that holds this library, else the working folder."""
    if given := os.environ.get("BIONER_HOME"):
        return expanded(given).resolve()
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def expanded(path: str | Path) -> Path:
    """A path with ~ and ~user carried out; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def from_environment(name: str) -> Path | None:
    """The folder that an environment variable names; a relative one begins at the workbook's root.

    A command and a notebook's kernel have different working folders, and mean the same one.
    """
    given = os.environ.get(name)
    return home() / expanded(given) if given else None


def is_there(path: str | Path) -> bool:
    """Whether a file or folder is there; False too for what can't be a path (too long, a NUL inside)."""
    try:
        return expanded(path).exists()
    except (OSError, ValueError):
        return False


def replace_text(path: Path, text: str, lasting: bool = True) -> None:
    """Write a file in one step: whoever reads it, at whatever moment, finds the old one or the new one; a `lasting` one outlives a
    power cut."""
    aside = path.with_name(f"{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def outputs(folder: str | Path | None = None, write: bool = False) -> Path:
    """The folder of runs: `folder`, else `BIONER_OUTPUTS`, else `outputs/`. Reading makes no folder.

    With `write` it is made where it is missing; raises WorkbookError where it can't be written.
    """
    path = (
        expanded(folder).absolute()
        if folder
        else from_environment("BIONER_OUTPUTS") or home() / "outputs"
    )
    if write:
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / f".writable-{uuid4().hex[:8]}"
            probe.write_text("")
            probe.unlink()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UnwritableError(
                f"can't write to {path} ({reason}); name another folder with BIONER_OUTPUTS"
            ) from None
    return path
