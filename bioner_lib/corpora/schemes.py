"""Tags <-> spans.

A span is (start word, end word, type), the end exclusive; a tag sequence has one tag a word.
IOB2: every mention opens with B-.  IOB1: B- only where a mention touches one of its own type.  IOBES: E- closes, S- stands alone.
Files may write IOBES as BILOU (L- closes, U- stands alone), BMES (M- continues) or BMEWO (W- stands alone).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..choices import SCHEMES

Span = tuple[int, int, str]
_PREFIXES = {"IOB2": "BI", "IOBES": "BIES"}
_SAME = {"L": "E", "U": "S", "W": "S", "M": "I"}  # other names for IOBES: BILOU, BMES, BMEWO
PREFIXES = ("B", "I", "E", "S", *_SAME)  # all that a file's tags may begin with


def tag_names(types: Iterable[str], scheme: str = "IOB2") -> list[str]:
    """O first, then the tags of each type: the softmax of a head, in order."""
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; known: {list(SCHEMES)}")
    return ["O"] + [f"{prefix}-{name}" for name in types for prefix in _PREFIXES[scheme]]


def detect_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """IOB1, IOB2 or IOBES, from what a file's tags do.

    IOB1 is told from IOB2 by a file that never opens a mention with B- after O though it has mentions.
    """
    opens_with_b = opens_with_i = False
    for tags in sequences:
        previous = "O"
        for tag in tags:
            if tag[:1] in ("E", "S", *_SAME) and tag[1:2] == "-":
                return "IOBES"
            same = previous[2:] == tag[2:] and previous != "O"
            opens_with_b |= tag[:2] == "B-" and not same
            opens_with_i |= tag[:2] == "I-" and not same
            previous = tag
    return "IOB1" if opens_with_i and not opens_with_b else "IOB2"


def to_spans(
    tags: Sequence[str], scheme: str = "IOB2", repairs: Counter | None = None
) -> list[Span]:
    """The spans of one sentence, in order.

    A continuation that nothing opened starts a span; `repairs` counts each such mend by its name.
    Raises ValueError for a tag that no scheme knows.
    """
    spans, start, kind = [], None, None
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if prefix not in ("O", *PREFIXES) or (prefix == "O") != (name == ""):
            raise ValueError(
                f"unknown tag {tag!r}; a tag is O or a type after one of {', '.join(f'{p}-' for p in PREFIXES)}"
            )
        prefix = _SAME.get(prefix, prefix)
        continues = prefix in ("I", "E") and kind == name
        if start is not None and not continues:
            if scheme == "IOBES" and repairs is not None:
                repairs["no E- at the end"] += 1
            spans.append((start, i, kind))
            start = kind = None
        if prefix != "O" and not continues:
            start, kind = i, name
            if prefix in ("I", "E") and scheme != "IOB1" and repairs is not None:
                repairs[f"{prefix}- without B-"] += 1
        if prefix in ("E", "S"):
            spans.append((start, i + 1, kind))
            start = kind = None
    return spans


def to_tags(spans: Iterable[Span], length: int, scheme: str = "IOB2") -> list[str]:
    """One tag a word for spans that don't overlap; raises ValueError where they do or leave the sentence."""
    tags = ["O"] * length
    for start, end, name in sorted(spans):
        if not 0 <= start < end <= length:
            raise ValueError(
                f"span ({start}, {end}, {name!r}) is empty or outside a sentence of {length} words"
            )
        if any(tag != "O" for tag in tags[start:end]):
            raise ValueError(
                f"span ({start}, {end}, {name!r}) overlaps another; one tag sequence holds flat spans only"
            )
        tags[start:end] = [f"B-{name}"] + [f"I-{name}"] * (end - start - 1)
        if scheme == "IOBES":
            tags[end - 1] = f"S-{name}" if end - start == 1 else f"E-{name}"
    return tags


def flat(spans: Iterable[tuple]) -> list[tuple]:
    """Of overlapping spans keep the leftmost, among those the longest."""
    kept, reached = [], 0
    for span in sorted(spans, key=lambda s: (s[0], -s[1])):
        if span[0] >= reached:
            kept.append(span)
            reached = span[1]
    return kept
