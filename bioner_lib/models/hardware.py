"""What the machine computes with: its processor, and the precision of its matrix products."""

import platform
import re
from pathlib import Path

import torch

_CPUINFO = Path("/proc/cpuinfo")
_X86 = ("x86_64", "AMD64")


def autocast_dtype(precision: str) -> torch.dtype | None:
    """The type of matrix products: bf16, or None for fp32.

    "auto" takes bf16 where the hardware multiplies it natively.
    """
    if precision == "auto":
        precision = "bf16" if _has_bf16() else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


def processor_name() -> str:
    """The processor's model with its widest vectors, "Intel(R) Xeon(R) Processor, AVX512"."""
    try:
        name = re.search(r"model name\s*:\s*(.+)", _CPUINFO.read_text(encoding="utf-8"))[1]
    except (OSError, TypeError):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def device_name() -> str:
    """The GPU's name; without one, the processor's."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name()


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    # on x86, oneDNN also says yes to AVX-512 without bf16 products, and emulates them: a quarter of
    # fp32's speed
    return platform.machine() not in _X86 or (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
