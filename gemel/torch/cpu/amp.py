"""`torch.cpu.amp`: the older names."""

from __future__ import annotations

import warnings

from gemel.torch.amp import GradScaler as _GradScaler
from gemel.torch.amp import autocast as _autocast
from gemel.torch.dtypes import bfloat16, dtype


def _renamed(kind: str) -> None:
    warnings.warn(
        f"`torch.cpu.amp.{kind}(args...)` is deprecated. Please use "
        f"`torch.amp.{kind}('cpu', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(_autocast):
    """See torch.amp.autocast."""

    def __init__(self, enabled: bool = True, dtype: dtype = bfloat16, cache_enabled: bool = True):
        _renamed("autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(_GradScaler):
    """See torch.amp.GradScaler."""

    def __init__(self, *args, **kwargs):
        _renamed("GradScaler")
        super().__init__("cpu", *args, **kwargs)
