"""`torch.cpu`: what a program asks about the one device there is."""

from __future__ import annotations

import importlib as _importlib


def is_available() -> bool:
    return True


def device_count() -> int:
    return 1


def current_device() -> str:
    return "cpu"


def synchronize(device=None) -> None:
    """Results are waited for where they are looked at."""


def __getattr__(name):
    if name == "amp":
        return _importlib.import_module(".amp", __name__)
    raise AttributeError(
        f"module 'torch.cpu' has no attribute '{name}' in Gemel; run `gemel coverage torch` to "
        "see what there is"
    )
