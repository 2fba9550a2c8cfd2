"""Lexicons: terms, and the tagger that finds them: whole words, leftmost, then longest.

Every word is wrapped in blanks of its own, so that one Aho-Corasick automaton over the folded text (library: ahocorasick_rs) finds
the whole-word matches and no others; symbols are then compared with their case, and of what overlaps the leftmost longest stays.
"""

import gzip
import hashlib
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from ..corpora.corpus import AVERAGES, Split, refuse_test
from ..corpora.schemes import Span
from ..errors import DataError

_SHORT = 4  # a mention of so few characters is taken for a symbol

Entry = tuple[
    Sequence[str], str, str, bool
]  # words, type, identifier, whether it is a symbol: matched with its case


def _wrapped(words: Sequence[str]) -> str:
    """Blanks around each word."""
    return f" {'  '.join(_without_blanks(words))} "


_NO_BREAK = "\u00a0"


def _without_blanks(words: Sequence[str]) -> tuple[str, ...]:
    """The words with another kind of blank inside, in terms, files and text alike: a common one stands between words."""
    return tuple(word.replace(" ", _NO_BREAK) for word in words)


class Lexicon:
    """Entries that can be found in text. Where two have the same words the first counts: their order is the priority between types.

    `about` says where they come from. Raises DataError for an empty term, and for a type that has the name of an average.
    """

    def __init__(self, entries: Iterable[Entry], about: Mapping | None = None):
        import ahocorasick_rs

        by_pattern: dict[str, list[tuple[str, str, tuple[str, ...] | None]]] = defaultdict(list)
        for words, name, identifier, symbol in entries:
            if not words or not all(words):
                raise DataError(
                    f"term {tuple(words)!r} of type {name!r} is empty or holds an empty word"
                )
            by_pattern[_wrapped(words).casefold()].append(
                (name, identifier, _without_blanks(words) if symbol else None)
            )
        held = [entry for found in by_pattern.values() for entry in found]
        if taken := [name for name, _, _ in held if name in AVERAGES]:
            raise DataError(
                f"a type can't be called {taken[0]!r}, which is an average in every table; give its terms another type"
            )
        self.types, self.about = (
            tuple(dict.fromkeys(name for name, _, _ in held)),
            dict(about or {}),
        )
        self._type = np.array([self.types.index(name) for name, _, _ in held], dtype=np.uint16)
        self._id = np.array([identifier.encode() for _, identifier, _ in held], dtype=np.bytes_)
        self._first = np.cumsum([0, *map(len, by_pattern.values())]).tolist()
        # pattern -> (words as they must stand in the text or None, entry) of each of its entries, for those with a symbol
        self._cased = {
            i: tuple((cased, first + k) for k, (_, _, cased) in enumerate(found))
            for i, (first, found) in enumerate(zip(self._first, by_pattern.values(), strict=False))
            if found[0][2] is not None
        }
        self._length = [pattern.count(" ") // 2 for pattern in by_pattern]
        self._automaton = ahocorasick_rs.AhoCorasick(
            by_pattern, matchkind=ahocorasick_rs.MatchKind.Standard, store_patterns=False
        )

    def __len__(self) -> int:
        return len(self._type)

    def find(self, tokens: Sequence[str]) -> list[tuple[int, int, str, str]]:
        """Non-overlapping (start word, end word, type, identifier), the end exclusive."""
        text = f" {'  '.join(tokens)} "
        if text.count(" ") != 2 * len(tokens):  # a word with a blank inside
            tokens = _without_blanks(tokens)
            text = _wrapped(tokens)
        folded, found, before, n_blanks = text.casefold(), [], 0, 0
        for pattern, _, at in self._automaton.find_matches_as_indexes(
            folded, overlapping=True
        ):  # by where they end
            n_blanks += folded.count(" ", before, at)
            before, end = at, n_blanks // 2
            start = end - self._length[pattern]
            entry = self._first[pattern]
            if pattern in self._cased:
                entry = next(
                    (
                        e
                        for cased, e in self._cased[pattern]
                        if cased is None or cased == tuple(tokens[start:end])
                    ),
                    None,
                )
                if entry is None:
                    continue
            found.append((start, -end, entry))
        spans, reached = [], 0
        for start, minus_end, entry in sorted(found):
            if start >= reached:
                reached = -minus_end
                spans.append(
                    (start, reached, self.types[self._type[entry]], self._id[entry].decode())
                )
        return spans

    def tag(self, tokens: Sequence[str]) -> list[Span]:
        """Non-overlapping spans (start word, end word, type), the end exclusive."""
        return [span[:3] for span in self.find(tokens)]

    @classmethod
    def from_mentions(cls, sentences: Split, min_precision: float = 0.5) -> "Lexicon":
        """The dictionary baseline: mentions of a training split, each with its most frequent type.

        A term stays if at least `min_precision` of its matches in the same split were mentions of that type. Raises SelectionError
        for a test split.
        """
        refuse_test(sentences, "a dictionary of mentions")
        seen: dict[tuple[str, ...], Counter] = defaultdict(Counter)
        for sentence in sentences:
            for start, end, name in sentence.spans:
                seen[_key(sentence.tokens[start:end])][name] += 1
        entries = {
            words: (words, names.most_common(1)[0][0], "", _is_short(words))
            for words, names in seen.items()
        }
        matches, right = Counter(), Counter()
        first = cls(entries.values())
        for sentence in sentences:
            gold = set(sentence.spans)
            for span in first.tag(sentence.tokens):
                words = _key(sentence.tokens[span[0] : span[1]])
                matches[words] += 1
                right[words] += span in gold
        return cls(
            entry
            for words, entry in entries.items()
            if matches[words] and right[words] / matches[words] >= min_precision
        )

    @classmethod
    def load(cls, path: str | Path) -> "Lexicon":
        """What `save_entries` wrote; raises DataError for another file, or none."""
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                about = json.loads(file.readline())
                lines = (line.rstrip("\n").split("\t") for line in file)
                return cls(
                    (
                        (words.split(" "), name, identifier, symbol == "1")
                        for words, name, identifier, symbol in lines
                    ),
                    about,
                )
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise DataError(
                f"{path} can't be read as a lexicon: {getattr(error, 'strerror', None) or error}; make it again"
            ) from None


def save_entries(
    entries: Iterable[Entry],
    path: str | Path,
    sources: Iterable[str | Path],
    about: Mapping | None = None,
) -> None:
    """One file: a line of JSON with the sources' SHA-256 and what else is to be known, then an entry a line."""
    sources, path = [Path(source) for source in sources], Path(path)
    known = Counter(source.name for source in sources)
    hashes = {
        source.name if known[source.name] == 1 else f"{source.parent.name}/{source.name}": _sha256(
            source
        )
        for source in sources
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        with (
            aside.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file,
        ):
            file.write((json.dumps({"sources": hashes, **(about or {})}) + "\n").encode())
            for words, name, identifier, symbol in entries:
                line = "\t".join(
                    [" ".join(_without_blanks(words)), name, identifier, str(int(symbol))]
                )
                if line.count("\t") != 3 or "\n" in line:
                    raise DataError(
                        f"term {tuple(words)!r} of type {name!r}: a tab or a line's end in it can't be saved; leave it out"
                    )
                file.write(f"{line}\n".encode())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    """Of a file; of a folder, over the files in it."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    held = {
        str(file.relative_to(path)): _sha256(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.suffix != ".pyc"
    }
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()


def _is_short(words: Sequence[str]) -> bool:
    return sum(map(len, words)) <= _SHORT


def _key(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(words) if _is_short(words) else tuple(word.casefold() for word in words)
