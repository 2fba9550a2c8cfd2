"""ONNX files of exported heads: the same logits in onnxruntime."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import tagger_for
from tiny_encoders import make_encoder
from transformers import AutoModelForTokenClassification

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.models import export_onnx
from bioner_lib.models.onnx_export import _PACKAGES

MISSING = [name for name in _PACKAGES if find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed")


@pytest.fixture(params=["bert", "roberta"])
def folder(request, tmp_path) -> Path:
    encoder = make_encoder(request.param, tmp_path / "encoder")
    tagger = tagger_for(str(encoder), [load_corpus("sample")])
    return tagger.export_head("Gene", tmp_path / "gene")


def logits_of_both(folder, path, shape):
    """torch's and onnxruntime's logits of a batch whose last sentence is half as long."""
    from onnxruntime import InferenceSession

    ids = torch.randint(5, 300, shape, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[-1, shape[1] // 2 :] = 0
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask).logits
    inputs = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    (found,) = InferenceSession(path).run(None, inputs)
    return expected[mask.bool()].numpy(), found[mask.bool().numpy()]


@needs_onnx
def test_onnxruntime_computes_the_same_logits(folder, tmp_path):
    path = export_onnx(folder, tmp_path / "gene.onnx")
    for shape in ((1, 12), (3, 100)):
        expected, found = logits_of_both(folder, path, shape)
        assert np.allclose(found, expected, atol=1e-5)


@needs_onnx
def test_int8_gives_a_smaller_file_and_nearly_the_same_logits(folder, tmp_path):
    whole = export_onnx(folder, tmp_path / "whole.onnx")
    small = export_onnx(folder, tmp_path / "small.onnx", int8=True)
    assert small.stat().st_size < 0.8 * whole.stat().st_size
    expected, found = logits_of_both(folder, small, (3, 100))
    difference = np.abs(found - expected).max()
    assert 0 < difference < 0.1 * np.abs(expected).max()


@needs_onnx
def test_a_folder_that_is_no_exported_head_is_refused(tiny, tmp_path):
    tagger_for(tiny, [load_corpus("sample")]).save_pretrained(tmp_path / "model")
    with pytest.raises(WorkbookError, match=r"is no exported head; .*tagger\.export_head"):
        export_onnx(tmp_path / "model", tmp_path / "model.onnx")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("bioner_lib.models.onnx_export.find_spec", lambda name: None)
    with pytest.raises(WorkbookError, match=r"ONNX needs onnx, onnxruntime.*\.\[onnx\]"):
        export_onnx(tmp_path, tmp_path / "a.onnx")
