"""Lowering: a group of nodes becomes a kernel of loop nests.

Buffers of a kernel are the nodes whose values it reads or writes in memory; where those lie is the
memory plan's matter.
"""

from __future__ import annotations

from gemel.codegen.nest import (
    Access,
    Bound,
    Expr,
    Kernel,
    Native,
    Nest,
    Operand,
    Product,
    Repeat,
    Store,
    access,
    children,
    collapse,
    computed,
    remade,
)
from gemel.codegen.nests.loops import lane_count
from gemel.graph.node import Node

from .arrange import reduced_over
from .fuse import Group, lower_axes
from .layout import is_root, is_view, root_of
from .pieces import cover, parts_of, place_of
from .recompute import Kept
from .simplify import value_of
from .views import row_major, view_of
from .windows import Part, parts


class Lowering:
    """Turns one group into the sections of a kernel.

    kept: the nodes whose values must lie in memory, and those computed wherever they are read
    """

    def __init__(self, kernel: Kernel, kept: Kept):
        self.kernel = kernel
        self.kept = kept.stored
        self.inline = kept.inline
        self.inside = kept.inside
        self.padded = kept.padded
        self.numbers: dict[Node, int] = {n: i for i, n in enumerate(kernel.buffers)}

    def buffer(self, node: Node) -> int:
        """The kernel's number of a node's memory."""
        if node not in self.numbers:
            self.numbers[node] = len(self.kernel.buffers)
            self.kernel.buffers.append(node)
        return self.numbers[node]

    def target(self, node: Node) -> int:
        number = self.buffer(node)
        self.kernel.writes.add(number)
        return number

    def add(self, group: Group) -> None:
        if group.kind == "nest":
            self._nest(group)
        elif group.kind == "product":
            self._product(group)
        else:
            _SINGLES.get(group.nodes[0].op.name, _native)(self, group.nodes)
        if any(n.op.name == "check_range" for n in group.nodes):
            self.kernel.checks = True

    # ---------- nests ----------
    def _nest(self, group: Group) -> None:
        builder = Expressions(self, group)
        stores, adding = [], []
        found = group.arrangement
        for node in group.nodes:
            value = builder.member(node)
            if node not in self.kept:
                continue
            for target in self._places(node, group.axes[node]):
                if node in found.adding:
                    adding.append(Store(target, value.args[0], adding=True))
                else:
                    stores.append(Store(target, value))
        for s in adding:
            self._fill(s.target, group.sizes, s.value.dtype)
        stores += adding
        sizes = dict(group.sizes)
        self.section(Nest(sizes, found.rows, found.cols, found.lanes, stores, found.width))

    def _places(self, node: Node, axes: tuple) -> list[Access]:
        """Where a nest writes a member: its own memory, or its parts of a larger value."""
        if node not in self.inside:
            return [access(self.target(node), 0, _strides(node, axes))]
        whole, specs = self.inside[node]
        found = []
        for spec in specs:
            offset, strides = place_of(spec, row_major(whole.shape))
            steps = {a: s for a, s in zip(axes, strides, strict=True) if a is not None}
            found.append(access(self.target(whole), offset, steps))
        return found

    def section(self, nest: Nest) -> None:
        used = {a for s in nest.stores for a in s.axes()} | {*nest.rows, *nest.cols}
        nest.sizes = {a: n for a, n in nest.sizes.items() if a in used}
        self.kernel.sections.append(collapse(nest))

    def _fill(self, target: Access, sizes, dtype, value=0) -> None:
        """Set every cell of the access to a number."""
        axes = tuple(sorted(target.axes()))
        zero = Expr("const", dtype, (), (), value)
        lanes = axes[-1] if axes else None
        self.section(_loops(sizes, axes, lanes, [Store(target, zero)]))

    # ---------- products ----------
    def _product(self, group: Group) -> None:
        node = group.nodes[0]
        *labels, windows = node.attrs
        result = labels[2]
        builder = Expressions(self, group)
        inside = {x for x in result if group.sizes[x] != 1}
        builder.known[node] = Expr("product", node.dtype, (), inside, None)
        stores = []
        for member in group.nodes:
            value = builder.member(member)
            if member in self.kept:
                target = access(self.target(member), 0, _strides(member, group.axes[member]))
                stores.append(Store(target, value))
        found = parts(group.sizes, tuple(labels), windows)
        if len(found) > 1:  # each cell of the result belongs to one of them
            self.kernel.apart |= {s.target.buffer for s in stores}
        for part in found:
            here = part.stores(stores)
            if part.empty:
                self._without_product(part, here)
            else:
                self.kernel.sections.append(self._part(node, part, here, builder))
                self.kernel.flops += 2 * part.products

    def _part(
        self, node: Node, part: Part, stores: list[Store], builder: Expressions
    ) -> Product:
        left, right, out = (part.loops(labels) for labels in node.attrs[:3])
        return Product(
            dict(part.sizes),
            self._operand(node.args[0], node.attrs[0], part, builder),
            self._operand(node.args[1], node.attrs[1], part, builder),
            tuple(x for x in out if x in left and x in right),
            tuple(x for x in out if x in left and x not in right),
            tuple(x for x in out if x in right and x not in left),
            tuple(x for x in left if x in right and x not in out),
            stores,
            node.dtype,
        )

    def _operand(self, arg: Node, labels, part: Part, builder: Expressions) -> Operand:
        if root_of(arg) in self.inline:
            axes = tuple(x if part.sizes[x] != 1 else None for x in labels)
            return computed(builder.operand(arg, axes))
        view = view_of(arg, is_root)
        strides = dict(zip(labels, view.strides, strict=True))
        where = part.access(access(self.buffer(view.root), view.offset, strides))
        return Operand(where, arg.dtype, part.bounds(labels))

    def _without_product(self, part: Part, stores: list[Store]) -> None:
        """The epilogue where nothing is summed."""

        def zero(e: Expr, args: tuple) -> Expr:
            if e.kind == "product":
                return Expr("const", e.dtype, (), (), 0)
            axes = frozenset().union(*(a.axes for a in args)) if args else e.axes
            return Expr(e.kind, e.dtype, args, axes, e.payload)

        stores = remade(stores, lambda a: a, zero)
        axes = tuple(sorted({a for s in stores for a in s.target.axes()}))
        self.section(_loops(part.sizes, axes, axes[-1] if axes else None, stores))


def _strides(node: Node, axes: tuple) -> dict[int, int]:
    """Strides of a node's own memory by loop."""
    pairs = zip(axes, row_major(node.shape), strict=True)
    return {a: s for a, s in pairs if a is not None}


class Expressions:
    """Expressions of a group's members; equal ones are one object."""

    def __init__(self, lowering: Lowering, group: Group):
        self.lowering = lowering
        self.group = group
        self.known: dict[Node, Expr] = {}
        self.inlined: dict[tuple[Node, tuple], Expr] = {}
        self.unique: dict[tuple, Expr] = {}

    def make(self, kind: str, dtype, args, axes, payload, key) -> Expr:
        found = self.unique.get((kind, key, dtype, *map(id, args)))
        if found is None:
            found = Expr(kind, dtype, tuple(args), axes, payload)
            self.unique[(kind, key, dtype, *map(id, args))] = found
        return found

    def member(self, node: Node) -> Expr:
        """The expression of a node of the group at the group's loops."""
        if node not in self.known:
            make = getattr(self, "_" + node.op.kind)
            self.known[node] = make(node, self.group.axes[node])
        return self.known[node]

    def _elementwise(self, node: Node, axes: tuple) -> Expr:
        args = [self.operand(a, _aligned(a, axes)) for a in node.args]
        over = frozenset().union(*(a.axes for a in args)) if args else frozenset()
        key = (node.op.name, repr(node.attrs))
        if node.op.name == "check_range":
            # the fault's table entry is found by the fault and the line that recorded the check
            attrs = (*node.attrs[:2], (node.attrs[2], node.where))
            key = (*key, node.where)
        else:
            attrs = node.attrs
        payload = (node.op.name, node.op.lower, attrs)
        return self.make("apply", node.dtype, args, over, payload, key)

    def _reduction(self, node: Node, axes: tuple) -> Expr:
        given = self.group.reads[node]
        arg = self.operand(node.args[0], given)
        over = reduced_over(node, given)
        name = node.op.name
        if name == "position":
            name = "argmax" if node.attrs[2] else "argmin"
        if not over:
            raise AssertionError(f"{node} reduces nothing")
        axes_left = arg.axes - over
        return self.make("reduce", node.dtype, [arg], axes_left, (name, over), (name, over))

    def _indexing(self, node: Node, axes: tuple) -> Expr:
        """gather: a load whose offset along one axis is read from the index."""
        (axis,) = node.attrs
        x, index = node.args
        view = view_of(x, is_root)
        inside = axes[axis : axis + index.ndim]
        at = self.operand(index, inside)
        rest = [*axes[:axis], None, *axes[axis + index.ndim :]]
        strides = {
            a: s for a, s in zip(rest, view.strides, strict=True) if a is not None
        }
        where = access(self.lowering.buffer(view.root), view.offset, strides)
        stride = view.strides[axis]
        over = where.axes() | at.axes
        return self.make(
            "pick", node.dtype, [at], over, (where, stride, None), (where, stride)
        )

    def operand(self, arg: Node, axes: tuple) -> Expr:
        """An argument read at loops: a member's expression, a load, a number or an index."""
        root = arg
        here = axes
        end = root_of(arg)
        if end in self.lowering.inline and end.form.size == 1:
            root, here, computed = end, (None,) * end.ndim, False
        else:
            computed = end in self.group.axes or end in self.lowering.inline
        while is_view(root) and computed:
            here = lower_axes(root, here)
            root = root.args[0]
        if root in self.group.axes:
            return self.member(root)
        if root in self.lowering.inline:
            # every reader computes it, but those at the same loops share what is written
            found = self.inlined.get((root, here))
            if found is None:
                found = self.inlined[root, here] = self._elementwise(root, here)
            return found
        return self._outside(arg, axes)

    def _outside(self, arg: Node, axes: tuple) -> Expr:
        root = root_of(arg)
        name = root.op.name
        if root in self.lowering.padded:
            return self._bordered(arg, root, axes)
        if name == "const":
            value = root.attrs[0]
            return self.make("const", root.dtype, (), (), value, repr(value))
        if name == "scalar":
            return self.make("scalar", root.dtype, (), (), root.attrs[0], root.attrs[0])
        if name == "iota":
            return self._iota(root, axes)
        view = view_of(arg, is_root)
        strides = {a: s for a, s in zip(axes, view.strides, strict=True) if a is not None}
        where = access(self.lowering.buffer(view.root), view.offset, strides)
        return self.make("load", arg.dtype, (), where.axes(), where, where)

    def _bordered(self, arg: Node, padded: Node, axes: tuple) -> Expr:
        """A value with a border, perhaps cut: the inner value where the index is inside."""
        base, inner = padded.args
        number = value_of(base)
        cuts = arg.attrs[0] if arg is not padded else [(0, n, 1) for n in padded.shape]
        view = view_of(inner, is_root)
        offset, strides, bounds = view.offset, {}, []
        dims = zip(axes, cuts, padded.attrs[0], inner.shape, arg.shape, view.strides, strict=True)
        for axis, (start, _, step), (border, _, _), size, count, stride in dims:
            first = start - border
            ends = sorted((first, first + (count - 1) * step))
            if ends[1] < 0 or ends[0] >= size:
                return self.make("const", arg.dtype, (), (), number, repr(number))
            if axis is not None and (ends[0] < 0 or ends[1] >= size):
                bounds.append(Bound(((axis, step),), first, size))
            offset += first * stride
            if axis is not None:
                strides[axis] = step * stride
        where = access(self.lowering.buffer(view.root), offset, strides)
        if not bounds:
            return self.make("load", arg.dtype, (), where.axes(), where, where)
        payload = (where, tuple(bounds), number)
        over = where.axes() | {a for b in bounds for a, _ in b.steps}
        return self.make("edge", arg.dtype, (), over, payload, (*payload[:2], repr(number)))

    def _iota(self, node: Node, axes: tuple) -> Expr:
        axis = axes[node.attrs[1]]
        if axis is None:
            return self.make("const", node.dtype, (), (), 0, repr(0))
        payload = (axis, 1, 0)
        return self.make("index", node.dtype, (), {axis}, payload, payload)


def _aligned(arg: Node, axes: tuple) -> tuple:
    """The loops at which a broadcast operand is read."""
    own = axes[len(axes) - arg.ndim :] if arg.ndim else ()
    return tuple(a if n != 1 else None for a, n in zip(own, arg.shape, strict=True))


def _loops(sizes: dict, axes: tuple, lanes: int | None, stores: list[Store]) -> Nest:
    """A nest that stores something in each cell."""
    width = lane_count(e.dtype for e in children(stores))
    return Nest({a: sizes[a] for a in axes}, (), axes, lanes, stores, width)


# ---------- nodes with a kernel of their own ----------
def _fresh(lowering: Lowering, node: Node) -> Group:
    """Loops over the node's cells, outside of any group."""
    group = Group("nest", -1)
    group.axes[node] = tuple(group.new_axis(n) if n != 1 else None for n in node.shape)
    return group


def _copy_section(lowering: Lowering, source: Node, target: int, offset: int, strides) -> None:
    """target[offset + cell * strides] = source[cell]."""
    group = Group("nest", -1)
    axes = tuple(group.new_axis(n) if n != 1 else None for n in source.shape)
    value = Expressions(lowering, group).operand(source, axes)
    pairs = zip(axes, strides, strict=True)
    to = access(target, offset, {a: s for a, s in pairs if a is not None})
    loops = tuple(group.sizes)
    lanes = loops[-1] if loops else None
    lowering.section(_loops(group.sizes, loops, lanes, [Store(to, value)]))


def _put_together(lowering: Lowering, nodes: list[Node]) -> None:
    """A concat, or updates one over the other: the parts that do not lie there already."""
    whole = nodes[-1]
    target = lowering.target(whole)
    strides = row_major(whole.shape)
    parts = parts_of(nodes)
    if whole.op.name == "update_slice" and not cover(parts, whole):
        _copy_section(lowering, nodes[0].args[0], target, 0, strides)
    for spec, part in parts:
        if part.form.size and part not in lowering.inside:
            offset, stepped = place_of(spec, strides)
            _copy_section(lowering, part, target, offset, stepped)


def _scatter(lowering: Lowering, nodes: list[Node]) -> None:
    """Copy the base, then write the rows one after the other in the index's order."""
    (node,) = nodes
    axis, how = node.attrs
    base, index, value = node.args
    target = lowering.target(node)
    strides = row_major(node.shape)
    _copy_section(lowering, base, target, 0, strides)
    group = Group("nest", -1)
    axes = tuple(group.new_axis(n) if n != 1 else None for n in value.shape)
    builder = Expressions(lowering, group)
    inside = axes[axis : axis + index.ndim]
    at = builder.operand(index, inside)
    rest = [*axes[:axis], None, *axes[axis + index.ndim :]]
    pairs = zip(rest, strides, strict=True)
    to = access(target, 0, {a: s for a, s in pairs if a is not None})
    joined = how if isinstance(how, str) else "add"
    store = Store(to, builder.operand(value, axes), at, strides[axis], bool(how), joined)
    loops = _index_first(inside, tuple(group.sizes))
    free = [a for a in loops if a not in inside]
    lanes = free[-1] if free else None
    lowering.section(_loops(group.sizes, loops, lanes, [store]))


def _index_first(inside, loops: tuple) -> tuple:
    """The index's loops outside, in order, so that later rows are written later."""
    first = tuple(a for a in loops if a in inside)
    return first + tuple(a for a in loops if a not in inside)


def _native(lowering: Lowering, nodes: list[Node]) -> None:
    (node,) = nodes
    arguments = [lowering.buffer(root_of(a)) for a in node.args]
    lowering.kernel.sections.append(
        Native(
            node.op.name,
            node.attrs,
            arguments,
            [a.form for a in node.args],
            lowering.target(node),
            node.form,
        )
    )


def _repeat(lowering: Lowering, nodes: list[Node]) -> None:
    """A loop, and the results that are taken from it."""
    loop, *results = nodes
    arguments = [lowering.buffer(root_of(a)) for a in loop.args]
    taken = {(r.attrs[0], r.attrs[1]): lowering.target(r) for r in results}
    lowering.kernel.sections.append(Repeat(loop.attrs, arguments, taken))


def _attention(lowering: Lowering, nodes: list[Node]) -> None:
    """Operands are read where they lie."""
    (node,) = nodes
    views = [view_of(a, is_root) for a in node.args]
    places = tuple((v.offset, v.strides) for v in views if v is not None)
    arguments = [lowering.buffer(v.root) for v in views if v is not None]
    forms = [a.form for a in node.args]
    target = lowering.target(node)
    section = Native("attention", (*node.attrs, places), arguments, forms, target, node.form)
    lowering.kernel.sections.append(section)


_SINGLES = {
    "update_slice": _put_together,
    "concat": _put_together,
    "scatter": _scatter,
    "loop": _repeat,
    "attention": _attention,
}
