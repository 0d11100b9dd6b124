"""`vmap`: a function of one example becomes a function of many.

The function runs once, on tensors of one example; what it records is batched as a graph. Python
sees no values inside, so control flow cannot depend on them.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from math import ceil

from gemel import tensor as lazy
from gemel.tensor.errors import LaneWrite, RandomInLanes, TraceBreak
from gemel.tensor.lanes import run_in_lanes

from ..autograd.levels import level
from ..joining import cat
from ..tensor import Tensor
from .trees import Spec, broadcast, flatten, unflatten

_ISSUES = "https://github.com/pytorch/pytorch/issues"
_RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)
_ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling "
    ".item() on a Tensor, please try to rewrite what you're doing with other operations. If error "
    "is occurring somewhere inside PyTorch internals, please file a bug report."
)
_CONTROL = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We "
    f"don't support that yet, please file an issue at {_ISSUES} ."
)
_STORAGE = "Cannot access data pointer of Tensor that doesn't have storage"
_LOOKS = {"item": _ITEM, "__bool__": _CONTROL, "is_nonzero": _CONTROL, "numpy": _STORAGE,
          "tolist": _STORAGE, "__array__": _STORAGE, "__float__": _ITEM, "__int__": _ITEM,
          "__index__": _ITEM}  # fmt: skip


def name_of(func) -> str:
    """How messages call a function."""
    if isinstance(func, functools.partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return getattr(func, "__name__", None) or repr(func)


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None) -> Callable:
    """`func` over an axis of its inputs.

    in_dims     the axis of each input: one number, or numbers in a tuple (or deeper) as the inputs
                are; None: the same value for all
    out_dims    where the axis goes in each output
    randomness  'error', 'same' numbers for all, or 'different' ones for each
    chunk_size  so many at a time
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def run(*args, **options):
        flat, spec = flatten(args)
        dims = _in_dims(func, in_dims, args, flat, spec)
        size = _size(flat, dims)
        mapped = _Mapped(func, out_dims, randomness, spec, options)
        if chunk_size is None or chunk_size >= size:
            return mapped(flat, dims, size)
        return _in_chunks(mapped, flat, dims, size, chunk_size)

    return run


def _in_dims(func, in_dims, args: tuple, flat: list, spec: Spec) -> list:
    """The axis of each flat input, counted from the front; None for a shared one."""
    name = name_of(func)
    head = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{head}expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    dims = broadcast(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{head}in_dims is not compatible with the structure of `inputs`. in_dims has "
            f"structure {flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    return [_in_dim(head, x, d) for x, d in zip(flat, dims, strict=True)]


def _in_dim(head: str, x, dim) -> int | None:
    if dim is not None and not isinstance(dim, int):
        raise ValueError(
            f"{head}Got in_dim={dim} for an input but in_dim must be either an integer dimension "
            "or None."
        )
    if dim is None:
        return None
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{head}Got in_dim={dim} for an input but the input is of type {type(x)}. We cannot "
            "vmap over non-Tensor arguments, please use None as the respective in_dim"
        )
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(
            f"{head}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality "
            f"{x.ndim} so expected in_dim to satisfy -{x.ndim} <= in_dim < {x.ndim}."
        )
    return dim % x.ndim


def _size(flat: list, dims: list) -> int:
    sizes = [x.form.shape[d] for x, d in zip(flat, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return sizes[0]


def front(x: Tensor, dim: int) -> Tensor:
    """x with this axis in front."""
    if dim == 0:
        return x
    order = (dim, *(d for d in range(x.form.ndim) if d != dim))
    return lazy.look(x, ("permute", order))


class _Mapped:
    """A function with all but its tensors and their number given."""

    def __init__(self, func, out_dims, randomness: str, spec: Spec, options: dict):
        self.func = func
        self.name = name_of(func)
        self.out_dims = out_dims
        self.randomness = randomness
        self.spec = spec
        self.options = options

    def __call__(self, flat: list, dims: list, size: int):
        made, many, out, spec = self.lanes(flat, dims, size)
        places = self._places(out, spec)
        rows = zip(made, many, places, strict=True)
        return unflatten([self._placed(x, m, p, size) for x, m, p in rows], spec)

    def lanes(self, flat: list, dims: list, size: int):
        """(results with lanes in front, have they?, what the function gave, its structure)."""
        tensors = [k for k, x in enumerate(flat) if isinstance(x, Tensor)]
        given = [flat[k] if dims[k] is None else front(flat[k], dims[k]) for k in tensors]
        many = [dims[k] is not None for k in tensors]
        seen: list = []

        def one(*lanes: Tensor) -> list:
            here = list(flat)
            for k, x in zip(tensors, lanes, strict=True):
                here[k] = x
            result = self.func(*unflatten(here, self.spec), **self.options)
            seen.extend(flatten(result))
            return [x for x in seen[0] if isinstance(x, Tensor)]

        with level("vmap"), reworded():
            found = run_in_lanes(one, given, many, size, self.randomness)
        out, spec = seen
        rest = iter(found)
        rows = [next(rest) if isinstance(x, Tensor) else (x, False) for x in out]
        return [x for x, _ in rows], [m for _, m in rows], out, spec

    def _places(self, out: list, spec: Spec) -> list:
        """Where the lanes go in each output."""
        dims = self.out_dims
        if spec.kind is None and isinstance(dims, tuple) and len(dims) == 1:
            dims = dims[0]
        ok = [d is None or isinstance(d, int) for d in flatten(dims)[0]]
        if not all(ok):
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims}): `out_dims` must be an int, "
                "None or a python collection of ints representing where in the outputs the "
                "vmapped dimension should appear."
            )
        places = broadcast(dims, spec)
        if places is None:
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not "
                f"compatible with the structure of `outputs`. out_dims has structure "
                f"{flatten(self.out_dims)[1]} but outputs has structure {spec}."
            )
        return places

    def _placed(self, x, many: bool, place, size: int):
        if not isinstance(x, Tensor):
            if place is None:
                return x
            raise ValueError(
                f"vmap({self.name}, ...): `{self.name}` must only return Tensors, got type "
                f"{type(x)}. Did you mean to set out_dims= to None for output?"
            )
        if place is None:
            if not many:
                return x
            raise ValueError(
                f"vmap({self.name}, ...): `{self.name}` can not return a BatchedTensor when "
                "out_dim is None"
            )
        if not many:
            x = lazy.look(x, ("reshape", (1, *x.form.shape)), ("expand", (size, *x.form.shape)))
        rank = x.form.ndim
        if not -rank <= place < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but "
                f"got {place})"
            )
        return x if place % rank == 0 else x.movedim(0, place)


def _in_chunks(mapped: _Mapped, flat: list, dims: list, size: int, chunk: int):
    """Some lanes after the others."""
    parts = []
    for k in range(ceil(size / chunk)):
        start, stop = k * chunk, min(size, (k + 1) * chunk)
        here = [
            x if d is None else x.narrow(d, start, stop - start)
            for x, d in zip(flat, dims, strict=True)
        ]
        parts.append(mapped(here, dims, stop - start))
    leaves = [flatten(p)[0] for p in parts]
    spec = flatten(parts[0])[1]
    places = broadcast(mapped.out_dims, spec) or [0] * spec.leaves
    rows = zip(zip(*leaves, strict=True), places, strict=True)
    return unflatten([xs[0] if p is None else cat(xs, p) for xs, p in rows], spec)


class reworded:
    """Errors of a function in lanes, in PyTorch's words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, RandomInLanes):
            raise RuntimeError(_RANDOM) from None
        if isinstance(error, LaneWrite):
            raise RuntimeError(
                "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists "
                "a Tensor `other` in extra_args that has more elements than `self`. This happened "
                "due to `other` being vmapped over but `self` not being vmapped over in a vmap. "
                "Please try to use out-of-place operators instead of inplace arithmetic."
            ) from None
        if isinstance(error, TraceBreak):
            raise RuntimeError(_observed(trace)) from error


def _observed(trace) -> str:
    """What a function did that looked at a value, from where it did so."""
    ours = [f.name for f in traceback.extract_tb(trace) if "/gemel/torch/" in f.filename]
    for name in ours:
        if name in _LOOKS:
            return _LOOKS[name]
    asked = [n for n in ours if not n.startswith(("_", "run", "one", "lanes"))]
    what = f"aten::{asked[-1]}" if asked else "an operation"
    return (
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to "
        f"vmap over {what}. Please file an issue at {_ISSUES} if you need this feature."
    )
