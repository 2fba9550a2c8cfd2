"""Files by their public address, verified, each kept in data/raw; or the same bytes out of a mirror folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import DataError
from ..home import expanded, from_environment, home

GITHUB = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"


def fetch(
    address: str, local: str, known: Mapping[str, str], mirror: str | Path | None = None
) -> Path:
    """The verified file: `local` in the `mirror` (or `BIONER_MIRROR`) where it is held there, else in data/raw, downloaded once.

    `known` has its `sha256` or `git_blob`. Raises DataError for wrong bytes or no way to them.
    """
    mirror = expanded(mirror) if mirror else from_environment("BIONER_MIRROR")
    if mirror and (path := mirror / local).exists():
        return _verified(path, known)
    path = home() / "data" / "raw" / local
    if not path.exists():
        _download(path, address, known, mirror)
    return _verified(path, known)


def _verified(path: Path, file: Mapping[str, str]) -> Path:
    content = path.read_bytes()
    kind = "sha256" if "sha256" in file else "git_blob"
    digest = (
        hashlib.sha256(content)
        if kind == "sha256"
        else hashlib.sha1(b"blob %d\0" % len(content) + content)
    )
    if digest.hexdigest() != file[kind]:
        raise DataError(
            f"{path} has {kind} {digest.hexdigest()}, not {file[kind]}; delete it and fetch it again"
        )
    return path


def _download(path: Path, address: str, file: Mapping[str, str], mirror: str | Path | None) -> None:
    import pooch

    known_hash = f"sha256:{file['sha256']}" if "sha256" in file else None
    try:
        pooch.retrieve(address, known_hash, fname=path.name, path=path.parent, progressbar=True)
    except Exception as error:  # requests, urllib3, os and pooch each raise their own
        held = (
            f"; the mirror {mirror} doesn't hold it"
            if mirror
            else "; offline, set BIONER_MIRROR to a folder that holds it"
        )
        raise DataError(
            f"can't fetch {address} ({type(error).__name__}: {str(error)[:200]}){held} as {path.parent.name}/{path.name}"
        ) from None
