"""Sums taken apart: what does not vary over the summed cells is multiplied once, after the sum.

The gradient of a normalisation sums values that hold the result of another sum over the same cells;
as written it needs a pass over them of its own. Taken apart, all its sums are known after one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gemel.codegen.sizes import is_size
from gemel.graph.node import Node, order, rebuild, recorded_at
from gemel.ops.elementwise import CHECK_RANGE, NEG, ge, lt, where
from gemel.ops.movement import reshape
from gemel.ops.record import const
from gemel.ops.reduction import SUM, kept_shape

from .simplify import value_of

MOST_TERMS = 6  # a sum of more terms stays as it is


@dataclass
class Term:
    """A product with its sign: factors that do not vary over the summed axes, and the others."""

    negative: bool = False
    steady: list[Node] = field(default_factory=list)
    varying: list[Node] = field(default_factory=list)


class _Sums:
    """What is known on the way through a graph.

    after_sum  node -> is it computed from a reduction in the same stretch of elementwise work?
    made       (axes, factors) -> the sum of that product
    many       keys of `made` that several sums of the graph have
    """

    def __init__(self, many: set[tuple]):
        self.after_sum: dict[Node, bool] = {}
        self.made: dict[tuple, Node] = {}
        self.many = many


def take_sums_apart(outputs: list[Node]) -> list[Node]:
    """The same values with sums that need fewer passes."""
    outputs = _rewritten(outputs, set())
    many = _repeated(outputs)
    return _rewritten(outputs, many) if many else outputs


def _rewritten(outputs: list[Node], many: set[tuple]) -> list[Node]:
    done: dict[Node, Node] = {}
    sums = _Sums(many)
    for node in order(outputs):
        new = rebuild(node, tuple(done[a] for a in node.args))
        if new.op is SUM and new.dtype.is_float:
            with recorded_at(node.where):
                new = _of_one_hot(new) or _apart(new, sums) or new
        done[node] = new
    return [done[o] for o in outputs]


def _repeated(outputs: list[Node]) -> set[tuple]:
    """Products that are summed more than once, up to steady factors."""
    seen: set[tuple] = set()
    many: set[tuple] = set()
    for node in order(outputs):
        if node.op is SUM and node.dtype.is_float:
            (x,), axes = node.args, node.attrs[0]
            key = _key(_product(x, x, axes), axes)
            (many if key in seen else seen).add(key)
    return many


def _key(term: Term, axes) -> tuple:
    return axes, tuple(sorted(f.serial for f in term.varying))


# ---------- products ----------
def _apart(node: Node, sums: _Sums) -> Node | None:
    """The sum as a combination of simpler ones, where that saves a pass or a sum."""
    (x,) = node.args
    axes = node.attrs[0]
    terms = _terms(x, x, axes)
    if terms is None:
        return None
    shared = len(terms) == 1 and _key(terms[0], axes) in sums.many
    if not shared and not any(_after_sum(f, sums.after_sum) for t in terms for f in t.steady):
        return None
    total = None
    for term in terms:
        part = _sum_of(term, x, axes, sums)
        if part is None:
            return None
        if part is _ZERO:
            continue
        if total is None:
            total = NEG(part) if term.negative else part
        else:
            total = total - part if term.negative else total + part
    if total is None:
        return None
    kept = kept_shape(x.shape, axes)
    return reshape(total, node.shape) if total.shape == kept else None


def _terms(x: Node, whole: Node, axes) -> list[Term] | None:
    """x as a sum of products; None where there are too many."""
    name = x.op.name
    if name in ("add", "sub"):
        left, right = (_terms(a, whole, axes) for a in x.args)
        if left is None or right is None or len(left) + len(right) > MOST_TERMS:
            return None
        for term in right:
            term.negative ^= name == "sub"
        return left + right
    if name == "neg":
        found = _terms(x.args[0], whole, axes)
        for term in found or ():
            term.negative = not term.negative
        return found
    return [_product(x, whole, axes)]


def _product(x: Node, whole: Node, axes) -> Term:
    """The factors of a product."""
    if _steady(x, whole, axes):
        return Term(steady=[x])
    if x.op.name == "neg":
        term = _product(x.args[0], whole, axes)
        term.negative = not term.negative
        return term
    if x.op.name == "div" and _steady(x.args[1], whole, axes):
        term = _product(x.args[0], whole, axes)
        term.steady.append(1.0 / x.args[1])
        return term
    if x.op.name != "mul":
        return Term(varying=[x])
    a, b = (_product(arg, whole, axes) for arg in x.args)
    return Term(a.negative != b.negative, a.steady + b.steady, a.varying + b.varying)


def _steady(a: Node, whole: Node, axes) -> bool:
    """Does `a`, broadcast to the whole, repeat along all the axes?"""
    lead = whole.ndim - a.ndim
    return all(i < lead or a.shape[i - lead] == 1 for i in axes)


_ZERO = object()


def _sum_of(term: Term, x: Node, axes, sums: _Sums):
    """The sum of one term with its axes kept; None where it cannot be said."""
    if term.varying and _centered(term.varying, axes):
        return _ZERO
    factors = sorted(term.varying, key=lambda n: n.serial)
    if not factors:
        cells = x.form.size // max(1, _size(kept_shape(x.shape, axes)))
        if is_size(cells):
            return None  # no number yet, and as one it would be the only one that the code serves
        part = const(float(cells), x.dtype)
    else:
        product = factors[0]
        for f in factors[1:]:
            product = product * f
        if product.shape != x.shape:
            return None
        part = sums.made.get(_key(term, axes)) or SUM(product, attrs=(axes, True))
        sums.made[_key(term, axes)] = part
    for f in term.steady:
        part = part * f
    return part


def _size(shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _centered(factors: list[Node], axes) -> bool:
    """Is it a difference from the mean over these axes? Such differences sum to nothing."""
    if len(factors) != 1 or factors[0].op.name != "sub":
        return False
    x, mean = factors[0].args
    if mean.op.name not in ("div", "mul"):
        return False
    total, count = mean.args
    if total.op is not SUM or total.args[0] is not x or total.attrs != (axes, True):
        return False
    cells = x.form.size // max(1, total.form.size)
    return value_of(count) == (cells if mean.op.name == "div" else 1 / cells)


def _after_sum(node: Node, summed: dict[Node, bool]) -> bool:
    """Is the value computed from a reduction in the same stretch of elementwise work?"""
    stack = [node]
    while stack:
        at = stack[-1]
        if at in summed:
            stack.pop()
            continue
        inner = at.args if at.op.kind in ("elementwise", "movement") else ()
        waiting = [a for a in inner if a not in summed]
        if waiting:
            stack.extend(waiting)
            continue
        summed[at] = at.op.kind == "reduction" or any(summed[a] for a in inner)
        stack.pop()
    return summed[node]


# ---------- one cell of a row ----------
def _of_one_hot(node: Node) -> Node | None:
    """The sum of where(index == label, value, 0) over all indices is the value, where there is
    such an index."""
    (x,) = node.args
    axes, keepdims = node.attrs
    if x.op.name == "neg":
        found = _of_one_hot(SUM(x.args[0], attrs=(axes, keepdims)))
        return None if found is None else _negated(found)
    if len(axes) != 1 or x.op.name != "where" or value_of(x.args[2]) != 0:
        return None
    hit, value, _ = x.args
    if hit.op.name != "eq" or hit.shape != x.shape or not _steady(value, x, axes):
        return None
    for index, label in (hit.args, hit.args[::-1]):
        if _counts(index, x, axes[0]) and _steady(label, x, axes):
            kept = kept_shape(x.shape, axes)
            chosen = _where_inside(label, x.shape[axes[0]], value)
            return reshape(chosen, node.shape) if chosen.shape == kept else None
    return None


def _negated(x: Node) -> Node:
    return x.args[0] if x.op is NEG else NEG(x)


def _where_inside(label: Node, count: int, value: Node) -> Node:
    """The value where 0 <= label < count, else 0. A checked label is there, but is still read:
    the check is to be made."""
    root = label
    while root.op.name in ("reshape", "expand", "permute", "cast"):
        root = root.args[0]
    nothing = const(0, value.dtype)
    if root.op is CHECK_RANGE and 0 <= root.attrs[0] and root.attrs[1] <= count:
        return where(ge(label, 0), value, nothing)
    return where(ge(label, 0), where(lt(label, count), value, nothing), nothing)


def _counts(index: Node, x: Node, axis: int) -> bool:
    """Is it 0, 1, 2... along the axis?"""
    if index.op.name == "reshape" and index.form.size == x.shape[axis]:
        place = axis - (x.ndim - index.ndim)
        return index.shape[place] == index.form.size and index.args[0].op.name == "iota"
    if index.op.name != "iota":
        return False
    return index.attrs[1] == axis - (x.ndim - index.ndim) and index.shape[index.attrs[1]] > 1
