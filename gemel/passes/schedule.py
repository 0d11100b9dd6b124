"""Schedule: groups become kernels, kernels get an order, updates in place are decided.

An update may overwrite its leaf when every other reader of the old value runs before the kernel
that writes, and when that kernel itself reads only the cell that it is about to write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from gemel.codegen.nest import Access, Kernel, Native, Nest, Product, Repeat, accesses, children
from gemel.graph.node import Node, order

from .fuse import Fusion, Group
from .layout import awaited, root_of
from .lower import Lowering
from .pieces import parts_of
from .recompute import Kept


@dataclass
class Schedule:
    """Kernels in running order. in_place: leaf position -> the node written into its memory."""

    kernels: list[Kernel]
    in_place: dict[int, Node]


def schedule(outputs: list[Node], updates: dict[int, Node]) -> Schedule:
    fusion = Fusion(outputs, list(updates.values()))
    groups = fusion.run()
    kept = fusion.kept()
    groups = [g for g in groups if _has_effect(g, kept)]
    units = _units(groups)
    kernels = [_kernel(i, unit, kept) for i, unit in enumerate(units)]
    writers: dict[Node, list[Kernel]] = {}
    for k in kernels:
        for w in k.writes:
            writers.setdefault(k.buffers[w], []).append(k)
    home = {node: k for k in kernels for node in k.nodes}
    before = {id(k): _needed(k, writers) | _awaited(k, home) for k in kernels}
    checking = {id(k) for k, unit in zip(kernels, units, strict=True) if _checks(unit)}
    in_place = _in_place(kernels, writers, before, checking, outputs, updates)
    _leave_alone(writers, in_place)
    ordered = _ordered(kernels, before)
    for i, k in enumerate(ordered):
        k.name = f"k{i}"
    return Schedule(ordered, in_place)


def _has_effect(group: Group, kept: Kept) -> bool:
    """Does the group leave a value, or can it stop the program? Else its readers compute it, or
    what it puts together is written where it belongs."""
    if group.nodes[-1].op.name in ("update_slice", "concat"):
        return any(part not in kept.inside for _, part in parts_of(group.nodes))
    return any(n in kept.stored or n.op.name == "check_range" for n in group.nodes)


def _units(groups: list[Group]) -> list[list[Group]]:
    """One kernel per group, except that what ends in itself (an optimizer's arithmetic for each
    parameter) is one kernel."""
    read = 0
    for group in groups:
        read |= group.needs
    units: list[list[Group]] = []
    ends: list[Group] = []
    for group in groups:
        if group.kind == "nest" and not group.reads and not read & group.bit:
            if not ends:
                units.append(ends)
            ends.append(group)
        else:
            units.append([group])
    return units


def _kernel(number: int, unit: list[Group], kept: Kept) -> Kernel:
    kernel = Kernel(f"k{number}", [], [])
    lowering = Lowering(kernel, kept)
    for group in unit:
        lowering.add(group)
    kernel.first = min(n.serial for g in unit for n in g.nodes)
    kernel.nodes = [n for g in unit for n in g.nodes]
    kernel.lines = sorted({n.where for g in unit for n in g.nodes if n.where})
    return kernel


def _needed(kernel: Kernel, writers: dict[Node, list[Kernel]]) -> set[int]:
    """Kernels (by id) whose results this one reads."""
    read = [n for i, n in enumerate(kernel.buffers) if i not in kernel.writes]
    return {id(k) for n in read for k in writers.get(n, ())}


def _awaited(kernel: Kernel, home: dict[Node, Kernel]) -> set[int]:
    """Kernels (by id) that must have run before this one reads what they do not write."""
    others = {home.get(o) for n in kernel.nodes for a in n.args for o in awaited(a)}
    return {id(k) for k in others if k is not None and k is not kernel}


# ---------- updates in place ----------
def _checks(unit: list[Group]) -> bool:
    """Can the kernel stop the program? Then no leaf may have been overwritten before it ran."""
    return any(can_stop(n) for g in unit for n in g.nodes)


def can_stop(node: Node) -> bool:
    """Can it stop the program, itself or in a step of a loop?"""
    inside = order(node.attrs[0].results) if node.op.name == "loop" else ()
    return node.op.name in ("check_range", "host") or any(map(can_stop, inside))


class _Touched:
    """Where each buffer stands in a kernel's list, and which sections touch it, by number."""

    def __init__(self, kernel: Kernel):
        self.all = kernel.sections
        self.place: dict[Node, int] = {}
        for i, node in enumerate(kernel.buffers):
            self.place.setdefault(node, i)
        self.numbers: dict[int, set[int]] = {}
        for number, section in enumerate(kernel.sections):
            for buffer in _buffers_of(section):
                self.numbers.setdefault(buffer, set()).add(number)

    def sections(self, *buffers: int) -> list:
        """Those that touch one of the buffers, in order."""
        numbers = set().union(*(self.numbers.get(b, ()) for b in buffers))
        return [self.all[number] for number in sorted(numbers)]


def _buffers_of(section) -> set[int]:
    if isinstance(section, Native | Repeat):
        return {*section.arguments, *section.results}
    sides = (section.left.access, section.right.access) if isinstance(section, Product) else ()
    return {a.buffer for a in (*accesses(section.stores), *sides)}


def _in_place(kernels, writers, before, checking, outputs, updates) -> dict[int, Node]:
    found: dict[int, Node] = {}
    taken: set[Node] = set()
    results = [root_of(r) for r in (*outputs, *updates.values())]
    returned = {r.attrs[0] for r in results if r.op.name == "leaf"}
    touched = {id(k): _Touched(k) for k in kernels}
    readers = _readers_of_leaves(kernels)
    leaves = {leaf.attrs[0]: leaf for leaf in readers}
    awaited = set().union(*before.values())
    for position, new in sorted(updates.items()):
        root, leaf = root_of(new), leaves.get(position)
        writer, *others = writers.get(root, [None])
        if writer is None or others or root in taken:
            continue
        if position in returned or id(writer) in checking:
            continue
        earlier = set(checking)
        if leaf is not None:
            fits = root.form.nbytes == leaf.form.nbytes
            if not fits or not _same_cells(touched[id(writer)], leaf, root):
                continue
            earlier |= readers[leaf] - {id(writer)}
        if id(writer) in awaited and _reaches(id(writer), earlier, before):
            continue
        before[id(writer)] |= earlier
        awaited |= earlier
        found[position] = root
        taken.add(root)
    return found


def _readers_of_leaves(kernels: list[Kernel]) -> dict[Node, set[int]]:
    """Leaf -> the kernels (by id) that touch it."""
    found: dict[Node, set[int]] = {}
    for k in kernels:
        for node in k.buffers:
            if node.op.name == "leaf":
                found.setdefault(node, set()).add(id(k))
    return found


def _reaches(start: int, ends: set[int], before: dict[int, set[int]]) -> bool:
    """Must `start` run before one of the ends?"""
    stack, seen = list(ends), set()
    while stack:
        k = stack.pop()
        if k == start:
            return True
        if k not in seen:
            seen.add(k)
            stack.extend(before[k])
    return False


def _same_cells(touched: _Touched, leaf: Node, root: Node) -> bool:
    """Does the kernel read the leaf only where, and not after, it writes the new value?"""
    if leaf not in touched.place:
        return True
    old, new = touched.place[leaf], touched.place[root]
    written = False
    for section in touched.sections(old, new):
        if isinstance(section, Native | Repeat):
            if old in section.arguments and (written or new in section.results):
                return False
            written = written or new in section.results
            continue
        targets = [s.target for s in section.stores if s.target.buffer == new]
        reads = [a for a in accesses(section.stores) if a.buffer == old]
        reads += _operand_reads(section, old)
        if reads and written:
            return False
        if targets and reads and not _cellwise(section, targets, reads):
            return False
        written = written or bool(targets)
    return True


def _leave_alone(writers: dict[Node, list[Kernel]], in_place: dict[int, Node]) -> None:
    """Drop the copies of a leaf's cells to the same cells of its new value, which lies there."""
    found: dict[Kernel, dict[Node, int]] = {}
    for position, root in in_place.items():
        found.setdefault(writers[root][0], {})[root] = position
    for kernel, positions in found.items():
        leaves = {n.attrs[0]: i for i, n in enumerate(kernel.buffers) if n.op.name == "leaf"}
        places = {i: positions[n] for i, n in enumerate(kernel.buffers) if n in positions}
        pairs = {(leaves.get(position), new) for new, position in places.items()}
        kernel.sections = [s for s in kernel.sections if _copied(s) not in pairs]


def _copied(section) -> tuple[int, int] | None:
    """(from, to) of a section that only copies cells of one buffer to the same cells of another."""
    if not isinstance(section, Nest) or any(s.index is not None for s in section.stores):
        return None
    copies = [(s.target, s.value.payload) for s in section.stores if s.value.kind == "load"]
    between = {(at.buffer, to.buffer) for to, at in copies}
    whole = len(copies) == len(section.stores) and not any(s.adding for s in section.stores)
    if (
        not whole
        or len(between) != 1
        or any(to != replace(at, buffer=to.buffer) for to, at in copies)
    ):
        return None
    return between.pop()


def _operand_reads(section, buffer: int) -> list[Access]:
    if not isinstance(section, Product):
        return []
    sides = (*section.left.arrays(), *section.right.arrays())
    return [a for a in sides if a.buffer == buffer]


def _cellwise(section, targets: list[Access], reads: list[Access]) -> bool:
    """One loop over cells, each read and then written once, in the same place."""
    if any(_repeated(section, s) for s in section.stores if s.target in targets):
        return False
    if isinstance(section, Product):
        if any(a in (*section.left.arrays(), *section.right.arrays()) for a in reads):
            return False
    elif isinstance(section, Nest):
        exprs = children(section.stores)
        if any(e.kind == "pick" for e in exprs):
            return False
        # beside a reduction, only values of a row are read and written once
        cells = [a for a in targets + reads if not a.axes() <= set(section.rows)]
        if cells and any(e.kind == "reduce" for e in exprs):
            return False
        if any(s.index is not None or s.adding for s in section.stores):
            return False
    places = {(a.offset, a.strides) for a in targets}
    return len(places) == 1 and all((a.offset, a.strides) in places for a in reads)


def _repeated(section, store) -> bool:
    """Is the store done again in a loop that it does not vary with? Once after a loop is not."""
    loops = {a for a in (*section.rows, *section.cols) if section.sizes[a] > 1}
    if isinstance(section, Product):
        loops |= {a for a in section.batch if section.sizes[a] > 1}
    sums = [e.payload[1] for e in children([store]) if e.kind == "reduce"]
    return not loops <= store.target.axes().union(*sums)


# ---------- order ----------
def _ordered(kernels: list[Kernel], before: dict[int, set[int]]) -> list[Kernel]:
    """A topological order in which values are read soon after they are made.

    The next kernel is one that waited for the latest result: what it reads is still in the caches,
    and short-lived values do not pile up. Of several, one that little depends on comes first: a
    weight's gradient before the input's, on which the whole way back depends.
    """
    by_id = {id(k): k for k in kernels}
    after: dict[int, list[int]] = {i: [] for i in by_id}
    for i, needed in before.items():
        for j in needed:
            after[j].append(i)
    height = _heights(by_id, after)
    missing = {i: len(needed) for i, needed in before.items()}
    ready = [(1, height[i], k.first, i) for i, k in by_id.items() if not missing[i]]
    heapify(ready)
    out: list[Kernel] = []
    while ready:
        *_, i = heappop(ready)
        out.append(by_id[i])
        for j in after[i]:
            missing[j] -= 1
            if not missing[j]:
                heappush(ready, (-len(out), height[j], by_id[j].first, j))
    return out


def _heights(by_id: dict[int, Kernel], after: dict[int, list[int]]) -> dict[int, int]:
    """Kernels on the longest way from each one to the end."""
    height: dict[int, int] = {}
    stack = list(by_id)
    while stack:
        i = stack[-1]
        waiting = [j for j in after[i] if j not in height]
        if i in height or not waiting:
            height.setdefault(i, 1 + max((height[j] for j in after[i]), default=0))
            stack.pop()
        else:
            stack.extend(waiting)
    return height
