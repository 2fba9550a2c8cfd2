"""Corpora: sentences in official splits plus the types that they annotate.

The registry is `corpora.toml`. Files come from their public address (library: pooch) or, the same bytes, from a mirror folder;
either way each is verified, and what was read is compared with the published counts.
"""

import hashlib
import json
import os
import random
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import signature
from pathlib import Path

from ..errors import DataError, SelectionError, unknown
from ..home import home
from .readers import DROPS, READERS, Reading, guess_reader
from .schemes import to_tags
from .text import Sentence

CORPORA: dict[str, dict] = tomllib.loads((Path(__file__).parent / "corpora.toml").read_text(encoding="utf-8"))
SPLITS = ("train", "dev", "test")
_ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
_NAME = re.compile(r"(?P<base>.+?)(?:@(?P<part>[\d.]+%|\d+/\d+))?(?::(?P<types>[^:]*))?")
_NAMES = {"train": "train", "devel": "dev", "dev": "dev", "valid": "dev", "validation": "dev", "test": "test"}


class Split(tuple):
    """The sentences of one split; it knows which one it is, so that nothing that chooses can be handed a test split."""

    role: str
    corpus: str

    def __new__(cls, sentences: Iterable[Sentence], role: str, corpus: str) -> "Split":
        split = super().__new__(cls, sentences)
        split.role, split.corpus = role, corpus
        return split

    def __reduce__(self):
        return Split, (tuple(self), self.role, self.corpus)


def refuse_test(split: Split, purpose: str) -> Split:
    """Return the split if `purpose` may see it; raises SelectionError for a test split and for bare lists."""
    if not isinstance(split, Split):
        raise SelectionError(f"{purpose} takes a Split such as corpus.dev, which knows its role, not {type(split).__name__}")
    if split.role == "test":
        raise SelectionError(f"{purpose} must not see the test split of {split.corpus!r}; choose on corpus.dev")
    return split


@dataclass(frozen=True)
class Corpus:
    """Splits and `types`: the types that were annotated here. What is not among them is unknown, not absent."""

    name: str
    types: tuple[str, ...]
    splits: Mapping[str, Split]
    documented: bool = False
    licence: str = ""
    cite: str = ""
    repairs: Mapping[str, int] = field(default_factory=dict)
    official: bool = True

    @property
    def train(self) -> Split:
        return self._split("train")

    @property
    def dev(self) -> Split:
        return self._split("dev")

    @property
    def test(self) -> Split:
        return self._split("test")

    def _split(self, role: str) -> Split:
        if role not in self.splits:
            raise DataError(f"corpus {self.name!r} has no {role} split; it has {list(self.splits)}")
        return self.splits[role]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over every word and tag: the data version that a run's row records."""
        content = [[role, [(s.tokens, s.tags) for s in split]] for role, split in sorted(self.splits.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def counts(self, role: str) -> Counter:
        """Mentions by type in a split."""
        return Counter(name for sentence in self._split(role) for _, _, name in sentence.spans)

    def only(self, *types: str) -> "Corpus":
        """A view that shows these types and hides the rest: hidden means unknown."""
        for name in types:
            if name not in self.types:
                raise unknown(f"type for corpus {self.name!r}:", name, self.types)
        shown = tuple(name for name in self.types if name in types)
        if not shown or shown == self.types:
            return self
        return self._with(lambda split: [_hide(sentence, set(shown)) for sentence in split], types=shown, name=_view(self.name, shown))

    def without(self, *types: str) -> "Corpus":
        """A view that hides these types."""
        self.only(*types)  # refuses what isn't there
        rest = [name for name in self.types if name not in types]
        if not rest:
            raise DataError(f"corpus {self.name!r} without {list(types)} annotates nothing")
        return self.only(*rest)

    def limit(self, n: int, seed: int = 13, roles: Iterable[str] = SPLITS) -> "Corpus":
        """At most n sentences of each split, whole documents where documents exist (the last may be cut).

        Nested: with one seed a smaller limit's sentences are among a larger one's. 0 keeps all.
        """
        if n < 0:
            raise DataError(f"limit must be 0 (all) or a number of sentences, not {n}")
        if n == 0 or all(len(self.splits[role]) <= n for role in roles if role in self.splits):
            return self
        chosen = {role: _nested(split, n, seed) if role in roles else split for role, split in self.splits.items()}
        return replace(self, splits=chosen, official=False)

    def part(self, which: str, seed: int = 13) -> "Corpus":
        """A part of the train split, dev and test as they are: "25%" of it, or "1/2", the first of two halves, by document.

        With one seed a smaller percentage is part of a larger one, and halves share no document.
        Raises DataError for what is neither, and for a part that holds nothing.
        """
        share, piece = re.fullmatch(r"(\d+(?:\.\d+)?)%", which), re.fullmatch(r"(\d+)/(\d+)", which)
        if share and 0 < float(share[1]) <= 100:
            chosen = list(_nested(self.train, round(float(share[1]) / 100 * len(self.train)), seed))
        elif piece and 1 <= int(piece[1]) <= int(piece[2]):
            docs = sorted({sentence.doc for sentence in self.train})
            random.Random(f"{seed}-train").shuffle(docs)
            mine = set(docs[int(piece[1]) - 1 :: int(piece[2])])
            chosen = [sentence for sentence in self.train if sentence.doc in mine]
        else:
            raise DataError(f"part {which!r} of {self.name!r}: expected a percentage such as 25%, or a piece such as 1/2")
        if not chosen:
            raise DataError(f"part {which!r} of {self.name!r} holds no sentence; its train split has {len(self.train)}")
        return replace(self, splits={**self.splits, "train": Split(chosen, "train", self.name)})

    def carve_dev(self, share: float = 0.1, seed: int = 13) -> "Corpus":
        """A dev split out of train, by document, for a corpus that has none."""
        if "dev" in self.splits or "train" not in self.splits:
            return self
        docs = {sentence.doc for sentence in _nested(self.train, max(1, round(share * len(self.train))), seed, whole=True)}
        parts = {"train": [], "dev": []}
        for sentence in self.train:
            parts["dev" if sentence.doc in docs else "train"].append(sentence)
        if not parts["train"]:
            raise DataError(f"corpus {self.name!r} is one document; no dev split can be carved from it")
        splits = {**self.splits, **{role: Split(part, role, self.name) for role, part in parts.items()}}
        return replace(self, splits={role: splits[role] for role in SPLITS if role in splits})

    def to_datasets(self):
        """The same as a `datasets.DatasetDict` with columns tokens, tags, doc."""
        from datasets import Dataset, DatasetDict

        def columns(split: Split) -> Dataset:
            return Dataset.from_dict({name: [getattr(s, name) for s in split] for name in ("tokens", "tags", "doc")})

        return DatasetDict({role: columns(split) for role, split in self.splits.items()})

    def _with(self, change, **fields) -> "Corpus":
        name = fields.get("name", self.name)
        return replace(self, splits={role: Split(change(split), role, name) for role, split in self.splits.items()}, **fields)


def _view(name: str, types: Iterable[str]) -> str:
    return f"{name.split(':')[0]}:{'+'.join(types)}"


def _hide(sentence: Sentence, shown: set[str]) -> Sentence:
    spans = [span for span in sentence.spans if span[2] in shown]
    return replace(sentence, tags=to_tags(spans, len(sentence.tokens)))


def _nested(split: Split, n: int, seed: int, whole: bool = False) -> Split:
    docs = sorted({sentence.doc for sentence in split})
    random.Random(f"{seed}-{split.role}").shuffle(docs)
    by_doc: dict[str, list[int]] = {}
    for i, sentence in enumerate(split):
        by_doc.setdefault(sentence.doc, []).append(i)
    chosen: list[int] = []
    for doc in docs:
        if len(chosen) >= n:
            break
        chosen += by_doc[doc]
    return Split([split[i] for i in sorted(chosen if whole else chosen[:n])], split.role, split.corpus)


def load_corpus(
    name: str | Path, *, mirror: str | Path | None = None, types: Iterable[str] | None = None, reader: str | None = None, limit: int = 0,
    **options,
) -> Corpus:  # fmt: skip
    """A corpus by its registry name, a view of one (`"bc5cdr:Disease"`), or a user's own from a folder or file.

    `"bc5cdr@25%"` has a quarter of the train split, `"bc5cdr@1/2:Disease"` the first half of its documents with diseases shown; such
    a corpus goes by its name without the part, because what it is scored on is the whole. `limit` keeps at most so many sentences of
    each split, before a part is taken.

    `mirror`, or `BIONER_MIRROR`, names a folder with the registry's files as `<corpus>/<file name>`; without it files are
    downloaded once to data/raw. Own files: split by name (train, dev/devel/valid, test), format by ending or `reader`, and
    `options` for the reader (labels=, tag_field=, bare_type= …); `types` declares what they annotate, by default what they hold.
    All of these may stand in a `corpus.toml` in the folder instead, where runs and notebooks find them.

    Raises WorkbookError for an unknown name or type, DataError for wrong bytes, counts, lines, or an empty split.
    """
    base, part, shown = split_name(str(name))
    if base in CORPORA:
        if given := [key for key, value in {"types": types, "reader": reader, **options}.items() if value is not None]:
            raise DataError(f"{given} can't be given for the registered corpus {base!r}; a view is load_corpus('{base}:Type')")
        corpus = _load_registered(base, mirror)
    elif Path(base).exists():
        corpus = _load_own(Path(base), types, reader, options)
    else:
        raise unknown("corpus", base, CORPORA)
    corpus = corpus.limit(limit)
    corpus = corpus.part(part) if part else corpus
    return corpus.only(*shown.split("+")) if shown else corpus


def split_name(name: str) -> tuple[str, str, str]:
    """`base@part:types` -> base, part, types; "" for what isn't there. A path that exists is a base, whatever its letters."""
    if Path(name).exists():
        return name, "", ""
    found = _NAME.fullmatch(name)
    return (found["base"], found["part"] or "", found["types"] or "") if found else (name, "", "")


def _load_registered(name: str, mirror: str | Path | None) -> Corpus:
    entry = CORPORA[name]
    if "view" in entry:
        return replace(load_corpus(entry["view"], mirror=mirror), name=name)
    options = {key: entry[key] for key in ("bare_type", "tag_names") if key in entry}
    readings = {}
    for role, file in entry["files"].items():
        path = fetch_file(name, role, mirror)
        readings[role] = READERS[entry["reader"]](path, labels=entry["labels"], **options)
        if "counts" in entry:
            _compare_counts(name, role, readings[role], entry["counts"][role], file["path"])
    types = dict.fromkeys(name for name in entry["labels"].values() if name)
    return _corpus(name, tuple(types), readings, licence=entry["licence"], cite=entry["cite"]).carve_dev()


def _corpus(name: str, types: tuple[str, ...], readings: dict[str, Reading], **fields) -> Corpus:
    repairs = sum((reading.repairs for reading in readings.values()), Counter())
    splits = {role: Split(readings[role].sentences, role, name) for role in SPLITS if role in readings}
    documented = all(reading.documented for reading in readings.values())
    return Corpus(name, types, splits, documented, repairs={k: v for k, v in sorted(repairs.items()) if v}, **fields)


def _compare_counts(name: str, role: str, reading: Reading, published: Mapping[str, int], path: str) -> None:
    found = dict(reading.mentions)
    if "sentences" in published:
        found["sentences"] = len(reading.sentences)
    if "documents" in published:
        repeated = reading.repairs["repeated document dropped"]
        found["documents"] = len({sentence.doc for sentence in reading.sentences}) + repeated
    dropped = sum(reading.repairs[key] for key in DROPS)
    if sum(reading.mentions.values()) - dropped != sum(len(sentence.spans) for sentence in reading.sentences):
        raise DataError(f"{name} {role} ({path}): a mention was lost that no repair counts; please report this")
    wrong = {key: (found.get(key, 0), published[key]) for key in published if found.get(key, 0) != published[key]}
    if wrong:
        said = ", ".join(f"{key} {mine} instead of {theirs}" for key, (mine, theirs) in wrong.items())
        raise DataError(f"{name} {role} ({path}) differs from its published counts: {said}")


def fetch_file(name: str, role: str, mirror: str | Path | None = None) -> Path:
    """The verified local path of one file of a registered corpus; raises DataError for wrong bytes or no way to them."""
    entry, file = CORPORA[name], CORPORA[name]["files"][role]
    if "folder" in entry:
        return home() / entry["folder"] / file["path"]
    mirror, local = mirror or os.environ.get("BIONER_MIRROR"), f"{name}/{Path(file['path']).name}"
    if mirror and (path := Path(mirror) / local).exists():
        return _verified(path, file)
    path = home() / "data" / "raw" / local
    if not path.exists():
        _download(path, _ADDRESS.format(**entry, path=file["path"]), file, mirror)
    return _verified(path, file)


def _verified(path: Path, file: Mapping[str, str]) -> Path:
    content = path.read_bytes()
    kind = "sha256" if "sha256" in file else "git_blob"
    digest = hashlib.sha256(content) if kind == "sha256" else hashlib.sha1(b"blob %d\0" % len(content) + content)
    if digest.hexdigest() != file[kind]:
        raise DataError(f"{path} has {kind} {digest.hexdigest()}, not {file[kind]}; delete it and fetch it again")
    return path


def _download(path: Path, address: str, file: Mapping[str, str], mirror: str | Path | None) -> None:
    import pooch

    known_hash = f"sha256:{file['sha256']}" if "sha256" in file else None
    try:
        pooch.retrieve(address, known_hash, fname=path.name, path=path.parent, progressbar=True)
    except Exception as error:  # requests, urllib3, os and pooch each raise their own
        held = f"; the mirror {mirror} doesn't hold it" if mirror else "; offline, set BIONER_MIRROR to a folder that holds it"
        raise DataError(
            f"can't fetch {address} ({type(error).__name__}: {str(error)[:200]}){held} as {path.parent.name}/{path.name}"
        ) from None


def _load_own(path: Path, types: Iterable[str] | None, reader: str | None, options: dict) -> Corpus:
    """A folder with one file a split, or one file, which is then the train split."""
    files = {"train": path} if path.is_file() else {}
    for file in sorted(path.iterdir()) if path.is_dir() else ():
        roles = {_NAMES[part] for part in re.split(r"[._-]", file.name.lower()) if part in _NAMES}
        role = roles.pop() if len(roles) == 1 else None  # train_dev.tsv is neither
        if role and file.is_file():
            if role in files:
                raise DataError(f"{path}: both {files[role].name} and {file.name} look like the {role} split")
            files[role] = file
    if not files:
        raise DataError(f"{path}: no file named after a split (train, dev/devel/valid, test) in {sorted(f.name for f in path.iterdir())}")
    said = {"types": types, "reader": reader, **options}
    if path.is_dir() and (path / "corpus.toml").exists():
        try:
            declared = tomllib.loads((path / "corpus.toml").read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise DataError(f"{path / 'corpus.toml'}: {error}") from None
        said = declared | {key: value for key, value in said.items() if value is not None}
    types, reader = said.pop("types", None), said.pop("reader", None)
    if reader is not None and reader not in READERS:
        raise unknown("reader", reader, READERS)
    readings = {}
    for role, file in files.items():
        read = READERS[reader or guess_reader(file)]
        if strange := [key for key in said if key not in signature(read).parameters]:
            raise unknown(f"option of {read.__name__}:", strange[0], list(signature(read).parameters)[1:])
        readings[role] = read(file, **said)
    for role, reading in readings.items():
        if not reading.sentences:
            raise DataError(f"the {role} split of {path} is empty")
    held = sorted(set().union(*(reading.mentions for reading in readings.values())))
    types = (types,) if isinstance(types, str) else types
    declared = tuple(types) if types is not None else tuple(held)
    if extra := [name for name in held if name not in declared]:
        raise DataError(f"{path} holds mentions of {extra}, which types={list(declared)} doesn't declare")
    if not declared:
        raise DataError(f"{path} holds no mention; say what it annotates with types=")
    name = path.stem if path.is_file() else path.resolve().name
    if name in CORPORA:
        raise DataError(f"{path} has the name of a registered corpus; rename it, so that their results can be told apart")
    return _corpus(name, declared, readings, official=False).carve_dev()
