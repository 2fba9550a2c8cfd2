"""Inline markup, one sentence per line: the format of the sample."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from .reading import Reading, document_name, numbered_lines, type_of
from .schemes import to_tags
from .text import Mention, Sentence, cut_words, snap, words

# [surface](Type), without a backslash before it
INLINE = re.compile(r"(?<!\\)\[((?:[^\[\]\\]|\\.)+)\]\((\w+|[^\W\d]\w*(?:-\w+)+)\)")


def read_inline(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """One sentence per line with `[surface](Type)` mentions; a `# name` line starts a document.

    A backslash before a bracket makes it plain text: `[3H\\](+)-thymidine`.
    """
    path, reading = Path(path), Reading(documented=False)
    doc, base = None, 0
    for line, text in numbered_lines(path):
        if not text.strip():
            continue
        if text.startswith("# "):
            doc, base = document_name(text[2:]), 0
            continue
        plain, mentions = _without_markup(text, labels, f"{path}:{line}")
        if not plain.strip():
            reading.repairs["empty sentence dropped"] += 1
            base += len(plain) + 1
            continue
        offsets = cut_words(words(plain), mentions, reading.repairs)
        spans = snap(offsets, mentions, reading.repairs)
        reading.mentions.update(span.type for span in spans)
        reading.documented |= doc is not None
        sentence = Sentence(
            tokens=[plain[a:b] for a, b in offsets],
            tags=to_tags(spans, len(offsets)),
            doc=f"{path.stem}-s{line}" if doc is None else doc,
            offsets=[(base + a, base + b) for a, b in offsets],
        )
        reading.sentences.append(sentence)
        base += len(plain) + 1
    return reading


def _without_markup(
    text: str, labels: Mapping[str, str] | None, where: str
) -> tuple[str, list[Mention]]:
    """A line's plain text and its mentions by character."""
    plain, reached = "", 0
    mentions: list[Mention] = []
    outside: list[str] = []
    for match in INLINE.finditer(text):
        outside.append(text[reached : match.start()])
        plain += _unescaped(outside[-1])
        start = len(plain)
        plain += _unescaped(match[1])
        if type := type_of(match[2], labels, where):
            mentions.append((start, len(plain), type))
        reached = match.end()
    outside.append(text[reached:])
    plain += _unescaped(outside[-1])
    _refuse_broken(outside, labels, where)
    return plain, mentions


def _unescaped(text: str) -> str:
    return re.sub(r"\\([][()\\])", r"\1", text)


def _refuse_broken(outside: Sequence[str], labels: Iterable[str] | None, where: str) -> None:
    """Raises DataError for text outside of mentions that looks like markup."""
    looks = "|".join([r"\]\(", *(rf"\({re.escape(label)}\)" for label in labels or ())])
    for text in outside:
        if broken := re.search(rf"(?<!\\)(?:{looks})", text):
            near = text[max(0, broken.start() - 10) :][:40]
            raise DataError(
                f"{where}: broken markup near {near!r}; a mention is [surface](Type), and a "
                "backslash before a bracket makes it plain text"
            )
