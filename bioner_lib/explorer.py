"""Sentences with their mentions in colour: a widget in a live notebook, a static page elsewhere."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from .board.plots import colours_of
from .corpora.corpus import Corpus, Split
from .corpora.text import Sentence

PAGE = 10  # sentences per page
_MOST = 8  # splits whose texts are kept for searching


def sentence_html(sentence: Sentence, colours: dict[str, str]) -> str:
    """One sentence with highlighted mentions; all text of the corpus is escaped."""
    parts, reached = [], 0
    for start, end, type in sentence.spans:
        parts += map(escape, sentence.tokens[reached:start])
        inside = escape(" ".join(sentence.tokens[start:end]))
        style = f"background:{colours.get(type, '#ddd')};color:#000"
        parts.append(
            f'<mark style="{style};padding:1px 4px;border-radius:3px">{inside} '
            f'<small style="font-weight:600">{escape(type)}</small></mark>'
        )
        reached = end
    parts += map(escape, sentence.tokens[reached:])
    return (
        '<div style="margin:6px 0;line-height:1.7">'
        f'<code style="opacity:.6">{escape(sentence.doc)}</code> {" ".join(parts)}</div>'
    )


class _Searchable(NamedTuple):
    """A split, and for each of its sentences the case-folded text and the types of mentions."""

    split: Split
    texts: list[str]
    types: list[frozenset[str]]


_CACHE: dict[int, _Searchable] = {}


def find(corpus: Corpus, role: str, type: str = "", text: str = "") -> Split:
    """The sentences of a split that hold a mention of a type, and a text in any case.

    The first search reads the split, and later ones use what was kept of it.
    """
    split = corpus.splits[role]
    if not type and not text:
        return split
    known, wanted = _searchable(split), text.casefold()
    indices = []
    for i, content in enumerate(known.texts):
        if wanted in content and (not type or type in known.types[i]):
            indices.append(i)
    return split.take(indices)


def _searchable(split: Split) -> _Searchable:
    if id(split) not in _CACHE:
        while len(_CACHE) >= _MOST:
            del _CACHE[next(iter(_CACHE))]
        texts, types = [], []
        shared: dict[frozenset, frozenset] = {}  # equal sets are kept once
        for sentence in split:
            texts.append(" ".join(sentence.tokens).casefold())
            own = frozenset(span.type for span in sentence.spans)
            types.append(shared.setdefault(own, own))
        # the split is kept too, so that no other object gets its id
        _CACHE[id(split)] = _Searchable(split, texts, types)
    return _CACHE[id(split)]


def page_html(corpus: Corpus, role: str, type: str = "", text: str = "", page: int = 0) -> str:
    """One page of what `find` finds, with a legend; it needs no kernel."""
    found, colours = find(corpus, role, type, text), colours_of(corpus.types)
    last = max(0, -(-len(found) // PAGE) - 1)
    page = min(page, last)
    legend = " ".join(
        f'<span style="background:{colour};color:#000;padding:1px 6px">{escape(name)}</span>'
        for name, colour in colours.items()
    )
    head = (
        f"<p><b>{escape(corpus.name)}</b> {escape(role)}: {len(found):,} sentences, "
        f"page {page + 1} of {last + 1} &nbsp; {legend}</p>"
    )
    shown = found[page * PAGE : (page + 1) * PAGE]
    return head + "".join(sentence_html(sentence, colours) for sentence in shown)


def explore(corpora: Sequence[Corpus]):
    """A widget over corpora: split, type, search, page. It needs a running kernel."""
    import ipywidgets as widgets

    by_name = {corpus.name: corpus for corpus in corpora}
    first = corpora[0]

    def type_options(corpus: Corpus) -> list[tuple[str, str]]:
        return [("any", ""), *((type, type) for type in corpus.types)]

    name = widgets.Dropdown(options=list(by_name), description="corpus")
    role = widgets.Dropdown(options=list(first.splits), description="split")
    type = widgets.Dropdown(options=type_options(first), description="type")
    text = widgets.Text(
        placeholder="words to look for", description="search", continuous_update=False
    )
    page = widgets.BoundedIntText(value=1, min=1, max=10**6, description="page")
    view = widgets.HTML()

    def show(_=None) -> None:
        corpus = by_name[name.value]
        found = find(corpus, role.value, type.value, text.value)
        page.value = min(page.value, max(1, -(-len(found) // PAGE)))
        view.value = page_html(corpus, role.value, type.value, text.value, page.value - 1)

    def change_corpus(_) -> None:
        corpus = by_name[name.value]
        for control in (role, type):
            control.unobserve(show, "value")
        role.options, type.options = list(corpus.splits), type_options(corpus)
        for control in (role, type):
            control.observe(show, "value")
        show()

    name.observe(change_corpus, "value")
    for control in (role, type, text, page):
        control.observe(show, "value")
    show()
    return widgets.VBox([widgets.HBox([name, role, type]), widgets.HBox([text, page]), view])
