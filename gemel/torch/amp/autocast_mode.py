"""`torch.autocast`: inside it, calls of much work compute in a half type, losses in float32.

The state belongs to a thread, one entry per kind of device. That of "cpu" is a mode of the recorder
(`tensor/casting.py`), which casts operands by the lists of `cast_lists.py`; there are no other
devices, whose state is kept for those who ask.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Mapping

import numpy as np

from gemel.tensor.casting import casting, set_casting
from gemel.torch.dtypes import bfloat16, dtype, float16, float64
from gemel.torch.tensor import Tensor

from .cast_lists import CPU

_DEVICES = {
    "cpu": bfloat16, "cuda": float16, "xpu": float16, "mps": float16, "hpu": bfloat16,
    "ipu": float16, "xla": bfloat16, "mtia": bfloat16, "maia": bfloat16,
}  # fmt: skip
_HALF = (bfloat16, float16)


class _State(threading.local):
    """Of one thread: what is enabled, in which type, and how deep blocks are nested."""

    def __init__(self):
        self.enabled = dict.fromkeys(_DEVICES, False)
        self.dtypes = dict(_DEVICES)
        self.cached = True
        self.depth = 0


_STATE = _State()


def _device(name: str, device_type) -> str:
    if not isinstance(device_type, str):
        raise TypeError(
            f"{name}(): argument 'device_type' (position 1) must be str, not "
            f"{type(device_type).__name__}"
        )
    if device_type not in _DEVICES:
        raise RuntimeError(f"unknown device type for autocast in {name}: '{device_type}'")
    return device_type


def is_autocast_available(device_type: str) -> bool:
    """Can there be an autocast for this kind of device?"""
    return device_type in _DEVICES


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Is autocast on for this kind of device?"""
    return _STATE.enabled[_device("is_autocast_enabled", device_type)]


def set_autocast_enabled(device_type, enabled: bool | None = None) -> None:
    """Switch it; with one argument, that of "cuda"."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    _STATE.enabled[_device("set_autocast_enabled", device_type)] = bool(enabled)
    _apply()


def get_autocast_dtype(device_type: str) -> dtype:
    """The lower type of this kind of device."""
    return _STATE.dtypes[_device("get_autocast_dtype", device_type)]


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """Change the lower type of this kind of device."""
    _STATE.dtypes[_device("set_autocast_dtype", device_type)] = dtype
    _apply()


def _apply() -> None:
    lower = _STATE.dtypes["cpu"]
    on = _STATE.enabled["cpu"] and lower in _HALF
    set_casting(casting(lower.engine, CPU) if on else None)


def is_autocast_cpu_enabled() -> bool:
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> dtype:
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: dtype) -> None:
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> dtype:
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: dtype) -> None:
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled() -> bool:
    return _STATE.cached


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Kept for those who ask: equal casts of a program are one in any case."""
    _STATE.cached = bool(enabled)


def autocast_increment_nesting() -> int:
    _STATE.depth += 1
    return _STATE.depth


def autocast_decrement_nesting() -> int:
    _STATE.depth -= 1
    return _STATE.depth


def clear_autocast_cache() -> None:
    """Nothing to do: casts are values of a program, which nobody holds afterwards."""


class autocast:
    """Context manager and decorator: calls inside compute in the types of the cast lists.

    device_type     "cpu" here; for others the state is kept, and nothing is cast
    dtype           bfloat16 or float16; default: `get_autocast_dtype(device_type)`
    enabled         False ends an outer autocast inside
    cache_enabled   may casts of weights be shared (they are, within a program)

    Raises RuntimeError for an unknown kind of device; warns and stays off for other types.
    """

    def __init__(self, device_type: str, dtype: dtype | None = None, enabled: bool = True,
                 cache_enabled: bool | None = None):  # fmt: skip
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(
                f"User specified an unsupported autocast device_type '{device_type}'"
            )
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = _STATE.cached if cache_enabled is None else cache_enabled
        self._enabled = bool(enabled) and self._possible()
        self._before: list[tuple] = []

    def _possible(self) -> bool:
        if self.device == "cuda":
            text = "CUDA is not available or torch_xla is imported. Disabling autocast."
        elif self.fast_dtype not in _HALF:
            text = (
                f"In {self.device.upper()} autocast, but the target dtype is not supported. "
                f"Disabling autocast.\n{self.device.upper()} Autocast only supports dtypes of "
                "torch.bfloat16, torch.float16 currently."
            )
        else:
            return True
        warnings.warn(text, stacklevel=4)
        return False

    def _set(self, enabled: bool, lower: dtype, cached: bool) -> None:
        _STATE.enabled[self.device] = enabled
        _STATE.dtypes[self.device] = lower
        _STATE.cached = cached
        _apply()

    def __enter__(self) -> autocast:
        now = (_STATE.enabled[self.device], _STATE.dtypes[self.device], _STATE.cached)
        self._before.append(now)
        autocast_increment_nesting()
        self._set(self._enabled, self.fast_dtype, self._cache_enabled)
        return self

    def __exit__(self, *error) -> None:
        autocast_decrement_nesting()
        self._set(*self._before.pop())

    def __call__(self, func):
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you "
                "mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n"
                "        output = model(input)"
            )

        @functools.wraps(func)
        def decorate_autocast(*args, **kwargs):
            with self:
                return func(*args, **kwargs)

        return decorate_autocast


# ---------- functions with a backward of their own ----------
def _cast(value, device_type: str, lower: dtype):
    """Tensors inside containers, in another type; those of float64 stay."""
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.dtype is not float64
        return value.to(lower) if fits and value.device.type == device_type else value
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        pairs = value.items()
        return {_cast(k, device_type, lower): _cast(v, device_type, lower) for k, v in pairs}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(v, device_type, lower) for v in value)
    return value


def custom_fwd(fwd=None, *, device_type: str, cast_inputs: dtype | None = None):
    """Decorator of `Function.forward`: with `cast_inputs`, under autocast its tensors are cast to
    that type and autocast is off inside."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorate_fwd(*args, **kwargs):
        on = is_autocast_enabled(device_type)
        args[0]._dtype = get_autocast_dtype(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            given = _cast(args[1:], device_type, cast_inputs)
            return fwd(args[0], *given, **_cast(kwargs, device_type, cast_inputs))

    return decorate_fwd


def custom_bwd(bwd=None, *, device_type: str):
    """Decorator of `Function.backward`: it runs in the autocast state of its forward."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorate_bwd(*args, **kwargs):
        used, lower = args[0]._fwd_used_autocast, args[0]._dtype
        with autocast(device_type, enabled=used, dtype=lower):
            return bwd(*args, **kwargs)

    return decorate_bwd
