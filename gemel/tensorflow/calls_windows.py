"""TensorFlow's convolution and pooling as calls. Role and conventions as in `calls_math`.

attrs: (window or None, strides, padding, dilations, channels last), settings per place.
"""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import movement as mv
from gemel.ops import pooling, windows

from .calls_math import FaceCall, require, same_type
from .errors import ShapeMismatch
from .shape import show


def _places(x: Node, last: bool) -> tuple[int, ...]:
    return x.shape[1:-1] if last else x.shape[2:]


def _widths(places, window, strides, padding, dilations) -> windows.Widths:
    """Padding (before, after) per place; ShapeMismatch where no window fits."""
    if len(window) != len(places):
        raise ShapeMismatch(f"A window over {len(window)} axes, but there are {len(places)}")
    widths = ((0, 0),) * len(window)
    if padding == "SAME":
        widths = windows.same_widths(places, window, strides, dilations)
    elif padding != "VALID":
        widths = padding
    if 0 in windows.result_sizes(places, window, strides, dilations, widths):
        raise ShapeMismatch(
            f"Computed output size would be negative or zero: a window {show(window)} over "
            f"{show(places)} with strides {show(strides)}"
        )
    return widths


def _check(name: str, x: Node, kernel: Node, channels: int) -> None:
    same_type(name, x, kernel, "filter", "input")
    require(name, x, "f", "input")
    depth = kernel.shape[-2] if kernel.ndim == x.ndim else 0
    if not depth or channels % depth or kernel.shape[-1] % (channels // depth):
        raise ShapeMismatch(
            f"input depth must be evenly divisible by filter depth: input {show(x.shape)}, filter "
            f"{show(kernel.shape)}"
        )


def _convolution(attrs, x: Node, kernel: Node) -> Node:
    _, strides, padding, dilations, last = attrs
    channels = x.shape[-1 if last else 1]
    _check("Conv2D", x, kernel, channels)
    widths = _widths(_places(x, last), kernel.shape[:-2], strides, padding, dilations)
    groups = channels // kernel.shape[-2]
    how = windows.Convolution(strides, dilations, widths, groups, last, True)
    return windows.convolution(x, kernel, how)


def _depthwise(attrs, x: Node, kernel: Node) -> Node:
    """A kernel [window..., channels, multiplier]: every channel by its own."""
    *window, channels, times = kernel.shape
    last = attrs[4]
    if kernel.ndim != x.ndim or x.shape[-1 if last else 1] != channels:
        raise ShapeMismatch(
            f"inputs and filter must have the same depth: {show(x.shape)}, {show(kernel.shape)}"
        )
    return _convolution(attrs, x, mv.reshape(kernel, (*window, 1, channels * times)))


def _transposed(attrs, y: Node, kernel: Node) -> Node:
    """attrs: (result's shape, strides, padding, dilations, channels last)"""
    shape, strides, padding, dilations, last = attrs
    same_type("Conv2DBackpropInput", y, kernel, "filter", "input")
    require("Conv2DBackpropInput", y, "f", "input")
    places = shape[1:-1] if last else shape[2:]
    widths = _widths(places, kernel.shape[:-2], strides, padding, dilations)
    steps = windows.result_sizes(places, kernel.shape[:-2], strides, dilations, widths)
    channels, outputs = shape[-1 if last else 1], y.shape[-1 if last else 1]
    if steps != _places(y, last) or kernel.shape[-2:] != (channels, outputs):
        raise ShapeMismatch(
            f"Conv2DSlowBackpropInput: a result of shape {show(shape)} does not come from an input "
            f"of shape {show(y.shape)} and a filter of shape {show(kernel.shape)}"
        )
    how = windows.Convolution(strides, dilations, widths, 1, last, True)
    return windows.transposed(y, kernel, places, how)


def _pool(build):
    def expand(attrs, x: Node) -> Node:
        window, strides, padding, dilations, last = attrs
        places = _places(x, last)
        widths = _widths(places, window, strides, padding, dilations)
        steps = windows.result_sizes(places, window, strides, dilations, widths)
        first = 1 if last else 2
        axes = tuple(range(first, first + len(places)))
        before = tuple(a for a, _ in widths)
        return build(x, pooling.Pool(axes, window, strides, dilations, before, steps))

    return expand


CONVOLUTION = FaceCall("Conv2D", _convolution)
DEPTHWISE = FaceCall("DepthwiseConv2dNative", _depthwise)
TRANSPOSED = FaceCall("Conv2DBackpropInput", _transposed)
MAX_POOL = FaceCall("MaxPool", _pool(pooling.largest))
AVG_POOL = FaceCall("AvgPool", _pool(pooling.average))
