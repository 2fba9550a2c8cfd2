"""Where the workbook's folders are, and how one of its files is replaced in one step."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO
from uuid import uuid4

from .errors import UnwritableError


def home() -> Path:
    """The workbook's root: `BIONER_HOME`, else this library's checkout, else the working folder."""
    if given := os.environ.get("BIONER_HOME"):
        return expanded(given).resolve()
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def outputs(write: bool = False) -> Path:
    """The folder of runs: `BIONER_OUTPUTS`, else `outputs/`.

    Reading makes no folder. With `write` a missing one is made.

    Raises UnwritableError where `write` is asked for and the folder can't be written.
    """
    path = folder_named_by("BIONER_OUTPUTS") or home() / "outputs"
    if write:
        check_writable(path)
    return path


def check_writable(folder: Path) -> None:
    """Makes a folder that is missing; raises UnwritableError for one that can't be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{uuid4().hex[:8]}"
        probe.write_text("")
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnwritableError(
            f"can't write to {folder} ({reason}); name another folder with BIONER_OUTPUTS"
        ) from None


def mirror() -> Path | None:
    """The folder that holds copies of the registry's files: `BIONER_MIRROR`, or None."""
    return folder_named_by("BIONER_MIRROR")


def folder_named_by(variable: str) -> Path | None:
    """The folder that an environment variable names, or None.

    A relative folder starts at the workbook's root. A command and a notebook's kernel have
    different working folders, and must mean the same one.
    """
    given = os.environ.get(variable)
    return home() / expanded(given) if given else None


def expanded(path: str | Path) -> Path:
    """A path with `~` and `~user` replaced; unchanged where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def exists(path: str | Path) -> bool:
    """Whether a file or folder exists; False for what can't be a path (too long, a NUL inside)."""
    try:
        return expanded(path).exists()
    except (OSError, ValueError):
        return False


@contextmanager
def replacing(path: Path, mode: str = "w", lasting: bool = True) -> Iterator[IO]:
    """A file to write, which takes the place of `path` when the block ends.

    A reader sees the old file or the whole new one. A `lasting` file survives a power cut.
    If the block fails, the old file stays.
    """
    aside = path.with_name(f"{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        with aside.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def replace_text(path: Path, text: str, lasting: bool = True) -> None:
    """Write a text file in one step, as `replacing` does."""
    with replacing(path, lasting=lasting) as file:
        file.write(text)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits; computed again only when its time or size changes."""
    stat = path.stat()
    return _file_sha256(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _file_sha256(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def runs_folder() -> Path:
    """The folder that holds one folder per run."""
    return outputs() / "runs"
