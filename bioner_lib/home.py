"""Where the workbook's folders are, whichever folder a notebook was started in, and how its files are replaced."""

import os
from pathlib import Path
from uuid import uuid4

from .errors import WorkbookError


def home() -> Path:
    """The workbook's root: `BIONER_HOME`, else the checkout that holds this library, else the working folder."""
    if given := os.environ.get("BIONER_HOME"):
        return Path(given)
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def is_there(path: str | Path) -> bool:
    """Whether a file or folder is there; False too for what can't be a path (too long, a NUL inside)."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
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


def outputs(folder: str | Path | None = None) -> Path:
    """The folder of runs, made where it is missing; raises WorkbookError where it can't be written.

    `folder` or `BIONER_OUTPUTS` take the place of `outputs/`.
    """
    path = Path(folder or os.environ.get("BIONER_OUTPUTS") or home() / "outputs")
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{uuid4().hex[:8]}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise WorkbookError(f"can't write to {path} ({error.strerror}); name another folder with BIONER_OUTPUTS") from None
    return path
