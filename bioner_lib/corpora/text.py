"""Running text -> sentences of words, with the mentions that a source gives by character."""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .schemes import Span, flat, to_spans, to_tags

# accents that follow their letter (U+0300 to U+036F, in text from PDFs for example) belong to it
_WORD = re.compile(r"\w[\w\u0300-\u036f]*|[^\w\s]")

Characters = tuple[int, int]  # (start, end) in a text, the end exclusive
Mention = tuple[int, int, str]  # (start character, end character, type)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their IOB2 tags.

    `offsets` are the characters of each word in its document, where the source has them.
    """

    tokens: list[str]
    tags: list[str]
    doc: str
    offsets: list[Characters] | None = None

    @property
    def spans(self) -> list[Span]:
        """The mentions: start word, end word (exclusive), type."""
        return to_spans(self.tags)


def words(text: str) -> list[Characters]:
    """The words of a text: runs of letters and digits, and every other sign by itself."""
    return [match.span() for match in _WORD.finditer(text)]


def tokenize(text: str) -> list[str]:
    """The words of a text, as strings."""
    return _WORD.findall(text)


def cut_again(tokens: Sequence[str]) -> list[list[str]]:
    """Per word of a file its words as `tokenize` cuts them: IL-2 becomes IL, - and 2."""
    return [tokenize(token) or [token] for token in tokens]


def sentence_bounds(text: str) -> list[Characters]:
    """The sentences of a text (library: sentencex)."""
    from sentencex import get_sentence_boundaries

    try:
        bounds = get_sentence_boundaries("en", text)
    # sentencex takes a blank for one byte: an initial between no-break spaces makes its code panic,
    # which Python sees as no Exception
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        bounds = get_sentence_boundaries("en", re.sub(r"[^\S\r\n\x00-\x7f]", " ", text))
    return [(bound["start_index"], bound["end_index"]) for bound in bounds]


def annotate(
    text: str,
    mentions: Iterable[Mention],
    doc: str,
    repairs: Counter,
    base: int = 0,
    bounds: Iterable[Characters] | None = None,
) -> list[Sentence]:
    """Text with mentions by character -> sentences of words with IOB2 tags.

    `base` is where the text starts in its document; `bounds` are its sentences, where the source
    names them. `repairs` counts every change: a word is cut where a mention starts or ends inside
    it, of overlapping mentions the leftmost longest stays, and two sentences that share a mention
    become one.
    """
    kept = _without_overlaps([_trimmed(text, mention, repairs) for mention in mentions], repairs)
    found = sentence_bounds(text) if bounds is None else bounds
    sentences = []
    for start, end in _joined(found, kept, repairs):
        inside = [mention for mention in kept if start <= mention[0] < end]
        whole = [(start + a, start + b) for a, b in words(text[start:end])]
        offsets = cut_words(whole, inside, repairs)
        if not offsets:
            repairs["mention without a word dropped"] += len(inside)
            continue
        spans = snap(offsets, inside, repairs)
        tokens = [text[a:b] for a, b in offsets]
        shifted = [(base + a, base + b) for a, b in offsets]
        sentences.append(Sentence(tokens, to_tags(spans, len(tokens)), doc, shifted))
    return sentences


def _joined(
    bounds: Iterable[Characters], mentions: list[Mention], repairs: Counter
) -> list[list[int]]:
    """Sentence bounds, without those that lie inside a mention."""
    joined: list[list[int]] = []
    for start, end in bounds:
        if joined and any(mention[0] < start < mention[1] for mention in mentions):
            repairs["sentence boundary inside a mention"] += 1
            joined[-1][1] = end
        else:
            joined.append([start, end])
    return joined


def _trimmed(text: str, mention: Mention, repairs: Counter) -> Mention:
    """A mention without blanks at its ends; one that is only blanks stays as it is."""
    start, end, type = mention
    surface = text[start:end]
    if not surface.strip() or surface == surface.strip():
        return mention
    repairs["blank at the end of a mention cut off"] += 1
    return end - len(surface.lstrip()), start + len(surface.rstrip()), type


def cut_words(
    offsets: list[Characters], mentions: Iterable[Mention], repairs: Counter
) -> list[Characters]:
    """Words, cut where a mention starts or ends inside one."""
    borders = sorted({border for start, end, _ in mentions for border in (start, end)})
    cut: list[Characters] = []
    for start, end in offsets:
        inside = borders[bisect_right(borders, start) : bisect_left(borders, end)]
        if inside:
            repairs["word cut at the border of a mention"] += 1
        cut += pairwise([start, *inside, end])
    return cut


def snap(offsets: list[Characters], mentions: list[Mention], repairs: Counter) -> list[Span]:
    """Mentions by character -> spans of words."""
    spans = []
    for start, end, type in mentions:
        inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
        if inside:
            spans.append(Span(inside[0], inside[-1] + 1, type))
        else:
            repairs["mention without a word dropped"] += 1
    return _without_overlaps(spans, repairs)


def _without_overlaps(spans: list[tuple], repairs: Counter) -> list[tuple]:
    kept = flat(spans)
    if len(kept) < len(spans):
        repairs["overlapping mention dropped"] += len(spans) - len(kept)
    return kept
