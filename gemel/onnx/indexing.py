"""Operators that pick and put values by index."""

from __future__ import annotations

from math import prod

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import indexing as i
from gemel.ops import movement as m
from gemel.ops.ordering import running_product, running_sum, sorting_order, take_along

from .operators import operator


def _positive(index: Node, n: int) -> Node:
    """Indices from the end counted from the start."""
    index = e.cast(index, int64)
    return e.where(e.lt(index, 0), index + n, index)


@operator("Gather")
def gather(node, x: Node, index: Node) -> Node:
    axis = node.get("axis", 0) % x.ndim
    index = _positive(index, x.shape[axis])
    flat = m.reshape(index, (index.form.size,))
    shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    return m.reshape(i.gather(x, flat, axis), shape)


def _along(x: Node, index: Node, axis: int) -> Node:
    """flat positions in x of the cells that index [shorter axes] names along the axis."""
    flat, stride = m.zeros(index.shape, int64), 1
    for d in reversed(range(x.ndim)):
        here = index if d == axis else m.iota(index.shape, d, int64)
        flat = flat + here * stride
        stride *= x.shape[d]
    return flat


@operator("GatherElements")
def gather_elements(node, x: Node, index: Node) -> Node:
    axis = node.get("axis", 0) % x.ndim
    flat = _along(x, _positive(index, x.shape[axis]), axis)
    return i.gather(m.reshape(x, (x.form.size,)), flat, 0)


_JOINTS = {"mul": "mul", "max": "maximum", "min": "minimum"}


def _put(x: Node, flat: Node, values: Node, how: str) -> Node:
    """x with values joined at flat positions."""
    base = m.reshape(x, (x.form.size,))
    count = flat.form.size
    flat, values = m.reshape(flat, (count,)), m.reshape(values, (count,))
    if how == "none":
        made = i.scatter_set(base, flat, values, 0)
    elif how == "add":
        made = i.scatter_add(base, flat, values, 0)
    else:
        made = i.scatter_join(base, flat, values, 0, _JOINTS[how])
    return m.reshape(made, x.shape)


@operator("Scatter", "ScatterElements")
def scatter_elements(node, x: Node, index: Node, updates: Node) -> Node:
    axis = node.get("axis", 0) % x.ndim
    flat = _along(x, _positive(index, x.shape[axis]), axis)
    return _put(x, flat, updates, node.get("reduction", "none"))


# ---------- several indices together ----------
def _cells(x: Node, index: Node, first: int) -> Node:
    """flat positions [.., rest] of the parts of x that rows of index name, axes from `first` on."""
    depth = index.shape[-1]
    rest = x.shape[first + depth :]
    flat = m.zeros(index.shape[:-1], int64)
    for d in range(depth):
        column = m.reshape(m.narrow(index, index.ndim - 1, d, 1), index.shape[:-1])
        flat = flat * x.shape[first + d] + _positive(column, x.shape[first + d])
    for d in range(first):
        stride = prod(x.shape[first : first + depth]) * prod(x.shape[d + 1 : first])
        flat = flat + m.iota(index.shape[:-1], d, int64) * stride
    flat = m.reshape(flat * prod(rest), (*flat.shape, *(1 for _ in rest)))
    inner, stride = m.zeros(rest, int64), 1
    for d in reversed(range(len(rest))):
        inner = inner + m.iota(rest, d, int64) * stride
        stride *= rest[d]
    return flat + inner


@operator("GatherND")
def gather_nd(node, x: Node, index: Node) -> Node:
    flat = _cells(x, index, node.get("batch_dims", 0))
    return m.reshape(i.gather(m.reshape(x, (x.form.size,)), flat, 0), flat.shape)


@operator("ScatterND")
def scatter_nd(node, x: Node, index: Node, updates: Node) -> Node:
    return _put(x, _cells(x, index, 0), updates, node.get("reduction", "none"))


@operator("ArrayFeatureExtractor", domain="ai.onnx.ml")
def pick_features(node, x: Node, index: Node) -> Node:
    flat = m.reshape(e.cast(index, int64), (index.form.size,))
    return i.gather(m.reshape(x, (1, -1)) if x.ndim == 1 else x, flat, max(x.ndim, 1) - 1)


# ---------- along an axis ----------
@operator("TopK", static=(1,))
def largest(node, x: Node, k) -> list[Node]:
    axis = node.get("axis", -1) % x.ndim
    count = int(node.static[1].item()) if 1 in node.static else node.get("k")
    order = sorting_order(x, axis, bool(node.get("largest", 1)))
    index = e.cast(m.narrow(order, axis, 0, count), int64)
    flat = i.gather(m.reshape(x, (x.form.size,)), _along(x, index, axis), 0)
    return [flat, index]


def _running(node, x: Node, function) -> Node:
    axis = int(node.static[1].item()) % x.ndim
    if node.get("reverse", 0):
        x = m.flip(x, (axis,))
    if node.get("exclusive", 0):
        n = x.shape[axis]
        first = m.narrow(x, axis, 0, 1) * 0 + (0 if function is running_sum else 1)
        x = m.concat([first, m.narrow(x, axis, 0, n - 1)], axis)
    made = function(x, axis)
    return m.flip(made, (axis,)) if node.get("reverse", 0) else made


@operator("CumSum", static=(1,))
def cumulative_sum(node, x: Node, axis) -> Node:
    return _running(node, x, running_sum)


@operator("CumProd", static=(1,))
def cumulative_product(node, x: Node, axis) -> Node:
    return _running(node, x, running_product)


@operator("ReverseSequence")
def reverse_sequence(node, x: Node, lengths: Node) -> Node:
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    return reversed_rows(x, lengths, time, batch)


def reversed_rows(x: Node, lengths: Node, time: int, batch: int) -> Node:
    """x with the first cells along `time` in reverse, as many as lengths says for each batch."""
    shape = [1] * x.ndim
    shape[batch] = x.shape[batch]
    counts = m.reshape(e.cast(lengths, int64), tuple(shape))
    at = m.iota(x.shape, time, int64)
    return take_along(x, e.where(e.lt(at, counts), counts - 1 - at, at), time)


@operator("TensorScatter")
def tensor_scatter(node, past: Node, update: Node, starts: Node | None = None) -> Node:
    """A cache with new rows along an axis, from each batch's place on."""
    axis = node.get("axis", -2) % past.ndim
    at = m.iota(update.shape, axis, int64)
    if starts is not None:
        shape = (starts.shape[0],) + (1,) * (past.ndim - 1)
        at = at + m.reshape(e.cast(starts, int64), shape)
    if node.get("mode", "linear") == "circular":
        at = e.MOD(at, m.full(at.shape, past.shape[axis], int64))
    return _put(past, _along(past, at, axis), update, "none")
