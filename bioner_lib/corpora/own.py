"""A user's own corpus: a folder with one file per split, or one file, and its `corpus.toml`.

Of a brat corpus each split is a folder.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path

from ..errors import DataError, unknown
from ..home import file_sha256
from .corpus import AVERAGES, Corpus, same_but_for_case
from .corpus_toml import ABOUT, CARVE_TEST, fits, read_corpus_toml
from .dataset_files import is_saved_dataset, read_saved
from .lines import Lines
from .readers import READERS, guess_reader
from .reading import Reading
from .registry import CORPORA, make_corpus
from .split_files import named_files, split_files
from .splits import Split

_TEST_SHARE = 0.15  # of the documents, where corpus.toml says carve_test = true


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
            if repr(read_corpus_toml(path)) == repr(settings):  # NaN is not equal to itself
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
            self.files = split_files(path) if names is None else named_files(path, names)
        self.name = self._named(self.options.pop("name", None))
        if sha256:
            self._check_text(sha256)
        if self.carve_test is not False:
            self._check_carving()
        if self.reader is not None and self.reader not in READERS:
            raise unknown("reader", self.reader, READERS)
        if self.name in CORPORA:
            raise DataError(
                f"{path} has the name of a registered corpus; {self._way_to_rename}, so that their "
                "results can be told apart"
            )

    def _named(self, name: str | None) -> str:
        """The name that corpus.toml gives, else that of the folder or file."""
        if name is None:
            name = self.path.stem if self.path.is_file() else self.path.resolve().name
            if ":" in name:
                raise DataError(
                    f"{self.path}: a colon in its name would look like a view (name:Type); "
                    f"{self._way_to_rename}"
                )
            return name
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise DataError(
                f"{self.path / 'corpus.toml'}: name = {name!r}; expected letters, digits, dots, "
                "hyphens, plus signs"
            )
        return name

    @property
    def _way_to_rename(self) -> str:
        own = "" if self.path.is_file() else ', or write name = "another name" into its corpus.toml'
        return f"rename it{own}"

    def load(self) -> Corpus:
        if self._stays_on_disk():
            return self._from_disk()
        if is_saved_dataset(self.path):
            self._check_options(read_saved)
            readings = read_saved(self.path, **self.options)
        else:
            readings = {role: self._read(file) for role, file in self.files.items()}
        if self.silver and "test" in readings:
            raise DataError(
                f"{self.path} is silver, so it is never scored, but it has a test split; delete "
                'that, name the others in corpus.toml (files = { train = "name" }), or write '
                "silver = false if a person checked the labels"
            )
        for role, reading in readings.items():
            if not reading.sentences:
                raise DataError(f"the {role} split of {self.path} is empty")
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

    def _read(self, file: Path) -> Reading:
        read = READERS[self.reader or guess_reader(file)]
        self._check_options(read)
        return read(file, **self.options)

    def _check_options(self, read: Callable) -> None:
        """Raises WorkbookError for an option that the reader doesn't take."""
        known = list(signature(read).parameters)
        for key in self.options:
            if key not in known:
                raise unknown(f"option of {read.__name__}:", key, known[1:])

    def _check_carving(self) -> None:
        """Raises DataError where no test split can be set apart."""
        if not fits(self.carve_test, CARVE_TEST):
            raise DataError(f"{self.path}: carve_test = {self.carve_test!r}; expected {CARVE_TEST}")
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
    """Types without repetitions.

    Raises DataError for one that has the name of an average, and for two that differ in case only.
    """
    types = tuple(dict.fromkeys(types))
    for type in types:
        if type in AVERAGES:
            raise DataError(
                f"{path}: a type can't be called {type!r}, which is an average in every table; "
                "map it with labels="
            )
    for one, other in same_but_for_case(types):
        raise DataError(
            f"{path}: the types {one!r} and {other!r} differ in case only; if they mean one type, "
            f'write labels = {{ {one} = "{one}", {other} = "{one}" }} into its corpus.toml'
        )
    return types
