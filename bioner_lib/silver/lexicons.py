"""Lexicons: terms, and the tagger that finds them: whole words, leftmost, then longest.

Each word gets a blank on both sides. So one Aho-Corasick automaton over the case-folded text
(library: ahocorasick_rs) finds matches of whole words only. Symbols are then compared with their
case, and of overlapping matches the leftmost longest stays.
"""

import gzip
import hashlib
import json
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..corpora.corpus import AVERAGES
from ..corpora.schemes import Span
from ..corpora.splits import Split, refuse_test
from ..corpora.text import cut_again
from ..errors import DataError
from ..home import file_sha256, replacing

_SHORT = 4  # a mention of at most so many characters is treated as a symbol
_NO_BREAK = "\u00a0"


class Entry(NamedTuple):
    """Words to look for, their type and identifier; a symbol is matched with its case."""

    words: Sequence[str]
    type: str
    id: str = ""
    symbol: bool = False


class Match(NamedTuple):
    """A mention that a lexicon finds: words `start` to `end` (exclusive)."""

    start: int
    end: int
    type: str
    id: str


def _written(words: Sequence[str]) -> tuple[str, ...]:
    """Words of composed letters (é is one sign) whose inner blanks are no-break spaces.

    A common blank stands between words.
    """
    composed = (unicodedata.normalize("NFC", word) for word in words)
    return tuple(word.replace(" ", _NO_BREAK) for word in composed)


def _spaced(words: Sequence[str]) -> str:
    """A blank on both sides of each word."""
    return f" {'  '.join(words)} "


class Lexicon:
    """Entries that can be found in text.

    Where two entries have the same words the first one counts, so their order is the priority
    between types. `about` says where they come from. Raises DataError for an empty term, and for a
    type that has the name of an average.
    """

    def __init__(self, entries: Iterable[Entry | tuple], about: Mapping | None = None):
        import ahocorasick_rs

        by_pattern: dict[str, list[Entry]] = defaultdict(list)
        for entry in map(Entry._make, entries):
            if not entry.words or not all(entry.words):
                raise DataError(
                    f"term {tuple(entry.words)!r} of type {entry.type!r} is empty or holds an "
                    "empty word"
                )
            if entry.type in AVERAGES:
                raise DataError(
                    f"a type can't be called {entry.type!r}, which is an average in every table; "
                    "give its terms another type"
                )
            words = _written(entry.words)
            by_pattern[_spaced(words).casefold()].append(entry._replace(words=words))
        entries = [entry for same in by_pattern.values() for entry in same]
        self.types = tuple(dict.fromkeys(entry.type for entry in entries))
        self.about = dict(about or {})
        # arrays instead of objects: a lexicon may have millions of entries
        index = {type: i for i, type in enumerate(self.types)}
        self._type = np.array([index[entry.type] for entry in entries], dtype=np.uint16)
        self._id = np.array([entry.id.encode() for entry in entries], dtype=np.bytes_)
        self._length = [pattern.count(" ") // 2 for pattern in by_pattern]
        self._first = np.cumsum([0, *map(len, by_pattern.values())]).tolist()
        self._cased = self._forms_with_case(by_pattern)
        self._automaton = ahocorasick_rs.AhoCorasick(
            by_pattern, matchkind=ahocorasick_rs.MatchKind.Standard, store_patterns=False
        )

    def _forms_with_case(
        self, by_pattern: Mapping[str, list[Entry]]
    ) -> dict[int, list[tuple[tuple[str, ...] | None, int]]]:
        """pattern -> (the words as they must be written, or None for any case; entry), in order.

        Only of patterns whose first entry is a symbol; of all others the first entry matches.
        """
        cased = {}
        for i, same in enumerate(by_pattern.values()):
            if same[0].symbol:
                forms = []
                for k, entry in enumerate(same):
                    forms.append((entry.words if entry.symbol else None, self._first[i] + k))
                cased[i] = forms
        return cased

    def __len__(self) -> int:
        return len(self._type)

    def find(self, tokens: Sequence[str]) -> list[Match]:
        """The matches in a sentence, without overlaps."""
        text = _spaced(tokens)
        has_inner_blank = text.count(" ") != 2 * len(tokens)
        if has_inner_blank or not unicodedata.is_normalized("NFC", text):
            tokens = _written(tokens)
            text = _spaced(tokens)
        folded, found = text.casefold(), []
        blanks, reached = 0, 0
        # matches are ordered by their end, so blanks are counted once
        for pattern, _, at in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            blanks += folded.count(" ", reached, at)
            reached, end = at, blanks // 2
            start = end - self._length[pattern]
            entry = self._entry(pattern, tokens[start:end])
            if entry is not None:
                found.append((start, -end, entry))
        matches, reached = [], 0
        for start, minus_end, entry in sorted(found):  # leftmost, then longest
            if start >= reached:
                reached = -minus_end
                type = self.types[self._type[entry]]
                matches.append(Match(start, reached, type, self._id[entry].decode()))
        return matches

    def _entry(self, pattern: int, words: Sequence[str]) -> int | None:
        """The entry of a pattern that matches these words with their case."""
        if pattern not in self._cased:
            return self._first[pattern]
        for form, entry in self._cased[pattern]:
            if form is None or form == tuple(words):
                return entry
        return None

    def find_whole(self, tokens: Sequence[str]) -> list[Match]:
        """The matches in a sentence of a file, whose words may be cut otherwise than running text.

        Terms have the words of running text (IL, - and 2), and a file may have one word there
        (IL-2). A match that starts or ends inside a word of the file is left out.
        """
        parts = cut_again(tokens)
        word_at = {at: word for word, at in enumerate([0, *accumulate(map(len, parts))])}
        whole = []
        for match in self.find([part for own in parts for part in own]):
            if match.start in word_at and match.end in word_at:
                start, end = word_at[match.start], word_at[match.end]
                whole.append(match._replace(start=start, end=end))
        return whole

    def tag(self, tokens: Sequence[str]) -> list[Span]:
        """The matches in a sentence as spans."""
        return [Span(match.start, match.end, match.type) for match in self.find(tokens)]

    @classmethod
    def from_mentions(cls, sentences: Split, min_precision: float = 0.5) -> "Lexicon":
        """The dictionary baseline: the mentions of a training split, with their most frequent type.

        A term stays if at least `min_precision` of its matches in the same split are mentions of
        that type. Raises SelectionError for a test split.
        """
        refuse_test(sentences, "a dictionary of mentions")
        types: dict[tuple[str, ...], Counter] = defaultdict(Counter)
        for sentence in sentences:
            for start, end, type in sentence.spans:
                types[_key(sentence.tokens[start:end])][type] += 1
        entries = {}
        for words, counts in types.items():
            [(type, _)] = counts.most_common(1)
            entries[words] = Entry(words, type, "", _is_short(words))
        matches, right = Counter(), Counter()
        lexicon = cls(entries.values())
        for sentence in sentences:
            gold = set(sentence.spans)
            for span in lexicon.tag(sentence.tokens):
                words = _key(sentence.tokens[span.start : span.end])
                matches[words] += 1
                right[words] += span in gold
        kept = [
            entry
            for words, entry in entries.items()
            if matches[words] and right[words] / matches[words] >= min_precision
        ]
        return cls(kept)

    @classmethod
    def load(cls, path: str | Path) -> "Lexicon":
        """The lexicon that `save_entries` wrote; raises DataError for any other file."""
        with _lexicon_lines(path) as (about, lines):
            return cls(map(_read_entry, lines), about)


def read_entries(path: str | Path) -> Iterator[Entry]:
    """The entries of a lexicon's file; raises DataError for any other file."""
    with _lexicon_lines(path) as (_, lines):
        yield from map(_read_entry, lines)


@contextmanager
def _lexicon_lines(path: str | Path) -> Iterator[tuple[dict, Iterable[str]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield json.loads(file.readline()), file
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} can't be read as a lexicon: {reason}; make it again") from None


def _read_entry(line: str) -> Entry:
    words, type, identifier, symbol = line.rstrip("\n").split("\t")
    return Entry(words.split(" "), type, identifier, symbol == "1")


def save_entries(
    entries: Iterable[Entry | tuple],
    path: str | Path,
    sources: Iterable[str | Path],
    about: Mapping | None = None,
) -> None:
    """Write a lexicon's file: a line of JSON (hashes of the sources, `about`), then its entries."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"sources": _hashes([Path(source) for source in sources]), **(about or {})}
    with (
        replacing(path, "wb") as raw,
        # without name and time, the same entries give the same bytes
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file,
    ):
        file.write((json.dumps(header) + "\n").encode())
        for entry in map(Entry._make, entries):
            words = " ".join(_written(entry.words))
            line = "\t".join([words, entry.type, entry.id, str(int(entry.symbol))])
            if line.count("\t") != 3 or "\n" in line or "\r" in line:
                raise DataError(
                    f"term {tuple(entry.words)!r} of type {entry.type!r}: a tab or a line's end in "
                    "it can't be saved; leave it out"
                )
            file.write(f"{line}\n".encode())


def _hashes(sources: Sequence[Path]) -> dict[str, str]:
    """File name -> SHA-256; two files of one name are named with their folders."""
    count = Counter(source.name for source in sources)
    hashes = {}
    for source in sources:
        is_only = count[source.name] == 1
        name = source.name if is_only else f"{source.parent.name}/{source.name}"
        hashes[name] = _sha256(source)
    return hashes


def _sha256(path: Path) -> str:
    """The hash of a file, or of all files in a folder."""
    if path.is_file():
        return file_sha256(path)
    hashes = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            hashes[str(file.relative_to(path))] = file_sha256(file)
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _is_short(words: Sequence[str]) -> bool:
    return sum(map(len, words)) <= _SHORT


def _key(words: Sequence[str]) -> tuple[str, ...]:
    """A mention's words; case counts in short ones only."""
    return tuple(words) if _is_short(words) else tuple(word.casefold() for word in words)
