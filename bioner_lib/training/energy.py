"""Joules, where the device reports them."""

from pathlib import Path

_PACKAGES = Path("/sys/class/powercap")


def joules() -> float | None:
    """A counter of used energy: of the GPU (library: pynvml), else of the CPU (RAPL), else None."""
    import torch

    return _gpu_joules() if torch.cuda.is_available() else _cpu_joules()


def _gpu_joules() -> float | None:
    import torch

    try:
        import pynvml

        pynvml.nvmlInit()
        # the driver numbers GPUs in another order than CUDA_VISIBLE_DEVICES does
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    except Exception:  # pynvml isn't installed, or the driver doesn't report energy
        return None


def _cpu_joules() -> float | None:
    try:
        packages = _PACKAGES.glob("intel-rapl:?")
        counters = [int((package / "energy_uj").read_text()) for package in packages]
    except OSError:  # only root may read them on most machines
        return None
    return sum(counters) / 1e6 if counters else None


def used(before: float | None, after: float | None) -> float | None:
    """The difference; None where a counter is missing or started anew."""
    if before is None or after is None or after < before:
        return None
    return after - before
