"""Texts of files -> entities -> formats of other tools, and a graph."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "formats": "FORMATS open_writer",
        "tag_files": "tag_texts fetched_texts",
        "grounding": "Grounder",
        "graph": "Graph",
    },
)
