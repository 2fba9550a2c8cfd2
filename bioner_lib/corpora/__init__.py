"""Files -> sentences with the types that they annotate."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "schemes": "detect_scheme tag_names to_spans to_tags",
        "text": "sentence_bounds tokenize",
        "loading": "evaluation_documents",
        "registry": "part_of",
        "concepts": "concepts_of identified identifiers",
        "inspection": "density lost_by_cutting pieces_by_place summary tag_balance",
        "names": "ambiguity ambiguous_words concept_structure is_abbreviation mentions "
        "name_structure",
        "overlap": "duplicates leaked_sentences seen_by_type seen_in_train shared_documents",
        "publications": "metadata stated_publications",
        "glance": "portraits",
        "facts": "beside_published",
        "conclusion": "in_words",
    },
)
