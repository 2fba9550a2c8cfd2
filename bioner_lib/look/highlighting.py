"""Text with its mentions in colour, as HTML. All text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise

_PLAIN = "#ddd"  # a type without a colour

Mention = tuple[int, int, str]  # start, end (characters, exclusive), type


def highlighted(text: str, mentions: Iterable[Mention], colours: Mapping[str, str]) -> str:
    """A text with coloured mentions; where mentions overlap, their colours lie above each other."""
    mentions = sorted({tuple(mention[:3]) for mention in mentions})
    borders = {0, len(text)}
    for start, end, _ in mentions:
        borders |= {start, end}
    parts = []
    for start, end in pairwise(sorted(borders)):
        piece = escape(text[start:end])
        around = [mention for mention in mentions if mention[0] <= start and end <= mention[1]]
        ending = [type for _, stop, type in around if stop == end]
        parts.append(_mark(piece, [type for *_, type in around], ending, colours))
    return "".join(parts)


def _mark(
    piece: str, types: Sequence[str], ending: Sequence[str], colours: Mapping[str, str]
) -> str:
    if not types:
        return piece
    fills = [colours.get(type, _PLAIN) for type in types]
    share = 100 / len(fills)
    stops = [f"{fill} {i * share:.0f}% {(i + 1) * share:.0f}%" for i, fill in enumerate(fills)]
    fill = fills[0] if len(fills) == 1 else f"linear-gradient({', '.join(stops)})"
    names = " ".join(map(escape, ending))
    label = f' <small style="font-weight:600">{names}</small>' if names else ""
    style = f"background:{fill};color:#000;padding:1px 3px;border-radius:3px"
    return f'<mark style="{style}">{piece}{label}</mark>'


def words_html(tokens: Sequence[str], spans: Iterable[tuple], colours: Mapping[str, str]) -> str:
    """Words, joined by blanks, with coloured spans (start word, end word, type)."""
    starts, reached = [], 0
    for token in tokens:
        starts.append(reached)
        reached += len(token) + 1
    ends = [start + len(token) for start, token in zip(starts, tokens, strict=True)]
    mentions = [(starts[start], ends[end - 1], type) for start, end, type, *_ in spans]
    return highlighted(" ".join(tokens), mentions, colours)


def legend_html(colours: Mapping[str, str]) -> str:
    """The types in their colours."""
    names = []
    for type, colour in colours.items():
        style = f"background:{colour};color:#000;padding:1px 6px"
        names.append(f'<span style="{style}">{escape(type)}</span>')
    return " ".join(names)
