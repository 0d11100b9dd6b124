"""Operators over windows: convolutions and pooling."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from gemel.graph.form import int32, int64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops import pooling
from gemel.ops.indexing import scatter_set
from gemel.ops.norms import vector_norm
from gemel.ops.pooling import Pool
from gemel.ops.reduction import amax
from gemel.ops.statistics import mean
from gemel.ops.windows import Convolution, convolution, same_widths, transposed

from .operators import operator


class Settings(NamedTuple):
    """Per place: window, stride, dilation, padding before and after."""

    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    widths: tuple[tuple[int, int], ...]


def _settings(node, sizes, window) -> Settings:
    rank = len(sizes)
    strides = tuple(node.get("strides") or (1,) * rank)
    dilations = tuple(node.get("dilations") or (1,) * rank)
    pads = node.get("pads") or [0] * (2 * rank)
    widths = tuple(zip(pads[:rank], pads[rank:], strict=True))
    auto = node.get("auto_pad", "NOTSET")
    if auto == "VALID":
        widths = ((0, 0),) * rank
    elif auto.startswith("SAME"):
        widths = same_widths(sizes, window, strides, dilations)
        if auto == "SAME_LOWER":
            widths = tuple((b, a) for a, b in widths)
    return Settings(tuple(window), strides, dilations, widths)


# ---------- convolution ----------
@operator("Conv")
def conv(node, x: Node, kernel: Node, bias: Node | None = None) -> Node:
    s = _settings(node, x.shape[2:], kernel.shape[2:])
    how = Convolution(s.strides, s.dilations, s.widths, node.get("group", 1))
    return convolution(x, kernel, how, bias)


@operator("ConvInteger")
def integer_conv(node, x: Node, kernel: Node, x_zero=None, kernel_zero=None) -> Node:
    return conv(node, _centred(x, x_zero), _centred(kernel, kernel_zero))


def _centred(x: Node, zero: Node | None) -> Node:
    """int32 values less their zero point, one for each output channel perhaps."""
    x = e.cast(x, int32)
    if zero is None:
        return x
    zero = e.cast(zero, int32)
    if zero.form.size > 1:
        zero = m.reshape(zero, (zero.form.size,) + (1,) * (x.ndim - 1))
    elif zero.ndim:
        zero = m.reshape(zero, ())
    return x - zero


@operator("ConvTranspose")
def transposed_conv(node, y: Node, kernel: Node, bias: Node | None = None) -> Node:
    rank = y.ndim - 2
    window = kernel.shape[2:]
    strides = tuple(node.get("strides") or (1,) * rank)
    dilations = tuple(node.get("dilations") or (1,) * rank)
    more = node.get("output_padding") or [0] * rank
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilations, strict=True)]
    rows = zip(y.shape[2:], strides, spans, more, strict=True)
    full = [s * (n - 1) + span + extra for n, s, span, extra in rows]
    sizes, widths = _transposed_sizes(node, y, full, strides)
    how = Convolution(strides, dilations, tuple(widths), node.get("group", 1))
    return transposed(y, kernel, tuple(sizes), how, bias)


def _transposed_sizes(node, y: Node, full, strides):
    """(places of the result, padding that is cut off)."""
    rank = len(full)
    auto = node.get("auto_pad", "NOTSET")
    asked = node.get("output_shape")
    if asked is None and auto.startswith("SAME"):
        asked = [n * s for n, s in zip(y.shape[2:], strides, strict=True)]
    if asked is not None:
        total = [f - n for f, n in zip(full, asked, strict=True)]
        less = [(t // 2, t - t // 2) for t in total]
        return asked, less if auto == "SAME_UPPER" else [(b, a) for a, b in less]
    pads = node.get("pads") or [0] * (2 * rank)
    widths = list(zip(pads[:rank], pads[rank:], strict=True))
    return [f - a - b for f, (a, b) in zip(full, widths, strict=True)], widths


@operator("DeformConv")
def deformable_conv(node, x, kernel, offset, bias=None, mask=None) -> Node:
    """Dai et al. 2017: each tap reads at a place that is moved by an offset."""
    from .vision import moved_columns

    s = _settings(node, x.shape[2:], kernel.shape[2:])
    columns = moved_columns(node, x, offset, mask, s)  # [n, c, taps, places...]
    n, c, taps, *places = columns.shape
    groups = node.get("group", 1)
    flat = m.reshape(columns, (n, c, taps, prod(places)))
    weight = m.reshape(kernel, (kernel.shape[0], kernel.shape[1], taps))
    from gemel.ops.einsum import einsum

    per = kernel.shape[0] // groups
    flat = m.reshape(flat, (n, groups, c // groups, taps, prod(places)))
    weight = m.reshape(weight, (groups, per, c // groups, taps))
    made = einsum("ngctp,goct->ngop", flat, weight)
    made = m.reshape(made, (n, kernel.shape[0], *places))
    if bias is None:
        return made
    return made + m.reshape(bias, (bias.shape[0],) + (1,) * len(places))


# ---------- pooling ----------
def _pool(node, x: Node) -> tuple[Pool, Settings]:
    sizes = x.shape[2:]
    s = _settings(node, sizes, node.get("kernel_shape"))
    up = node.get("ceil_mode", 0)
    steps = []
    rows = zip(sizes, s.window, s.strides, s.dilations, s.widths, strict=True)
    for n, k, step, d, (a, b) in rows:
        room = n + a + b - (k - 1) * d - 1
        count = (-(-room // step) if up else room // step) + 1
        if up and (count - 1) * step >= n + a:
            count -= 1  # the last window would begin behind the values
        steps.append(count)
    axes = tuple(range(2, x.ndim))
    before = tuple(a for a, _ in s.widths)
    return Pool(axes, s.window, s.strides, s.dilations, before, tuple(steps)), s


@operator("MaxPool")
def max_pool(node, x: Node):
    pool, _ = _pool(node, x)
    if len(node.outputs) < 2:
        return pooling.largest(x, pool)
    best, place = pooling.largest_with_places(x, pool)
    n, c, *sizes = x.shape
    if node.get("storage_order", 0):
        place = _by_columns(place, tuple(sizes))
    image = m.iota(place.shape, 0, int64) * c + m.iota(place.shape, 1, int64)
    return best, place + image * prod(sizes)


def _by_columns(place: Node, sizes: tuple[int, ...]) -> Node:
    """Flat places counted with the first axis fastest."""
    flat, stride, rest = None, prod(sizes), place
    for n in reversed(sizes):
        stride //= n
        at = e.MOD(rest, m.full(rest.shape, n, int64))
        rest = e.DIV(rest, m.full(rest.shape, n, int64))
        flat = at * stride if flat is None else flat + at * stride
    return flat


@operator("AveragePool")
def average_pool(node, x: Node) -> Node:
    pool, s = _pool(node, x)
    if node.get("count_include_pad", 0):
        return pooling.average_of_padded(x, pool, tuple(b for _, b in s.widths))
    return pooling.average(x, pool)


@operator("LpPool")
def norm_pool(node, x: Node) -> Node:
    pool, _ = _pool(node, x)
    order = node.get("p", 2)
    cells = [e.power(e.ABS(cell), float(order)) for cell in pooling.taps(x, pool, 0)]
    total = cells[0]
    for cell in cells[1:]:
        total = total + cell
    return e.power(total, 1.0 / order)


def _places(x: Node) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


operator("GlobalAveragePool")(lambda node, x: mean(x, _places(x), True))
operator("GlobalMaxPool")(lambda node, x: amax(x, _places(x), True))
operator("GlobalLpPool")(lambda node, x: vector_norm(x, float(node.get("p", 2)), _places(x), True))


@operator("MaxUnpool", static=(2,))
def max_unpool(node, x: Node, places: Node, shape=None) -> Node:
    s = _settings(node, x.shape[2:], node.get("kernel_shape"))
    rows = zip(x.shape[2:], s.window, s.strides, s.widths, strict=True)
    natural = [(n - 1) * step + k - a - b for n, k, step, (a, b) in rows]
    wanted = (*x.shape[:2], *natural)
    flat = m.reshape(places, (places.form.size,))
    size = prod(wanted)
    made = scatter_set(m.zeros((size,), x.dtype), flat, m.reshape(x, (x.form.size,)), 0)
    made = m.reshape(made, wanted)
    if 2 not in node.static:
        return made
    asked = tuple(int(n) for n in node.static[2])
    return m.pad(made, [(0, n - k) for n, k in zip(asked, wanted, strict=True)])


@operator("Col2Im", static=(1, 2))
def columns_to_image(node, x: Node, sizes, window) -> Node:
    places = tuple(int(n) for n in node.static[1])
    block = tuple(int(n) for n in node.static[2])
    s = _settings(node, places, block)
    rows = zip(places, s.window, s.strides, s.dilations, s.widths, strict=True)
    steps = tuple((n + a + b - (k - 1) * d - 1) // t + 1 for n, k, t, d, (a, b) in rows)
    before = tuple(a for a, _ in s.widths)
    pool = Pool(tuple(range(2, 2 + len(places))), block, s.strides, s.dilations, before, steps)
    return pooling.fold(x, places, pool)
