"""Running text -> sentences of words, with the mentions that a source gives by character."""

import re
from bisect import bisect_left, bisect_right
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


def words(text: str) -> list[tuple[int, int]]:
    """Character offsets of the words of a text: runs of letters and digits, every other sign alone."""
    return [match.span() for match in _WORD.finditer(text)]


def tokenize(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """Character offsets of the sentences of a text (library: sentencex)."""
    from sentencex import get_sentence_boundaries

    return [
        (bound["start_index"], bound["end_index"]) for bound in get_sentence_boundaries("en", text)
    ]


def annotate(
    text: str,
    mentions: Iterable[tuple[int, int, str]],
    doc: str,
    repairs: Counter,
    base: int = 0,
    bounds: Iterable[tuple[int, int]] | None = None,
) -> list[Sentence]:
    """Text with character mentions -> sentences of words with IOB2 tags.

    A word is cut where a mention begins or ends inside it, so that every mention keeps its boundaries. Of overlapping mentions the
    leftmost longest stays; two sentences that share a mention are one. Each is counted in `repairs`. `base` is the text's place in
    the document, `bounds` are its sentences where the source names them.
    """
    kept = _flat([_trimmed(text, mention, repairs) for mention in mentions], repairs)
    joined: list[list[int]] = []
    for start, end in sentence_bounds(text) if bounds is None else bounds:
        if joined and any(m[0] < start < m[1] for m in kept):
            repairs["sentence boundary inside a mention"] += 1
            joined[-1][1] = end
        else:
            joined.append([start, end])
    sentences = []
    for start, end in joined:
        inside = [m for m in kept if start <= m[0] < end]
        offsets = cut_words(
            [(start + a, start + b) for a, b in words(text[start:end])], inside, repairs
        )
        if not offsets:
            if inside:
                repairs["mention without a word dropped"] += len(inside)
            continue
        spans = snap(offsets, inside, repairs)
        tokens = [text[a:b] for a, b in offsets]
        shifted = [(base + a, base + b) for a, b in offsets]
        sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc, shifted))
    return sentences


def _trimmed(text: str, mention: tuple[int, int, str], repairs: Counter) -> tuple[int, int, str]:
    """A mention without the blanks at its ends, which are no words and may stand between two sentences; one of blanks stays as it is."""
    start, end, name = mention
    surface = text[start:end]
    if not surface.strip() or surface == surface.strip():
        return mention
    repairs["blank at the end of a mention cut off"] += 1
    return end - len(surface.lstrip()), start + len(surface.rstrip()), name


def cut_words(
    offsets: list[tuple[int, int]], mentions: Iterable[tuple[int, int, str]], repairs: Counter
) -> list[tuple[int, int]]:
    """Character offsets of words, cut where a mention begins or ends inside one."""
    borders = sorted({border for start, end, _ in mentions for border in (start, end)})
    cut = []
    for start, end in offsets:
        inside = borders[bisect_right(borders, start) : bisect_left(borders, end)]
        if inside:
            repairs["word cut at the border of a mention"] += 1
        cut += pairwise([start, *inside, end])
    return cut


def snap(
    offsets: list[tuple[int, int]], mentions: list[tuple[int, int, str]], repairs: Counter
) -> list[Span]:
    """Character mentions -> word spans; blanks at a mention's ends don't count."""
    spans = []
    for start, end, name in mentions:
        inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
        if not inside:
            repairs["mention without a word dropped"] += 1
            continue
        spans.append((inside[0], inside[-1] + 1, name))
    return _flat(spans, repairs)


def _flat(spans: list[tuple], repairs: Counter) -> list[tuple]:
    kept = flat(spans)
    if dropped := len(spans) - len(kept):
        repairs["overlapping mention dropped"] += dropped
    return kept
