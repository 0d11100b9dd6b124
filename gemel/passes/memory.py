"""The static memory plan: where every value of a program lies.

Values that live between two kernels share one arena; two of them overlap in memory only if their
lifetimes do not. Results get buffers of their own, or the memory of the leaf that they replace.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from gemel.codegen.faults import FAULT_BYTES
from gemel.codegen.kernels import Places, Slot, wants_team
from gemel.codegen.nest import Kernel
from gemel.codegen.sizes import Space, hint, is_size, most
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
    lives: (first use, last use, bytes) of what lies in the arena.
    """

    places: Places
    kept: dict
    arena_bytes: int
    out_bytes: list[int]
    results: list[tuple[str, int]]
    lives: list[tuple[int, int, int]]


def plan_memory(
    planned: Schedule,
    leaves: int,
    outputs: list[Node],
    updates: dict[int, Node],
    separate: bool = False,
    space: Space | None = None,
) -> Plan:
    """separate: kernels may also be run one by one, which is the thread team's way. space: of the
    sizes that are known when the program runs."""
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
    arena = _Arena(kernels, places, leaves + len(out_bytes), space)
    slots = [[_slot(n, places) for n in k.buffers] for k in kernels]
    kept = _keep(kernels, set(updates))
    entries = iter(range(arena.entry + 1, arena.entry + 5))
    where = Places(
        slots,
        arena.shared,
        arena.scratch,
        arena.entry,
        team=next(entries) if separate or wants_team(kernels) else None,
        sizes=next(entries) if space is not None else None,
        kept=next(entries) if kept else None,
        begins=kept.get("begins", []),
        numbers=next(entries),
        given=[0] * space.numbers if space is not None else [],
    )
    return Plan(where, kept, arena.top, out_bytes, results, arena.lives)


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
    arena = _Arena(planned.kernels, places, memory, None)
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
            if PACKING * hint(section.shared_bytes) >= KEPT_SHARE * section.work:
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
    get an offset."""

    def __init__(self, kernels: list[Kernel], places: dict[Node, Slot], entry: int, space):
        self.entry = entry
        self.shared = [0] * len(kernels)
        self.scratch = 0
        lives = _lifetimes(kernels, places)
        self.lives = [(first, last, size) for first, last, size in lives.values()]
        starts, self.top = offsets([(a, b, hint(n)) for a, b, n in self.lives])
        if space is None and any(is_size(n) for _, _, n in self.lives):
            starts, self.top = _in_a_row([n for _, _, n in self.lives])
        if space is not None:
            starts = [space.symbol(offset_name(k), at, 0) for k, at in enumerate(starts)]
            self.top = space.symbol(offset_name(len(starts)), self.top, 0)
        for key, at in zip(lives, starts, strict=True):
            if key == "scratch":
                self.scratch = at
            elif isinstance(key, int):
                self.shared[key] = at
            else:
                places[key] = Slot(entry, at)


def offset_name(number: int) -> str:
    """The symbol of an entry's offset where sizes are known when the program runs; the one behind
    the last is that of the arena's end."""
    return f"at{number}"


def offsets(lives: list[tuple[int, int, int]]) -> tuple[list[int], int]:
    """Where each of (first use, last use, bytes) begins, and where all end: first fit by decreasing
    size."""
    starts, top = [0] * len(lives), FAULT_BYTES
    placed: list[tuple[int, int, int, int]] = []  # start, end, first use, last use
    for k, (first, last, size) in sorted(enumerate(lives), key=lambda item: -item[1][2]):
        room = -(-(size + SLACK) // ALIGNMENT) * ALIGNMENT
        at = _first_gap(placed, room, first, last)
        placed.append((at, at + room, first, last))
        top = max(top, at + room)
        starts[k] = at
    return starts, top


def _in_a_row(sizes: list[int]) -> tuple[list[int], int]:
    """Where each begins, and where all end, without overlaps: of a loop's body, where sizes are
    known when the program runs."""
    starts, top = [], FAULT_BYTES
    for size in sizes:
        starts.append(top)
        top += -(-(size + SLACK) // ALIGNMENT) * ALIGNMENT
    return starts, top


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
    scratch = reduce(most, (kernel_plan(k).scratch_bytes for k in kernels), 0)
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
