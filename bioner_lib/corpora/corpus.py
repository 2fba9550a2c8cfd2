"""Corpus: sentences in official splits, the types that they annotate, and views of it."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from ..errors import DataError, unknown
from .schemes import to_tags
from .splits import SPLITS, Split
from .text import Sentence

HUB = "hf:"  # prefix of a corpus's name that stands for a data set of the Hugging Face hub
AVERAGES = ("micro", "macro")  # names of averages in tables, so no type may have them
_USE = {"train": "trained on", "dev": "scored", "test": "scored"}


def same_but_for_case(types: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs of types that differ in case only, such as Gene and GENE."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(type.casefold(), type), type) for type in types]
    return [pair for pair in pairs if pair[0] != pair[1]]


def whole_name(name: str) -> str:
    """The name of the corpus that a view is of: bc5cdr:Disease -> bc5cdr."""
    start = len(HUB) if name.startswith(HUB) else 0
    return name[:start] + name[start:].partition(":")[0]


@dataclass(frozen=True)
class Corpus:
    """Splits, and `types`: what was annotated here. Any other type is unknown, not absent.

    documented   whether sentences name their documents
    official     whether the test split is the published one and every official mention is scored
    silver       whether a dictionary made the labels: they train, and choose nothing
    incomplete   split -> (mentions that the tags hold, annotated ones), where these differ; a test
                 split that was carved out of train counts as train
    source       of a silver corpus: where its text and its labels come from
    carved       where the test split comes from, in words, if `carve_test` made it
    base         what `load_corpus` was given, without part and types: a name or a path
    taken        the part of its train split that it holds, such as 25%; "" is all of it
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
    source: Mapping[str, Mapping] = field(default_factory=dict)
    carved: str = ""
    base: str = field(default="", compare=False)
    taken: str = field(default="", compare=False)

    @property
    def note(self) -> str:
        """What a reader of its scores must know, in words; "" where there is nothing.

        How many annotated mentions are trained on or scored, where not all are, and `carved`.
        """
        parts = []
        for role, (kept, annotated) in self.incomplete.items():
            if self.licence:  # a registered corpus
                parts.append(
                    f"{kept:,} of {annotated:,} official mentions of {role} are {_USE[role]}"
                )
            else:
                parts.append(f"{kept:,} of {annotated:,} annotated mentions of {role} are kept")
        return "; ".join([*parts, self.carved] if self.carved else parts)

    @property
    def train(self) -> Split:
        return self.split("train")

    @property
    def dev(self) -> Split:
        return self.split("dev")

    @property
    def test(self) -> Split:
        return self.split("test")

    def split(self, role: str) -> Split:
        """The split with this role; raises WorkbookError where there is none."""
        if role in self.splits:
            return self.splits[role]
        if role not in SPLITS:
            raise unknown(f"split of {self.name!r}:", role, self.splits)
        way_out = ""
        if role == "test" and not self.official and not self.silver:
            way_out = "; carve_test = true in the corpus.toml of a folder sets one apart"
        raise DataError(
            f"corpus {self.name!r} has no {role} split; it has {list(self.splits)}{way_out}"
        )

    @property
    def fingerprint(self) -> str:
        """Hash of all words and tags, 16 hex digits: the data version in a run's row."""
        return self._digests[0]

    @property
    def documents_digest(self) -> str:
        """Hash of the document names of all sentences, 16 hex digits."""
        return self._digests[1]

    @cached_property
    def _digests(self) -> tuple[str, str]:
        # one pass, sentence by sentence: a split on disk may not fit into memory
        content, documents = hashlib.sha256(), hashlib.sha256()
        for i, (role, split) in enumerate(sorted(self.splits.items())):
            content.update(f'{", " if i else "["}["{role}", ['.encode())
            for j, sentence in enumerate(split):
                words = json.dumps([sentence.tokens, sentence.tags])
                content.update((", " if j else "").encode() + words.encode())
                documents.update(json.dumps([role, sentence.doc]).encode())
            content.update(b"]]")
        content.update(b"]")
        return content.hexdigest()[:16], documents.hexdigest()[:16]

    def counts(self, role: str) -> Counter:
        """Mentions per type in a split."""
        return Counter(span.type for sentence in self.split(role) for span in sentence.spans)

    def only(self, *types: str) -> "Corpus":
        """A view that shows these types and hides all others: hidden means unknown."""
        for type in types:
            if type not in self.types:
                raise unknown(f"type for corpus {self.name!r}:", type, self.types)
        shown = tuple(type for type in self.types if type in types)
        if not shown or shown == self.types:
            return self
        self._check_kept(shown)
        name = f"{whole_name(self.name)}:{'+'.join(shown)}"
        hide = partial(_hide, shown=frozenset(shown))
        splits = {role: split.map(hide, name) for role, split in self.splits.items()}
        return replace(self, splits=splits, types=shown, name=name)

    def _check_kept(self, types: Sequence[str]) -> None:
        """Raises DataError for a type of which other types' longer mentions left nothing."""
        if not self.incomplete:
            return
        counts = sum((self.counts(role) for role in self.splits), Counter())
        for type in types:
            if not counts[type]:
                raise DataError(
                    f"corpus {self.name!r} holds no mention of {type!r}: all overlap longer ones "
                    "of other types, which tags can't hold beside them; make a copy of the "
                    "corpus whose corpus.toml leaves those out, as in "
                    f'labels = {{ {type} = "{type}", Other = "" }}'
                )

    def without(self, *types: str) -> "Corpus":
        """A view that hides these types."""
        self.only(*types)  # refuses unknown types
        rest = [type for type in self.types if type not in types]
        if not rest:
            raise DataError(f"corpus {self.name!r} without {list(types)} annotates nothing")
        return self.only(*rest)

    def limit(self, n: int, seed: int = 13, roles: Iterable[str] = SPLITS) -> "Corpus":
        """At most n sentences of each split; 0 keeps all.

        Whole documents are taken, and the last one may be cut; from text on disk, single
        sentences. With one seed, a smaller limit keeps a part of what a larger one keeps.
        """
        if n < 0:
            raise DataError(f"limit must be 0 (all) or a number of sentences, not {n}")
        roles = [role for role in roles if role in self.splits]
        if n == 0 or all(len(self.splits[role]) <= n for role in roles):
            return self
        splits = dict(self.splits)
        for role in roles:
            splits[role] = _sample(splits[role], n, seed)
        return replace(self, splits=splits, official=False)

    def part(self, which: str, seed: int = 13) -> "Corpus":
        """A part of the train split; dev and test stay whole.

        "25%" of its sentences, "500" of them, or "1/2": the first of two halves. With one seed a
        smaller share or number is a part of a larger one, and pieces share no document.
        Raises DataError for any other text, and for a part without a sentence.
        """
        part = check_part(which, self.name)
        size = len(self.train)
        if part.kind == "number" and part.value > size:
            raise DataError(
                f"part {which!r} of {self.name!r}: its train split has only {size} sentences"
            )
        if part.kind == "piece":
            docs = _shuffled({sentence.doc for sentence in self.train}, f"{seed}-train")
            mine = set(docs[int(part.value) - 1 :: part.of])
            train = self.train.take(i for i, s in enumerate(self.train) if s.doc in mine)
        else:
            is_number = part.kind == "number"
            n = int(part.value) if is_number else round(part.value / 100 * size)
            train = _sample(self.train, n, seed)
        if not train:
            raise DataError(
                f"part {which!r} of {self.name!r} holds no sentence; its train split has {size}"
            )
        return replace(self, splits={**self.splits, "train": train}, taken=which)

    def carve_dev(self, share: float = 0.1, seed: int = 13) -> "Corpus":
        """With a dev split of whole documents out of train, for a corpus that has none."""
        if "dev" in self.splits or "train" not in self.splits:
            return self
        n = max(1, round(share * len(self.train)))
        docs = {sentence.doc for sentence in _sample(self.train, n, seed, whole=True)}
        splits = self._set_apart("dev", docs)
        if not splits["train"]:
            raise DataError(
                f"corpus {self.name!r} is one document; no dev split can be carved from it"
            )
        return replace(self, splits=splits)

    def carve_test(self, share: float = 0.15, seed: int = 13) -> "Corpus":
        """With a test split of so large a share of the train split's documents.

        Where documents aren't known, it is a share of the sentences. The choice depends on the
        seed and on the documents' names only. `note` says how much was set apart.

        Raises DataError where too little is left for train, and for dev if that is yet to be made.
        """
        unit = "documents" if self.documented else "sentences"
        docs = _shuffled({sentence.doc for sentence in self.train}, f"{seed}-test")
        n = max(1, round(share * len(docs)))
        needed, left = ("train needs", 1) if "dev" in self.splits else ("train and dev need", 2)
        if len(docs) - n < left:
            raise DataError(
                f"corpus {self.name!r}: carve_test would take {n} of the {len(docs)} {unit} of its "
                f"train split, but {needed} {left} of them; add {unit}, take a smaller share, or "
                "delete carve_test"
            )
        carved = (
            f"test: {100 * share:g} % of its {unit}, set apart by carve_test ({n} of {len(docs)})"
        )
        splits = self._set_apart("test", set(docs[:n]))
        return replace(self, splits=splits, official=False, carved=carved)

    def _set_apart(self, role: str, docs: set[str]) -> dict[str, Split]:
        """The splits, with the train split's sentences of these documents as the split `role`."""
        parts: dict[str, list[Sentence]] = {"train": [], role: []}
        for sentence in self.train:
            parts[role if sentence.doc in docs else "train"].append(sentence)
        made = {name: Split(sentences, name, self.name) for name, sentences in parts.items()}
        splits = {**self.splits, **made}
        return {name: splits[name] for name in SPLITS if name in splits}

    def to_datasets(self):
        """A `datasets.DatasetDict` with the columns tokens, tags, doc."""
        from datasets import Dataset, DatasetDict

        splits = {}
        for role, split in self.splits.items():
            rows = [{"tokens": s.tokens, "tags": s.tags, "doc": s.doc} for s in split]
            splits[role] = Dataset.from_list(rows)
        return DatasetDict(splits)


class Part(NamedTuple):
    """What the text after the @ of a corpus's name means.

    kind is "number" (of sentences), "share" (percent) or "piece" (the value-th of `of`).
    """

    kind: str
    value: float
    of: int = 0


def check_part(which: str, corpus: str) -> Part:
    """The meaning of a part's text; raises DataError for a text without one."""
    if which.isdecimal() and int(which) > 0:
        return Part("number", int(which))
    share = re.fullmatch(r"(\d+(?:\.\d+)?)%", which)
    if share and 0 < float(share[1]) <= 100:
        return Part("share", float(share[1]))
    piece = re.fullmatch(r"(\d+)/(\d+)", which)
    if piece and 1 <= int(piece[1]) <= int(piece[2]):
        return Part("piece", int(piece[1]), int(piece[2]))
    raise DataError(
        f"part {which!r} of {corpus!r}: expected a percentage such as 25%, a number, or a piece "
        "such as 1/2"
    )


def _hide(sentence: Sentence, shown: frozenset[str]) -> Sentence:
    spans = [span for span in sentence.spans if span.type in shown]
    return replace(sentence, tags=to_tags(spans, len(sentence.tokens)))


def _shuffled(docs: Iterable[str], seed: str) -> list[str]:
    docs = sorted(docs)
    random.Random(seed).shuffle(docs)
    return docs


def _sample(split: Split, n: int, seed: int, whole: bool = False) -> Split:
    """n sentences, document by document in an order that the seed fixes.

    With `whole`, the last document is taken whole. Those of more than n sentences come last, and
    none that leaves less than half: a book among abstracts would become all of a split.
    """
    if split.on_disk:  # to know the documents, all of it would have to be read
        order = np.random.default_rng(seed).permutation(len(split))
        return split.take(sorted(order[:n]))
    by_doc: dict[str, list[int]] = {}
    for i, sentence in enumerate(split):
        by_doc.setdefault(sentence.doc, []).append(i)
    chosen: list[int] = []
    order = _shuffled(by_doc, f"{seed}-{split.role}")
    if whole:
        order.sort(key=lambda doc: len(by_doc[doc]) if len(by_doc[doc]) > n else 0)
    for doc in order:
        is_most = 2 * (len(chosen) + len(by_doc[doc])) > len(split)
        if len(chosen) >= n or (whole and chosen and is_most):
            break
        chosen += by_doc[doc]
    return split.take(sorted(chosen if whole else chosen[:n]))
