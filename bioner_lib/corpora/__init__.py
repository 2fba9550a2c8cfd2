"""Files -> sentences with the types that they annotate."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "schemes": "detect_scheme tag_names to_spans to_tags",
        "text": "sentence_bounds tokenize",
        "loading": "evaluation_documents",
        "concepts": "concepts_of identified identifiers",
        "inspection": "ambiguous_surfaces duplicates lost_by_cutting pieces_by_place seen_in_train "
        "summary weights_by_place",
    },
)
