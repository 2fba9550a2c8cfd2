"""Which file or folder of a user's own corpus is which split."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError, unknown
from .brat_folders import is_brat
from .readers import ENDINGS
from .reading import BESIDE, ending
from .splits import SPLITS

_ROLES = {
    "train": "train",
    "devel": "dev",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}


def named_files(path: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """The files that corpus.toml names by split; raises DataError for one that is missing."""
    place = path / "corpus.toml"
    for role, name in names.items():
        if role not in SPLITS:
            raise DataError(f"{place}: {unknown('split in files:', role, SPLITS)}")
        if not ((path / name).is_file() or is_brat(path / name)):
            raise DataError(f"{place}: files names {name!r}, which isn't there")
    files = {role: path / names[role] for role in SPLITS if role in names}
    if len({file.resolve() for file in files.values()}) < len(files):
        raise DataError(f"{place}: files gives one file to two splits: {dict(names)}")
    for file in files.values():
        _check_brat_split(file)
    return files


def split_files(path: Path) -> dict[str, Path]:
    """Split -> file, by the files' names.

    Raises DataError for two files of one split, for a file of no split and for data in a folder
    below: no data is left out unnoticed.
    """
    if path.is_file():
        return {"train": path}
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None
    files: dict[str, Path] = {}
    homeless = []
    _check_folders(path, [file for file in inside if file.is_dir()])
    if is_brat(path):
        _check_beside_brat(path, inside)
        return {"train": path}
    for file in inside:
        if not (file.is_file() or is_brat(file)) or BESIDE.fullmatch(file.name):
            continue
        roles = _roles_in(file.name)
        if len(roles) != 1:  # train_dev.tsv belongs to neither
            homeless.append(file.name)
            continue
        role = roles.pop()
        _check_brat_split(file)
        if role in files:
            raise DataError(
                f"{path}: both {files[role].name} and {file.name} look like the {role} split"
            )
        files[role] = file
    expected = "a split (train, dev/devel/valid, test)"
    if not files:
        names = [file.name for file in inside]
        raise DataError(
            f"{path}: no file named after {expected} in {names}; corpus.toml may say which is "
            'which: files = { train = "name" }'
        )
    if homeless:
        raise DataError(
            f"{path}: {homeless} belong to no split; name each file after {expected}, say "
            f'files = {{ train = "{homeless[0]}" }} in corpus.toml, or move it elsewhere'
        )
    return files


def _check_folders(path: Path, folders: Sequence[Path]) -> None:
    """Raises DataError for data in folders that no split would hold."""
    deep = [folder.name for folder in folders if any(folder.rglob("*.ann"))]
    if is_brat(path) and deep:
        raise DataError(
            f"{path} holds annotations, and so do its folders {deep}; move the former into a "
            "folder named after a split, or the latter elsewhere"
        )
    for folder in folders:
        if is_brat(folder):
            continue
        if folder.name in deep:
            raise DataError(f"{folder}: the .ann files of a split lie in one folder, not below it")
        if held := _data_in(folder):
            raise DataError(
                f"{folder} holds {held[:3]}, and no .ann file: a split is one file, or a folder in "
                "brat's format; move the file up, and name it after the split, or move it out of "
                f'{path}, or name the file of each split in corpus.toml: files = {{ train = "…" }}'
            )


def _roles_in(name: str) -> set[str]:
    """The splits that the name of a file or folder names."""
    parts = re.split(r"[._-]", name.lower())
    return {_ROLES[part] for part in parts if part in _ROLES}


def _data_in(folder: Path) -> list[str]:
    """The data files in a folder and below it, but for hidden ones.

    In a folder named after a split any file is data, and where a split is a part of the name, so is
    a text. Elsewhere the ending decides.
    """
    if folder.name.startswith("."):
        return []
    known = {*ENDINGS, ".txt"} if _roles_in(folder.name) else ENDINGS
    found = []
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if is_hidden or _is_beside(file):
            continue
        if folder.name.lower() in _ROLES or ending(file) in known:
            found.append(str(name))
    return found


def _check_brat_split(path: Path) -> None:
    """Raises DataError for data in the folder of one split that wouldn't be read."""
    inside = sorted(path.iterdir()) if is_brat(path) else []
    lost = [file.name for file in inside if file.is_dir() and any(file.rglob("*.ann"))]
    lost += _no_brat_data(inside)
    if lost:
        raise DataError(
            f"{path} holds the .ann files of a split, and {lost[:3]}, which would not be read; "
            "move these elsewhere"
        )


def _check_beside_brat(path: Path, inside: Sequence[Path]) -> None:
    """Raises DataError for data beside the annotations of a folder, which no split would hold."""
    others = _no_brat_data(inside)
    if others:
        raise DataError(
            f"{path} holds .ann files, which are its train split, and {others[:3]}; move the .ann "
            "files and their texts into a folder named train, or the others elsewhere"
        )


def _no_brat_data(inside: Sequence[Path]) -> list[str]:
    """The names of data files that brat's reader doesn't read."""
    known = (".txt", ".ann", ".conf")
    return [file.name for file in inside if not (file.suffix in known or _is_beside(file))]


def _is_beside(file: Path) -> bool:
    """Whether a file is no data; folders aren't either, only what they hold."""
    return file.is_dir() or bool(BESIDE.fullmatch(file.name))
