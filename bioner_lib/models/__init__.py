"""Sentences -> tensors -> spans."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "batching": "Example collate",
        "encoders": "load_encoder",
        "hardware": "autocast_dtype",
        "heads": "plan_heads",
        "losses": "partial_label_nll",
        "onnx_export": "export_onnx",
    },
)
