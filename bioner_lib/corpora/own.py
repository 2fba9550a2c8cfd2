"""A user's own corpus: a folder with one file per split, or one file, and its `corpus.toml`.

Of a brat corpus each split is a folder.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path

from ..errors import DataError, unknown
from ..home import file_sha256
from .brat_folders import is_brat
from .corpus import AVERAGES, SPLITS, Corpus, Split
from .dataset_files import is_saved_dataset, read_saved
from .lines import Lines
from .readers import READERS, guess_reader
from .reading import Reading
from .registry import CORPORA, make_corpus

# keys of corpus.toml that say where silver labels come from
ABOUT = ("lexicon", "teacher", "text", "labelled")
_TEST_SHARE = 0.15  # of the documents, where corpus.toml says carve_test = true
_EXPECTED = {  # key of corpus.toml -> what its value must be
    "types": "a list of texts, or one",
    "labels": "a table of texts",
    "silver": "true or false",
    "reader": "a text",
    "tag_field": "a text",
    "tag_names": "a list of texts",
    "bare_type": "a text",
    "concepts": "a list of texts",
    "sha256": "a text",
    "files": "a table of texts",
    "name": "a text",
    "carve_test": "true, false, or a share between 0 and 1 such as 0.15",
    **dict.fromkeys(ABOUT, "a table"),
}
_ROLES = {
    "train": "train",
    "devel": "dev",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
# files beside the data that are no data
_BESIDE = re.compile(
    r"corpus\.toml|\..*|.*\.(tmp|md|lock)"
    r"|(readme|licen[cs]e|notice|citation|changes|changelog|guidelines)\b.*",
    re.IGNORECASE,
)


def load_own(path: Path, options: Mapping[str, object]) -> Corpus:
    """A folder with one file per split, or one file, which is then the train split.

    `options` replace what its corpus.toml says. Raises DataError for files that can't be read.
    """
    while True:
        settings = read_corpus_toml(path)
        try:
            source = {key: settings[key] for key in ABOUT if settings.get(key)}
            return replace(_OwnCorpus(path, settings | options).load(), source=source)
        except (DataError, FileNotFoundError):
            # silver corpora may be made again meanwhile: then read the new one
            if read_corpus_toml(path) == settings:
                raise


def source_files(path: Path) -> Iterator[tuple[Path, str, Mapping[str, str] | None]]:
    """(file, reader, label map) of each split of a user's own corpus, without reading it."""
    own = _OwnCorpus(path, read_corpus_toml(path))
    for file in own.files.values():
        yield file, own.reader or guess_reader(file), own.options.get("labels")


class _OwnCorpus:
    """One folder (or file) and the settings that say how to read it."""

    def __init__(self, path: Path, settings: Mapping[str, object]):
        self.path = path
        self.options = {key: value for key, value in settings.items() if key not in ABOUT}
        self.reader = self.options.pop("reader", None)
        self.silver = self.options.pop("silver", False)
        self.carve_test = self.options.pop("carve_test", False)
        types = self.options.pop("types", None)
        self.types = (types,) if isinstance(types, str) else types
        names, sha256 = self.options.pop("files", None), self.options.pop("sha256", "")
        if is_saved_dataset(path):
            self.files = {}
        else:
            self.files = _split_files(path) if names is None else _named_files(path, names)
        self.name = self._named(self.options.pop("name", None))
        if sha256:
            self._check_text(sha256)
        if self.carve_test is not False:
            self._check_carving()
        if self.reader is not None and self.reader not in READERS:
            raise unknown("reader", self.reader, READERS)
        if self.name in CORPORA:
            raise DataError(
                f"{path} has the name of a registered corpus; rename it, or write "
                'name = "another name" into its corpus.toml, so that their results can be told '
                "apart"
            )

    def _named(self, name: str | None) -> str:
        """The name that corpus.toml gives, else that of the folder or file."""
        if name is None:
            return self.path.stem if self.path.is_file() else self.path.resolve().name
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise DataError(
                f"{self.path / 'corpus.toml'}: name = {name!r}; expected letters, digits, dots, "
                "hyphens, plus signs"
            )
        return name

    def load(self) -> Corpus:
        if self._stays_on_disk():
            return self._from_disk()
        if is_saved_dataset(self.path):
            self._check_options(read_saved)
            readings = read_saved(self.path, **self.options)
        else:
            readings = {role: self._read(role, file) for role, file in self.files.items()}
        if self.carve_test and "test" in readings:
            raise self._has_test("its test split")
        share = _TEST_SHARE if self.carve_test is True else self.carve_test
        return corpus_of(self.path, self.name, readings, self.types, self.silver, share)

    def _stays_on_disk(self) -> bool:
        """Silver text in JSON lines is large, and each of its lines stands alone."""
        if not self.silver or not self.types or set(self.files) != {"train"}:
            return False
        simple = set(self.options) <= {"tag_field", "tag_names"}
        file = self.files["train"]
        is_plain = file.suffix not in (".gz", ".xz")
        return simple and is_plain and (self.reader or guess_reader(file)) == "jsonl"

    def _from_disk(self) -> Corpus:
        lines = Lines(self.files["train"], self.types, **self.options)
        if not lines:
            raise DataError(f"the train split of {self.path} is empty")
        splits = {"train": Split(lines, "train", self.name)}
        types = _usable(self.types, self.path)
        return Corpus(self.name, types, splits, lines.documented, official=False, silver=True)

    def _read(self, role: str, file: Path):
        read = READERS[self.reader or guess_reader(file)]
        self._check_options(read)
        reading = read(file, **self.options)
        if not reading.sentences:
            raise DataError(f"the {role} split of {self.path} is empty")
        return reading

    def _check_options(self, read: Callable) -> None:
        """Raises WorkbookError for an option that the reader doesn't take."""
        known = list(signature(read).parameters)
        for key in self.options:
            if key not in known:
                raise unknown(f"option of {read.__name__}:", key, known[1:])

    def _check_carving(self) -> None:
        """Raises DataError where no test split can be set apart."""
        expected = _EXPECTED["carve_test"]
        if not _fits(self.carve_test, expected):
            raise DataError(f"{self.path}: carve_test = {self.carve_test!r}; expected {expected}")
        if self.silver:
            raise DataError(
                f"{self.path} is silver: a test split of labels that nobody checked would measure "
                "the dictionary; delete carve_test, and name a gold corpus in also_test"
            )
        if "test" in self.files:
            raise self._has_test(self.files["test"].name)
        if self.files and "train" not in self.files:
            raise DataError(
                f"{self.path}: carve_test takes the test split out of train, which is missing; "
                f"there is only {[file.name for file in self.files.values()]}"
            )

    def _has_test(self, what: str) -> DataError:
        return DataError(
            f"{self.path}: carve_test would set a test split apart, but there is {what}; delete "
            "carve_test from corpus.toml, or that split"
        )

    def _check_text(self, sha256: str) -> None:
        """Raises DataError where a silver text isn't the one that was labelled."""
        if "train" not in self.files:
            raise DataError(
                f"{self.path / 'corpus.toml'}: sha256 is that of the train split, which is missing"
            )
        if file_sha256(self.files["train"]) != sha256:
            raise DataError(
                f"{self.files['train']} isn't the text that was labelled (its hash differs from "
                "corpus.toml's): label it again, or delete it"
            )


def corpus_of(
    where: Path | str,
    name: str,
    readings: Mapping[str, Reading],
    types: Iterable[str] | None = None,
    silver: bool = False,
    test_share: float = 0.0,
) -> Corpus:
    """A corpus of what a user's files hold; `types` declares what they annotate.

    A `test_share` above 0 is the part of the train split that becomes the test split.
    """
    found = sorted({type for reading in readings.values() for type in reading.mentions})
    types = _usable(found if types is None else types, where)
    if extra := [type for type in found if type not in types]:
        raise DataError(
            f"{where} holds mentions of {extra}, which types={list(types)} doesn't declare"
        )
    if not types:
        raise DataError(f"{where} holds no mention; say what it annotates with types=")
    corpus = make_corpus(name, types, readings, official=False, silver=silver)
    if silver:
        return corpus
    # test first, so that it doesn't depend on whether there is a dev split
    return (corpus.carve_test(test_share) if test_share else corpus).carve_dev()


def _usable(types: Iterable[str], path: Path | str) -> tuple[str, ...]:
    """Types without repetitions; raises DataError for one that has the name of an average."""
    types = tuple(dict.fromkeys(types))
    for type in types:
        if type in AVERAGES:
            raise DataError(
                f"{path}: a type can't be called {type!r}, which is an average in every table; "
                "map it with labels="
            )
    return types


def _named_files(path: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """The files that corpus.toml names by split; raises DataError for one that is missing."""
    place = path / "corpus.toml"
    for role, name in names.items():
        if role not in SPLITS:
            raise DataError(f"{place}: {unknown('split in files:', role, SPLITS)}")
        if not ((path / name).is_file() or is_brat(path / name)):
            raise DataError(f"{place}: files names {name!r}, which isn't there")
    return {role: path / names[role] for role in SPLITS if role in names}


def _split_files(path: Path) -> dict[str, Path]:
    """Split -> file, by the files' names.

    Raises DataError for two files of one split and for a file of no split: no data is left out
    unnoticed.
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
        if not (file.is_file() or is_brat(file)) or _BESIDE.fullmatch(file.name):
            continue
        parts = re.split(r"[._-]", file.name.lower())
        roles = {_ROLES[part] for part in parts if part in _ROLES}
        if len(roles) != 1:  # train_dev.tsv belongs to neither
            homeless.append(file.name)
            continue
        role = roles.pop()
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
    """Raises DataError for brat files that no split would hold."""
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
        held = [file.name for file in sorted(folder.iterdir()) if not _is_beside(file)]
        if folder.name.lower() in _ROLES and held:
            raise DataError(
                f"{folder} holds {held[:3]}, and no .ann file: a split is one file, or a folder in "
                "brat's format; move the file up, and name it after the split"
            )


def _check_beside_brat(path: Path, inside: Sequence[Path]) -> None:
    """Raises DataError for data beside the annotations of a folder, which no split would hold."""
    known = (".txt", ".ann", ".conf")
    others = [file.name for file in inside if not (file.suffix in known or _is_beside(file))]
    if others:
        raise DataError(
            f"{path} holds .ann files, which are its train split, and {others[:3]}; move the .ann "
            "files and their texts into a folder named train, or the others elsewhere"
        )


def _is_beside(file: Path) -> bool:
    """Whether a file is no data; folders that no split is named after aren't read."""
    return file.is_dir() or bool(_BESIDE.fullmatch(file.name))


def read_corpus_toml(path: Path) -> dict:
    """The settings in a folder's corpus.toml; raises DataError for values of the wrong kind."""
    place = path / "corpus.toml"
    if not path.is_dir() or not place.exists():
        return {}
    try:
        settings = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{place}: {error}") from None
    for key, expected in _EXPECTED.items():
        if key in settings and not _fits(settings[key], expected):
            raise DataError(f"{place}: {key} = {settings[key]!r}; expected {expected}")
    return settings


def _fits(value: object, expected: str) -> bool:
    is_flag, is_text = isinstance(value, bool), isinstance(value, str)
    is_list, is_table = isinstance(value, list), isinstance(value, dict)
    parts = value.values() if is_table else value if is_list else ()
    of_texts = all(isinstance(part, str) for part in parts)
    fits = {
        "true or false": is_flag,
        _EXPECTED["carve_test"]: is_flag or (isinstance(value, float) and 0 < value < 1),
        "a text": is_text,
        "a list of texts": is_list and of_texts,
        "a list of texts, or one": is_text or (is_list and of_texts),
        "a table": is_table,
        "a table of texts": is_table and of_texts,
    }
    return fits[expected]
