"""Operators that look at or change shapes."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from gemel.graph.form import Form, dtype_of, form, int64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops.elementwise import broadcast_shapes
from gemel.ops.indexing import gather

from .operators import operator


def numbers(array) -> tuple[int, ...]:
    """A known vector as ints."""
    return tuple(int(n) for n in np.asarray(array).reshape(-1))


def given(node, place: int, attribute: str):
    """Ints of an input of newer versions, or of an attribute of older ones; None without."""
    if place in node.static:
        return numbers(node.static[place])
    found = node.get(attribute)
    return None if found is None else tuple(found)


# ---------- shapes as values ----------
@operator("Shape")
def shape_of(node, x: Node) -> Node:
    start = slice(node.get("start", 0), node.get("end"))
    return vector(x.shape[start])


def vector(values) -> Node:
    """Known numbers int64 [n] as a node."""
    if not values:
        return m.zeros((0,), int64)
    return m.concat([m.full((1,), n, int64) for n in values], 0)


@operator("Size")
def size_of(node, x: Node) -> Node:
    return e.const(x.form.size, int64)


# ---------- the same values in another shape ----------
@operator("Reshape")
def old_reshape(node, x: Node) -> Node:
    return _reshaped(x, node.get("shape"), False)


@operator("Reshape", since=5, static=(1,))
def reshape(node, x: Node, shape) -> Node:
    return _reshaped(x, numbers(node.static[1]), bool(node.get("allowzero", 0)))


def _reshaped(x: Node, wanted, zeros: bool) -> Node:
    sizes = [x.shape[i] if n == 0 and not zeros else n for i, n in enumerate(wanted)]
    if -1 in sizes:
        rest = prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = x.form.size // rest if rest else 0
    return m.reshape(x, tuple(sizes))


@operator("Flatten")
def flatten(node, x: Node) -> Node:
    axis = node.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return m.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@operator("Squeeze", static=(1,))
def squeeze(node, x: Node, axes=None) -> Node:
    found = given(node, 1, "axes")
    if found is None:
        return m.reshape(x, tuple(n for n in x.shape if n != 1))
    gone = {a % x.ndim for a in found}
    return m.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


@operator("Unsqueeze", static=(1,))
def unsqueeze(node, x: Node, axes=None) -> Node:
    axes = given(node, 1, "axes")
    rank = x.ndim + len(axes)
    new = {a % rank for a in axes}
    rest = iter(x.shape)
    return m.reshape(x, tuple(1 if i in new else next(rest) for i in range(rank)))


@operator("Transpose")
def transpose(node, x: Node) -> Node:
    return m.permute(x, tuple(node.get("perm", range(x.ndim)[::-1])))


@operator("Expand", static=(1,))
def expand(node, x: Node, shape) -> Node:
    wanted = form(numbers(node.static[1]), x.dtype)
    return m.expand(x, broadcast_shapes("Expand", x.form, wanted))


@operator("Tile", static=(1,))
def tile(node, x: Node, repeats) -> Node:
    for axis, times in enumerate(numbers(node.static[1])):
        if times != 1:
            empty = m.narrow(x, axis, 0, 0)
            x = m.concat([x] * times, axis) if times else empty
    return x


# ---------- parts and joints ----------
@operator("Concat")
def concat(node, *xs: Node) -> Node:
    return m.concat(list(xs), node.get("axis", 1) % xs[0].ndim)


@operator("Split", static=(1,))
def split(node, x: Node, sizes=None) -> list[Node]:
    axis = node.get("axis", 0) % x.ndim
    found = given(node, 1, "split")
    if found is None:
        count = node.get("num_outputs") or len(node.outputs)
        each = -(-x.shape[axis] // count)
        found = [max(0, min(each, x.shape[axis] - i * each)) for i in range(count)]
    out, at = [], 0
    for n in found:
        out.append(m.narrow(x, axis, at, n))
        at += n
    return out


@operator("Slice")
def old_slice(node, x: Node) -> Node:
    axes = node.get("axes") or range(len(node.get("starts")))
    return _sliced(x, node.get("starts"), node.get("ends"), axes, [1] * len(list(axes)))


@operator("Slice", since=10, static=(1, 2, 3, 4))
def slice_of(node, x: Node, *places) -> Node:
    starts, ends = numbers(node.static[1]), numbers(node.static[2])
    axes = numbers(node.static[3]) if 3 in node.static else range(len(starts))
    steps = numbers(node.static[4]) if 4 in node.static else [1] * len(starts)
    return _sliced(x, starts, ends, axes, steps)


def _sliced(x: Node, starts, ends, axes, steps) -> Node:
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= x.ndim
        n = x.shape[axis]
        found = range(*slice(start, end, step).indices(n))
        if len(found) == 0:
            x = m.narrow(x, axis, 0, 0)
            continue
        if step < 0:
            x = m.flip(x, (axis,))
            found = range(n - 1 - found[0], n - found[-1], -step)
        spec = [(0, size, 1) for size in x.shape]
        spec[axis] = (found[0], found[-1] + 1, abs(step))
        x = m.slice_(x, spec)
    return x


# ---------- borders ----------
class _Border(NamedTuple):
    axis: int
    before: int
    after: int


def _borders(node, rank: int) -> list[_Border]:
    widths = given(node, 1, "pads") or tuple(node.get("paddings"))
    named = numbers(node.static[3]) if 3 in node.static else tuple(range(rank))
    half = len(widths) // 2
    rows = zip(named, widths[:half], widths[half:], strict=True)
    return [_Border(axis % rank, a, b) for axis, a, b in rows if (a, b) != (0, 0)]


def _cut(n: int, border: _Border) -> tuple[int, int]:
    """The cells that stay where a border is negative."""
    start = max(0, -border.before)
    return start, max(start, n - max(0, -border.after))


def _pad_extras(node, f: Form, *others) -> list[np.ndarray]:
    """The cell of x that each cell of the result is, per axis; none where values are constant."""
    mode = node.get("mode", "constant")
    if mode == "constant":
        return []
    found = []
    for border in _borders(node, f.ndim):
        cells = np.arange(*_cut(f.shape[border.axis], border))
        found.append(np.pad(cells, (max(0, border.before), max(0, border.after)), mode))
    return found


@operator("Pad", static=(1, 2, 3), extras=_pad_extras)
def pad(node, x: Node, pads=None, value=None, axes=None, extras=()) -> Node:
    borders = _borders(node, x.ndim)
    for border, cells in zip(borders, extras, strict=False):
        x = gather(x, cells, border.axis)
    if extras:
        return x
    filler = node.static[2].item() if 2 in node.static else node.get("value", 0)
    widths = [(0, 0)] * x.ndim
    for border in borders:
        start, stop = _cut(x.shape[border.axis], border)
        x = m.narrow(x, border.axis, start, stop - start)
        widths[border.axis] = max(0, border.before), max(0, border.after)
    return m.pad(x, widths, filler)


# ---------- blocks of an image as channels ----------
@operator("DepthToSpace")
def depth_to_space(node, x: Node) -> Node:
    n, c, h, w = x.shape
    b = node.get("blocksize")
    deep = c // (b * b)
    if node.get("mode", "DCR") == "DCR":
        x = m.permute(m.reshape(x, (n, b, b, deep, h, w)), (0, 3, 4, 1, 5, 2))
    else:
        x = m.permute(m.reshape(x, (n, deep, b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return m.reshape(x, (n, deep, h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(node, x: Node) -> Node:
    n, c, h, w = x.shape
    b = node.get("blocksize")
    x = m.reshape(x, (n, c, h // b, b, w // b, b))
    if node.get("mode", "DCR") == "DCR":
        x = m.permute(x, (0, 3, 5, 1, 2, 4))
    else:
        x = m.permute(x, (0, 1, 3, 5, 2, 4))
    return m.reshape(x, (n, c * b * b, h // b, w // b))


@operator("OneHot", static=(1,))
def one_hot(node, indices: Node, depth, values: Node) -> Node:
    n = int(node.static[1].item())
    axis = node.get("axis", -1)
    axis += indices.ndim + 1 if axis < 0 else 0
    shape = (*indices.shape[:axis], 1, *indices.shape[axis:])
    wide = (*indices.shape[:axis], n, *indices.shape[axis:])
    index = e.cast(m.reshape(indices, shape), int64)
    index = e.where(e.lt(index, 0), index + n, index)
    hit = e.eq(m.iota(wide, axis, dtype_of("int64")), index)
    off, on = (m.reshape(m.narrow(values, 0, i, 1), ()) for i in (0, 1))
    return e.where(hit, on, off)
