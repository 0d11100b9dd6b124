"""Convolution and pooling of `keras.ops.nn`. Both data formats are computed where they lie."""

from __future__ import annotations

from keras.src import backend

from gemel import tensor as lazy
from gemel.ops import pooling, windows
from gemel.ops.record import Call

from .shaping import reshape
from .tensors import kind_of, result_dtype, tensor, to_dtype


def _each(value, rank: int) -> tuple[int, ...]:
    return (int(value),) * rank if isinstance(value, int) else tuple(int(v) for v in value)


def _is_last(data_format) -> bool:
    return backend.standardize_data_format(data_format) == "channels_last"


def _places(x, last: bool) -> tuple[int, ...]:
    return x.form.shape[1:-1] if last else x.form.shape[2:]


def _widths(places, window, strides, dilation, padding: str) -> windows.Widths:
    """Padding (before, after) per place."""
    if padding == "same":
        return windows.same_widths(places, window, strides, dilation)
    if padding not in ("valid", "causal"):
        raise ValueError(f"Invalid padding '{padding}', must be 'same' or 'valid'.")
    causal = padding == "causal"
    return tuple(((k - 1) * d * causal, 0) for k, d in zip(window, dilation, strict=True))


# ---------- convolution ----------
_CONV = Call("conv", lambda how, x, kernel: windows.convolution(x, kernel, how))


def conv(
    inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1
) -> lazy.Tensor:
    x, kernel = tensor(inputs), tensor(kernel)
    dtype = result_dtype(kind_of(x), kind_of(kernel))
    last = _is_last(data_format)
    *window, given, outputs = kernel.form.shape
    channels = x.form.shape[-1 if last else 1]
    if channels % given or outputs % (channels // given):
        raise ValueError(
            f"The number of input channels must be evenly divisible by kernel's in_channels. "
            f"Received input channels {channels} and kernel in_channels {given}."
        )
    strides, dilation = _each(strides, len(window)), _each(dilation_rate, len(window))
    widths = _widths(_places(x, last), window, strides, dilation, padding)
    how = windows.Convolution(strides, dilation, widths, channels // given, last, True)
    return lazy.record2(_CONV, to_dtype(x, dtype), to_dtype(kernel, dtype), how)


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


def _transposed(attrs, y, kernel):
    places, how = attrs
    return windows.transposed(y, kernel, places, how)


_TRANSPOSED = Call("conv_transpose", _transposed)


def _transposed_place(n: int, k: int, s: int, d: int, padding: str, extra) -> tuple[int, int]:
    """(padding of the convolution that is transposed, places of its input), as Keras has them."""
    reach = (k - 1) * d + 1
    if padding == "valid":
        before, total = reach - 1, 2 * reach - 2 + (max(0, s - reach) if extra is None else extra)
    else:
        total = s + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
        before = min(total // 2 + total % 2, reach - 1)
    if total < before:
        raise ValueError(f"output_padding={extra} does not fit a stride of {s}")
    return reach - 1 - before, (n - 1) * s + 1 + total - (reach - 1)


def conv_transpose(
    inputs,
    kernel,
    strides=1,
    padding="valid",
    output_padding=None,
    data_format=None,
    dilation_rate=1,
) -> lazy.Tensor:
    x, kernel = tensor(inputs), tensor(kernel)
    dtype = result_dtype(kind_of(x), kind_of(kernel))
    last = _is_last(data_format)
    window = kernel.form.shape[:-2]
    rank = len(window)
    strides, dilation = _each(strides, rank), _each(dilation_rate, rank)
    each = isinstance(output_padding, tuple | list)
    extra = output_padding if each else (output_padding,) * rank
    rows = zip(_places(x, last), window, strides, dilation, extra, strict=True)
    found = [_transposed_place(n, k, s, d, padding, e) for n, k, s, d, e in rows]
    how = windows.Convolution(
        strides, dilation, tuple((before, 0) for before, _ in found), 1, last, True
    )
    attrs = (tuple(n for _, n in found), how)
    return lazy.record2(_TRANSPOSED, to_dtype(x, dtype), to_dtype(kernel, dtype), attrs)


# ---------- pooling ----------
_MAX_POOL = Call("max_pool", lambda pool, x: pooling.largest(x, pool))
_AVERAGE_POOL = Call("average_pool", lambda pool, x: pooling.average(x, pool))


def _pool(call, inputs, pool_size, strides, padding, data_format) -> lazy.Tensor:
    x, last = tensor(inputs), _is_last(data_format)
    places = _places(x, last)
    rank = len(places)
    window = _each(pool_size, rank)
    strides = window if strides is None else _each(strides, rank)
    ones = (1,) * rank
    widths = _widths(places, window, strides, ones, padding)
    steps = windows.result_sizes(places, window, strides, ones, widths)
    before = tuple(a for a, _ in widths)
    pool = pooling.Pool(_axes(x, last), window, strides, ones, before, steps)
    return lazy.record1(call, x, pool)


def _axes(x, last: bool) -> tuple[int, ...]:
    return tuple(range(1, x.form.ndim - 1) if last else range(2, x.form.ndim))


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None) -> lazy.Tensor:
    return _pool(_MAX_POOL, inputs, pool_size, strides, padding, data_format)


def average_pool(
    inputs, pool_size, strides=None, padding="valid", data_format=None
) -> lazy.Tensor:
    return _pool(_AVERAGE_POOL, inputs, pool_size, strides, padding, data_format)


_ADAPTIVE_MAX = Call("adaptive_max_pool", lambda attrs, x: pooling.adaptive_largest(x, *attrs))
_ADAPTIVE_MEAN = Call("adaptive_pool", lambda attrs, x: pooling.adaptive_average(x, *attrs))


def _adaptive(call, inputs, output_size, data_format) -> lazy.Tensor:
    x = tensor(inputs)
    axes = _axes(x, _is_last(data_format))
    return lazy.record1(call, x, (axes, _each(output_size, len(axes))))


def adaptive_max_pool(inputs, output_size, data_format=None) -> lazy.Tensor:
    return _adaptive(_ADAPTIVE_MAX, inputs, output_size, data_format)


def adaptive_average_pool(inputs, output_size, data_format=None) -> lazy.Tensor:
    return _adaptive(_ADAPTIVE_MEAN, inputs, output_size, data_format)


# ---------- patches ----------
_UNFOLD = Call("unfold", lambda pool, x: pooling.unfold(x, pool))
_FOLD = Call("fold", lambda attrs, x: pooling.fold(x, *attrs))


def _patches(sizes, kernel_size, dilation, padding, stride) -> pooling.Pool:
    """Windows over the two last axes of an NCHW image."""
    k, d, p, s = (_each(v, 2) for v in (kernel_size, dilation, padding, stride))
    steps = windows.result_sizes(sizes, k, s, d, tuple((n, n) for n in p))
    return pooling.Pool((2, 3), k, s, d, p, steps)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1) -> lazy.Tensor:
    """Windows of an NCHW image: [N, C * kH * kW, places]."""
    x = tensor(input)
    pool = _patches(x.form.shape[2:], kernel_size, dilation, padding, stride)
    return lazy.record1(_UNFOLD, x, pool)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1) -> lazy.Tensor:
    """Sums windows back into an NCHW image."""
    sizes = _each(output_size, 2)
    pool = _patches(sizes, kernel_size, dilation, padding, stride)
    return lazy.record1(_FOLD, tensor(x), (sizes, pool))
