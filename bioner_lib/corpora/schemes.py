"""Tags <-> spans.

A tag sequence has one tag per word.

    IOB2    every mention starts with B-
    IOB1    B- only where a mention follows another one of its type
    IOBES   E- ends a mention, S- is a mention of one word

Files may write IOBES as BILOU (L- ends, U- single), BMES (M- inside) or BMEWO (W- single).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..choices import SCHEMES


class Span(NamedTuple):
    """A mention: words `start` to `end` (exclusive) and its type."""

    start: int
    end: int
    type: str


_PREFIXES = {"IOB2": "BI", "IOBES": "BIES"}
_SAME = {"L": "E", "U": "S", "W": "S", "M": "I"}  # what other dialects call E, S and I
PREFIXES = ("B", "I", "E", "S", *_SAME)  # every prefix that a file may hold


def tag_names(types: Iterable[str], scheme: str = "IOB2") -> list[str]:
    """The classes of a head's softmax, in order: O, then the tags of each type."""
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; known: {list(SCHEMES)}")
    return ["O"] + [f"{prefix}-{type}" for type in types for prefix in _PREFIXES[scheme]]


def detect_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """IOB1, IOB2 or IOBES: the scheme of a file's tags.

    A file is IOB1 if it has mentions and none of them starts with B- after O.
    """
    starts_with_b = starts_with_i = False
    for tags in sequences:
        before = "O"
        for tag in tags:
            if tag[:1] in ("E", "S", *_SAME) and tag[1:2] == "-":
                return "IOBES"
            continues = before != "O" and before[2:] == tag[2:]
            starts_with_b |= tag[:2] == "B-" and not continues
            starts_with_i |= tag[:2] == "I-" and not continues
            before = tag
    return "IOB1" if starts_with_i and not starts_with_b else "IOB2"


def to_spans(
    tags: Sequence[str], scheme: str = "IOB2", repairs: Counter | None = None
) -> list[Span]:
    """The spans of one sentence, in order.

    An I- or E- tag that continues nothing starts a span; `repairs` counts such mends by name.
    Raises ValueError for a tag that no scheme has.
    """
    repairs = Counter() if repairs is None else repairs
    spans: list[Span] = []
    start, open_type = None, None
    for i, tag in enumerate([*tags, "O"]):
        prefix, type = _split_tag(tag)
        continues = prefix in ("I", "E") and type == open_type
        if start is not None and not continues:
            if scheme == "IOBES":
                repairs["no E- at the end"] += 1
            spans.append(Span(start, i, open_type))
            start, open_type = None, None
        if prefix != "O" and not continues:
            start, open_type = i, type
            if prefix in ("I", "E") and scheme != "IOB1":
                repairs[f"{prefix}- without B-"] += 1
        if prefix in ("E", "S"):
            spans.append(Span(start, i + 1, open_type))
            start, open_type = None, None
    return spans


def _split_tag(tag: str) -> tuple[str, str]:
    """(prefix in IOBES, type) of a tag; ("O", "") for O."""
    prefix, _, type = tag.partition("-")
    if prefix not in ("O", *PREFIXES) or (prefix == "O") != (type == ""):
        known = ", ".join(f"{name}-" for name in PREFIXES)
        raise ValueError(f"unknown tag {tag!r}; a tag is O or a type after one of {known}")
    return _SAME.get(prefix, prefix), type


def to_tags(spans: Iterable[Span], length: int, scheme: str = "IOB2") -> list[str]:
    """One tag per word for spans of a sentence of `length` words.

    Raises ValueError for spans that overlap, are empty or leave the sentence.
    """
    tags = ["O"] * length
    for start, end, type in sorted(spans):
        span = f"span ({start}, {end}, {type!r})"
        if not 0 <= start < end <= length:
            raise ValueError(f"{span} is empty or outside a sentence of {length} words")
        if any(tag != "O" for tag in tags[start:end]):
            raise ValueError(f"{span} overlaps another; a tag sequence holds flat spans only")
        tags[start:end] = [f"B-{type}"] + [f"I-{type}"] * (end - start - 1)
        if scheme == "IOBES":
            tags[end - 1] = f"S-{type}" if end - start == 1 else f"E-{type}"
    return tags


def flat(spans: Iterable[tuple]) -> list[tuple]:
    """Spans without overlaps: the leftmost stays; of those, the longest."""
    kept, reached = [], 0
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        if span[0] >= reached:
            kept.append(span)
            reached = span[1]
    return kept
