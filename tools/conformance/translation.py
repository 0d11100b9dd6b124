"""PyTorch's values and functions as Gemel's.

Values: tensors keep their strides, offset and need of a gradient; containers are walked. Functions:
PyTorch's own are found by the path under which they are public; the small wrappers that the
database defines around them are made again with `gemel.torch` in the place of `torch`.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.testing._internal.opinfo.core import OpInfo

import gemel.torch as ours

_PLACES = (
    "torch", "torch.nn.functional", "torch.linalg", "torch.fft", "torch.special", "torch.masked",
    "torch.signal.windows", "torch.random", "torch.nn.init", "torch.Tensor",
)  # fmt: skip
_LIKE_FLOAT = {torch.bfloat16: torch.float32}


class Missing(Exception):
    """Gemel has no such name."""


# ---------- values ----------
# Of the values that are translated together: a storage's place -> its memory, and a tensor's id ->
# itself and Gemel's.
_BASES: dict[int, Any] = {}
_TWINS: dict[int, tuple] = {}


@contextmanager
def together() -> Iterator[None]:
    """Tensors translated inside share memory where PyTorch's do."""
    _BASES[0] = None
    try:
        yield
    finally:
        _BASES.clear()
        _TWINS.clear()


def to_ours(x: Any) -> Any:
    """A value of the database as Gemel has it."""
    if isinstance(x, torch.Tensor):
        return tensor_to_ours(x)
    if isinstance(x, torch.dtype | torch.device | torch.memory_format | torch.layout):
        return _named(x)
    if isinstance(x, torch.Size):
        return ours.Size(x)
    if isinstance(x, torch.Generator):
        made = ours.Generator()
        made.set_state(to_ours(x.get_state()))
        return made
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(to_ours, x))
    if isinstance(x, list | tuple | set):
        return type(x)(map(to_ours, x))
    if isinstance(x, dict):
        return {k: to_ours(v) for k, v in x.items()}
    if isinstance(x, slice):
        return slice(*map(to_ours, (x.start, x.stop, x.step)))
    if isinstance(x, types.FunctionType | types.BuiltinFunctionType | functools.partial):
        return function_to_ours(x)
    return _module(x) if isinstance(x, torch.nn.Module) else x


def _module(x: torch.nn.Module) -> Any:
    """A layer without parameters, with the same settings."""
    made = ours_at(f"nn.{type(x).__name__}")()
    made.__dict__.update({k: v for k, v in vars(x).items() if not k.startswith("_")})
    return made


def _named(x) -> Any:
    """A dtype, device, layout or memory format by its name."""
    if isinstance(x, torch.device):
        return ours.device(str(x))
    name = str(x).removeprefix("torch.")
    if not hasattr(ours, name):
        raise Missing(f"torch.{name}")
    return getattr(ours, name)


def tensor_to_ours(x: torch.Tensor) -> Any:
    """The same values, strides, offset and need of a gradient; memory of its own."""
    if x.layout is not torch.strided or x.is_quantized or x.is_nested:
        raise Missing(f"{x.layout} tensors")
    if x.device.type != "cpu":
        raise Missing(f"device {x.device.type}")
    if not _BASES:
        return _translated(x)
    return _TWINS.setdefault(id(x), (x, _translated(x)))[1]


def _translated(x: torch.Tensor) -> Any:
    plain = x.detach().resolve_conj().resolve_neg()
    larger = plain.untyped_storage().nbytes() > plain.numel() * plain.itemsize
    if plain.numel() and (_BASES or larger or not plain.is_contiguous()):
        found = _strided(plain)
    else:
        found = _dense(plain)
    return found.requires_grad_(True) if x.requires_grad else found


def _strided(x: torch.Tensor) -> Any:
    """A view of a whole storage."""
    place = x.untyped_storage().data_ptr()
    base = _BASES.get(place)
    if base is None or base.dtype != _named(x.dtype):
        base = _dense(torch.empty(0, dtype=x.dtype).set_(x.untyped_storage()))
    if _BASES:
        _BASES[place] = base
    return ours.as_strided(base, tuple(x.shape), x.stride(), x.storage_offset()).detach()


def _dense(x: torch.Tensor) -> Any:
    wide = _LIKE_FLOAT.get(x.dtype)
    if wide is not None:
        return ours.from_numpy(x.to(wide).numpy().copy()).to(_named(x.dtype))
    return ours.from_numpy(x.numpy().copy())


def to_torch(x: Any) -> Any:
    """A result of Gemel as PyTorch has it."""
    if isinstance(x, ours.Tensor):
        x = x.detach()
        name = str(x.dtype).removeprefix("torch.")
        if name == "bfloat16":
            return torch.from_numpy(x.to(ours.float32).numpy().copy()).to(torch.bfloat16)
        return torch.from_numpy(np.array(x.numpy(), copy=True))
    if isinstance(x, list | tuple):
        return [to_torch(v) for v in x]
    if isinstance(x, dict):
        return {k: to_torch(v) for k, v in x.items()}
    if isinstance(x, ours.dtype):
        return getattr(torch, str(x).removeprefix("torch."))
    return x


# ---------- functions ----------
@cache
def _paths() -> dict[int, str]:
    """Where PyTorch's functions are public: id -> path."""
    found: dict[int, str] = {}
    for place in _PLACES:
        holder = _walk(torch, place.removeprefix("torch").strip("."))
        for name in sorted(dir(holder), key=lambda n: n.startswith("_")):
            value = getattr(holder, name, None)
            if callable(value):
                found.setdefault(id(value), f"{place}.{name}".removeprefix("torch."))
    return found


def _walk(holder: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        holder = getattr(holder, name)
    return holder


def ours_at(path: str) -> Any:
    """Gemel's value of that path under `torch`. Raises Missing."""
    try:
        return _walk(ours, path)
    except AttributeError:
        raise Missing(f"torch.{path}") from None


def function_to_ours(f: Any) -> Any:
    """Gemel's function for one of PyTorch's or of the database. Raises Missing."""
    if isinstance(f, functools.partial):
        made = function_to_ours(f.func)
        return functools.partial(made, *map(to_ours, f.args), **to_ours(f.keywords))
    path = _paths().get(id(f))
    if path is not None:
        return ours_at(path)
    if isinstance(f, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        return ours_at("ops." + str(f))
    if isinstance(f, types.FunctionType):
        if f.__name__ == "wrapper_set_seed":
            return _seeded
        return _again(f) if ".testing." in f.__module__ else ours_at(_public(f))
    if isinstance(f, types.BuiltinFunctionType | types.MethodDescriptorType):
        return _builtin(f)
    raise Missing(repr(f))


def _seeded(f, *args, **kwargs):
    """What the database wraps around random functions."""
    ours.manual_seed(42)
    return f(*args, **kwargs)


def _public(f: types.FunctionType) -> str:
    """The path of a function whose module is not where users find it."""
    return f"{f.__module__}.{f.__qualname__}".removeprefix("torch.")


def _builtin(f) -> Any:
    owner = getattr(f, "__objclass__", None)
    if owner is not None and not issubclass(torch.Tensor, owner):
        return f
    module = (getattr(f, "__module__", None) or "torch").replace("torch._C._", "torch.")
    if owner is None and not module.startswith("torch"):
        return f
    return ours_at("Tensor." + f.__name__ if owner else f"{module}.{f.__name__}"[6:])


@cache
def _again(f: types.FunctionType) -> types.FunctionType:
    """A function of the database, with Gemel's functions in its globals and cells."""
    known = {n: _global(f.__globals__[n]) for n in _names(f.__code__) if n in f.__globals__}
    seen = {**known, "__builtins__": f.__globals__["__builtins__"]}
    cells = tuple(types.CellType(_global(c.cell_contents)) for c in f.__closure__ or ())
    made = types.FunctionType(f.__code__, seen, f.__name__, f.__defaults__, cells or None)
    made.__kwdefaults__ = f.__kwdefaults__
    return made


def _names(code: types.CodeType) -> set[str]:
    """All names that a function and those inside of it mention."""
    inner = [_names(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)


def _global(value: Any) -> Any:
    if isinstance(value, types.ModuleType):
        name = value.__name__
        if name == "torch" or name.startswith("torch."):
            return ours if name == "torch" else ours_at(name.removeprefix("torch."))
        return value
    if isinstance(value, type):
        path = f"{value.__module__}.{value.__name__}"
        known = getattr(sys.modules.get("torch"), value.__name__, None) is value
        return ours_at(value.__name__) if known and path.startswith("torch") else value
    if isinstance(value, OpInfo):
        return value
    if callable(value) and (getattr(value, "__module__", None) or "torch").startswith("torch"):
        return function_to_ours(value)
    return to_ours(value)
