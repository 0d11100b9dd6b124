"""New tensors of numbers in sequence: arange, linspace, logspace, eye, positions of triangles."""

from __future__ import annotations

import builtins
import math

from gemel.graph.form import complex128, float64, int64
from gemel.ops import indexing, movement, ordering, scattered
from gemel.ops.elementwise import NOT, cast, lt, where
from gemel.ops.record import Call
from gemel.tensor import fill, record_n

from . import dtypes
from .creation import _finished, _type
from .device import check_device
from .dtypes import engine_dtype
from .size import as_int
from .tensor import Tensor


def _steps(attrs, start, step):
    """start + i * step, computed in double precision or in integers."""
    count, dtype = attrs
    wide = int64 if dtype.kind in "ui" and start.dtype is int64 else float64
    place = movement.arange(count, wide)
    return cast(cast(start, wide) + place * cast(step, wide), dtype)


ARANGE = Call("arange", _steps, False)


def _numbers(*given):
    return [x.item() if hasattr(x, "item") else x for x in given]


def _check_range(start, end, step) -> None:
    """RuntimeError where the steps do not lead from start to end."""
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if any(isinstance(x, float) and not math.isfinite(x) for x in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def arange(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False,
           layout=None, pin_memory=False) -> Tensor:  # fmt: skip
    """start, start + step, ... below end; int64 where all three are integers."""
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = _numbers(start, end, step)
    _check_range(start, end, step)
    whole = not any(isinstance(x, float) for x in (start, end, step))
    held = engine_dtype(dtype) if dtype is not None else int64 if whole else _type(None)
    if held.kind == "b":
        raise NotImplementedError("\"arange_cpu\" not implemented for 'Bool'")
    span = None
    if held.kind in "ui" and not whole:
        if held is not int64:  # counted before the numbers are cut off
            span = math.ceil((end - start) / step)
        start, end, step = int(start), int(end), int(step)
        whole = True
        if step == 0:
            raise ValueError("step must be nonzero")
    if span is None:
        span = -((start - end) // step) if whole else math.ceil((end - start) / step)
    numbers = [int(x) for x in (start, step)] if whole else [float(x) for x in (start, step)]
    made = record_n(ARANGE, Tensor, numbers, (int(span), held))
    return _finished(made, requires_grad)


def range(start, end, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """start, start + step, ... up to end, which belongs to it (an older form of `arange`)."""
    check_device(device)
    start, end, step = _numbers(start, end, step)
    _check_range(start, end, step)
    count = int(math.floor((end - start) / step)) + 1
    numbers = [float(x) for x in (start, step)]
    made = record_n(ARANGE, Tensor, numbers, (count, _type(dtype, device)))
    return _finished(made, requires_grad)


def _between(attrs, start, end):
    """Equal steps, counted from the nearer end so that the last value is exact."""
    count, dtype = attrs
    wide = complex128 if dtype.is_complex else float64
    start, end = cast(start, wide), cast(end, wide)
    if count == 1:
        return cast(movement.reshape(start, (1,)), dtype)
    place = movement.arange(count, float64)
    step = (end - start) / float(max(count - 1, 1))
    near = lt(place, float(count // 2))
    back = cast(float(count - 1) - place, wide)
    return cast(where(near, start + cast(place, wide) * step, end - back * step), dtype)


LINSPACE = Call("linspace", _between, False)


def _ends(name: str, start, end, steps) -> tuple:
    """start and end as Python numbers, and the number of steps."""
    ranks = [x.form.ndim if isinstance(x, Tensor) else 0 for x in (start, end)]
    if any(ranks):
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with "
            f"{ranks[0]} dimension(s) and end with {ranks[1]} dimension(s)."
        )
    if isinstance(steps, float):
        kinds = ", ".join(type(x).__name__ for x in (start, end, steps))
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({kinds}), but expected "
            "an int for steps"
        )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return (*_numbers(start, end), as_int(steps))


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False,
             layout=None, pin_memory=False) -> Tensor:  # fmt: skip
    """`steps` values from start to end, both included, at equal distances."""
    start, end, steps = _ends("linspace", start, end, steps)
    kind = complex if complex in (type(start), type(end)) else float
    if dtype is None and kind is complex:
        dtype = dtypes.get_default_dtype().to_complex()
    numbers = [kind(x) for x in (start, end)]
    made = record_n(LINSPACE, Tensor, numbers, (steps, _type(dtype, device)))
    return _finished(made, requires_grad)


def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False,
             layout=None, pin_memory=False) -> Tensor:  # fmt: skip
    """base to the power of equally spaced exponents."""
    start, end, steps = _ends("logspace", start, end, steps)
    exponents = linspace(start, end, steps, dtype=dtypes.float64, device=device)
    return _finished((float(base) ** exponents).to(dtypes.FACE[_type(dtype)]), requires_grad)


EYE = Call("eye", lambda attrs: ordering.identity(*attrs), False)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, layout=None,
        pin_memory=False) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n x m matrix (m defaults to n)."""
    m = n if m is None else m
    for name, size in (("n", n), ("m", m)):
        if size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return _finished(record_n(EYE, Tensor, (), (n, m, _type(dtype, device))), requires_grad)


def _triangle_indices(name: str, lower: bool):
    def expand(attrs):
        rows, columns, offset, count, dtype = attrs
        lines = movement.reshape(movement.iota((rows, columns), 0, int64), (rows * columns,))
        places = movement.reshape(movement.iota((rows, columns), 1, int64), (rows * columns,))
        beyond = lt(lines + offset, places) if lower else lt(places, lines + offset)
        at = scattered.first_places(NOT(beyond), count, 0)
        picked = [cast(indexing.gather(x, at, 0), dtype) for x in (lines, places)]
        return movement.stack(picked, 0)

    call = Call(name, expand, False)

    def function(row, col, offset=0, *, dtype=None, layout=None, device=None, pin_memory=False):
        check_device(device)
        for side, n in (("row", row), ("col", col)):
            if n < 0:
                raise RuntimeError(f"{side} must be non-negative, got{n}")
        held = int64 if dtype is None else engine_dtype(dtype)
        count = _below(row, col, offset) if lower else row * col - _below(row, col, offset - 1)
        if not count:
            return fill((2, 0), 0, held, Tensor)
        return record_n(call, Tensor, (), (row, col, offset, count, held))

    function.__name__ = function.__qualname__ = name
    which = "lower" if lower else "upper"
    function.__doc__ = f"Row and column numbers of the {which} triangle, one row of each."
    return function


def _below(rows: int, columns: int, offset: int) -> int:
    """How many cells of a matrix lie on or below a diagonal."""
    return sum(min(max(end, 0), columns) for end in builtins.range(offset + 1, offset + 1 + rows))


tril_indices = _triangle_indices("tril_indices", True)
triu_indices = _triangle_indices("triu_indices", False)
