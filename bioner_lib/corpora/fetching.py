"""Public files, verified: from a mirror folder, or downloaded once to data/raw."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import DataError
from ..home import home, mirror

GITHUB = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"


def fetch(address: str, local: str, known: Mapping[str, str]) -> Path:
    """The verified file `local`: in the folder that BIONER_MIRROR names, else in data/raw.

    `known` holds its `sha256` or `git_blob`. A missing file is downloaded from `address`.
    Raises DataError for wrong bytes, and where the file can't be downloaded.
    """
    folder = mirror()
    if folder and (folder / local).exists():
        return _verified(folder / local, known)
    path = home() / "data" / "raw" / local
    if not path.exists():
        _download(path, address, known)
    return _verified(path, known)


def _verified(path: Path, known: Mapping[str, str]) -> Path:
    content = path.read_bytes()
    if "sha256" in known:
        kind, digest = "sha256", hashlib.sha256(content)
    else:
        kind, digest = "git_blob", hashlib.sha1(b"blob %d\0" % len(content) + content)
    if digest.hexdigest() != known[kind]:
        raise DataError(
            f"{path} has {kind} {digest.hexdigest()}, not {known[kind]}; "
            "delete it and fetch it again"
        )
    return path


def _download(path: Path, address: str, known: Mapping[str, str]) -> None:
    import pooch

    known_hash = f"sha256:{known['sha256']}" if "sha256" in known else None
    try:
        pooch.retrieve(address, known_hash, fname=path.name, path=path.parent, progressbar=True)
    except Exception as error:  # requests, urllib3, os and pooch raise errors of their own
        hint = "offline, set BIONER_MIRROR to a folder that holds it"
        if folder := mirror():
            hint = f"the mirror {folder} doesn't hold it"
        raise DataError(
            f"can't fetch {address} ({type(error).__name__}: {str(error)[:200]}); "
            f"{hint} as {path.parent.name}/{path.name}"
        ) from None
