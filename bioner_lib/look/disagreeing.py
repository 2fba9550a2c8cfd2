"""Sentences in which two corpora disagree about a name, side by side."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from ..board.plots import colours_of
from ..corpora.corpus import Corpus
from ..corpora.schemes import Span
from ..corpora.splits import Split
from ..silver.disagreement import NOTHING, SAME, cut_like_running_text, folded
from .highlighting import words_html

_WINDOW = 14  # words shown on each side of a name


def disagreements_html(
    corpora: Sequence[Corpus],
    matches: pd.DataFrame,
    names: pd.DataFrame,
    role: str = "train",
    most: int = 6,
) -> str:
    """A sentence of each side for the first `most` names of `disagreeing_names`, as HTML.

    The first sentence is one where the name is a mention, the second one where it isn't or has
    another type; there a grey ? marks it. All text of the corpora is escaped.
    """
    texts = {c.name: cut_like_running_text(c.split(role)) for c in corpora if role in c.splits}
    colours = colours_of(list(dict.fromkeys(type for corpus in corpora for type in corpus.types)))
    matches = matches.assign(name=matches["name"].map(folded))
    parts = []
    for line in names.head(most).itertuples(index=False):
        names_of, text_of, type, name, *_, reading, _, _ = line
        of_name = matches[
            (matches["names of"] == names_of)
            & (matches["type"] == type)
            & (matches["name"] == name)
        ]
        at_home = of_name[(of_name["text of"] == names_of) & (of_name["reading"] == SAME)]
        abroad = of_name[(of_name["text of"] == text_of) & (of_name["reading"] == reading)]
        told = f"{line.differ:,} of {line.matches:,} matches in {text_of} differ, mostly: {reading}"
        parts.append(f"<p><b>{escape(name)}</b> ({escape(type)}); {escape(told)}</p>")
        for corpus, found in ((names_of, at_home), (text_of, abroad)):
            if len(found):
                shown = _shown(texts[corpus], found.iloc[0], colours)
                code = f'<code style="opacity:.6">{escape(corpus)}</code>'
                parts.append(f'<div style="line-height:1.7">{code} {shown}</div>')
    return "".join(parts)


def _shown(split: Split, match: pd.Series, colours: dict[str, str]) -> str:
    """The words around a match, with the mentions of the split; a ? marks a name without one."""
    sentence = split[int(match["sentence"])]
    start, end = int(match["start"]), int(match["end"])
    first, last = max(0, start - _WINDOW), min(len(sentence.tokens), end + _WINDOW)
    spans = [span for span in sentence.spans if first <= span.start and span.end <= last]
    if match["reading"] == NOTHING:
        spans.append(Span(start, end, "?"))
    inside = [(one.start - first, one.end - first, one.type) for one in spans]
    text = words_html(sentence.tokens[first:last], inside, colours)
    before, after = "… " if first else "", " …" if last < len(sentence.tokens) else ""
    return f"{before}{text}{after}"
