"""What a run is made from. A finished run is read again only while all of it is unchanged.

data        per corpus: types, silver or not, words and tags, names of documents
readers     per registered corpus: its registry entry and the code that reads its files
encoder     weights, configuration and tokenizer (a folder), or the commit (a hub)
parents     content of the runs that `start_from` and `teacher` name, or of an ensemble's members
precision   bf16 or fp32, as this machine resolves it
library     version of bioner_lib
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from ..config import RunConfig, is_released, is_tagger
from ..corpora import (
    bioc_files,
    dataset_files,
    inline_files,
    pubtator_files,
    reading,
    registry,
    schemes,
    tagged_files,
    text,
)
from ..corpora.corpus import Corpus
from ..corpora.loading import is_path, load_corpus
from ..corpora.registry import CORPORA, split_name
from ..errors import WorkbookError, delete_run
from ..home import exists, file_sha256, runs_folder
from ..models.encoders import encoder_path
from ..models.hardware import autocast_dtype
from .rows import config_of, earlier_runs, is_readable, read_row

# the code that turns registered files into sentences
_CODE = (
    schemes,
    text,
    reading,
    tagged_files,
    pubtator_files,
    bioc_files,
    inline_files,
    dataset_files,
    registry,
)
_ENCODER_FILES = (".json", ".txt", ".model", ".safetensors", ".bin")


def made_from(config: RunConfig, corpora: Sequence[Corpus]) -> dict:
    """Everything that a run of this configuration is made from now."""
    digests = {field: _start_digest(name) for field, name in earlier_runs(config).items()}
    names = [split_name(name)[0] for name in (*config.corpora, *config.also_test)]
    return {
        "library": version("bioner-workbook"),
        "precision": precision(config),
        "encoder": encoder_digest(config.encoder) if config.system == "tagger" else None,
        "parents": digests,
        "readers": {name: reader_digest(name) for name in names if name in CORPORA},
        "data": {corpus.name: data_digest(corpus) for corpus in corpora},
    }


def digests_of_choices(space: Mapping[str, Sequence]) -> dict:
    """Field -> value -> digest, for values of a search that name files or runs."""
    readers = {"encoder": encoder_digest, "start_from": _start_digest, "teacher": _start_digest}
    return {
        field: {name: readers[field](name) for name in values if name}
        for field, values in space.items()
        if field in readers
    }


def precision(config: RunConfig) -> str:
    """bf16, fp32, or none for a run without a neural network."""
    if config.system == "dictionary":
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


def _digest(*parts: object) -> str:
    """16 hex digits over JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def reader_digest(name: str) -> str:
    """Hash of a registered corpus's entry and of the code that reads it."""
    entry = CORPORA[name]
    base = CORPORA[split_name(entry["view"])[0]] if "view" in entry else {}
    return _digest(entry, base, [inspect.getsource(module) for module in _CODE])


def encoder_digest(name: str) -> str | None:
    """Hash of an encoder's files, or its commit on the hub; None where it isn't on this machine."""
    try:
        path = Path(encoder_path(name))
    except WorkbookError:  # a folder that is gone
        return None
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in _ENCODER_FILES)
        return _digest([(file.name, file_sha256(file)) for file in files])
    if path.is_absolute():
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(str(path), "config.json")
    return Path(cached).parent.name[:16] if isinstance(cached, str) else None


def _start_digest(name: str) -> str | None:
    """The digest of an earlier run, or of a saved tagger's folder.

    None for any other checkpoint: it is the run's encoder too, which has a digest of its own.
    """
    if not is_released(name):
        return parent_digest(runs_folder() / name)
    if not is_tagger(name):
        return None
    folder = Path(name)
    files = sorted(folder.rglob("tagger.*"))  # those of an ensemble's members, too
    return _digest([(str(file.relative_to(folder)), file_sha256(file)) for file in files])


def parent_digest(folder: Path) -> str | None:
    """Hash of a finished run's results, without times; None where the run is gone."""
    row = read_row(folder)
    if row is None:
        return None
    history = [{"loss": record["loss"], "dev": record["dev"]} for record in row["history"]]
    return _digest(row["config"], row["scores"], history, row.get("made_from"))


def check_unchanged(row: Mapping) -> None:
    """Raises WorkbookError if what a finished run was made from has changed since.

    The runs that it builds on are checked too. Registered corpora are loaded again only where the
    code that reads them has changed, since their bytes are verified by hash. What is gone from
    this machine (an encoder's or a corpus's folder, a deleted parent) can't be compared and is
    skipped.
    """
    config, then = config_of(row), row.get("made_from")
    if then is None:
        raise made_by_earlier_version(row["run_id"])
    for run_id in earlier_runs(config).values():
        parent = None if is_released(run_id) else read_row(runs_folder() / run_id)
        if parent is not None:
            check_unchanged(parent)
    loaded = []
    for name in (*config.corpora, *config.also_test):
        if not (_is_pinned(name, then["readers"]) or _is_gone(name)):
            loaded.append(load_corpus(name, limit=config.limit))
    if new := [corpus.name for corpus in loaded if corpus.name not in then["data"]]:
        raise WorkbookError(
            f"what run {row['run_id']} was made from has changed since: {new} are names of other "
            f"corpora than {list(then['data'])}; {way_out(row['run_id'])}"
        )
    now = made_from(config, loaded)
    now["data"] = then["data"] | now["data"]
    compare_made_from(row["run_id"], then, now)


def changed_corpora(run_ids: Iterable[str]) -> dict[str, list[str]]:
    """Corpus of one's own -> finished runs that were made before its files changed.

    A corpus that is gone or can't be read is passed over, and so is a row of another version.
    """
    now: dict[tuple[str, int], Corpus | None] = {}
    changed: dict[str, list[str]] = {}
    for row in (read_row(runs_folder() / run_id) for run_id in run_ids):
        if row is None or not is_readable(row):
            continue
        config, then = config_of(row), (row.get("made_from") or {}).get("data", {})
        for name in (*config.corpora, *config.also_test):
            if split_name(name)[0] in CORPORA:
                continue
            if (name, config.limit) not in now:
                with suppress(WorkbookError):
                    now[name, config.limit] = load_corpus(name, limit=config.limit)
            corpus = now.setdefault((name, config.limit), None)
            if corpus and then.get(corpus.name) not in (None, data_digest(corpus)):
                changed.setdefault(name, []).append(row["run_id"])
    return changed


def _is_pinned(name: str, readers: Mapping[str, str]) -> bool:
    """Whether a corpus can't have changed: verified files, read by the same code."""
    base = split_name(name)[0]
    return "repository" in CORPORA.get(base, {}) and readers.get(base) == reader_digest(base)


def _is_gone(name: str) -> bool:
    """Whether a corpus was given by its path, and nothing lies there now."""
    base = split_name(name)[0]
    return is_path(base) and not exists(base)


def compare_made_from(run_id: str, then: Mapping, now: Mapping) -> None:
    """Raises WorkbookError, which names what differs between the two records."""
    if changed := changes(then, now):
        raise WorkbookError(
            f"what run {run_id} was made from has changed since: {'; '.join(changed)}; "
            f"{way_out(run_id)}"
        )


def made_by_earlier_version(run_id: str) -> WorkbookError:
    """The error for a run without a record of what it was made from."""
    return WorkbookError(
        f"run {run_id} was made by an earlier version of the workbook, which did not record what "
        f"it was made from; {way_out(run_id)}"
    )


def way_out(run_id: str) -> str:
    """How a run is made again."""
    return f"to make it again, delete the old one: {delete_run(run_id)}"


def changes(then: Mapping, now: Mapping, where: str = "") -> list[str]:
    """The values in which two records differ, such as "encoder: a -> b".

    None is skipped, and so are readers, since `data` compares what they read.
    """
    found = []
    for key in dict.fromkeys([*then, *now]):
        if not where and key == "readers":
            continue
        old, new, name = then.get(key), now.get(key), f"{where}{key}"
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            found += changes(old or {}, new or {}, f"{name} / ")
        elif old is not None and new is not None and old != new:
            found.append(f"{name}: {old} -> {new}")
    return found
