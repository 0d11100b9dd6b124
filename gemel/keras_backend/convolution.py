"""Convolution and pooling of `keras.ops.nn`, by windows: every tap of the kernel is one strided
slice of the padded input. Correct and differentiable with today's primitives; the contraction's
affine windows will take the place of the slices.

Inputs are brought to channels_last (batch, places..., channels) and the result back.
"""

from __future__ import annotations

from itertools import product
from math import prod

from keras.src import backend

from gemel import tensor as lazy
from gemel.ops import contraction as C
from gemel.ops import movement as M
from gemel.ops.elementwise import maximum
from gemel.ops.record import Call, const

from .shaping import reshape, transpose
from .tensors import kind_of, result_dtype, tensor, to_dtype


def _each(value, rank: int) -> tuple[int, ...]:
    return (int(value),) * rank if isinstance(value, int) else tuple(int(v) for v in value)


def _last(x, data_format: str):
    """(x with channels last, how to bring a result back)."""
    n = x.form.ndim
    if data_format == "channels_last":
        return x, None
    return transpose(x, (0, *range(2, n), 1)), (0, n - 1, *range(1, n - 1))


def _back(x, order):
    return x if order is None else transpose(x, order)


def _widths(shape, window, strides, dilation, padding: str):
    """Padding (before, after) per place; the result's size per place."""
    if padding not in ("valid", "same", "causal"):
        raise ValueError(f"Invalid padding '{padding}', must be 'same' or 'valid'.")
    widths, sizes = [], []
    for n, k, s, d in zip(shape, window, strides, dilation, strict=True):
        reach = (k - 1) * d + 1
        if padding == "same":
            size = -(-n // s)
            total = max(0, (size - 1) * s + reach - n)
            widths.append((total // 2, total - total // 2))
        else:
            before = reach - 1 if padding == "causal" else 0
            size = (n + before - reach) // s + 1
            widths.append((before, 0))
        sizes.append(max(0, size))
    return tuple(widths), tuple(sizes)


def _tap(x, at, sizes, strides, dilation):
    """The input values that one tap of the window meets."""
    spec = [(0, x.shape[0], 1)]
    for k, n, s, d in zip(at, sizes, strides, dilation, strict=True):
        spec.append((k * d, k * d + (n - 1) * s + 1, s))
    return M.slice_(x, [*spec, *((0, n, 1) for n in x.shape[len(spec) :])])


def _taps(x, window, strides, dilation, widths, sizes, fill: float):
    """[batch, places..., taps, channels]: every window as a row."""
    around = ((0, 0), *widths, (0, 0))
    shape = [n + a + b for n, (a, b) in zip(x.shape, around, strict=True)]
    spec = [(a, a + n, 1) for n, (a, _) in zip(x.shape, around, strict=True)]
    if tuple(shape) != x.shape:
        x = M.update_slice(M.expand(const(fill, x.dtype), shape), x, spec)
    rows = [_tap(x, at, sizes, strides, dilation) for at in product(*map(range, window))]
    return rows


def _conv(attrs, x, kernel):
    window, strides, dilation, widths, sizes, groups = attrs
    rows = _taps(x, window, strides, dilation, widths, sizes, 0.0)
    patches = M.stack(rows, x.ndim - 1)
    batch, taps, channels = x.shape[0], len(rows), x.shape[-1]
    places = prod(sizes)
    given, out = kernel.shape[-2:]
    patches = M.reshape(patches, (batch * places, taps, groups, channels // groups))
    kernel = M.reshape(kernel, (taps, given, groups, out // groups))
    found = C.contract(patches, kernel, (0, 1, 2, 3), (1, 3, 2, 4), (0, 2, 4))
    return M.reshape(found, (batch, *sizes, out))


_CONV = Call("conv", _conv)


def conv(
    inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1
) -> lazy.Tensor:
    x, kernel = tensor(inputs), tensor(kernel)
    dtype = result_dtype(kind_of(x), kind_of(kernel))
    x, order = _last(to_dtype(x, dtype), backend.standardize_data_format(data_format))
    window = kernel.form.shape[:-2]
    rank = len(window)
    channels, given = x.form.shape[-1], kernel.form.shape[-2]
    if channels % given or kernel.form.shape[-1] % (channels // given):
        raise ValueError(
            f"The number of input channels must be evenly divisible by kernel's in_channels. "
            f"Received input channels {channels} and kernel in_channels {given}."
        )
    strides, dilation = _each(strides, rank), _each(dilation_rate, rank)
    widths, sizes = _widths(x.form.shape[1:-1], window, strides, dilation, padding)
    attrs = (window, strides, dilation, widths, sizes, channels // given)
    return _back(lazy.record2(_CONV, x, to_dtype(kernel, dtype), attrs), order)


def depthwise_conv(
    inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1
) -> lazy.Tensor:
    kernel = tensor(kernel)
    *window, channels, depth = kernel.form.shape
    kernel = reshape(kernel, (*window, 1, channels * depth))
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def separable_conv(
    inputs,
    depthwise_kernel,
    pointwise_kernel,
    strides=1,
    padding="valid",
    data_format=None,
    dilation_rate=1,
) -> lazy.Tensor:
    deep = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(deep, pointwise_kernel, 1, "valid", data_format, 1)


def _transposed_widths(n: int, k: int, s: int, d: int, padding: str, extra):
    """Padding of the spread-out input, as Keras lays out transposed convolutions."""
    reach = (k - 1) * d + 1
    if padding == "valid":
        extra = max(reach, s) - reach if extra is None else extra
        return reach - 1, reach - 1 + extra
    total = s + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
    before = min(total // 2 + total % 2, reach - 1)
    return before, total - before


def _spread(attrs, x):
    """Rows of zeros between the places, and around them."""
    strides, widths = attrs
    shape, spec = [x.shape[0]], [(0, x.shape[0], 1)]
    for n, s, (a, b) in zip(x.shape[1:-1], strides, widths, strict=True):
        reach = (n - 1) * s + 1
        shape.append(reach + a + b)
        spec.append((a, a + reach, s))
    shape.append(x.shape[-1])
    spec.append((0, x.shape[-1], 1))
    return M.update_slice(M.zeros(shape, x.dtype), x, spec)


_SPREAD = Call("conv_transpose", _spread)


def conv_transpose(
    inputs,
    kernel,
    strides=1,
    padding="valid",
    output_padding=None,
    data_format=None,
    dilation_rate=1,
) -> lazy.Tensor:
    from .shaping import flip, swapaxes

    x, kernel = tensor(inputs), tensor(kernel)
    x, order = _last(x, backend.standardize_data_format(data_format))
    window = kernel.form.shape[:-2]
    rank = len(window)
    strides, dilation = _each(strides, rank), _each(dilation_rate, rank)
    each = isinstance(output_padding, (tuple, list))
    extra = output_padding if each else (output_padding,) * rank
    widths = tuple(
        _transposed_widths(n, k, s, d, padding, e)
        for n, k, s, d, e in zip(
            x.form.shape[1:-1], window, strides, dilation, extra, strict=True
        )
    )
    if any(a < 0 or b < 0 for a, b in widths):
        raise ValueError(f"output_padding={output_padding} does not fit strides={strides}")
    turned = swapaxes(flip(kernel, tuple(range(rank))), -1, -2)
    x = lazy.record1(_SPREAD, x, (strides, widths))
    return _back(conv(x, turned, 1, "valid", "channels_last", dilation), order)


# ---------- pooling ----------
def _pooled(attrs, x):
    window, strides, widths, sizes, kind = attrs
    ones = (1,) * len(window)
    fill = 0.0
    if kind == "max":
        fill = float("-inf") if x.dtype.is_float else 0
    rows = _taps(x, window, strides, ones, widths, sizes, fill)
    total = rows[0]
    for row in rows[1:]:
        total = maximum(total, row) if kind == "max" else total + row
    if kind == "max":
        return total
    if not any(a or b for a, b in widths):
        return total / float(prod(window))
    # places that the padding made up do not count
    counts = _taps(M.full((1, *x.shape[1:-1], 1), 1, x.dtype), window, strides, ones, widths,
                   sizes, 0.0)
    count = counts[0]
    for row in counts[1:]:
        count = count + row
    return total / count


_POOL = Call("pool", _pooled)


def _pool(inputs, pool_size, strides, padding, data_format, kind: str) -> lazy.Tensor:
    x, order = _last(tensor(inputs), backend.standardize_data_format(data_format))
    rank = x.form.ndim - 2
    window = _each(pool_size, rank)
    strides = window if strides is None else _each(strides, rank)
    widths, sizes = _widths(x.form.shape[1:-1], window, strides, (1,) * rank, padding)
    return _back(lazy.record1(_POOL, x, (window, strides, widths, sizes, kind)), order)


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None) -> lazy.Tensor:
    return _pool(inputs, pool_size, strides, padding, data_format, "max")


def average_pool(
    inputs, pool_size, strides=None, padding="valid", data_format=None
) -> lazy.Tensor:
    return _pool(inputs, pool_size, strides, padding, data_format, "average")


# ---------- patches ----------
def unfold(input, kernel_size, dilation=1, padding=0, stride=1) -> lazy.Tensor:
    """Windows of an NCHW image: [N, C * kH * kW, places]."""
    x = tensor(input)
    k, d, p, s = (_each(v, 2) for v in (kernel_size, dilation, padding, stride))
    x = transpose(x, (0, 2, 3, 1))
    sizes = tuple(
        (n + 2 * pad - (window - 1) * dil - 1) // step + 1
        for n, pad, window, dil, step in zip(x.form.shape[1:3], p, k, d, s, strict=True)
    )
    return lazy.record1(_UNFOLD, x, (k, s, d, tuple((v, v) for v in p), sizes))


def _unfolded(attrs, x):
    rows = _taps(x, *attrs, 0.0)
    batch, channels = x.shape[0], x.shape[-1]
    patches = M.stack(rows, 1)
    patches = M.reshape(patches, (batch, len(rows), prod(attrs[-1]), channels))
    return M.reshape(
        M.permute(patches, (0, 3, 1, 2)), (batch, channels * len(rows), prod(attrs[-1]))
    )


_UNFOLD = Call("unfold", _unfolded)


def _folded(attrs, x):
    (height, width), (kh, kw), d, p, s = attrs
    batch, rows, _ = x.shape
    channels = rows // (kh * kw)
    tall, wide = height + 2 * p[0], width + 2 * p[1]
    high = (tall - d[0] * (kh - 1) - 1) // s[0] + 1
    broad = (wide - d[1] * (kw - 1) - 1) // s[1] + 1
    x = M.reshape(x, (batch, channels, kh * kw, high, broad))
    total = M.zeros((batch, channels, tall, wide), x.dtype)
    for k, (i, j) in enumerate(product(range(kh), range(kw))):
        part = M.reshape(M.narrow(x, 2, k, 1), (batch, channels, high, broad))
        spec = [
            (0, batch, 1),
            (0, channels, 1),
            (i * d[0], i * d[0] + (high - 1) * s[0] + 1, s[0]),
            (j * d[1], j * d[1] + (broad - 1) * s[1] + 1, s[1]),
        ]
        total = total + M.update_slice(M.zeros(total.shape, x.dtype), part, spec)
    total = M.narrow(total, 2, p[0], height)
    return M.narrow(total, 3, p[1], width)


_FOLD = Call("fold", _folded)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1) -> lazy.Tensor:
    """Sums windows back into an NCHW image."""
    settings = (_each(v, 2) for v in (output_size, kernel_size, dilation, padding, stride))
    return lazy.record1(_FOLD, tensor(x), tuple(settings))
