"""Where a saved tagger is: a folder, a run, or the Hugging Face hub."""

from pathlib import Path

from ..errors import WorkbookError
from ..home import exists, expanded, runs_folder
from .saving import FILES


def find_tagger(name: str | Path) -> Path:
    """The folder of a saved tagger.

    `name` is a run id, a folder, or owner/name on the hub. Files of the hub are downloaded once,
    into its cache. Raises WorkbookError where `name` is none of the three.
    """
    for folder in (runs_folder() / name / "model", expanded(name)):
        if exists(folder):
            return folder
    return _download(str(name))


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    reason = "a name there is owner/name"
    if name.count("/") == 1:
        try:
            return Path(snapshot_download(name, allow_patterns=list(FILES)))
        except (OSError, ValueError) as error:
            reason = _first_line(error)
    raise WorkbookError(
        f"no tagger {name!r}: it is no folder, no run in {runs_folder()} that kept its model, and "
        f"not on the Hugging Face hub ({reason})"
    )


def upload(folder: Path, repo_id: str, private: bool) -> str:
    """Copy a folder to the hub, into a repository that is made if need be; returns its address.

    Raises WorkbookError where the hub can't be reached or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder)
    except (OSError, ValueError) as error:
        raise WorkbookError(
            f"{repo_id!r} can't be written on the Hugging Face hub ({_first_line(error)}); a name "
            "there is owner/name, and `hf auth login` logs you in"
        ) from None
    return str(address)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
