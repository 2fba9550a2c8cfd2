"""A text and the entities that a tagger finds in it: static pages, and a widget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape

from ..board.plots import colours_of
from ..corpora.documents import Document
from .highlighting import highlighted, legend_html


def document_html(
    document: Document, types: Sequence[str], threshold: float = 0.0, heads: bool = False
) -> str:
    """A text with its entities of at least this score, or one such text below another per type."""
    colours = colours_of(types)
    shown = _above(document, threshold).entities
    parts = [legend_html(colours)]
    for group in [[type] for type in types] if heads else [types]:
        own = [e for e in shown if e["entity_group"] in group]
        mentions = [(e["start"], e["end"], e["entity_group"]) for e in own]
        title = f"<b>{escape(group[0])}</b> ({len(own)}) " if heads else ""
        text = highlighted(document.text, mentions, colours)
        parts.append(f'<div style="white-space:pre-wrap;line-height:1.7">{title}{text}</div>')
    return "".join(parts)


def _above(document: Document, threshold: float) -> Document:
    return replace(document, entities=[e for e in document.entities if e["score"] >= threshold])


class TextView:
    """A box for text, a slider for the lowest score, and the text with its entities.

    The slider filters what was found; only "tag" calls the tagger. `documents` holds what is shown,
    without the entities below the slider.
    """

    def __init__(self, tagger, texts: Iterable[str] = ()):
        import ipywidgets as widgets

        self.tagger, self._found = tagger, []
        text = "\n".join(" ".join(text.split()) for text in texts)
        self.text = widgets.Textarea(
            text, placeholder="one text per line", layout={"width": "98%", "height": "8em"}
        )
        self.button = widgets.Button(description="tag", button_style="primary")
        self.threshold = widgets.FloatSlider(
            value=0.5, min=0, max=1, step=0.01, description="score from"
        )
        self.flat = widgets.Dropdown(
            options=[("show all", ""), ("most probable", "score"), ("longest", "longest")],
            description="overlaps",
        )
        self.heads = widgets.Checkbox(description="one line per type")
        self.view = widgets.HTML()
        self.button.on_click(self._tag)
        self.flat.observe(self._tag, "value")
        for control in (self.threshold, self.heads):
            control.observe(self._show, "value")
        self._tag()
        controls = widgets.HBox([self.button, self.threshold, self.flat, self.heads])
        self.widget = widgets.VBox([self.text, controls, self.view])

    @property
    def documents(self) -> list[Document]:
        return [_above(document, self.threshold.value) for document in self._found]

    def _tag(self, _: Mapping | None = None) -> None:
        lines = [line for line in self.text.value.splitlines() if line.strip()]
        self._found = list(self.tagger.tag_documents(lines, flat=self.flat.value or None))
        self._show()

    def _show(self, _: Mapping | None = None) -> None:
        pages = []
        for document in self._found:
            pages.append(
                document_html(document, self.tagger.types, self.threshold.value, self.heads.value)
            )
        self.view.value = "<hr>".join(pages)
