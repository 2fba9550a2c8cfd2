"""One page of sentences as HTML: a widget shows it, and a saved notebook keeps it."""

from collections.abc import Mapping, Sequence
from html import escape

from ..board.plots import colours_of
from ..corpora.corpus import Corpus
from ..corpora.text import Sentence
from .highlighting import legend_html, words_html
from .records import GOLD, Record, Records

PAGE = 10  # sentences per page
KINDS = ("boundary", "split", "merged", "type", "both", "missed", "spurious")


def sentence_html(sentence: Sentence, colours: Mapping[str, str]) -> str:
    """One sentence with highlighted mentions; all text of the corpus is escaped."""
    return _record_html(Record(sentence.doc, sentence.tokens, {GOLD: sentence.spans}), colours)


def split_html(
    corpus: Corpus, role: str, type: str = "", text: str = "", page: int = 0, size: int = PAGE
) -> str:
    """One page of `size` sentences of a split that hold a type and a text, with a legend."""
    records = Records.of_split(corpus.split(role))
    found = records.find(text, type)
    title = f"{corpus.name} {role}"
    return page_html(records, found, colours_of(corpus.types), title, page, size=size)


def page_html(
    records: Records,
    found: Sequence[int],
    colours: Mapping[str, str],
    title: str,
    page: int = 0,
    type: str = "",
    size: int = PAGE,
) -> str:
    """One page of the records that were found, with how many there are; it needs no kernel.

    Where records have predictions, their errors are counted too, those of `type` where it is given.
    """
    last = max(0, -(-len(found) // size) - 1)
    page = min(max(page, 0), last)
    head = (
        f"<p><b>{escape(title)}</b>: {len(found):,} sentences, page {page + 1} of {last + 1} "
        f"&nbsp; {legend_html(colours)}</p>"
    )
    if len(records.sides) > 1:
        head += _counts_html(records.counts(found, type))
    shown = found[page * size : (page + 1) * size]
    return head + "".join(_record_html(records[i], colours) for i in shown)


def _counts_html(counts: Mapping[str, Mapping[str, int]]) -> str:
    lines = []
    for side, own in counts.items():
        numbers = " · ".join(f"{kind} {own.get(kind, 0):,}" for kind in ("correct", *KINDS))
        lines.append(f"<div><code>{escape(side)}</code> {numbers}</div>")
    return "".join(lines)


def _record_html(record: Record, colours: Mapping[str, str]) -> str:
    lines = []
    for side, spans in record.sides.items():
        label = record.doc if side == GOLD else side
        code = f'<code style="opacity:.6">{escape(label)}</code>'
        lines.append(f"<div>{code} {words_html(record.tokens, spans, colours)}</div>")
    return f'<div style="margin:6px 0;line-height:1.7">{"".join(lines)}</div>'


def runs_html(
    run_ids: Sequence[str], corpus: str, role: str, type: str = "", kind: str = "", page: int = 0
) -> str:
    """One page of sentences in which these runs make an error of a kind: gold, then each run."""
    records = Records.of_runs(run_ids, corpus, role)
    found = records.find("", type, kind)
    title = f"{corpus} {role}" + f", {kind}" * bool(kind)
    return page_html(records, found, colours_of(records.types), title, page, type)
