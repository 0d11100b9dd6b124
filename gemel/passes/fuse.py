"""Fusion: nodes that are computed in one kernel form a group.

In: a laid-out graph. Out: groups in an order in which they can run. A group is a product (one
contraction and the elementwise nodes of its epilogue), a nest (elementwise nodes and reductions in
shared loops) or a single node with a kernel of its own. Inside a group every cell is named by
*axes*: each axis of each node is one of the group's loops, or None where the value does not vary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gemel.graph.node import Node, order, users
from gemel.ops.contraction import label_sizes

from .arrange import Arrangement, arrange
from .epilogue import epilogue_of, surroundings
from .layout import SOURCES, awaited, is_view, root_of
from .pieces import chain_of, cover, padded_values, parts_of
from .prologue import prologues
from .recompute import Kept, keep

MAX_TILE_OPERANDS = 3  # whole arrays that an epilogue may read besides the product
TRIED = 4  # groups that a reader of the same value is tried with
MAX_GROUP = 400  # nodes in one group: bounds the size of a kernel
DEEPEST = 100  # nodes in a chain inside one group: the emitter follows chains by recursion


@dataclass(eq=False)
class Group:
    """Nodes of one kernel. axes: node -> a loop (or None) per axis of the node."""

    kind: str  # 'nest', 'product', 'single'
    number: int
    nodes: list[Node] = field(default_factory=list)
    axes: dict[Node, tuple] = field(default_factory=dict)
    reads: dict[Node, tuple] = field(default_factory=dict)  # reduction -> its argument's axes
    sizes: dict[int, int] = field(default_factory=dict)
    needs: int = 0  # all groups that must run before: a bit each, by number
    arrangement: Arrangement | None = None

    @property
    def bit(self) -> int:
        return 1 << self.number

    def new_axis(self, size: int) -> int:
        axis = len(self.sizes)
        self.sizes[axis] = size
        return axis


class Fusion:
    """The greedy grouping: each node joins a group of one of its arguments where it can."""

    def __init__(self, outputs: list[Node], updates: list[Node]):
        self.nodes = order([*outputs, *updates])
        self.users = users(self.nodes)
        self.groups: list[Group] = []
        self.home: dict[Node, Group] = {}
        self.depth: dict[Node, int] = {}
        self.tail = self._tail(outputs)
        self.results = {root_of(r) for r in [*outputs, *updates]}
        self.around = surroundings(self.nodes, self.users, [*outputs, *updates], self.tail)
        self.epilogues: dict[Node, set[Node]] = {}
        # numbers made of run-time numbers are computed in every kernel that reads them
        stored = self.results | _read_from_memory(self.nodes)
        self.numbers = run_time_numbers(self.nodes, stored)
        self.padded = padded_values(self.nodes, self.users, self.results, self.numbers)
        self.prologues = prologues(self.nodes, self.users, self.results)

    def _tail(self, outputs: list[Node]) -> set[Node]:
        """Nodes after the last contraction that lead to updates only: optimizer arithmetic."""
        to_output = set(order(outputs))
        before: set[Node] = set()
        for node in reversed(self.nodes):
            readers = self.users.get(node, ())
            if any(u in before or u.op.kind == "contraction" for u in readers):
                before.add(node)
        return {n for n in self.nodes if n not in before and n not in to_output}

    def run(self) -> list[Group]:
        for node in self.nodes:
            inline = is_view(node) or node in self.padded or node in self.numbers
            if inline or node in self.prologues or node.op.name in ("leaf", *SOURCES):
                continue
            self._place(node)
        self._merge_siblings(self.kept())
        return [g for g in self.groups if g.nodes]

    def kept(self) -> Kept:
        """What the groups, as they are, leave in memory for each other."""
        single = [g.nodes for g in self.groups if g.kind == "single"]
        needed = self.around.needed | {nodes[-1] for nodes in single}
        needed |= {n for nodes in single for n in nodes if n.op.name == "result"}
        kept = keep(self.nodes, needed - set(self.prologues), self.numbers, self.home.get)
        kept.inline.update(self.prologues)
        kept.padded = self.padded
        read = set().union(self.results, *kept.inline.values())
        for nodes in single:
            if nodes[-1].op.name in ("update_slice", "concat"):
                kept.inside.update(self._written_inside(nodes, read))
        return kept

    def _written_inside(self, nodes: list[Node], read: set[Node]) -> dict[Node, tuple]:
        """Parts that the nests which compute them can write where they belong; not what is `read`
        in another way."""
        whole, parts = nodes[-1], parts_of(nodes)
        found: dict[Node, tuple] = {}
        if not cover(parts, whole):
            return found
        for part in {part for _, part in parts}:
            home = self.home.get(part)
            if home is None or home.kind != "nest" or part.op.kind != "elementwise":
                continue
            elsewhere = [u for u in self.users[part] if self.home.get(u) is not home]
            places = [spec for spec, other in parts if other is part]
            if len(elsewhere) == len(places) and part not in read:
                found[part] = whole, places
        return found

    # ---------- one node ----------
    def _place(self, node: Node) -> None:
        if node.op.kind in ("elementwise", "reduction"):
            for group in self._candidates(node):
                if self._join(node, group):
                    self._merge_arguments(node)
                    return
            self._start_nest(node)
            if node.op.kind == "elementwise":
                self._merge_arguments(node)
        elif node.op.kind == "contraction":
            self._start_product(node)
        elif node.op.name == "gather":
            self._start_nest(node)
        elif node.op.name == "result":
            self._enter(node, self.home[node.args[0]])
        elif node.op.name == "update_slice":
            self._start_chain(chain_of(node, self.users, self.results))
        else:
            self._start("single", node)

    def _start_chain(self, nodes: list[Node]) -> None:
        """One kernel for several updates one over the other; none yet for a base of another."""
        for node in nodes:
            if node is nodes[0]:
                group = self._start("single", node)
            else:
                self._enter(node, group)

    def _candidates(self, node: Node) -> list[Group]:
        """Groups of the arguments: products first, then the latest."""
        found = {}
        for arg in node.args:
            group = self.home.get(root_of(arg))
            if group is not None and group.kind != "single":
                found[group.number] = group
        return sorted(found.values(), key=lambda g: (g.kind != "product", -g.number))

    def _start(self, kind: str, node: Node) -> Group:
        group = Group(kind, len(self.groups))
        self.groups.append(group)
        self._enter(node, group)
        return group

    def _below(self, arg: Node) -> Node:
        """What the argument lies in."""
        root = root_of(arg)
        return root_of(root.args[1]) if root in self.padded else root

    def _before(self, arg: Node) -> Iterator[Group]:
        """The groups that must have run before the argument is read."""
        for node in (self._below(arg), *awaited(arg)):
            group = self.home.get(node)
            if group is not None:
                yield group

    def _depth(self, node: Node, group: Group) -> int:
        """Nodes in the longest chain of the group that ends with `node`."""
        roots = [root_of(a) for a in node.args]
        return 1 + max((self.depth[r] for r in roots if self.home.get(r) is group), default=0)

    def _enter(self, node: Node, group: Group) -> None:
        self.depth[node] = self._depth(node, group)
        group.nodes.append(node)
        self.home[node] = group
        added = 0
        for arg in node.args:
            for source in self._before(arg):
                if source is not group:
                    added |= source.needs | source.bit
        if added & ~group.needs:
            group.needs |= added
            bit = group.bit
            for other in self.groups if len(group.nodes) > 1 else ():
                if other.needs & bit:
                    other.needs |= added

    def _start_nest(self, node: Node) -> None:
        group = self._start("nest", node)
        if node.op.kind == "reduction":
            (x,) = node.args
            over = tuple(group.new_axis(n) if n != 1 else None for n in x.shape)
            group.reads[node] = over
            group.axes[node] = _reduced_axes(node, over)
        else:
            group.axes[node] = tuple(group.new_axis(n) if n != 1 else None for n in node.shape)
        group.arrangement = arrange(group)

    def _start_product(self, node: Node) -> None:
        group = self._start("product", node)
        self.epilogues[node] = epilogue_of(node, self.around)
        sizes = label_sizes(node.attrs, *(a.form for a in node.args))
        group.sizes = sizes
        group.axes[node] = tuple(x if sizes[x] != 1 else None for x in node.attrs[2])

    # ---------- joining ----------
    def _join(self, node: Node, group: Group) -> bool:
        axes = self._derive(node, group)
        if axes is None or len(group.nodes) >= MAX_GROUP or self._would_cycle(node, group):
            return False
        if self._depth(node, group) > DEEPEST:
            return False
        if group.kind == "product":
            if not self._fits_epilogue(node, group):
                return False
            group.axes[node] = axes
        else:
            arrangement = self._arranged_with(node, axes, group)
            if arrangement is None:
                return False
            group.arrangement = arrangement
        self._enter(node, group)
        return True

    def _arranged_with(self, node: Node, axes: tuple, group: Group) -> Arrangement | None:
        """The group's arrangement with the node in it; without one the group stays as it was."""
        group.nodes.append(node)
        group.axes[node] = axes
        if node.op.kind == "reduction":
            group.reads[node] = self._seen_as(node.args[0], group)
        arrangement = arrange(group)
        group.nodes.pop()
        if arrangement is None:
            del group.axes[node]
            group.reads.pop(node, None)
        return arrangement

    def _would_cycle(self, node: Node, group: Group) -> bool:
        """Does another argument come from a group that runs after this one?"""
        for arg in node.args:
            for source in self._before(arg):
                if source is group and root_of(arg) in self.padded:
                    return True
                if source is not group and source.needs & group.bit:
                    return True
        return False

    def _fits_epilogue(self, node: Node, group: Group) -> bool:
        product = group.nodes[0]
        if node not in self.epilogues[product]:
            return False
        whole = set()
        for member in [*group.nodes[1:], node]:
            for arg in member.args:
                root = root_of(arg)
                if root.op.name == "iota" or root in self.padded:
                    return False
                if arg is not root and root in group.axes:
                    return False
                if root not in group.axes and arg.form.size == product.form.size > 1:
                    whole.add(root)
        return len(whole) <= MAX_TILE_OPERANDS

    def _derive(self, node: Node, group: Group) -> tuple | None:
        """The node's axes in terms of the group's loops; None where they cannot be named."""
        if node.op.kind == "reduction":
            over = self._seen_as(node.args[0], group)
            if over is None or _hidden(over, node.args[0].shape):
                return None
            return _reduced_axes(node, over)
        axes: list = [None] * node.ndim
        for arg in node.args:
            seen = self._seen_as(arg, group)
            if seen is None:
                return None
            lead = node.ndim - arg.ndim
            for i, axis in enumerate(seen):
                if axis is None:
                    continue
                if axes[lead + i] not in (None, axis):
                    return None
                axes[lead + i] = axis
        return self._completed(node, axes, group)

    def _completed(self, node: Node, axes: list, group: Group) -> tuple | None:
        """Axes that no argument in the group names get a free loop of their size."""
        for i, n in enumerate(node.shape):
            if n != 1 and axes[i] is None:
                free = (a for a, m in group.sizes.items() if m == n and a not in axes)
                axes[i] = next(free, None)
                if axes[i] is None:
                    return None
        named = [a for a in axes if a is not None]
        return tuple(axes) if len(set(named)) == len(named) else None

    def _seen_as(self, arg: Node, group: Group) -> tuple | None:
        """Axes of an argument: through the views above a member; nothing known of outsiders."""
        if arg in group.axes:
            return group.axes[arg]
        if not is_view(arg):
            return (None,) * arg.ndim
        if root_of(arg) not in group.axes:
            return (None,) * arg.ndim
        below = self._seen_as(arg.args[0], group)
        return None if below is None else lift_axes(arg, below)

    # ---------- merging ----------
    def _merge_arguments(self, node: Node) -> None:
        """Other nests that feed the node join its group where loops agree, or it joins them."""
        for arg in node.args:
            group, other = self.home[node], self.home.get(root_of(arg))
            if other is None or other is group or other.kind != "nest" or group.kind != "nest":
                continue
            seen = self._seen_as(arg, other)
            if seen is None or len(group.nodes) + len(other.nodes) > MAX_GROUP:
                continue
            here = group.axes[node][node.ndim - arg.ndim :]
            if self._path_between(group, other) or self._merge_under(group, other, here, seen):
                continue
            self._merge_under(other, group, seen, here)

    def _merge_under(self, group: Group, other: Group, here: tuple, there: tuple) -> bool:
        """Merge where the other group's work is not done again and again under more loops."""
        names = _pairing(there, here, other)
        if names is None:
            return False
        once = set(names.values()) <= set(group.arrangement.rows)
        if not once and len(names) != len(group.sizes):
            return False
        return self._merge(group, other, names)

    def _merge_siblings(self, kept: Kept) -> None:
        """Nests that read the same outside value in one shape share their loops."""
        readers: dict[Node, list[tuple[Group, tuple]]] = {}
        for group in self.groups:
            for arg, axes in self._outside_reads(group, kept).items():
                readers.setdefault(arg, []).append((group, axes))
        for found in readers.values():
            apart: list[tuple[Group, tuple]] = []
            for other, there in found:
                if other.nodes and not any(
                    self._merge_sibling(group, other, here, there) for group, here in apart[-TRIED:]
                ):
                    apart.append((other, there))

    def _merge_sibling(self, group: Group, other: Group, here: tuple, there: tuple) -> bool:
        if group is other or not group.nodes or len(group.nodes) + len(other.nodes) > MAX_GROUP:
            return False
        names = _pairing(there, here, other)
        if names is None or self._path_between(group, other):
            return False
        return self._merge(group, other, names)

    def _outside_reads(self, group: Group, kept: Kept) -> dict[Node, tuple]:
        """Whole values that a nest with a reduction reads from outside, and at which loops."""
        found: dict[Node, tuple] = {}
        if group.kind != "nest":
            return found
        for node in group.nodes:
            for arg in node.args if node.op.name != "gather" else ():
                if root_of(arg) in group.axes or root_of(arg).op.name in SOURCES:
                    continue
                axes = group.reads.get(node) or group.axes[node][node.ndim - arg.ndim :]
                pairs = zip(axes, arg.shape, strict=True)
                axes = tuple(a if n != 1 else None for a, n in pairs)
                if {a for a in axes if a is not None} == set(group.sizes):
                    for source in _alike(arg, kept):
                        found.setdefault(source, axes)
        return found

    def _path_between(self, a: Group, b: Group) -> bool:
        """Is there a third group that must run between the two?"""
        for x, y in ((a, b), (b, a)):
            if y.needs & x.bit:
                between = (self.groups[n] for n in _numbers(y.needs & ~x.needs & ~x.bit))
                if any(g.needs & x.bit for g in between):
                    return True
        return False

    def _consistent(self, trial: Group) -> bool:
        """Does every member read the other members at the loops where they are computed?"""
        for node in trial.nodes:
            for arg in node.args:
                if root_of(arg) not in trial.axes:
                    if self._below(arg) in trial.axes:
                        return False
                    continue
                seen = self._seen_as(arg, trial)
                if seen is None or node.op.name == "gather":
                    return False
                here = trial.reads.get(node) or trial.axes[node][node.ndim - arg.ndim :]
                if any(a is not None and a != b for a, b in zip(seen, here, strict=True)):
                    return False
        return True

    def _merge(self, group: Group, other: Group, names: dict) -> bool:
        axes = dict(group.axes)
        for n in other.nodes:
            axes[n] = tuple(names.get(a) for a in other.axes[n])
        reads = dict(group.reads)
        for n, over in other.reads.items():
            reads[n] = tuple(names.get(a) for a in over)
        nodes = sorted({*group.nodes, *other.nodes}, key=lambda n: n.serial)
        depth = _chains(nodes)
        if max(depth.values()) > DEEPEST:
            return False
        trial = Group("nest", group.number, nodes, axes, reads, group.sizes)
        trial.arrangement = arrange(trial) if self._consistent(trial) else None
        if trial.arrangement is None:
            return False
        group.nodes, group.axes, group.reads = nodes, axes, reads
        group.arrangement = trial.arrangement
        gone, bit = other.bit, group.bit
        group.needs = (group.needs | other.needs) & ~(gone | bit)
        self.depth.update(depth)
        for n in other.nodes:
            self.home[n] = group
        other.nodes = []
        for g in self.groups:
            if g.needs & gone:
                g.needs = g.needs & ~gone | bit
            if g.needs & bit:
                g.needs |= group.needs
        return True


def _numbers(bits: int) -> Iterator[int]:
    """Of the bits that are set, the highest first."""
    while bits:
        number = bits.bit_length() - 1
        yield number
        bits ^= 1 << number


def _chains(nodes: list[Node]) -> dict[Node, int]:
    """Node -> nodes in the longest chain that ends with it; `nodes` in topological order."""
    depth: dict[Node, int] = {}
    for node in nodes:
        depth[node] = 1 + max((depth.get(root_of(a), 0) for a in node.args), default=0)
    return depth


def _alike(arg: Node, kept: Kept) -> list[Node]:
    """What reading the argument reads cell by cell: itself, or what it is computed from."""
    if root_of(arg) not in kept.inline:
        return [arg]
    return [s for s in kept.beneath(arg) if s.shape == arg.shape]


def _pairing(there: tuple, here: tuple, other: Group) -> dict | None:
    """The other group's loops in this group's names, where the two tuples name the same cells."""
    names = {a: b for a, b in zip(there, here, strict=True) if a is not None}
    if None in names.values() or set(names) != set(other.sizes):
        return None
    return names if len(set(names.values())) == len(names) else None


def _hidden(axes: tuple, shape) -> bool:
    """Does the value repeat along an axis of the shape?"""
    return any(a is None and n != 1 for a, n in zip(axes, shape, strict=True))


def _reduced_axes(node: Node, over: tuple) -> tuple:
    axes, keepdims = node.attrs[:2]
    if keepdims:
        return tuple(None if i in axes else a for i, a in enumerate(over))
    return tuple(a for i, a in enumerate(over) if i not in axes)


def lift_axes(view: Node, below: tuple) -> tuple | None:
    """Axes of a view from those of its argument; None for views that no renaming expresses."""
    name = view.op.name
    if name == "permute":
        return tuple(below[a] for a in view.attrs[0])
    if name == "expand":
        return (None,) * (view.ndim - len(below)) + tuple(below)
    if name == "reshape":
        return _squeezed(view.args[0].shape, view.shape, below)
    return tuple(below) if name == "after" else None


def lower_axes(view: Node, above: tuple) -> tuple:
    """The inverse: the argument's axes, given those at which the view is read."""
    name = view.op.name
    shape = view.args[0].shape
    if name == "permute":
        out = [None] * len(above)
        for i, a in enumerate(view.attrs[0]):
            out[a] = above[i]
        return tuple(out)
    if name == "expand":
        tail = above[len(above) - len(shape) :]
        return tuple(a if n != 1 else None for a, n in zip(tail, shape, strict=True))
    if name == "after":
        return tuple(above)
    return _squeezed(view.shape, shape, above)


def _squeezed(shape, new_shape, axes: tuple) -> tuple | None:
    """Axes under a reshape that only adds or drops axes of one cell."""
    named = [a for a, n in zip(axes, shape, strict=True) if n != 1]
    if [n for n in shape if n != 1] != [n for n in new_shape if n != 1]:
        return None
    rest = iter(named)
    return tuple(next(rest) if n != 1 else None for n in new_shape)


def run_time_numbers(nodes: list[Node], stored: set[Node]) -> set[Node]:
    """Single values made of constants and run-time numbers only, not by way of a stored one: what
    reads a stored value has to run after its kernel."""
    found: set[Node] = set()
    for node in nodes:
        arithmetic = node.op.kind == "elementwise" and node.form.size == 1
        plain = (a in found or a.op.name in ("const", "scalar") for a in node.args)
        if node in stored or node.op.name == "check_range":
            continue
        if arithmetic and node.args and all(plain):
            found.add(node)
    return found


def _read_from_memory(nodes: list[Node]) -> set[Node]:
    """What native functions, contractions and gathers read: they compute nothing on the way."""
    kinds = ("random", "host", "loop", "contraction", "attention")
    found = {root_of(a) for n in nodes if n.op.kind in kinds for a in n.args}
    return found | {root_of(n.args[0]) for n in nodes if n.op.name == "gather"}
