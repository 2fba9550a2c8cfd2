"""A tagger whose matrix products are in 8-bit integers, for a CPU without bf16."""

import copy
import warnings

import torch
from torch import nn

from ..errors import WorkbookError
from .ensemble import Ensemble
from .tagger import MultiTaskTagger


def quantized(tagger: MultiTaskTagger | Ensemble) -> MultiTaskTagger | Ensemble:
    """A copy for tagging only. Weights are rounded once, inputs of each product when it is made.

    *Dynamic quantization*: weights and inputs are integers from -128 to 127, and a scale for each
    tensor. Only the encoder's layers change; all else is in fp32, whatever precision is asked for.
    Measure on dev what it costs (notebook 85).

    Raises WorkbookError for a tagger on a GPU, and where this torch can't do it.
    """
    device = next(tagger.parameters()).device.type
    if device != "cpu":
        raise WorkbookError(f"int8 is for a CPU, and this tagger is on {device}: tagger.cpu()")
    twin = copy.deepcopy(tagger).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch plans to move this into another package
        try:
            from torch.ao.quantization import quantize_dynamic

            for member in getattr(twin, "members", [twin]):
                quantize_dynamic(member.encoder, {nn.Linear}, dtype=torch.qint8, inplace=True)
        except (ImportError, RuntimeError) as error:
            raise WorkbookError(
                f"this torch ({torch.__version__}) makes no int8 layers ({error}); tag in fp32"
            ) from None
    twin.is_quantized = True
    return twin
