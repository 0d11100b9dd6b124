"""Bodies of loops: planned like programs, with places that move from step to step.

In: kernels, some of which are loops. Out: the same, with a `BodyPlan` for each loop. A body goes
through the graph passes and becomes kernels; its leaves are slices of the loop's operands and
carried values, which a step may overwrite where it lets them go.

A carried value of which all are wanted lives in its history: a step reads one place and writes the
next. Another one is overwritten where that is possible, else it alternates between two places.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.codegen.faults import FAULT_BYTES
from gemel.codegen.nest import Kernel, Product, Repeat
from gemel.codegen.repeats import NUMBER, BodyPlan, Carry, Entry
from gemel.codegen.stages import LINE, kernel_plan
from gemel.graph.node import Node
from gemel.ops.movement import COPY

from .layout import root_of
from .memory import place_step
from .schedule import schedule

Passes = Callable[[list[Node], dict[int, Node]], tuple[list[Node], dict[int, Node]]]


def plan_bodies(kernels: list[Kernel], passes: Passes) -> None:
    """Plan the body of every loop among the kernels. passes: the graph passes, on outputs and
    updates."""
    for kernel in kernels:
        for section in kernel.sections:
            if isinstance(section, Repeat) and section.plan is None:
                planned = _Planning(kernel, section, passes)
                section.plan = planned.plan()
                kernel.checks = any(k.checks for k in section.plan.kernels)


class _Planning:
    """The plan of one loop."""

    def __init__(self, kernel: Kernel, section: Repeat, passes: Passes):
        self.kernel = kernel
        self.section = section
        self.passes = passes
        self.body, self.turns = section.attrs
        turns, results = self.turns, self.body.results
        self.truth = list(results[: turns.conditional])
        self.news = list(results[turns.conditional :][: turns.carried])
        self.stacks = list(results[turns.conditional + turns.carried :])
        self.histories = [k for k in range(turns.carried) if ("history", k) in section.taken]
        self.top = FAULT_BYTES

    def room(self, nbytes: int) -> int:
        """A place in the loop's memory."""
        at = self.top
        self.top += -(-nbytes // LINE) * LINE + LINE
        return at

    def plan(self) -> BodyPlan:
        outputs = [*self.truth, *(self.news[k] for k in self.histories), *self.stacks]
        first = 1 + self.turns.slices
        updates = {first + k: new for k, new in enumerate(self.news) if k not in self.histories}
        outputs, updates = self.passes(outputs, updates)
        outputs, updates = _apart(outputs, updates)
        planned = schedule(outputs, updates)
        plan_bodies(planned.kernels, self.passes)
        self._note_lasting(planned.kernels)
        positions = [*range(len(self.body.inputs))]
        moving = {p: root_of(new) for p, new in updates.items() if p not in planned.in_place}
        places = {root_of(o): len(positions) + i for i, o in enumerate(outputs)}
        after = len(positions) + len(outputs)
        places |= {new: after + i for i, new in enumerate(moving.values())}
        memory = after + len(moving)
        step = place_step(planned, places, memory)
        self.top = step.top
        entries, carries = self._entries(moving, updates)
        flags, packed = self._keep(planned.kernels)
        return BodyPlan(
            planned.kernels,
            step.slots,
            step.shared,
            [*entries, Entry(None)],
            carries,
            self.top,
            packed,
            flags,
            self._cleared(),
            len(positions) if self.truth else None,
            any(entry == 0 for row in step.slots for entry, _ in row),
        )

    # ---------- where values lie ----------
    def _bytes(self, buffer: int) -> int:
        return self.kernel.buffers[buffer].form.nbytes

    def _entries(self, moving: dict, updates: dict) -> tuple[list[Entry], list[Carry]]:
        """The entries, in the order of the body's leaves and its results, and the carries."""
        turns, given = self.turns, self.section.arguments[self.turns.head :]
        slices = given[: turns.slices]
        found = [Entry(None, NUMBER)]
        found += [Entry(b, 0, self._bytes(b) // turns.steps) for b in slices]
        carries = [self._carry(k, moving) for k in range(turns.carried)]
        found += [c.start for c in carries]
        found += [Entry(b) for b in given[turns.slices + turns.carried :]]
        if self.truth:
            found.append(Entry(None, self.room(8)))
        found += [self._after(k) for k in self.histories]
        for j, stack in enumerate(self.stacks):
            buffer = self.section.taken.get(("stack", j))
            if buffer is None:  # nobody asks for it
                found.append(Entry(None, self.room(stack.form.nbytes)))
            else:
                found.append(Entry(buffer, 0, stack.form.nbytes))
        for position in moving:
            start = carries[position - 1 - turns.slices].start
            found.append(Entry(start.buffer, start.odd or 0, 0, start.first))
        return found, carries

    def _carry(self, k: int, moving: dict) -> Carry:
        turns = self.turns
        first = self.section.arguments[turns.head + turns.slices + k]
        nbytes = self.news[k].form.nbytes
        last = self.section.taken.get(("last", k))
        if k in self.histories:
            buffer = self.section.taken["history", k]
            start = Entry(buffer, nbytes if turns.backwards else 0, nbytes)
            return Carry(start, first, nbytes, buffer)
        if 1 + turns.slices + k in moving:
            start = Entry(None, self.room(nbytes), 0, self.room(nbytes))
            return Carry(start, first, nbytes, None, last)
        if last is not None:
            return Carry(Entry(last), first, nbytes)
        return Carry(Entry(None, self.room(nbytes)), first, nbytes)

    def _after(self, k: int) -> Entry:
        """Where a step writes the next value of a history."""
        nbytes = self.news[k].form.nbytes
        buffer = self.section.taken["history", k]
        return Entry(buffer, 0 if self.turns.backwards else nbytes, nbytes)

    def _cleared(self) -> list[tuple[int, int]]:
        if self.turns.plain:
            return []
        taken = self.section.taken.items()
        return [(b, self._bytes(b)) for (which, _), b in taken if which == "stack"]

    # ---------- packed operands ----------
    def _note_lasting(self, kernels: list[Kernel]) -> None:
        """Operands of products that are the same at all steps."""
        for kernel in kernels:
            products = [s for s in kernel.sections if isinstance(s, Product)]
            for side in (x for s in products for x in (s.left, s.right)):
                nodes = [kernel.buffers[a.buffer] for a in side.arrays()]
                side.lasting = all(n.op.name == "leaf" and self._constant(n) for n in nodes)

    def _constant(self, node: Node) -> bool:
        return node.attrs[0] > self.turns.slices + self.turns.carried

    def _keep(self, kernels: list[Kernel]) -> tuple[list[int], int]:
        """Operands that all steps read are packed once. (Where the copies begin, all together)"""
        packed = self.top
        flags = []
        for kernel in kernels:
            for number, section in enumerate(kernel_plan(kernel).sections):
                node = None if section.prepared is None else kernel.buffers[section.prepared]
                if node is not None and node.op.name == "leaf" and self._constant(node):
                    flags.append(self.room(LINE + section.shared_bytes))
                    kernel.kept[number] = flags[-1] - packed
        return flags, packed


def _apart(outputs: list[Node], updates: dict[int, Node]):
    """Every result has memory of its own: no leaf, and no other one."""
    taken: set[Node] = set()

    def own(node: Node) -> Node:
        root = root_of(node)
        if root.op.name == "leaf" or root in taken:
            node = root = COPY(node)
        taken.add(root)
        return node

    return [own(o) for o in outputs], {p: own(new) for p, new in updates.items()}
