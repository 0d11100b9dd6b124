"""`torch.cuda` on a machine without a GPU: a program may ask, seed and synchronise."""

from __future__ import annotations

import importlib as _importlib


def is_available() -> bool:
    return False


def is_initialized() -> bool:
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    return False


def device_count() -> int:
    return 0


def manual_seed(seed: int) -> None:
    """There is no generator to seed."""


def manual_seed_all(seed: int) -> None:
    """There is no generator to seed."""


def empty_cache() -> None:
    """There is no memory of a device."""


def synchronize(device=None) -> None:
    """There is nothing to wait for."""


def __getattr__(name):
    if name == "amp":
        return _importlib.import_module(".amp", __name__)
    raise AttributeError(
        f"module 'torch.cuda' has no attribute '{name}' in Gemel: there is no GPU here; run "
        "`gemel coverage torch` to see what there is"
    )
