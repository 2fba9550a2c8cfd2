"""Inline markup, one sentence per line: the format of the sample."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from .reading import Reading, document_name, numbered_lines, type_of
from .schemes import to_tags
from .text import Sentence, cut_words, snap, words

INLINE = re.compile(
    r"(?<!\\)\[((?:[^\[\]\\]|\\.)+)\]\((\w+)\)"
)  # [surface](Type), no backslash before it


def read_inline(path: Path, labels: Mapping[str, str] | None = None) -> Reading:
    """One sentence a line with `[surface](Type)` mentions; `# name` lines open documents.

    A backslash before a bracket makes it plain text: `[3H\\](+)-thymidine`.
    """
    path, reading, doc, base = Path(path), Reading(documented=False), None, 0
    for line, text in numbered_lines(path):
        if not text.strip():
            continue
        if text.startswith("# "):
            doc, base = document_name(text[2:]), 0
            continue
        plain, mentions, reached, outside = "", [], 0, []
        for match in INLINE.finditer(text):
            outside.append(text[reached : match.start()])
            plain += _unescaped(outside[-1])
            start = len(plain)
            plain += _unescaped(match[1])
            mentions.append((start, len(plain), type_of(match[2], labels, f"{path}:{line}")))
            reached = match.end()
        outside.append(text[reached:])
        plain += _unescaped(outside[-1])
        _refuse_broken(outside, labels, f"{path}:{line}")
        mentions = [mention for mention in mentions if mention[2]]
        offsets = cut_words(words(plain), mentions, reading.repairs)
        spans = snap(offsets, mentions, reading.repairs)
        reading.mentions.update(name for _, _, name in spans)
        reading.documented |= doc is not None
        name = doc if doc is not None else f"{path.stem}-s{line}"
        shifted = [(base + a, base + b) for a, b in offsets]
        reading.sentences.append(
            Sentence([plain[a:b] for a, b in offsets], to_tags(spans, len(offsets)), name, shifted)
        )
        base += len(plain) + 1
    return reading


def _unescaped(text: str) -> str:
    return re.sub(r"\\([][()\\])", r"\1", text)


def _refuse_broken(outside: Sequence[str], labels: Iterable[str] | None, where: str) -> None:
    """Raises DataError for text outside of mentions that looks like markup."""
    looks = "|".join([r"\]\(", *(rf"\({re.escape(label)}\)" for label in labels or ())])
    for text in outside:
        if broken := re.search(rf"(?<!\\)(?:{looks})", text):
            near = text[max(0, broken.start() - 10) :][:40]
            raise DataError(
                f"{where}: broken markup near {near!r}; a mention is [surface](Type), and a backslash before a bracket makes it plain text"
            )
