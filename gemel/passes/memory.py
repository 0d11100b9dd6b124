"""The static memory plan: where every value of a program lies.

Values that live between two kernels share one arena; two of them overlap in memory only if their
lifetimes do not. Results get buffers of their own, or the memory of the leaf that they replace.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemel.codegen.faults import FAULT_BYTES
from gemel.codegen.kernels import Places, Slot, wants_team
from gemel.codegen.nest import Kernel
from gemel.codegen.stages import LINE, kernel_plan, share_plans
from gemel.graph.node import Node

from .layout import root_of
from .schedule import Schedule

ALIGNMENT = 64
SLACK = 64  # bytes after each value that vector code may touch
PACKING = 0.1  # nanoseconds per packed byte
KEPT_SHARE = 0.04  # of a contraction's work, from which on packing is not repeated


@dataclass
class Plan:
    """Where everything lies; how results are given back.

    results: per output, then per update: ('leaf', k), ('out', j) or ('donated', k).
    kept: what `runtime.kept` must know, empty where nothing is kept.
    """

    places: Places
    kept: dict
    arena_bytes: int
    out_bytes: list[int]
    results: list[tuple[str, int]]


def plan_memory(
    planned: Schedule,
    leaves: int,
    outputs: list[Node],
    updates: dict[int, Node],
    separate: bool = False,
) -> Plan:
    """separate: kernels may also be run one by one, which is the thread team's way."""
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
    kernels = planned.kernels
    for kernel in kernels:
        _note_shared_memory(kernel, donated)
    share_plans(kernels)
    arena = _Arena(kernels, places, leaves + len(out_bytes))
    slots = [[_slot(n, places) for n in k.buffers] for k in kernels]
    kept = _keep(kernels, set(updates))
    entries = iter(range(arena.entry + 1, arena.entry + 4))
    where = Places(
        slots,
        arena.shared,
        arena.scratch,
        arena.entry,
        team=next(entries) if separate or wants_team(kernels) else None,
        kept=next(entries) if kept else None,
        begins=kept.get("begins", []),
        numbers=next(entries),
    )
    return Plan(where, kept, arena.top, out_bytes, results)


@dataclass
class Step:
    """The memory of one step of a loop. slots: per kernel, (entry, bytes) of its buffers; shared:
    per kernel, where its pieces share memory; top: where all of it ends."""

    slots: list[list[tuple[int, int]]]
    shared: list[int]
    top: int


def place_step(planned: Schedule, entries: dict[Node, int], memory: int) -> Step:
    """Plan a loop's body. entries: results that have one of their own; memory: of the loop's own
    memory. Leaves have the entry of their position."""
    places = {node: Slot(entry) for node, entry in entries.items()}
    places |= {node: Slot(position) for position, node in planned.in_place.items()}
    donated = {node: k for k, node in planned.in_place.items()}
    for kernel in planned.kernels:
        _note_shared_memory(kernel, donated)
    share_plans(planned.kernels)
    arena = _Arena(planned.kernels, places, memory)
    slots = [[_slot(n, places) for n in k.buffers] for k in planned.kernels]
    return Step([[(s.entry, s.offset) for s in row] for row in slots], arena.shared, arena.top)


def _keep(kernels: list[Kernel], updates: set[int]) -> dict:
    """Note in the kernels what they keep between runs: the packed copy of a leaf that the program
    does not update, where packing it is a good part of the work."""
    leaves, begins, top = [], [], 0
    for kernel in kernels:
        plan = kernel_plan(kernel)
        for number, section in enumerate(plan.sections):
            node = None if section.prepared is None else kernel.buffers[section.prepared]
            if node is None or node.op.name != "leaf" or node.attrs[0] in updates:
                continue
            if PACKING * section.shared_bytes >= KEPT_SHARE * section.work:
                kernel.kept[number] = top
                leaves.append(node.attrs[0])
                begins.append(top)
                top += LINE + -(-section.shared_bytes // LINE) * LINE
    return {"bytes": top, "leaves": leaves, "begins": begins} if leaves else {}


def _note_shared_memory(kernel: Kernel, donated: dict[Node, int]) -> None:
    """A value that is written over its leaf lies where the leaf does."""
    leaves = {n.attrs[0]: i for i, n in enumerate(kernel.buffers) if n.op.name == "leaf"}
    for i, node in enumerate(kernel.buffers):
        leaf = leaves.get(donated.get(node, -1))
        if leaf is not None:
            kernel.memory[i] = leaf


def _slot(node: Node, places: dict[Node, Slot]) -> Slot:
    return Slot(node.attrs[0]) if node.op.name == "leaf" else places[node]


class _Arena:
    """Every intermediate value, the memory that pieces of a kernel share, and the caller's scratch
    get an offset; first fit by decreasing size."""

    def __init__(self, kernels: list[Kernel], places: dict[Node, Slot], entry: int):
        self.entry = entry
        self.top = FAULT_BYTES
        self.shared = [0] * len(kernels)
        self.scratch = 0
        placed: list[tuple[int, int, int, int]] = []  # start, end, first use, last use
        lives = _lifetimes(kernels, places)
        for key, (first, last, size) in sorted(lives.items(), key=lambda item: -item[1][2]):
            room = -(-(size + SLACK) // ALIGNMENT) * ALIGNMENT
            at = _first_gap(placed, room, first, last)
            placed.append((at, at + room, first, last))
            self.top = max(self.top, at + room)
            if key == "scratch":
                self.scratch = at
            elif isinstance(key, int):
                self.shared[key] = at
            else:
                places[key] = Slot(entry, at)


def _lifetimes(kernels: list[Kernel], places: dict[Node, Slot]) -> dict:
    """[first use, last use, bytes] of what lies in the arena: values, numbers of kernels for what
    their pieces share, and the scratch."""
    lives: dict = {}
    for time, kernel in enumerate(kernels):
        for node in kernel.buffers:
            if node.op.name != "leaf" and node not in places:
                span = lives.setdefault(node, [time, time, node.form.nbytes])
                span[1] = time
        shared = kernel_plan(kernel).shared_bytes
        if shared:
            lives[time] = [time, time, shared]
    scratch = max((kernel_plan(k).scratch_bytes for k in kernels), default=0)
    if scratch:
        lives["scratch"] = [0, len(kernels), scratch]
    return lives


def _first_gap(placed, room: int, first: int, last: int) -> int:
    busy = sorted((a, b) for a, b, x, y in placed if x <= last and first <= y)
    at = FAULT_BYTES
    for a, b in busy:
        if a - at >= room:
            break
        at = max(at, b)
    return at
