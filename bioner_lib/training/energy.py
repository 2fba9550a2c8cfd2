"""Joules, where the device reports them."""

from pathlib import Path

_PACKAGES = Path("/sys/class/powercap")


def joules() -> float | None:
    """A counter of the energy used so far: of the GPU (library: pynvml), else of the CPU packages (RAPL), else None."""
    import torch

    if torch.cuda.is_available():
        try:
            import pynvml

            pynvml.nvmlInit()
            uuid = torch.cuda.get_device_properties(
                torch.cuda.current_device()
            ).uuid  # an index would mean another GPU to the driver
            return (
                pynvml.nvmlDeviceGetTotalEnergyConsumption(
                    pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
                )
                / 1000
            )
        except Exception:  # pynvml isn't installed, or the driver doesn't say
            return None
    try:
        counters = [
            int((package / "energy_uj").read_text()) for package in _PACKAGES.glob("intel-rapl:?")
        ]
    except OSError:  # for root only on most machines
        return None
    return sum(counters) / 1e6 if counters else None


def used(before: float | None, after: float | None) -> float | None:
    """The difference, or None where there is none or the counter turned over."""
    return after - before if before is not None and after is not None and after >= before else None
