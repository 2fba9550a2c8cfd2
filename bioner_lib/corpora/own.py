"""A user's own corpus: a folder with one file per split, or one file, and its `corpus.toml`."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from inspect import signature
from pathlib import Path

from ..errors import DataError, unknown
from .corpus import AVERAGES, SPLITS, Corpus, Split
from .lines import Lines
from .readers import READERS, guess_reader
from .registry import CORPORA, make_corpus

_NAMES = {
    "train": "train",
    "devel": "dev",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}


def load_own(path: Path, types: Iterable[str] | None, reader: str | None, options: dict) -> Corpus:
    """A folder with one file per split, or one file, which is then the train split."""
    given = {
        key: value
        for key, value in {"types": types, "reader": reader, **options}.items()
        if value is not None
    }
    while True:
        declared = read_corpus_toml(path)
        try:
            return _read_own(path, declared | given)
        except (DataError, FileNotFoundError):
            if read_corpus_toml(path) == declared:
                raise
            # it was made again in between: read the new one


def _read_own(path: Path, options_given: dict) -> Corpus:
    files = (
        _named_files(path, options_given.pop("files"))
        if "files" in options_given
        else _own_files(path)
    )
    if sha256 := options_given.pop("sha256", ""):
        if "train" not in files:
            raise DataError(
                f"{path / 'corpus.toml'}: sha256 is that of the train split, which isn't there"
            )
        _check_text(files["train"], sha256)
    types, reader, silver = (
        options_given.pop(key, default)
        for key, default in (("types", None), ("reader", None), ("silver", False))
    )
    types = (types,) if isinstance(types, str) else types
    for about in ABOUT:
        options_given.pop(about, None)
    if reader is not None and reader not in READERS:
        raise unknown("reader", reader, READERS)
    name = path.stem if path.is_file() else path.resolve().name
    if name in CORPORA:
        raise DataError(
            f"{path} has the name of a registered corpus; rename it, so that their results can be told apart"
        )
    plain = (
        silver
        and types
        and set(files) == {"train"}
        and set(options_given) <= {"tag_field", "tag_names"}
    )
    if plain and (reader or guess_reader(files["train"])) == "jsonl":
        lines = Lines(files["train"], types, **options_given)
        if not lines:
            raise DataError(f"the train split of {path} is empty")
        return Corpus(
            name,
            _usable(types, path),
            {"train": Split(lines, "train", name)},
            lines.documented,
            official=False,
            silver=True,
        )
    readings = {}
    for role, file in files.items():
        read = READERS[reader or guess_reader(file)]
        if strange := [key for key in options_given if key not in signature(read).parameters]:
            raise unknown(
                f"option of {read.__name__}:", strange[0], list(signature(read).parameters)[1:]
            )
        readings[role] = read(file, **options_given)
        if not readings[role].sentences:
            raise DataError(f"the {role} split of {path} is empty")
    held = sorted(set().union(*(reading.mentions for reading in readings.values())))
    declared = _usable(types if types is not None else held, path)
    if extra := [name for name in held if name not in declared]:
        raise DataError(
            f"{path} holds mentions of {extra}, which types={list(declared)} doesn't declare"
        )
    if not declared:
        raise DataError(f"{path} holds no mention; say what it annotates with types=")
    corpus = make_corpus(name, declared, readings, official=False, silver=silver)
    return corpus if silver else corpus.carve_dev()


def _usable(types: Iterable[str], path: Path) -> tuple[str, ...]:
    """Types by the names that they may have in a row; raises DataError for names of averages."""
    if taken := [name for name in types if name in AVERAGES]:
        raise DataError(
            f"{path}: a type can't be called {taken[0]!r}, which is an average in every table; map it with labels="
        )
    return tuple(dict.fromkeys(types))


def _named_files(path: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """The files that a folder's corpus.toml names by split; raises DataError for another split and a file that isn't there."""
    for role, name in names.items():
        if role not in SPLITS:
            raise DataError(f"{path / 'corpus.toml'}: {unknown('split in files:', role, SPLITS)}")
        if not (path / name).is_file():
            raise DataError(f"{path / 'corpus.toml'}: files names {name!r}, which isn't there")
    return {role: path / names[role] for role in SPLITS if role in names}


def _check_text(path: Path, sha256: str) -> None:
    """Raises DataError where a silver text isn't the one that was labelled."""
    stat = path.stat()
    if _sha256_of(path, stat.st_mtime_ns, stat.st_size) != sha256:
        raise DataError(
            f"{path} isn't the text that was labelled (its hash differs from corpus.toml's): label it again, or delete it"
        )


@lru_cache(maxsize=16)
def _sha256_of(path: Path, mtime: int, size: int) -> str:
    """Time and size are arguments so that a file that changes is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_BESIDE = re.compile(
    r"corpus\.toml|\..*|(readme|licen[cs]e|notice|citation|changes|changelog|guidelines)\b.*|.*\.(tmp|md|lock)",
    re.IGNORECASE,
)


def _own_files(path: Path) -> dict[str, Path]:
    """Split -> file. Raises DataError for two files of one split, and for a file that belongs to none: no data is left out unseen."""
    if path.is_file():
        return {"train": path}
    files, strange = {}, []
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None
    for file in inside:
        if not file.is_file() or _BESIDE.fullmatch(file.name):
            continue
        roles = {_NAMES[part] for part in re.split(r"[._-]", file.name.lower()) if part in _NAMES}
        if len(roles) != 1:  # train_dev.tsv is neither
            strange.append(file.name)
            continue
        role = roles.pop()
        if role in files:
            raise DataError(
                f"{path}: both {files[role].name} and {file.name} look like the {role} split"
            )
        files[role] = file
    if not files:
        raise DataError(
            f"{path}: no file named after a split (train, dev/devel/valid, test) in {[file.name for file in inside]}"
        )
    if strange:
        raise DataError(
            f"{path}: {strange} belong to no split; name each file after one (train, dev/devel/valid, test), or move it elsewhere"
        )
    return files


ABOUT = (
    "lexicon",
    "teacher",
    "labelled",
)  # what corpus.toml tells of silver labels: where they come from
_KINDS = {  # key of corpus.toml -> what its value has to be
    "types": "a list of texts, or one", "labels": "a table of texts", "silver": "true or false", "reader": "a text",
    "tag_field": "a text", "tag_names": "a list of texts", "bare_type": "a text", "concepts": "a list of texts",
    "sha256": "a text", "files": "a table of texts", "lexicon": "a table", "teacher": "a table", "labelled": "a table",
}  # fmt: skip


def read_corpus_toml(path: Path) -> dict:
    """What the folder's corpus.toml says; raises DataError for values of another kind."""
    place = path / "corpus.toml"
    if not path.is_dir() or not place.exists():
        return {}
    try:
        declared = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{place}: {error}") from None
    for key, kind in _KINDS.items():
        if key in declared and not _is_kind(declared[key], kind):
            raise DataError(f"{place}: {key} = {declared[key]!r}; expected {kind}")
    return declared


def _is_kind(value: object, kind: str) -> bool:
    if kind == "true or false":
        return isinstance(value, bool)
    if kind.startswith("a table"):
        return isinstance(value, dict) and (
            kind == "a table" or all(isinstance(part, str) for part in value.values())
        )
    texts = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return (
        texts
        if kind == "a list of texts"
        else isinstance(value, str) or (texts and kind == "a list of texts, or one")
    )
