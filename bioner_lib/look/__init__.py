"""Looking at sentences: pages and widgets over corpora, predictions and texts."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "pages": "sentence_html split_html runs_html",
        "explorer": "explore explore_runs",
        "text_view": "TextView document_html",
        "verification": "verify",
        "disagreeing": "disagreements_html",
    },
)
