"""Dictionaries -> labels that nobody checked: terms, lexicons, labelling, quality, denoising.

A dictionary may also be the names of a corpus, looked up in another one's text (disagreement).
"""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "term_sources": "gather mentioned read_hgnc read_mesh read_terms source",
        "terms": "select",
        "taxonomy": "read_taxonomy",
        "lexicons": "save_entries",
        "pubmed": "PubMed",
        "corpus_folders": "derived_name save_sentences silver_folder",
        "labelling": "label running_text text_source training_text",
        "labelled_gold": "label_gold labelled_name new_types",
        "lexicon_quality": "drop_noisy noisiest quality",
        "disagreement": "cross_matches differing_share disagreeing_names disagreements",
        "coverage": "lexicon_coverage named_lexicon",
        "denoising": "against_truth denoise",
    },
)
