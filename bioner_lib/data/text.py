"""Running text -> sentences of words, with the mentions that a source gives by character."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

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

    return [(bound["start_index"], bound["end_index"]) for bound in get_sentence_boundaries("en", text)]


def annotate(text: str, mentions: Iterable[tuple[int, int, str]], doc: str, repairs: Counter, base: int = 0) -> list[Sentence]:
    """Text with character mentions -> sentences of words with IOB2 tags.

    A mention that starts or ends inside a word takes the whole word; of overlapping mentions the leftmost longest stays;
    two sentences that share a mention are one. Each is counted in `repairs`. `base` is the text's place in the document.
    """
    kept = _flat(list(mentions), repairs)
    bounds: list[list[int]] = []
    for start, end in sentence_bounds(text):
        if bounds and any(m[0] < start < m[1] for m in kept):
            repairs["sentence boundary inside a mention"] += 1
            bounds[-1][1] = end
        else:
            bounds.append([start, end])
    sentences = []
    for start, end in bounds:
        offsets = [(start + a, start + b) for a, b in words(text[start:end])]
        if not offsets:
            continue
        spans = snap(offsets, [m for m in kept if start <= m[0] < end], repairs)
        tokens = [text[a:b] for a, b in offsets]
        shifted = [(base + a, base + b) for a, b in offsets]
        sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc, shifted))
    return sentences


def snap(offsets: list[tuple[int, int]], mentions: list[tuple[int, int, str]], repairs: Counter) -> list[Span]:
    """Character mentions -> word spans."""
    spans = []
    for start, end, name in mentions:
        inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
        if not inside:
            repairs["mention without a word dropped"] += 1
            continue
        if (offsets[inside[0]][0], offsets[inside[-1]][1]) != (start, end):
            repairs["mention grown to whole words"] += 1
        spans.append((inside[0], inside[-1] + 1, name))
    return _flat(spans, repairs)


def _flat(spans: list[tuple], repairs: Counter) -> list[tuple]:
    kept = flat(spans)
    if dropped := len(spans) - len(kept):
        repairs["overlapping mention dropped"] += dropped
    return kept
