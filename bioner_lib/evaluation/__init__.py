"""Spans -> scores, and whether a difference is more than luck."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "scoring": "kinds relaxed_score",
        "statistics": "document_counts smallest_difference",
        "generalization": "gold_mentions leak_free recall_by",
        "calibration": "joined reliability span_scores",
    },
)
