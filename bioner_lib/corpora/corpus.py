"""Corpus: sentences in official splits plus the types that they annotate, and views of it."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import eq

import numpy as np

from ..errors import DataError, SelectionError, unknown
from .lines import Lines
from .schemes import to_tags
from .text import Sentence

SPLITS = ("train", "dev", "test")
AVERAGES = ("micro", "macro")  # what tables call averages, so that no type can
_USE = {"train": "trained on", "dev": "scored", "test": "scored"}


class Split(Sequence):
    """The sentences of one split; it knows which one it is, so that nothing that chooses can be handed a test split.

    They are held in memory, or stay on disk where `Lines` are given.
    """

    def __init__(self, sentences: Iterable[Sentence], role: str, corpus: str):
        self._held = sentences if isinstance(sentences, Lines) else tuple(sentences)
        self.role, self.corpus = role, corpus

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, index):
        return self._held[index]

    def __iter__(self) -> Iterator[Sentence]:
        return iter(self._held)

    def __eq__(self, other) -> bool:
        return isinstance(other, Split) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None

    @property
    def on_disk(self) -> bool:
        """Whether each sentence is read when it is asked for."""
        return isinstance(self._held, Lines)

    def take(self, indices: Iterable[int]) -> "Split":
        """The sentences with these indices."""
        return Split(
            self._held.take(indices) if self.on_disk else [self._held[i] for i in indices],
            self.role,
            self.corpus,
        )

    def map(self, change: Callable[[Sentence], Sentence], corpus: str) -> "Split":
        """Each sentence changed, for a corpus of this name."""
        return Split(
            self._held.map(change) if self.on_disk else map(change, self._held), self.role, corpus
        )


def refuse_test(split: Split, purpose: str) -> Split:
    """Return the split if `purpose` may see it; raises SelectionError for a test split and for bare lists."""
    if not isinstance(split, Split):
        raise SelectionError(
            f"{purpose} takes a Split such as corpus.dev, which knows its role, not {type(split).__name__}"
        )
    if split.role == "test":
        raise SelectionError(
            f"{purpose} must not see the test split of {split.corpus!r}; choose on corpus.dev"
        )
    return split


@dataclass(frozen=True)
class Corpus:
    """Splits and `types`: the types that were annotated here. What is not among them is unknown, not absent.

    `silver` labels are a dictionary's: they train, and choose nothing. `official`: the test split is the published one, and every
    official mention of it is scored. `incomplete` has, by split, (mentions held, official mentions) where the tags can't hold all.
    """

    name: str
    types: tuple[str, ...]
    splits: Mapping[str, Split]
    documented: bool = False
    licence: str = ""
    cite: str = ""
    repairs: Mapping[str, int] = field(default_factory=dict)
    official: bool = True
    silver: bool = False
    incomplete: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """How much of the official gold isn't trained on or scored, in words; "" where all of it is."""
        numbers = self.incomplete.items()
        return "; ".join(
            f"{held:,} of {official:,} official mentions of {role} are {_USE[role]}"
            for role, (held, official) in numbers
        )

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

    @property
    def fingerprint(self) -> str:
        """16 hex digits over every word and tag: the data version that a run's row records."""
        return self._digests[0]

    @property
    def documents_digest(self) -> str:
        """16 hex digits over the name of every sentence's document."""
        return self._digests[1]

    @cached_property
    def _digests(self) -> tuple[str, str]:
        """Both in one pass over sentences that may lie on disk: the bytes of one JSON list, never all of them in memory."""
        content, documents = hashlib.sha256(), hashlib.sha256()
        for i, (role, split) in enumerate(sorted(self.splits.items())):
            content.update(f'{", " if i else "["}["{role}", ['.encode())
            for j, sentence in enumerate(split):
                content.update(
                    (", " if j else "").encode()
                    + json.dumps([sentence.tokens, sentence.tags]).encode()
                )
                documents.update(json.dumps([role, sentence.doc]).encode())
            content.update(b"]]")
        content.update(b"]")
        return content.hexdigest()[:16], documents.hexdigest()[:16]

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
        name, hide = _view(self.name, shown), partial(_hide, shown=frozenset(shown))
        return replace(
            self,
            splits={role: split.map(hide, name) for role, split in self.splits.items()},
            types=shown,
            name=name,
        )

    def without(self, *types: str) -> "Corpus":
        """A view that hides these types."""
        self.only(*types)  # refuses what isn't there
        rest = [name for name in self.types if name not in types]
        if not rest:
            raise DataError(f"corpus {self.name!r} without {list(types)} annotates nothing")
        return self.only(*rest)

    def limit(self, n: int, seed: int = 13, roles: Iterable[str] = SPLITS) -> "Corpus":
        """At most n sentences of each split, whole documents where documents exist (the last may be cut).

        Nested: with one seed a smaller limit's sentences are among a larger one's. 0 keeps all. Of text that stays on disk (silver) single
        sentences are taken.
        """
        if n < 0:
            raise DataError(f"limit must be 0 (all) or a number of sentences, not {n}")
        if n == 0 or all(len(self.splits[role]) <= n for role in roles if role in self.splits):
            return self
        chosen = {
            role: _nested(split, n, seed) if role in roles else split
            for role, split in self.splits.items()
        }
        return replace(self, splits=chosen, official=False)

    def part(self, which: str, seed: int = 13) -> "Corpus":
        """A part of the train split, dev and test as they are: "25%" of it, "500" sentences, or "1/2", the first of two halves.

        With one seed a smaller percentage or number is part of a larger one, and halves share no document.
        Raises DataError for what is neither, and for a part that holds nothing.
        """
        how, first, second = check_part(which, self.name)
        if how == "number" and first > len(self.train):
            raise DataError(
                f"part {which!r} of {self.name!r}: its train split has only {len(self.train)} sentences"
            )
        if how == "piece":
            docs = sorted({sentence.doc for sentence in self.train})
            random.Random(f"{seed}-train").shuffle(docs)
            mine = set(docs[int(first) - 1 :: int(second)])
            chosen = self.train.take(
                i for i, sentence in enumerate(self.train) if sentence.doc in mine
            )
        else:
            wanted = int(first) if how == "number" else round(first / 100 * len(self.train))
            chosen = _nested(self.train, wanted, seed)
        if not chosen:
            raise DataError(
                f"part {which!r} of {self.name!r} holds no sentence; its train split has {len(self.train)}"
            )
        return replace(self, splits={**self.splits, "train": chosen})

    def carve_dev(self, share: float = 0.1, seed: int = 13) -> "Corpus":
        """A dev split out of train, by document, for a corpus that has none."""
        if "dev" in self.splits or "train" not in self.splits:
            return self
        docs = {
            sentence.doc
            for sentence in _nested(
                self.train, max(1, round(share * len(self.train))), seed, whole=True
            )
        }
        parts = {"train": [], "dev": []}
        for sentence in self.train:
            parts["dev" if sentence.doc in docs else "train"].append(sentence)
        if not parts["train"]:
            raise DataError(
                f"corpus {self.name!r} is one document; no dev split can be carved from it"
            )
        splits = {
            **self.splits,
            **{role: Split(part, role, self.name) for role, part in parts.items()},
        }
        return replace(self, splits={role: splits[role] for role in SPLITS if role in splits})

    def to_datasets(self):
        """The same as a `datasets.DatasetDict` with columns tokens, tags, doc."""
        from datasets import Dataset, DatasetDict

        def columns(split: Split) -> Dataset:
            return Dataset.from_dict(
                {name: [getattr(s, name) for s in split] for name in ("tokens", "tags", "doc")}
            )

        return DatasetDict({role: columns(split) for role, split in self.splits.items()})


def check_part(which: str, corpus: str) -> tuple[str, float, float]:
    """What a part means: ("number", n, 0), ("share", percent, 0) or ("piece", k, n); raises DataError for what means nothing."""
    if which.isdecimal() and int(which) > 0:
        return "number", int(which), 0
    share, piece = re.fullmatch(r"(\d+(?:\.\d+)?)%", which), re.fullmatch(r"(\d+)/(\d+)", which)
    if share and 0 < float(share[1]) <= 100:
        return "share", float(share[1]), 0
    if piece and 1 <= int(piece[1]) <= int(piece[2]):
        return "piece", int(piece[1]), int(piece[2])
    raise DataError(
        f"part {which!r} of {corpus!r}: expected a percentage such as 25%, a number, or a piece such as 1/2"
    )


def _view(name: str, types: Iterable[str]) -> str:
    return f"{name.split(':')[0]}:{'+'.join(types)}"


def _hide(sentence: Sentence, shown: frozenset[str]) -> Sentence:
    spans = [span for span in sentence.spans if span[2] in shown]
    return replace(sentence, tags=to_tags(spans, len(sentence.tokens)))


def _nested(split: Split, n: int, seed: int, whole: bool = False) -> Split:
    if (
        split.on_disk
    ):  # sentence by sentence: to know the documents, all of it would have to be read
        return split.take(sorted(np.random.default_rng(seed).permutation(len(split))[:n]))
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
    return split.take(sorted(chosen if whole else chosen[:n]))
