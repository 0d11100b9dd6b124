"""Ops of `keras.ops` that make tensors from shapes and numbers."""

from __future__ import annotations

from math import prod

import numpy as np
from keras.src.backend import config

from gemel import tensor as lazy
from gemel.graph.form import bool_, int64
from gemel.ops import elementwise as E
from gemel.ops import movement as M
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.record import Call

from .tensors import (
    CONSTANT,
    NUMBERS,
    apply,
    convert_to_tensor,
    dtype_of,
    result_dtype,
    spelled,
    spoken,
    tensor,
    tensor_class,
    to_dtype,
)

SMALL = 4096  # values: more than that is filled by a program


def sizes(given) -> tuple[int, ...]:
    """A shape: an int, or a sequence of ints (tensors with one value count)."""
    if isinstance(given, lazy.Tensor):
        given = lazy.array_of(given)
    if isinstance(given, np.ndarray):
        return tuple(int(n) for n in given.reshape(-1))
    if hasattr(given, "__index__"):
        return (given.__index__(),)
    return tuple(int(n) for n in given)


def _number(text: str):
    return float.fromhex(text) if "x" in text or "n" in text else int(text)


def _filled(shape, text: str, dtype) -> lazy.Tensor:
    shape = sizes(shape)
    if prod(shape) <= SMALL and not lazy.tracing():
        # a value from outside: there is no program to find or to make
        number = text == "True" if text[0] in "TF" else _number(text)
        array = np.full(shape, number).astype(dtype.numpy)
        return lazy.from_array(array, tensor_class())
    return lazy.record_n(CONSTANT, tensor_class(), (), (shape, text, dtype))


def zeros(shape, dtype=None) -> lazy.Tensor:
    return _filled(shape, "0", dtype_of(dtype or config.floatx()))


def ones(shape, dtype=None) -> lazy.Tensor:
    return _filled(shape, "1", dtype_of(dtype or config.floatx()))


empty = zeros


def full(shape, fill_value, dtype=None) -> lazy.Tensor:
    dtype = dtype_of(dtype or config.floatx())
    if type(fill_value) in NUMBERS:
        return _filled(shape, spelled(fill_value), dtype)
    return to_dtype(broadcast_to(tensor(fill_value), sizes(shape)), dtype)


def _like(x, dtype):
    x = tensor(x)
    return x.form.shape, x.form.dtype.name if dtype is None else dtype


def zeros_like(x, dtype=None) -> lazy.Tensor:
    return zeros(*_like(x, dtype))


def ones_like(x, dtype=None) -> lazy.Tensor:
    return ones(*_like(x, dtype))


empty_like = zeros_like


def full_like(x, fill_value, dtype=None) -> lazy.Tensor:
    shape, dtype = _like(x, dtype)
    return full(shape, fill_value, dtype)


_EXPAND = Call("broadcast_to", lambda attrs, x: M.expand(x, attrs[0]))


def broadcast_to(x, shape) -> lazy.Tensor:
    x = tensor(x)
    wanted = sizes(shape)
    have = x.form.shape
    tail = wanted[len(wanted) - len(have) :]
    fits = len(have) <= len(wanted) and all(
        a in (1, b) for a, b in zip(have, tail, strict=True)
    )
    if not fits:
        raise ValueError(f"shape {have} cannot be broadcast to {wanted}")
    return lazy.record1(_EXPAND, x, (wanted,))


def _row(attrs):
    """start + step * position, in the wider of the result's type and float64 or int64."""
    size, start, step, dtype = attrs
    wide = int64 if "x" not in start + step else dtype_of("float64")
    place = M.arange(size, wide)
    return cast_node(place * spoken(step, wide) + spoken(start, wide), dtype)


_ARANGE = Call("arange", _row)


def arange(start, stop=None, step=None, dtype=None) -> lazy.Tensor:
    given = [v for v in (start, stop, step) if v is not None]
    if dtype is None:
        dtype = result_dtype(*(_weak(v) for v in given))
    else:
        dtype = dtype_of(dtype)
    numbers = [v.item() if hasattr(v, "item") else v for v in given]
    low, high, by = 0, numbers[0], 1
    if stop is not None:
        low, high = numbers[:2]
    if step is not None:
        by = numbers[-1]
        low, high = (low, high) if stop is not None else (0, numbers[0])
    if by == 0:
        raise ValueError("`step` of arange must not be 0")
    size = max(0, int(np.ceil((high - low) / by)))
    attrs = (size, spelled(low), spelled(by), dtype)
    return lazy.record_n(_ARANGE, tensor_class(), (), attrs)


def _weak(v):
    """What promotion sees of an argument: int64 of NumPy and of Python are told apart."""
    return type(v) if type(v) in NUMBERS else str(v.dtype)


def _spaced(attrs, start, stop):
    """Evenly spaced along a new axis."""
    size, endpoint, axis, dtype = attrs
    shape = E.broadcast_shapes("linspace", start.form, stop.form)
    start, stop = (M.expand(cast_node(v, dtype), shape) for v in (start, stop))
    steps = size - 1 if endpoint else size
    axis %= len(shape) + 1
    wide = shape[:axis] + (size,) + shape[axis:]
    place = M.iota(wide, axis, int64)
    thin = shape[:axis] + (1,) + shape[axis:]
    first, last = (M.expand(M.reshape(v, thin), wide) for v in (start, stop))
    if steps < 1:
        return first
    share = cast_node(place, dtype) * (1.0 / steps)
    row = first + (last - first) * share
    return E.where(E.eq(place, size - 1), last, row) if endpoint else row


_LINSPACE = Call("linspace", _spaced)


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    if num < 0:
        raise ValueError(f"`num` must be a non-negative integer. Received: num={num}")
    kinds = (_weak(start), _weak(stop), float)
    dtype = result_dtype(*kinds) if dtype is None else dtype_of(dtype)
    compute = dtype if dtype.is_float else result_dtype(*kinds)
    a, b = (convert_to_tensor(v, compute.name) for v in (start, stop))
    row = apply(_LINSPACE, a, b, attrs=(int(num), bool(endpoint), int(axis), compute))
    row = to_dtype(row, dtype)
    if not retstep:
        return row
    steps = num - 1 if endpoint else num
    return row, (b - a) / steps if steps else full((), float("nan"), compute.name)


def logspace(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0) -> lazy.Tensor:
    from .arithmetic import power

    dtype = result_dtype(_weak(start), _weak(stop), float) if dtype is None else dtype_of(dtype)
    exponents = linspace(start, stop, num, endpoint, False, None, axis)
    return to_dtype(power(convert_to_tensor(base, exponents.form.dtype.name), exponents), dtype)


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0) -> lazy.Tensor:
    from .arithmetic import OPS

    dtype = dtype_of(dtype or config.floatx())
    a, b = (convert_to_tensor(v, "float64") for v in (start, stop))
    sign = OPS["sign"](a)
    log = OPS["log"]
    row = linspace(log(a * sign), log(b * sign), num, endpoint, False, "float64", axis)
    return to_dtype(OPS["exp"](row) * sign, dtype)


def _banded(attrs):
    """Ones on one diagonal ('eye') or on it and below ('tri')."""
    rows, columns, k, dtype, kind = attrs
    i = M.iota((rows, columns), 0, int64)
    j = M.iota((rows, columns), 1, int64)
    shifted = i + k
    found = E.eq(j, shifted) if kind == "eye" else E.le(j, shifted)
    return cast_node(found, dtype)


_BANDED = Call("eye", _banded)


def eye(N, M=None, k=0, dtype=None) -> lazy.Tensor:
    dtype = dtype_of(dtype or config.floatx())
    attrs = (int(N), int(N if M is None else M), int(k), dtype, "eye")
    return lazy.record_n(_BANDED, tensor_class(), (), attrs)


def identity(n, dtype=None) -> lazy.Tensor:
    return eye(n, dtype=dtype)


def tri(N, M=None, k=0, dtype=None) -> lazy.Tensor:
    dtype = dtype_of(dtype or config.floatx())
    attrs = (int(N), int(N if M is None else M), int(k), dtype, "tri")
    return lazy.record_n(_BANDED, tensor_class(), (), attrs)


def _triangle(attrs, x):
    """The lower (or upper) triangle of the last two axes, zeros elsewhere."""
    k, lower = attrs
    mask = _banded((*x.shape[-2:], k if lower else k - 1, bool_, "tri"))
    mask = M.expand(mask if lower else E.NOT(mask), x.shape)
    zero = E.const(0, x.dtype)
    return E.where(mask, x, zero)


_TRIANGLE = Call("tril", _triangle)


def tril(x, k=0) -> lazy.Tensor:
    return lazy.record1(_TRIANGLE, tensor(x), (int(k), True))


def triu(x, k=0) -> lazy.Tensor:
    return lazy.record1(_TRIANGLE, tensor(x), (int(k), False))


def array(x, dtype=None) -> lazy.Tensor:
    return convert_to_tensor(x, dtype=dtype)


def meshgrid(*x, indexing="xy") -> list[lazy.Tensor]:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Valid values for `indexing` are 'xy' and 'ij'. Received: {indexing}")
    from .shaping import reshape

    xs = [tensor(v) for v in x]
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = [1, 0]
    lengths = [v.form.size for v in xs]
    shape = tuple(lengths[i] for i in order)
    rows = []
    for i, v in enumerate(xs):
        thin = [1] * len(xs)
        thin[order.index(i)] = lengths[i]
        rows.append(broadcast_to(reshape(v, thin), shape))
    return rows


def _window(name: str, formula):
    """A window function of `keras.ops`: x is the number of points."""

    def op(x) -> lazy.Tensor:
        n = int(x)
        if n < 1:
            return zeros((0,))
        if n == 1:
            return ones((1,))
        return to_dtype(formula(arange(n, dtype="float64"), n), dtype_of(config.floatx()))

    op.__name__ = op.__qualname__ = name
    return op


def _cosine_window(*weights):
    from math import pi

    def formula(i, n):
        from .arithmetic import OPS

        total = weights[0]
        for k, w in enumerate(weights[1:], 1):
            total = total + w * OPS["cos"](i * (2 * pi * k / (n - 1)))
        return total

    return formula


def _bartlett(i, n):
    from .arithmetic import OPS

    return 1.0 - OPS["absolute"](i * (2.0 / (n - 1)) - 1.0)


bartlett = _window("bartlett", _bartlett)
hamming = _window("hamming", _cosine_window(0.54, -0.46))
hanning = _window("hanning", _cosine_window(0.5, -0.5))
blackman = _window("blackman", _cosine_window(0.42, -0.5, 0.08))


def ndim(x) -> int:
    return tensor(x).form.ndim


def size(x) -> int:
    return tensor(x).form.size
