"""The precision that a processor multiplies natively, and the processor's name."""

import pytest
import torch

from bioner_lib.models import hardware
from bioner_lib.models.hardware import autocast_dtype, processor_name

AVX512 = "_is_avx512_bf16_supported"
AMX = "_is_amx_tile_supported"


@pytest.fixture
def machine(monkeypatch):
    """Makes torch see a processor without a GPU: its architecture and what it multiplies."""

    def see(architecture: str, onednn: bool, *features: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
        monkeypatch.setattr(hardware.platform, "machine", lambda: architecture)
        for name in (AVX512, AMX):
            monkeypatch.setattr(torch.cpu, name, lambda name=name: name in features)

    return see


@pytest.mark.parametrize(
    ("architecture", "onednn", "features", "dtype"),
    [
        ("x86_64", False, (), None),
        ("x86_64", True, (), None),  # AVX-512 alone: oneDNN emulates bf16, slower than fp32
        ("AMD64", True, (), None),
        ("x86_64", True, (AVX512,), torch.bfloat16),
        ("x86_64", True, (AVX512, AMX), torch.bfloat16),
        ("aarch64", True, (), torch.bfloat16),
        ("arm64", False, (), None),
    ],
)
def test_auto_takes_bf16_where_it_is_native(machine, architecture, onednn, features, dtype):
    machine(architecture, onednn, *features)
    assert autocast_dtype("auto") == dtype
    assert autocast_dtype("bf16") == torch.bfloat16
    assert autocast_dtype("fp32") is None


def test_a_processor_is_named_by_its_model(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "cpuinfo")
    assert processor_name()  # where there is no such file
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A Chip 9000\n", "utf-8")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert processor_name() == "A Chip 9000, AVX512"
