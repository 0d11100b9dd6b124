"""Values put together from pieces that do not overlap: the gradients of slices, of pooling.

The gradient of each slice is a zero array with one piece in it, and their sum adds such arrays.
Where the pieces do not overlap, the sum is one array that each piece is written into; what is then
computed cell by cell is computed on the pieces, so that the whole array is written once.
"""

from __future__ import annotations

from gemel.graph.node import Node, order, rebuild, recorded_at, users
from gemel.ops.movement import expand, slice_, slice_size, update_slice, zeros
from gemel.ops.record import const
from gemel.ops.reduction import SUM

from .layout import SOURCES, root_of
from .simplify import value_of

MOST_PIECES = 64

Piece = tuple[tuple, Node]  # slices of the whole, and what lies there


def join_pieces(outputs: list[Node]) -> list[Node]:
    """The same values; arrays of pieces are written once."""
    nodes = order(outputs)
    if not any(n.op.name == "update_slice" for n in nodes):
        return outputs
    readers = users(nodes)
    done: dict[Node, Node] = {}
    once: set[Node] = set()  # new nodes that one other node reads
    for node in nodes:
        new = rebuild(node, tuple(done[a] for a in node.args))
        with recorded_at(node.where):
            done[node] = _joined(new, once) or new
        if len(readers[node]) == 1 and node not in outputs:
            once.add(done[node])
    return [done[o] for o in outputs]


def _joined(node: Node, once: set[Node]) -> Node | None:
    if node.op.name == "add":
        found = _added(node)
        if found is not None:
            return found
    if node.op.kind == "elementwise" and node.op.name != "check_range":
        return _spread_over(node, once)
    return _summed(node) if node.op is SUM else None


# ---------- pieces ----------
def pieces_of(node: Node) -> list[Piece] | None:
    """The pieces that are written over nothing but zeros; None for any other node."""
    found: list[Piece] = []
    while node.op.name == "update_slice":
        found.append((node.attrs[0], node.args[1]))
        node = node.args[0]
    if not found or value_of(node) != 0 or len(found) > MOST_PIECES:
        return None
    found.reverse()
    return found


def are_apart(a: tuple, b: tuple) -> bool:
    """Do two slices of one array have no cell in common?"""
    for (s, _, step), (t, _, other), n, m in zip(a, b, _sizes(a), _sizes(b), strict=True):
        if not n or not m:
            return True
        low, high = sorted((s, s + (n - 1) * step))
        bottom, top = sorted((t, t + (m - 1) * other))
        if high < bottom or top < low:
            return True
        if abs(step) == abs(other) and (s - t) % abs(step):
            return True
    return False


def _sizes(spec) -> list[int]:
    return [slice_size(*s) for s in spec]


def cover(pieces: list[Piece], whole: Node) -> bool:
    """Is every cell of the whole in exactly one piece?"""
    if sum(v.form.size for _, v in pieces) != whole.form.size:
        return False
    specs = [spec for spec, _ in pieces]
    return all(are_apart(a, b) for i, a in enumerate(specs) for b in specs[:i])


def _whole(shape, dtype, pieces: list[Piece]) -> Node:
    out = zeros(shape, dtype)
    for spec, value in pieces:
        out = update_slice(out, value, spec)
    return out


# ---------- rewriting ----------
def _added(node: Node) -> Node | None:
    """The sum of two arrays whose pieces are apart."""
    left, right = (pieces_of(a) for a in node.args)
    if left is None or right is None or any(a.shape != node.shape for a in node.args):
        return None
    if not all(are_apart(a, b) for a, _ in left for b, _ in right):
        return None
    out = node.args[0]
    for spec, value in right:
        out = update_slice(out, value, spec)
    return out


def _spread_over(node: Node, once: set[Node]) -> Node | None:
    """An elementwise node of an array that nothing else reads, computed on its pieces."""
    for arg in node.args:
        found = pieces_of(arg) if arg in once and arg.shape == node.shape else None
        if found is None or not cover(found, arg):
            continue
        made = []
        for spec, value in found:
            args = tuple(value if a is arg else _cut(a, spec, once) for a in node.args)
            made.append((spec, _with(node, args)))
        return _whole(node.shape, node.dtype, made)
    return None


def _with(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on arguments of other shapes."""
    return Node(node.op, node.attrs, args, node.op.infer(node.attrs, *(a.form for a in args)))


def _cut(arg: Node, spec: tuple, once: set[Node]) -> Node:
    """The part of a broadcast operand that meets a piece. What nothing else reads is computed for
    that part only."""
    own = spec[len(spec) - arg.ndim :] if arg.ndim else ()
    own = tuple(s if n != 1 else (0, 1, 1) for s, n in zip(own, arg.shape, strict=True))
    value = value_of(arg)
    if value is not None:
        return expand(const(value, arg.dtype), tuple(_sizes(own)))
    if arg not in once or arg.op.kind != "elementwise" or arg.op.name == "check_range":
        return slice_(arg, own)
    return _with(arg, tuple(_cut(a, own, once) for a in arg.args))


def _summed(node: Node) -> Node | None:
    """A sum over all axes that are cut is the sum of the pieces' sums."""
    (x,) = node.args
    found = pieces_of(x)
    if found is None or not node.dtype.is_float or not cover(found, x):
        return None
    axes = node.attrs[0]
    for spec, _ in found:
        kept = [i for i in range(x.ndim) if i not in axes]
        if any(spec[i] != (0, x.shape[i], 1) for i in kept):
            return None
    total = None
    for _, value in found:
        part = SUM(value, attrs=node.attrs)
        total = part if total is None else total + part
    return total


# ---------- where pieces are written ----------
def chain_of(node: Node, readers: dict, results: set[Node]) -> list[Node]:
    """The update_slice nodes that one kernel writes, innermost first: `node` and the bases that
    only the next one reads. Empty for a node that is such a base itself."""
    if node in results:
        return _inner(node, readers, results)
    above = readers.get(node, ())
    if len(above) == 1 and above[0].op.name == "update_slice" and above[0].args[0] is node:
        return [] if above[0].args[1] is not node else _inner(node, readers, results)
    return _inner(node, readers, results)


def _inner(node: Node, readers: dict, results: set[Node]) -> list[Node]:
    found = [node]
    base = node.args[0]
    while base.op.name == "update_slice" and base not in results and len(readers[base]) == 1:
        found.append(base)
        base = base.args[0]
    return found[::-1]


def parts_of(nodes: list[Node]) -> list[Piece]:
    """What the kernel of one concat, or of a chain of updates, puts together."""
    whole = nodes[-1]
    if whole.op.name != "concat":
        return [(n.attrs[0], n.args[1]) for n in nodes]
    axis, at, found = whole.attrs[0], 0, []
    for part in whole.args:
        spec = [(0, n, 1) for n in whole.shape]
        spec[axis] = (at, at + part.shape[axis], 1)
        at += part.shape[axis]
        found.append((tuple(spec), part))
    return found


def place_of(spec: tuple, strides: tuple) -> tuple[int, list[int]]:
    """Offset and strides of a piece in the memory of the whole."""
    offset = sum(start * s for (start, _, _), s in zip(spec, strides, strict=True))
    return offset, [step * s for (_, _, step), s in zip(spec, strides, strict=True)]


# ---------- borders ----------
def padded_values(
    nodes: list[Node], readers: dict, results: set[Node], numbers: set[Node]
) -> set[Node]:
    """Arrays with a border of one number that are read cell by cell only: their readers look
    whether a cell is in the border, and the array is never made.

    results: they must lie in memory
    numbers: run-time numbers, which never do
    """
    found = set()
    for node in nodes:
        if node.op.name != "update_slice" or node in results or value_of(node.args[0]) is None:
            continue
        inner = root_of(node.args[1])
        if inner.op.name in ("update_slice", *SOURCES) or inner in numbers:
            continue
        whole = node.args[1].form.size and all(step == 1 for _, _, step in node.attrs[0])
        if whole and _read_by_cells(node, readers):
            found.add(node)
    return found


def _read_by_cells(node: Node, readers: dict) -> bool:
    """Is it read, perhaps cut once, by elementwise nodes and reductions only?"""
    found = [(r, node) for r in readers[node]]
    found += [(r, cut) for cut, _ in found if cut.op.name == "slice" for r in readers[cut]]
    cells = ("elementwise", "reduction")
    return all(r.op.kind in cells or r.op.name == "slice" and of is node for r, of in found)
