"""`torch.cuda.amp`: the older names. Without CUDA they warn and do nothing."""

from __future__ import annotations

import functools
import warnings

from gemel.torch import amp
from gemel.torch.dtypes import dtype, float16


def _renamed(kind: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{kind}(args...)` is deprecated. Please use "
        f"`torch.amp.{kind}('cuda', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(amp.autocast):
    """See torch.amp.autocast."""

    def __init__(self, enabled: bool = True, dtype: dtype = float16, cache_enabled: bool = True):
        _renamed("autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """See torch.amp.GradScaler."""

    def __init__(self, *args, **kwargs):
        _renamed("GradScaler")
        super().__init__("cuda", *args, **kwargs)


def custom_fwd(fwd=None, *, cast_inputs: dtype | None = None):
    """See torch.amp.custom_fwd."""
    if fwd is None:
        return functools.partial(custom_fwd, cast_inputs=cast_inputs)
    _renamed("custom_fwd")
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd):
    """See torch.amp.custom_bwd."""
    _renamed("custom_bwd")
    return amp.custom_bwd(bwd, device_type="cuda")
