"""Simplification: equal nodes become one, constants are folded, what does nothing goes.

Rules are a table by primitive; each takes a node and gives a better one or None. Floating-point
results stay what they were, except that x + 0 may keep a negative zero.
"""

from __future__ import annotations

import math

from gemel.graph.node import Node, order, rebuild, recorded_at
from gemel.ops.elementwise import CHECK_RANGE, le, mul
from gemel.ops.movement import concat, expand, full, permute, reshape, slice_, slice_size, zeros
from gemel.ops.record import const

RULES: dict[str, list] = {}


def rule(*names: str):
    """Register a rule for primitives by name."""

    def register(function):
        for name in names:
            RULES.setdefault(name, []).append(function)
        return function

    return register


def simplify(outputs: list[Node]) -> list[Node]:
    """The same values from fewer and simpler nodes."""
    for _ in range(2):
        outputs = _once(outputs)
    return _share_relu_masks(outputs)


def _once(outputs: list[Node]) -> list[Node]:
    done: dict[Node, Node] = {}
    known: dict[tuple, Node] = {}
    for node in order(outputs):
        new = rebuild(node, tuple(done[a] for a in node.args))
        with recorded_at(node.where):
            done[node] = _shared(_applied(new), known)
    return [done[o] for o in outputs]


def _applied(node: Node) -> Node:
    if not node.form.size or any(not a.form.size for a in node.args):
        return _of_nothing(node)
    for _ in range(8):
        for function in RULES.get(node.op.name, ()):
            better = function(node)
            if better is not None and better is not node:
                node = better
                break
        else:
            folded = _folded(node)
            if folded is None:
                return node
            node = folded
    return node


def _shared(node: Node, known: dict[tuple, Node]) -> Node:
    """The first node that computes the same (common subexpressions)."""
    key = (node.op, repr(node.attrs), *(a.serial for a in node.args))
    return known.setdefault(key, node)


# ---------- values without cells ----------
def _of_nothing(node: Node) -> Node:
    """A node that has no cells, or reads a value that has none, without its loops."""
    if node.op.kind in ("source", "random") or node.op.name == "expand":
        return node
    if not node.form.size or node.op.name in ("sum", "contract"):
        return zeros(node.shape, node.dtype)
    if node.op.name == "prod":
        return full(node.shape, 1, node.dtype)
    if node.op.name == "concat":
        return concat([a for a in node.args if a.form.size], node.attrs[0])
    if node.op.name in ("update_slice", "scatter"):
        return node.args[0]
    return node


# ---------- constants ----------
def value_of(x: Node):
    """The number a node is everywhere, or None."""
    while x.op.name in ("expand", "reshape", "permute", "slice", "copy"):
        x = x.args[0]
    return x.attrs[0] if x.op.name == "const" else None


def _folded(node: Node) -> Node | None:
    """An elementwise node of constants is a constant."""
    if node.op.kind != "elementwise" or not node.args or node.op is CHECK_RANGE:
        return None
    values = [value_of(a) for a in node.args]
    if any(v is None for v in values):
        return None
    typed = [a.dtype.numpy.type(v) for a, v in zip(node.args, values, strict=True)]
    result = node.op.reference(node.attrs, *typed)
    return expand(const(result.item(), node.dtype), node.shape)


def _spread(x: Node, like: Node) -> Node:
    """x in the shape of the node it replaces."""
    return expand(x, like.shape)


# ---------- arithmetic ----------
@rule("stop_gradient")
@rule("with_gradient")
def _identity(node):
    return node.args[0]


@rule("after")
def _after(node):
    x, _ = node.args
    return x if x.op.name in ("const", "scalar", "iota") else None


@rule("add")
def _add(node):
    a, b = node.args
    if value_of(b) == 0:
        return _spread(a, node)
    return _spread(b, node) if value_of(a) == 0 else None


@rule("sub")
def _sub(node):
    a, b = node.args
    return _spread(a, node) if value_of(b) == 0 else None


@rule("mul")
def _mul(node):
    a, b = node.args
    if value_of(b) == 1:
        return _spread(a, node)
    return _spread(b, node) if value_of(a) == 1 else None


@rule("div")
def _div(node):
    """x / 1, and division by a power of two as an exact product."""
    a, b = node.args
    v = value_of(b)
    if v == 1:
        return _spread(a, node)
    if not v or not node.dtype.is_float or math.isinf(v):
        return None
    fraction, exponent = math.frexp(v)
    if abs(fraction) == 0.5 and abs(exponent) < 60:
        return mul(a, const(1 / v, node.dtype))
    return None


@rule("neg")
def _neg(node):
    (x,) = node.args
    return x.args[0] if x.op.name == "neg" else None


@rule("where")
def _where(node):
    c, a, b = node.args
    v = value_of(c)
    if a is b:
        return _spread(a, node)
    return None if v is None else _spread(a if v else b, node)


@rule("cast")
def _cast(node):
    (x,) = node.args
    return x if x.dtype is node.dtype else None


@rule("not")
def _not(node):
    (x,) = node.args
    return x.args[0] if x.op.name == "not" else None


# ---------- broadcasting ----------
@rule("add", "sub", "mul", "div", "where", "maximum", "minimum", "lt", "le", "eq", "pow", "fma")
def _drop_expand(node):
    """Elementwise primitives broadcast by themselves: an expanded operand need not be expanded."""
    args = tuple(_unexpanded(a) for a in node.args)
    if all(a is b for a, b in zip(args, node.args, strict=True)):
        return None
    shape = _broadcast(args)
    if shape is None:
        return None
    made = Node(node.op, node.attrs, args, node.op.infer(node.attrs, *(a.form for a in args)))
    return made if shape == node.shape else expand(made, node.shape)


def _unexpanded(x: Node) -> Node:
    """Strip expands, and reshapes that only add leading ones."""
    while True:
        if x.op.name == "expand":
            x = x.args[0]
        elif x.op.name == "reshape" and _adds_ones(x.args[0].shape, x.shape):
            x = x.args[0]
        else:
            return x


def _adds_ones(small, big) -> bool:
    lead = len(big) - len(small)
    return lead > 0 and big[:lead] == (1,) * lead and big[lead:] == small


def _broadcast(args) -> tuple | None:
    width = max(a.ndim for a in args)
    out = []
    for axis in range(-width, 0):
        sizes = {a.shape[axis] for a in args if a.ndim >= -axis} - {1}
        if len(sizes) > 1:
            return None
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


# ---------- movement ----------
@rule("reshape")
def _reshape(node):
    (x,) = node.args
    if x.shape == node.shape:
        return x
    if x.op.name == "reshape":
        return reshape(x.args[0], node.shape)
    if x.op.name == "expand" and x.args[0].form.size == 1:
        return expand(reshape(x.args[0], ()), node.shape)
    return None


@rule("permute")
def _permute(node):
    (x,) = node.args
    if node.attrs[0] == tuple(range(x.ndim)):
        return x
    if x.op.name == "permute":
        return permute(x.args[0], tuple(x.attrs[0][a] for a in node.attrs[0]))
    if x.op.name == "expand" and x.args[0].ndim == 0:
        return expand(x.args[0], node.shape)
    return None


@rule("expand")
def _expand(node):
    (x,) = node.args
    if x.shape == node.shape:
        return x
    if x.op.name == "expand":
        return expand(x.args[0], node.shape)
    if x.op.name == "reshape" and x.form.size == 1 and x.args[0].form.size == 1:
        return expand(reshape(x.args[0], ()), node.shape) if x.args[0].ndim == 0 else None
    return None


@rule("slice")
def _slice(node):
    (x,) = node.args
    spec = node.attrs[0]
    if all(s == (0, n, 1) for s, n in zip(spec, x.shape, strict=True)):
        return x
    if value_of(x) is not None:
        return expand(const(value_of(x), x.dtype), node.shape)
    if x.op.name == "concat":
        return _slice_of_concat(node, x)
    if x.op.name == "update_slice":
        return _slice_of_update(node, x)
    if x.op.name == "slice":
        joined = tuple(_slice_of_slice(a, b) for a, b in zip(x.attrs[0], spec, strict=True))
        return Node(node.op, (joined,), (x.args[0],), node.form)
    return None


def _slice_of_slice(outer, inner):
    size = slice_size(*inner)
    start = outer[0] + inner[0] * outer[2]
    step = outer[2] * inner[2]
    return (start, start + size * step, step) if size else (0, 0, 1)


def _slice_of_concat(node: Node, x: Node) -> Node | None:
    """A slice that lies within one of the values put together reads that one."""
    (axis,) = x.attrs
    start, _, step = node.attrs[0][axis]
    last = start + (node.shape[axis] - 1) * step
    at = 0
    for part in x.args:
        end = at + part.shape[axis]
        if at <= start < end and at <= last < end:
            spec = list(node.attrs[0])
            spec[axis] = (start - at, start - at + node.shape[axis] * step, step)
            return slice_(part, spec)
        at = end
    return None


def _slice_of_update(node: Node, x: Node) -> Node | None:
    """A slice that lies within what was written reads that; one apart from it reads the base."""
    base, value = x.args
    inner = []
    for (start, stop, step), (first, last, stride) in zip(node.attrs[0], x.attrs[0], strict=True):
        if step != 1 or stride != 1:
            return None
        if stop <= first or start >= last:
            return slice_(base, node.attrs[0])
        inner.append((start - first, stop - first, 1))
    within = all(0 <= a and b <= n for (a, b, _), n in zip(inner, value.shape, strict=True))
    return slice_(value, inner) if within else None


@rule("update_slice")
def _update_all(node):
    base, value = node.args
    whole = all(s == (0, n, 1) for s, n in zip(node.attrs[0], base.shape, strict=True))
    return value if whole else None


# ---------- reductions ----------
@rule("sum", "max", "min", "prod")
def _reduce_nothing(node):
    """Over axes of size one there is nothing to reduce."""
    (x,) = node.args
    axes, keepdims = node.attrs
    if all(x.shape[a] == 1 for a in axes):
        return reshape(x, node.shape)
    real = tuple(a for a in axes if x.shape[a] != 1)
    if keepdims and len(real) < len(axes):
        return Node(node.op, (real, True), (x,), node.form)
    return None


@rule("sum")
def _sum_of_constant(node):
    (x,) = node.args
    v = value_of(x)
    if v is None or not x.form.size:
        return None
    count = x.form.size // max(1, node.form.size)
    return expand(const(v * count, node.dtype), node.shape)


@rule("max", "min")
def _extreme_of_constant(node):
    (x,) = node.args
    v = value_of(x)
    return None if v is None else expand(const(v, node.dtype), node.shape)


@rule("position")
def _position_of_one(node):
    """The only cell is the extreme one."""
    (x,) = node.args
    if any(x.shape[a] != 1 for a in node.attrs[0]):
        return None
    return expand(const(0, node.dtype), node.shape)


@rule("sum")
def _sum_of_sum(node):
    """Sums over different axes are one sum."""
    (x,) = node.args
    if x.op.name != "sum" or not (x.attrs[1] and node.attrs[1]):
        return None
    axes = tuple(sorted({*x.attrs[0], *node.attrs[0]}))
    return Node(node.op, (axes, True), x.args, node.form)


@rule("contract")
def _contract(node):
    """Permuted operands are other labels."""
    if not any(a.op.name == "permute" for a in node.args):
        return None
    labels = list(node.attrs)
    args = list(node.args)
    for i in (0, 1):
        if args[i].op.name == "permute":
            moved = args[i].attrs[0]
            args[i] = args[i].args[0]
            given = labels[i]
            back = [0] * len(moved)
            for position, source in enumerate(moved):
                back[source] = given[position]
            labels[i] = tuple(back)
    return Node(node.op, tuple(labels), tuple(args), node.form)


# ---------- rectifiers ----------
def _share_relu_masks(outputs: list[Node]) -> list[Node]:
    """`x <= 0` beside relu(x) becomes `relu(x) <= 0`: x itself need not be kept for a gradient."""
    relus = {}
    for node in order(outputs):
        if node.op.name == "where" and _is_relu(node):
            relus[node.args[2]] = node
    if not relus:
        return outputs
    done: dict[Node, Node] = {}
    for node in order(outputs):
        args = tuple(done[a] for a in node.args)
        if node.op.name == "where" and not _is_relu(node) and _mask_of(node, relus) is not None:
            relu = done[_mask_of(node, relus)]
            args = (le(relu, 0), *args[1:])
        done[node] = rebuild(node, args)
    return [done[o] for o in outputs]


def _mask_of(node: Node, relus) -> Node | None:
    """The relu whose mask chooses in this node, if it is computed anyway before it."""
    c = node.args[0]
    if c.op.name != "le" or value_of(c.args[1]) != 0:
        return None
    relu = relus.get(c.args[0])
    return relu if relu is not None and relu.serial < node.serial else None


def _is_relu(node: Node) -> bool:
    c, a, b = node.args
    mask = c.op.name == "le" and c.args[0] is b and value_of(c.args[1]) == 0
    return mask and value_of(a) == 0 and node.shape == b.shape
