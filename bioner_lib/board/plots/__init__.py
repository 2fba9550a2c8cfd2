"""One function per figure: it takes data and an ax, and returns the ax."""

from ...lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "style": "PALETTE colours_of heatmap save_figure use_style",
        "corpora": "mention_lengths pair_matrix pieces_per_word portraits split_sizes types_matrix",
        "training": "dev_curves trials weight_heatmap weight_surface",
        "f1": "f1_heatmap f1_means f1_radar",
        "crowding": "facets",
        "panels": "f1_facets",
        "intervals": "differences f1_dots f1_dots_height",
        "arms": "arms_by_type error_kinds forgetting share_curve transfer_matrix",
        "sharing": "network sharing_by_place sharing_weights weights_by_place",
        "silver": "label_quality ratio_curve ratio_curves",
        "generalization": "cross_matrix recall_by_corpus recall_dots recall_panels "
        "reliability_diagram",
        "costs": "growth_curves pareto rates",
        "graph": "entity_graph",
    },
)
