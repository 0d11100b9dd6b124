"""Convolution and pooling of `tf.nn`. Names and defaults; see `calls_windows`."""

from __future__ import annotations

from . import calls_windows as calls
from .convert import convert_to_tensor
from .dispatch import apply, static


def _per_place(value, places: int, what: str, last: bool = True) -> tuple[int, ...]:
    """A number, one per place, or one per axis (batch and channels 1)."""
    found = static(value)
    found = (found,) * places if isinstance(found, int) else found
    if len(found) == places + 2:
        inner = found[1:-1] if last else found[2:]
        if found[0] != 1 or found[-1 if last else 1] != 1:
            raise NotImplementedError(f"{what} over batch or channels: {found}")
        found = inner
    if len(found) == 1:
        found = found * places
    if len(found) != places:
        raise ValueError(f"{what} should be of length 1, {places} or {places + 2} but was {value}")
    return found


def _padding(padding, places: int, last: bool = True):
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise ValueError(f"Value for attr 'padding' of \"{padding}\" is not in the list of "
                             'allowed values: "SAME", "VALID"')
        return padding.upper()
    rows = static(padding)
    if len(rows) != places + 2:
        return rows
    return rows[1:-1] if last else rows[2:]


def _is_last(data_format) -> bool:
    return data_format is None or not data_format.startswith("NC")


def _settings(places: int, strides, padding, dilations, last: bool) -> tuple:
    return (
        _per_place(1 if strides is None else strides, places, "strides", last),
        _padding(padding, places, last),
        _per_place(1 if dilations is None else dilations, places, "dilations", last),
        last,
    )


# ---------- convolution ----------
def convolution(
    input, filters, strides=None, padding="VALID", data_format=None, dilations=None, name=None
):
    """[batch, places..., channels] (or channels second) with filters [window..., in, out]."""
    input = convert_to_tensor(input)
    places = input.shape.rank - 2
    settings = _settings(places, strides, padding, dilations, _is_last(data_format))
    return apply(calls.CONVOLUTION, (input, filters), (None, *settings), name or "convolution")


def conv2d(
    input, filters=None, strides=1, padding="VALID", use_cudnn_on_gpu=True, data_format="NHWC",
    dilations=None, name=None, filter=None,
):
    """Images [batch, rows, columns, channels] with filters [rows, columns, in, out]."""
    kernel = filters if filter is None else filter
    settings = _settings(2, strides, padding, dilations, _is_last(data_format))
    return apply(calls.CONVOLUTION, (input, kernel), (None, *settings), name or "Conv2D")


def conv1d(
    input, filters, stride=1, padding="VALID", data_format="NWC", dilations=None, name=None
):
    """Sequences [batch, places, channels] with filters [places, in, out]."""
    settings = _settings(1, stride, padding, dilations, _is_last(data_format))
    return apply(calls.CONVOLUTION, (input, filters), (None, *settings), name or "conv1d")


def conv3d(
    input, filters, strides=1, padding="VALID", data_format="NDHWC", dilations=None, name=None
):
    """Volumes [batch, planes, rows, columns, channels] with filters [window..., in, out]."""
    settings = _settings(3, strides, padding, dilations, _is_last(data_format))
    return apply(calls.CONVOLUTION, (input, filters), (None, *settings), name or "Conv3D")


def depthwise_conv2d(
    input, filter, strides, padding, data_format=None, dilations=None, name=None
):
    """Every channel by filters of its own: [rows, columns, channels, multiplier]."""
    settings = _settings(2, strides, padding, dilations, _is_last(data_format))
    return apply(calls.DEPTHWISE, (input, filter), (None, *settings), name or "depthwise")


def separable_conv2d(
    input, depthwise_filter, pointwise_filter, strides, padding, data_format=None,
    dilations=None, name=None,
):
    """A depthwise convolution, then one of single pixels."""
    deep = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    return conv2d(deep, pointwise_filter, 1, "VALID", data_format=data_format or "NHWC",
                  name=name or "separable_conv2d")


def _transposed(places: int, input, filters, output_shape, strides, padding, data_format,
                dilations, name):
    last = _is_last(data_format)
    shape = static(output_shape)
    if len(shape) == places:
        batch = convert_to_tensor(input).shape[0]
        channels = convert_to_tensor(filters).shape[-2]
        shape = (batch, *shape, channels) if last else (batch, channels, *shape)
    settings = _settings(places, strides, padding, dilations, last)
    return apply(calls.TRANSPOSED, (input, filters), (shape, *settings), name)


def conv1d_transpose(
    input, filters, output_shape, strides, padding="SAME", data_format="NWC", dilations=None,
    name=None,
):
    """The gradient of `conv1d` for its input; filters [places, out, in]."""
    return _transposed(1, input, filters, output_shape, strides, padding, data_format, dilations,
                       name or "conv1d_transpose")


def conv2d_transpose(
    input, filters=None, output_shape=None, strides=1, padding="SAME", data_format="NHWC",
    dilations=None, name=None,
):
    """The gradient of `conv2d` for its input; filters [rows, columns, out, in]."""
    return _transposed(2, input, filters, output_shape, strides, padding, data_format, dilations,
                       name or "conv2d_transpose")


def conv3d_transpose(
    input, filters, output_shape, strides, padding="SAME", data_format="NDHWC", dilations=None,
    name=None,
):
    """The gradient of `conv3d` for its input; filters [window..., out, in]."""
    return _transposed(3, input, filters, output_shape, strides, padding, data_format, dilations,
                       name or "conv3d_transpose")


# ---------- pooling ----------
def _pooled(call, input, ksize, strides, padding, data_format, name):
    input = convert_to_tensor(input)
    places = input.shape.rank - 2
    last = _is_last(data_format)
    window = _per_place(ksize, places, "ksize", last)
    settings = _settings(places, strides, padding, None, last)
    return apply(call, (input,), (window, *settings), name)


def max_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None, value=None):
    """The largest value of each window."""
    x = input if value is None else value
    return _pooled(calls.MAX_POOL, x, ksize, strides, padding, data_format, name or "MaxPool2d")


def avg_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None, value=None):
    """The mean of each window; padding does not count."""
    x = input if value is None else value
    return _pooled(calls.AVG_POOL, x, ksize, strides, padding, data_format, name or "AvgPool2D")


max_pool = max_pool1d = max_pool3d = max_pool2d
avg_pool = avg_pool1d = avg_pool3d = avg_pool2d
