"""Sentences with their mentions in colour: a widget in a live notebook, a static page everywhere else."""

from collections.abc import Sequence
from html import escape
from itertools import cycle

import seaborn as sns

from .corpora.corpus import Corpus, Split
from .corpora.text import Sentence

_FILLS = sns.color_palette("pastel", 10).as_hex()
PAGE = 10


def sentence_html(sentence: Sentence, colours: dict[str, str]) -> str:
    """One sentence with highlighted mentions; whatever the corpus says is escaped."""
    parts, reached = [], 0
    for start, end, name in sentence.spans:
        parts += [escape(token) for token in sentence.tokens[reached:start]]
        inside = escape(" ".join(sentence.tokens[start:end]))
        parts.append(
            f'<mark style="background:{colours.get(name, "#ddd")};color:#000;padding:1px 4px;border-radius:3px">{inside} '
            f'<small style="font-weight:600">{escape(name)}</small></mark>'
        )
        reached = end
    parts += [escape(token) for token in sentence.tokens[reached:]]
    return f'<div style="margin:6px 0;line-height:1.7"><code style="opacity:.6">{escape(sentence.doc)}</code> {" ".join(parts)}</div>'


_MOST = 8  # splits whose texts are kept for searching
_TEXTS: dict[int, tuple[Split, list[str], list[frozenset[str]]]] = {}


def find(corpus: Corpus, role: str, kind: str = "", text: str = "") -> Split:
    """Sentences of a split that hold a mention of type `kind` and the words `text` (case doesn't matter).

    The first search reads the split; later ones look at what was kept of it.
    """
    split = corpus.splits[role]
    if not kind and not text:
        return split
    texts, types = _searchable(split)
    wanted = text.casefold()
    return split.take(
        i for i, held in enumerate(texts) if wanted in held and (not kind or kind in types[i])
    )


def _searchable(split: Split) -> tuple[list[str], list[frozenset[str]]]:
    """For each sentence its case-folded text and the types of its mentions."""
    if id(split) not in _TEXTS:
        while len(_TEXTS) >= _MOST:
            del _TEXTS[next(iter(_TEXTS))]
        texts, types, known = [], [], {}
        for sentence in split:
            texts.append(" ".join(sentence.tokens).casefold())
            held = frozenset(name for _, _, name in sentence.spans)
            types.append(known.setdefault(held, held))
        _TEXTS[id(split)] = split, texts, types  # the split too, so that its id stays its own
    return _TEXTS[id(split)][1:]


def page_html(corpus: Corpus, role: str, kind: str = "", text: str = "", page: int = 0) -> str:
    """One page of what `find` finds, with a legend; shown by `IPython.display.HTML` it needs no kernel."""
    found = find(corpus, role, kind, text)
    colours = dict(zip(corpus.types, cycle(_FILLS), strict=False))
    legend = " ".join(
        f'<span style="background:{colour};color:#000;padding:1px 6px">{escape(name)}</span>'
        for name, colour in colours.items()
    )
    last = max(0, -(-len(found) // PAGE) - 1)
    page = min(page, last)
    head = f"<p><b>{escape(corpus.name)}</b> {escape(role)}: {len(found):,} sentences, page {page + 1} of {last + 1} &nbsp; {legend}</p>"
    return head + "".join(
        sentence_html(sentence, colours) for sentence in found[page * PAGE : (page + 1) * PAGE]
    )


def explore(corpora: Sequence[Corpus]):
    """A widget over corpora: split, type, search, page. It needs a running kernel; `page_html` doesn't."""
    import ipywidgets as widgets

    by_name = {corpus.name: corpus for corpus in corpora}
    first = corpora[0]
    name = widgets.Dropdown(options=list(by_name), description="corpus")
    role = widgets.Dropdown(options=list(first.splits), description="split")
    kind = widgets.Dropdown(
        options=[("any", ""), *((t, t) for t in first.types)], description="type"
    )
    text = widgets.Text(
        placeholder="words to look for", description="search", continuous_update=False
    )
    page = widgets.BoundedIntText(value=1, min=1, max=10**6, description="page")
    view = widgets.HTML()

    def show(_=None) -> None:
        corpus = by_name[name.value]
        last = max(1, -(-len(find(corpus, role.value, kind.value, text.value)) // PAGE))
        if page.value > last:
            page.value = last
        view.value = page_html(corpus, role.value, kind.value, text.value, page.value - 1)

    def change_corpus(_) -> None:
        corpus = by_name[name.value]
        for control in (role, kind):
            control.unobserve(show, "value")
        role.options, kind.options = (
            list(corpus.splits),
            [("any", ""), *((t, t) for t in corpus.types)],
        )
        for control in (role, kind):
            control.observe(show, "value")
        show()

    name.observe(change_corpus, "value")
    for control in (role, kind, text, page):
        control.observe(show, "value")
    show()
    return widgets.VBox([widgets.HBox([name, role, kind]), widgets.HBox([text, page]), view])
