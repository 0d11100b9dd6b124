"""Options of sessions and of the process. Except for threads they change nothing here."""

from __future__ import annotations

from . import config_threading as threading

__all__ = ["threading"]


class ConfigProto:
    """A session's options. A session that is made with `intra_op_parallelism_threads` sets the
    process's threads; the others are kept, without effect."""

    def __init__(self, **options):
        self.gpu_options = options.pop("gpu_options", None) or GPUOptions()
        self.options = options

    def __setattr__(self, name: str, value) -> None:
        object.__setattr__(self, name, value)


class GPUOptions:
    """Options of a GPU: kept, without effect."""

    def __init__(self, **options):
        self.allow_growth = options.get("allow_growth", False)
        self.per_process_gpu_memory_fraction = options.get("per_process_gpu_memory_fraction", 1.0)


class RunOptions:
    """Options of one run: kept, without effect."""

    def __init__(self, **options):
        self.options = options


class RunMetadata:
    """What a run would report; empty."""


def list_physical_devices(device_type: str | None = None) -> list:
    """The devices: none but the CPU is used."""
    return [] if device_type not in (None, "CPU") else [PhysicalDevice()]


class PhysicalDevice:
    name = "/physical_device:CPU:0"
    device_type = "CPU"

    def __repr__(self) -> str:
        return f"PhysicalDevice(name='{self.name}', device_type='{self.device_type}')"


def set_visible_devices(devices, device_type=None) -> None:
    """Accepted; there is one device."""


def set_soft_device_placement(enabled: bool) -> None:
    """Accepted; there is one device."""


def __getattr__(name: str):
    from ._missing import missing

    raise missing("config", name)
