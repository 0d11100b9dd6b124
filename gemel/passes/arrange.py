"""Arranging a nest: which loops are rows, which are columns, which one runs over vector lanes.

Every reduction is over the columns, over the rows or over everything; what one over the rows gives
is known only after the last row. The first choice of columns that satisfies all members is taken;
None means that the nodes do not share a nest, and fusion then keeps them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemel.codegen.nests.loops import lane_count, resident

from .layout import root_of


@dataclass(frozen=True)
class Arrangement:
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    lanes: int | None
    width: int
    adding: frozenset  # reductions over the rows that add into memory


def arrange(group) -> Arrangement | None:
    """The nest's arrangement, or None."""
    reductions = {n: reduced_over(n, axes) for n, axes in group.reads.items()}
    loops = tuple(sorted(_used(group)))
    if not reductions:
        return Arrangement((), loops, loops[-1] if loops else None, _width(group), frozenset())
    for cols in dict.fromkeys(reductions.values()):
        found = _try_columns(group, reductions, loops, cols)
        if found is not None:
            return found
    return None


def reduced_over(node, axes: tuple) -> frozenset:
    """The loops that a reduction is over, given its argument's axes."""
    return frozenset(a for i, a in enumerate(axes) if i in node.attrs[0] and a is not None)


def _used(group) -> set:
    named = [*group.axes.values(), *group.reads.values()]
    return {a for axes in named for a in axes if a is not None}


def _try_columns(group, reductions, loops, cols: frozenset) -> Arrangement | None:
    rows = frozenset(loops) - cols
    if any(over not in (cols, rows, rows | cols) for over in reductions.values()):
        return None
    late = [n for n, over in reductions.items() if rows and over >= rows]
    # a value that varies along some columns only would be counted once per other column
    if any(cols.intersection(group.reads[n]) not in (frozenset(), cols) for n in late):
        return None
    return _with_lanes(group, reductions, loops, rows, cols, late)


def _read_inside(group) -> set:
    """Members that other members read."""
    inside = set()
    for node in group.nodes:
        for arg in node.args:
            if root_of(arg) in group.axes:
                inside.add(root_of(arg))
    return inside


def _with_lanes(group, reductions, loops, rows, cols, late) -> Arrangement | None:
    in_order = tuple(a for a in loops if a in rows), tuple(a for a in loops if a in cols)
    last = loops[-1]
    if not _complete(group, late):
        return None
    if last in rows:
        return None if late else Arrangement(*in_order, last, _width(group), frozenset())
    adding = set()
    width = _width(group)
    in_registers = resident(in_order[1], last, group.sizes, width)
    for node in late:
        if in_registers or not cols.intersection(group.reads[node]):
            continue
        if node.op.name != "sum" or reductions[node] != rows or node in _read_inside(group):
            return None
        adding.add(node)
    return Arrangement(*in_order, last, width, frozenset(adding))


def _width(group) -> int:
    """Vector lanes for all types that the group computes or reads."""
    read = {a.dtype for n in group.nodes for a in n.args}
    return lane_count(read | {n.dtype for n in group.nodes})


def _complete(group, late) -> bool:
    """Values known only after the last row may be read only by what is computed once at the end."""
    after = set(late)
    for node in group.nodes:
        reads = {root_of(a) for a in node.args} & after
        if not reads:
            continue
        if node.op.kind == "reduction" or any(a is not None for a in group.axes[node]):
            return False
        after.add(node)
    return True
