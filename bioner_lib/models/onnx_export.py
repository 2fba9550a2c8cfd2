"""An exported head as one ONNX file, which onnxruntime runs without torch.

    session = onnxruntime.InferenceSession("disease.onnx")
    pieces = tokenizer(text, return_tensors="np")
    inputs = {name: pieces[name] for name in ("input_ids", "attention_mask")}
    (logits,) = session.run(None, inputs)

B sentences   P pieces   T tags
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ..errors import WorkbookError
from .encoders import SAFE
from .exporting import is_exported_head

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def export_onnx(folder: str | Path, path: str | Path, int8: bool = False) -> Path:
    """Write a folder of `export_head` as an ONNX file; returns its path.

    Inputs `input_ids` and `attention_mask` (B P), int64; output `logits` (B P T). With `int8` the
    weights of matrix products are stored as 8-bit integers (dynamic quantization): a file of about
    a quarter, other logits, and so some other spans.

    Raises WorkbookError where a package is missing, and for a folder that is no exported head.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise WorkbookError(
            f"ONNX needs {', '.join(missing)}, which this environment lacks: "
            "pip install -c constraints.txt -e '.[onnx]'"
        )
    folder, path = Path(folder), Path(path)
    if not is_exported_head(folder):
        raise WorkbookError(
            f"{folder} is no exported head; write one with tagger.export_head(name, folder)"
        )
    with _quiet(), TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole.onnx" if int8 else path
        _write(folder, whole)
        if int8:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(whole, path, weight_type=QuantType.QInt8)
    return path


def _write(folder: Path, path: Path) -> None:
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(folder, **SAFE).eval()
    ids = torch.zeros(2, 8, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0  # with padding, so that the mask is part of the graph
    inputs = {"input_ids": ids, "attention_mask": mask}
    any_size = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    torch.onnx.export(
        model,
        kwargs=inputs,
        f=path,
        dynamic_shapes=dict.fromkeys(inputs, any_size),
        input_names=list(inputs),
        output_names=["logits"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of the exporter and the quantizer about their own code."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
