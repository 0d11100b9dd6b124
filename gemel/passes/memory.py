"""The static memory plan: where every value of a program lies.

Values that live between two kernels share one arena; two of them overlap in memory only if their
lifetimes do not. Results get buffers of their own, or the memory of the leaf that they replace.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemel.codegen.kernels import FAULT_BYTES, Slot, scratch_bytes
from gemel.codegen.nest import Kernel
from gemel.graph.node import Node

from .layout import root_of
from .schedule import Schedule

ALIGNMENT = 64
SLACK = 64  # bytes after each value that vector code may touch


@dataclass
class Plan:
    """Slots per kernel and buffer; how results are given back.

    results: per output, then per update: ('leaf', k), ('out', j) or ('donated', k).
    """

    slots: list[list[Slot]]
    arena_bytes: int
    arena_entry: int
    scalars_entry: int
    out_bytes: list[int]
    results: list[tuple[str, int]]


def plan_memory(
    planned: Schedule, leaves: int, outputs: list[Node], updates: dict[int, Node]
) -> Plan:
    places: dict[Node, Slot] = {}
    for position, node in planned.in_place.items():
        places[node] = Slot(position)
    results: list[tuple[str, int]] = []
    out_bytes: list[int] = []
    donated = {node: k for k, node in planned.in_place.items()}
    for i, node in enumerate([*outputs, *updates.values()]):
        root = root_of(node)
        is_update = i >= len(outputs)
        if root.op.name == "leaf":
            results.append(("leaf", root.attrs[0]))
        elif root in donated:
            own = is_update and list(updates)[i - len(outputs)] == donated[root]
            results.append(("donated" if own else "leaf", donated[root]))
        else:
            if root not in places:
                places[root] = Slot(leaves + len(out_bytes))
                out_bytes.append(root.form.nbytes)
            results.append(("out", places[root].entry - leaves))
    arena_entry = leaves + len(out_bytes)
    arena = _arena(planned.kernels, places, arena_entry)
    slots = [[_slot(n, places) for n in k.buffers] for k in planned.kernels]
    return Plan(slots, arena, arena_entry, arena_entry + 1, out_bytes, results)


def _slot(node: Node, places: dict[Node, Slot]) -> Slot:
    return Slot(node.attrs[0]) if node.op.name == "leaf" else places[node]


def _arena(kernels: list[Kernel], places: dict[Node, Slot], entry: int) -> int:
    """Give every intermediate value an offset; first fit by decreasing size."""
    lives: dict[object, list] = {}
    for time, kernel in enumerate(kernels):
        for node in kernel.buffers:
            if node.op.name != "leaf" and node not in places:
                span = lives.setdefault(node, [time, time, node.form.nbytes])
                span[1] = time
        kernel.scratch = scratch_bytes(kernel)
        if kernel.scratch:
            lives[time] = [time, time, kernel.scratch]
    placed: list[tuple[int, int, int, int]] = []  # start, end, first use, last use
    top = FAULT_BYTES
    for key, (first, last, size) in sorted(lives.items(), key=lambda item: -item[1][2]):
        room = -(-(size + SLACK) // ALIGNMENT) * ALIGNMENT
        at = _first_gap(placed, room, first, last)
        placed.append((at, at + room, first, last))
        top = max(top, at + room)
        if isinstance(key, int):
            kernels[key].scratch_at = at
        else:
            places[key] = Slot(entry, at)
    return top


def _first_gap(placed, room: int, first: int, last: int) -> int:
    busy = sorted((a, b) for a, b, x, y in placed if x <= last and first <= y)
    at = FAULT_BYTES
    for a, b in busy:
        if a - at >= room:
            break
        at = max(at, b)
    return at
