"""How fast this library trains and tags, side by side with the stock tools."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "measuring": "interleaved matrix_peak machine store ratios read_stored summary",
        "trainers": "training_arms layer_products",
        "taggers": "tagging_arms growth",
        "trained": "trained_f1",
    },
)
