"""What a run is made from. A finished run is read again only while all of it is unchanged.

data        per corpus: types, silver or not, words and tags, names of documents
readers     per registered corpus: its registry entry and the code that reads its files
encoder     weights, configuration and tokenizer (a folder), or the commit (the Hugging Face hub)
parents     content of the runs that `start_from` and `teacher` name
precision   bf16 or fp32, as this machine resolves it
library     version of bioner_lib
"""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from ..config import RunConfig
from ..corpora import (
    annotated_files,
    inline_files,
    reading,
    registry,
    schemes,
    tagged_files,
    text,
)
from ..corpora.corpus import Corpus
from ..corpora.loading import load_corpus
from ..corpora.registry import CORPORA, split_name
from ..errors import WorkbookError
from ..models.encoders import autocast_dtype, encoder_path
from .rows import PARENTS, config_of, read_row

# what turns registered files into sentences
_CODE = (schemes, text, reading, tagged_files, annotated_files, inline_files, registry)
_ENCODER_FILES = (".json", ".txt", ".model", ".safetensors", ".bin")


def made_from(config: RunConfig, corpora: Sequence[Corpus], runs: Path) -> dict:
    """Everything that a run of this configuration is made from now; `runs` is the folder of its parents."""
    tagger = config.system == "tagger"
    return {
        "library": version("bioner-workbook"),
        "precision": precision(config),
        "encoder": encoder_digest(config.encoder) if tagger else None,
        "parents": {
            name: parent_digest(runs / getattr(config, name))
            for name in PARENTS
            if getattr(config, name)
        },
        "readers": {name: reader_digest(name) for name in _bases(config) if name in CORPORA},
        "data": {corpus.name: data_digest(corpus) for corpus in corpora},
    }


def precision(config: RunConfig) -> str:
    """bf16, fp32, or none for a run without a neural network."""
    if config.system != "tagger":
        return "none"
    return "fp32" if autocast_dtype(config.precision) is None else "bf16"


def data_digest(corpus: Corpus) -> dict:
    """What of a corpus decides a run's numbers."""
    return {
        "types": list(corpus.types),
        "silver": corpus.silver,
        "fingerprint": corpus.fingerprint,
        "documents": corpus.documents_digest,
    }


def reader_digest(name: str) -> str:
    """16 hex digits over a registered corpus's entry and the source of the code that reads it."""
    entry = CORPORA[name]
    base = CORPORA[split_name(entry["view"])[0]] if "view" in entry else {}
    told = json.dumps([entry, base], sort_keys=True) + "".join(map(inspect.getsource, _CODE))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def encoder_digest(name: str) -> str | None:
    """16 hex digits over an encoder's files, or its commit on the hub; None where it isn't on this machine."""
    try:
        path = Path(encoder_path(name))
    except WorkbookError:  # a folder that is gone
        return None
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in _ENCODER_FILES)
        return _files_digest(
            tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        )
    if path.is_absolute():
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(str(path), "config.json")
    return Path(cached).parent.name[:16] if isinstance(cached, str) else None


@lru_cache(maxsize=16)
def _files_digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Times and sizes are arguments so that a file that changes is read again."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def parent_digest(folder: Path) -> str | None:
    """16 hex digits over what a finished run found, without times; None where it isn't there any more."""
    row = read_row(folder)
    if row is None:
        return None
    history = [{"loss": record["loss"], "dev": record["dev"]} for record in row["history"]]
    told = json.dumps([row["config"], row["scores"], history, row.get("made_from")], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def check_unchanged(row: Mapping, runs: Path, mirror: str | Path | None = None) -> None:
    """Raises WorkbookError where a finished run, or one that it builds on, was made from something that has changed since.

    Registered corpora are loaded only where the code that reads them has changed: their bytes are verified by hash.
    What isn't on this machine any more (an encoder's folder, a deleted parent) can't be compared and is passed over.
    """
    config, then = config_of(row), row.get("made_from")
    if then is None:
        raise made_earlier(row["run_id"])
    for name in PARENTS:
        parent = read_row(runs / getattr(config, name)) if getattr(config, name) else None
        if parent is not None:
            check_unchanged(parent, runs, mirror)
    names = [
        name
        for name in (*config.corpora, *config.also_test)
        if not _is_pinned(name, then["readers"])
    ]
    now = made_from(
        config, [load_corpus(name, mirror=mirror, limit=config.limit) for name in names], runs
    )
    compare_made_from(
        row["run_id"],
        then | {"readers": {}},
        now | {"readers": {}, "data": then["data"] | now["data"]},
    )


def compare_made_from(run_id: str, then: Mapping, now: Mapping) -> None:
    """Raises WorkbookError that names what has changed between what a run was made from and what there is now."""
    if changed := changes(then, now):
        raise WorkbookError(
            f"what run {run_id} was made from has changed since: {'; '.join(changed)}; {way_out(run_id)}"
        )


def made_earlier(run_id: str) -> WorkbookError:
    """The error for a run, finished or begun, of which nothing is known."""
    return WorkbookError(
        f"run {run_id} was made by an earlier version of the workbook, which did not record what it was made from; {way_out(run_id)}"
    )


def way_out(run_id: str) -> str:
    """How a run is made again."""
    return f"to make it again, delete the old one: from bioner_lib.runs.rows import forget; forget({run_id!r})"


def changes(then: Mapping, now: Mapping, where: str = "") -> list[str]:
    """The leaves in which two records differ, such as "encoder: a -> b"; None means unknown and is passed over."""
    found = []
    for key in dict.fromkeys([*then, *now]):
        old, new, name = then.get(key), now.get(key), f"{where}{key}"
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            found += changes(old or {}, new or {}, f"{name} / ")
        elif old is not None and new is not None and old != new:
            found.append(f"{name}: {old} -> {new}")
    return found


def _bases(config: RunConfig) -> list[str]:
    return [split_name(name)[0] for name in (*config.corpora, *config.also_test)]


def _is_pinned(name: str, known: Mapping[str, str]) -> bool:
    """Whether a corpus can't have changed: its bytes are verified by hash, and the code that reads them is the same."""
    base = split_name(name)[0]
    return "repository" in CORPORA.get(base, {}) and known.get(base) == reader_digest(base)
