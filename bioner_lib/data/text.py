"""Running text -> sentences of words, with the mentions that a source gives by character."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from .schemes import Span, flat, to_spans, to_tags

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their IOB2 tags; `offsets` are (start, end) characters in the document where the source has them."""

    tokens: list[str]
    tags: list[str]
    doc: str
    offsets: list[tuple[int, int]] | None = None

    @property
    def spans(self) -> list[Span]:
        """(start word, end word, type), the end exclusive."""
        return to_spans(self.tags)


def words(text: str, borders: Iterable[int] = ()) -> list[tuple[int, int]]:
    """Character offsets of the words of a text: runs of letters and digits, every other sign alone.

    A word is cut in two where one of the `borders` lies inside it.
    """
    cuts, found = set(borders), []
    for match in _WORD.finditer(text):
        inside = cuts.intersection(range(match.start() + 1, match.end()))
        found += pairwise([match.start(), *sorted(inside), match.end()])
    return found


def tokenize(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """Character offsets of the sentences of a text (library: sentencex)."""
    from sentencex import get_sentence_boundaries

    return [(bound["start_index"], bound["end_index"]) for bound in get_sentence_boundaries("en", text)]


def annotate(text: str, mentions: Iterable[tuple[int, int, str]], doc: str, repairs: Counter, base: int = 0) -> list[Sentence]:
    """Text with character mentions -> sentences of words with IOB2 tags.

    A word is cut where a mention begins or ends inside it, so that every mention keeps its boundaries. Of overlapping mentions
    the leftmost longest stays; two sentences that share a mention are one. Each is counted in `repairs`. `base` is the text's
    place in the document.
    """
    kept = trimmed(text, mentions, repairs)
    bounds: list[list[int]] = []
    for start, end in sentence_bounds(text):
        if bounds and any(m[0] < start < m[1] for m in kept):
            repairs["sentence boundary inside a mention"] += 1
            bounds[-1][1] = end
        else:
            bounds.append([start, end])
    sentences = []
    for start, end in bounds:
        inside = [m for m in kept if start <= m[0] < end]
        borders = {at - start for mention in inside for at in mention[:2]}
        offsets = [(start + a, start + b) for a, b in words(text[start:end], borders)]
        if not offsets:
            continue
        spans = word_spans(offsets, inside)
        tokens = [text[a:b] for a, b in offsets]
        shifted = [(base + a, base + b) for a, b in offsets]
        sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc, shifted))
    return sentences


def trimmed(text: str, mentions: Iterable[tuple[int, int, str]], repairs: Counter) -> list[tuple[int, int, str]]:
    """Mentions without the blanks at their ends, those that overlap another not among them; each change is counted in `repairs`."""
    found = []
    for start, end, name in mentions:
        surface = text[start:end]
        first, last = start + len(surface) - len(surface.lstrip()), end - len(surface) + len(surface.rstrip())
        if not surface.strip():
            repairs["mention without a word dropped"] += 1
            continue
        if (first, last) != (start, end):
            repairs["blank at a mention's end cut off"] += 1
        found.append((first, last, name))
    kept = flat(found)
    if len(kept) < len(found):
        repairs["overlapping mention dropped"] += len(found) - len(kept)
    return kept


def word_spans(offsets: list[tuple[int, int]], mentions: Iterable[tuple[int, int, str]]) -> list[Span]:
    """Character mentions -> word spans; the words were cut at the mentions' borders."""
    first = {start: i for i, (start, _) in enumerate(offsets)}
    last = {end: i for i, (_, end) in enumerate(offsets, 1)}
    return [(first[start], last[end], name) for start, end, name in mentions]
