"""Batching as a function from graph to graph: one rule per primitive makes `vmap` of everything.

In: nodes that compute one lane, and for some of their sources values of all lanes at once, in front
(axis 0). Out: the same values for all lanes. What does not depend on a lane stays as it is, so a
batched gradient shares the whole forward graph with its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import NamedTuple

from gemel.graph.form import form, int64
from gemel.graph.node import Node, rebuild, recorded_at
from gemel.ops.elementwise import cast
from gemel.ops.movement import concat, expand, iota, narrow, permute, reshape


class Lane(NamedTuple):
    """A value of one lane's graph: `node` holds all lanes in front if `many`, else the one value
    that all lanes share."""

    node: Node
    many: bool


# name of a primitive -> (node, its arguments as Lanes, number of lanes) -> all lanes of its value;
# asked only where some argument has lanes
Rule = Callable[[Node, list[Lane], int], Node]
RULES: dict[str, Rule] = {}


def rule(*names: str):
    """Decorator: the batching rule of primitives."""

    def put(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return put


def batch(outputs: Iterable[Node], given: dict[Node, Lane], lanes: int) -> list[Lane]:
    """The outputs over other sources, of which some have lanes. The walk ends at `given`."""
    outputs = list(outputs)
    done = dict(given)
    for node in _between(outputs, given):
        args = [done[a] for a in node.args]
        if any(a.many for a in args):
            with recorded_at(node.where):
                done[node] = Lane(_rule_of(node)(node, args, lanes), True)
        else:
            done[node] = Lane(rebuild(node, tuple(a.node for a in args)), False)
    return [done[o] for o in outputs]


def _between(outputs: list[Node], given: dict[Node, Lane]) -> list[Node]:
    """The nodes that the outputs reach without passing a given one, arguments first."""
    found: dict[int, Node] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node in given or node.serial in found:
            continue
        found[node.serial] = node
        stack.extend(node.args)
    return [found[s] for s in sorted(found)]


def _rule_of(node: Node) -> Rule:
    return RULES.get(node.op.name) or _BY_KIND.get(node.op.kind, one_by_one)


def with_lanes(lane: Lane, lanes: int) -> Node:
    """The value with lanes in front: a shared one is repeated."""
    return lane.node if lane.many else expand(lane.node, (lanes, *lane.node.shape))


def one_by_one(node: Node, args: list[Lane], lanes: int) -> Node:
    """Any primitive, lane by lane: for what knows no batches."""
    rows = []
    for k in range(lanes):
        here = [
            reshape(narrow(a.node, 0, k, 1), a.node.shape[1:]) if a.many else a.node for a in args
        ]
        row = node.op(*here, attrs=node.attrs)
        rows.append(reshape(row, (1, *row.shape)))
    if not rows:
        raise NotImplementedError(f"{node.op.name} over no lanes at all")
    return concat(rows, 0)


# ---------- elementwise, reductions, movement ----------
def _elementwise(node: Node, args: list[Lane], lanes: int) -> Node:
    """Lanes in front of the broadcast shape."""
    here = []
    for x, many in args:
        missing = node.ndim + 1 - x.ndim
        if many and missing:
            x = reshape(x, (lanes, *(1,) * missing, *x.shape[1:]))
        here.append(x)
    return node.op(*here, attrs=node.attrs)


def _reduction(node: Node, args: list[Lane], lanes: int) -> Node:
    axes, *rest = node.attrs
    return node.op(args[0].node, attrs=(tuple(a + 1 for a in axes), *rest))


_BY_KIND = {"elementwise": _elementwise, "reduction": _reduction}


@rule("reshape")
def _reshape(node: Node, args: list[Lane], lanes: int) -> Node:
    return reshape(args[0].node, (lanes, *node.shape))


@rule("permute")
def _permute(node: Node, args: list[Lane], lanes: int) -> Node:
    return permute(args[0].node, (0, *(a + 1 for a in node.attrs[0])))


@rule("expand")
def _expand(node: Node, args: list[Lane], lanes: int) -> Node:
    x = args[0].node
    aligned = (lanes, *(1,) * (node.ndim + 1 - x.ndim), *x.shape[1:])
    return expand(reshape(x, aligned), (lanes, *node.shape))


@rule("slice", "update_slice")
def _slice(node: Node, args: list[Lane], lanes: int) -> Node:
    here = [with_lanes(a, lanes) for a in args]
    return node.op(*here, attrs=(((0, lanes, 1), *node.attrs[0]),))


@rule("after")
def _after(node: Node, args: list[Lane], lanes: int) -> Node:
    return node.op(with_lanes(args[0], lanes), args[1].node)


@rule("concat")
def _concat(node: Node, args: list[Lane], lanes: int) -> Node:
    return concat([with_lanes(a, lanes) for a in args], node.attrs[0] + 1)


@rule("pairs")
def _as_it_is(node: Node, args: list[Lane], lanes: int) -> Node:
    return node.op(args[0].node, attrs=node.attrs)


@rule("with_gradient")
def _declared(node: Node, args: list[Lane], lanes: int) -> Node:
    """Its rules are elementwise, or know how to be batched."""
    rules = node.attrs[0]
    wide = rules.batched(lanes) if hasattr(rules, "batched") else rules
    return node.op(*[with_lanes(a, lanes) for a in args], attrs=(wide,))


@rule("host")
def _host(node: Node, args: list[Lane], lanes: int) -> Node:
    """Leading axes are batches."""
    name, settings, result, *rest = node.attrs
    wide = form((lanes, *result.shape), result.dtype)
    here = [with_lanes(a, lanes) for a in args]
    return node.op(*here, attrs=(name, settings, wide, *rest))


@rule("attention")
def _attention(node: Node, args: list[Lane], lanes: int) -> Node:
    """Leading axes are batches."""
    return node.op(*[with_lanes(a, lanes) for a in args], attrs=node.attrs)


# ---------- contractions ----------
@rule("contract")
def _contract(node: Node, args: list[Lane], lanes: int) -> Node:
    """A label for the lanes: a batch axis where both operands have them, else a free one."""
    la, lb, lo, windows = node.attrs
    (a, many_a), (b, many_b) = args
    taken = {*la, *lb, *lo}
    label = next(k for k in range(len(taken) + 1) if k not in taken)
    la = (label, *la) if many_a else la
    lb = (label, *lb) if many_b else lb
    return node.op(a, b, attrs=(la, lb, (label, *lo), windows))


# ---------- gather and scatter ----------
def _rows_in_front(x: Node, axis: int) -> Node:
    """[lanes, before.., n, after..] -> [lanes * n, before.., after..]."""
    axes = (0, axis + 1, *(d for d in range(1, x.ndim) if d != axis + 1))
    turned = permute(x, axes)
    return reshape(turned, (turned.shape[0] * turned.shape[1], *turned.shape[2:]))


def _own_rows(index: Node, n: int) -> Node:
    """Each lane's index, counted from the lane's first row."""
    return index + iota(index.shape, 0, index.dtype) * n


def _axes_home(lanes_first: Node, axis: int, width: int) -> Node:
    """[lanes, index.., before.., after..] -> [lanes, before.., index.., after..]."""
    before = range(1 + width, 1 + width + axis)
    after = range(1 + width + axis, lanes_first.ndim)
    return permute(lanes_first, (0, *before, *range(1, 1 + width), *after))


def _wide(index: Lane) -> Node:
    """An index that may be counted past its own type's largest."""
    return cast(index.node, int64)


@rule("gather")
def _gather(node: Node, args: list[Lane], lanes: int) -> Node:
    axis = node.attrs[0]
    x, index = args
    if not index.many:
        return node.op(x.node, index.node, attrs=(axis + 1,))
    width = index.node.ndim - 1
    if not x.many:
        found = node.op(x.node, index.node, attrs=(axis,))
        rest = [d for d in range(found.ndim) if d != axis]
        return permute(found, (axis, *rest))
    rows = node.op(
        _rows_in_front(x.node, axis), _own_rows(_wide(index), x.node.shape[axis + 1]), attrs=(0,)
    )
    return _axes_home(rows, axis, width)


@rule("scatter")
def _scatter(node: Node, args: list[Lane], lanes: int) -> Node:
    axis, adding = node.attrs
    base, index, value = args
    base_node, value_node = with_lanes(base, lanes), with_lanes(value, lanes)
    if not index.many:
        return node.op(base_node, index.node, value_node, attrs=(axis + 1, adding))
    width = index.node.ndim - 1
    n = base_node.shape[axis + 1]
    # [lanes, before.., index.., after..] -> [lanes, index.., before.., after..]
    picked = range(1 + axis, 1 + axis + width)
    rest = [d for d in range(1, value_node.ndim) if d not in picked]
    rows = permute(value_node, (0, *picked, *rest))
    flat = _rows_in_front(base_node, axis)
    done = node.op(flat, _own_rows(_wide(index), n), rows, attrs=(0, adding))
    back = reshape(done, (lanes, n, *done.shape[1:]))
    return _axes_home(back, axis, 1)


# ---------- native functions ----------
@rule("native")
def _native(node: Node, args: list[Lane], lanes: int) -> Node:
    """Sorting takes rows of keys, the C library's functions take anything; others go by lane."""
    name = node.attrs[0]
    if name == "libm":
        return node.op(args[0].node, attrs=node.attrs)
    if name in ("order", "sort"):
        keys = args[0].node
        found = node.op(reshape(keys, (prod(keys.shape[:2]), keys.shape[2])), attrs=node.attrs)
        return reshape(found, (*keys.shape[:2], *found.shape[1:]))
    return one_by_one(node, args, lanes)
