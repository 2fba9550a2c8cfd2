"""Data sets in the form of the library `datasets`: Parquet files, saved folders, the hub.

A sentence has `tokens` and, in another column, one tag per token: a ClassLabel or a text.
"""

from collections.abc import Mapping
from pathlib import Path

from ..errors import DataError, unknown
from .reading import Reading
from .tagged_files import TaggedSentence, checked_record, from_tags

_ROLES = {"train": "train", "validation": "dev", "dev": "dev", "test": "test"}

Labels = Mapping[str, str] | None


def read_parquet(path: Path, labels: Labels = None, tag_field: str = "") -> Reading:
    """A Parquet file; without `tag_field` the one column with class labels holds the tags."""
    from datasets import Dataset

    try:
        dataset = Dataset.from_parquet(str(path))
    except Exception as error:  # pyarrow and datasets raise errors of their own
        raise DataError(f"{path}: no Parquet file ({type(error).__name__}: {error})") from None
    return _read(dataset, Path(path), labels, tag_field)


def is_saved_dataset(path: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (path / "dataset_dict.json").exists()


def read_saved(path: Path, labels: Labels = None, tag_field: str = "") -> dict[str, Reading]:
    """The splits of a folder that `DatasetDict.save_to_disk` wrote."""
    from datasets import load_from_disk

    try:
        splits = load_from_disk(str(path))
    except Exception as error:
        raise DataError(f"{path} can't be read: {type(error).__name__}: {error}") from None
    return _read_splits(splits, path, labels, tag_field)


def read_hub(name: str, labels: Labels = None, tag_field: str = "") -> dict[str, Reading]:
    """The splits of a data set of the hub, `owner/name`; code that comes with it is never run."""
    from datasets import load_dataset

    try:
        splits = load_dataset(name)
    except Exception as error:  # network, hub and datasets raise errors of their own
        reason = str(error).splitlines()[0][:200] if str(error) else ""
        raise DataError(
            f"data set {name!r} can't be loaded from the hub ({type(error).__name__}: {reason}); "
            "offline, use the folder that save_to_disk wrote"
        ) from None
    return _read_splits(splits, Path(name.replace("/", "-")), labels, tag_field)


def _read_splits(splits, path: Path, labels: Labels, tag_field: str) -> dict[str, Reading]:
    readings = {}
    for name, dataset in splits.items():
        if name not in _ROLES:
            raise DataError(f"{path}: {unknown('split', name, _ROLES)}")
        if _ROLES[name] in readings:
            raise DataError(f"{path}: two of {list(splits)} are its {_ROLES[name]} split")
        readings[_ROLES[name]] = _read(dataset, path / name, labels, tag_field)
    return readings


def _read(dataset, path: Path, labels: Labels, tag_field: str) -> Reading:
    column, names = _tag_column(dataset, path, tag_field)
    reading = Reading(documented=False)
    sentences = []
    for number, row in enumerate(dataset, 1):
        if not row["tokens"]:
            reading.repairs["empty sentence dropped"] += 1
            continue
        if names is not None and -1 in (row[column] or ()):
            raise DataError(
                f"{path}, row {number}: tag -1 has no name; a split without labels can't be used"
            )
        tokens, tags, doc = checked_record(row, f"{path}, row {number}", column, names)
        reading.documented |= doc is not None
        name = f"{path.stem}-s{len(sentences)}" if doc is None else doc
        sentences.append(TaggedSentence(tokens, tags, name, number))
    return from_tags(sentences, path, labels, reading)


def _tag_column(dataset, path: Path, tag_field: str) -> tuple[str, list[str] | None]:
    """The column with the tags, and the names of its classes (None where tags are texts)."""
    features = dataset.features
    if "tokens" not in features:
        raise DataError(f"{path}: {unknown('column', 'tokens', features)}")
    classes = {}
    for column, feature in features.items():
        names = getattr(getattr(feature, "feature", None), "names", None)
        if names:
            classes[column] = names
    if tag_field:
        if tag_field not in features:
            raise DataError(f"{path}: {unknown('tag field', tag_field, features)}")
        return tag_field, classes.get(tag_field)
    if len(classes) != 1:
        raise DataError(
            f"{path}: {len(classes)} columns hold class labels ({sorted(classes)}); name the one "
            f"with the tags (tag_field=); columns: {sorted(features)}"
        )
    return next(iter(classes.items()))
