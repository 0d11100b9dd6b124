"""A loop as one section of a kernel: the kernels of its body, entered once per step.

Role: between the plan of a body (`passes.bodies`) and the code of its kernels. Output: one piece
that copies the first carried values to their places, calls the body's kernels for each step with
the addresses of that step, and leaves the last values where they belong.

Memory of a loop, at the start of what its pieces share: a line for the step's number and the truth
value that is carried, then the values of one step, carried values that have no place in a result,
and operands that all steps read, packed in the first step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from gemel.codegen.llvm import I64, Function, Operand, Value
from gemel.codegen.nest import Kernel, Repeat
from gemel.codegen.shared_steps import Sharing
from gemel.codegen.sizes import hint, is_size, most
from gemel.codegen.stages import WAKING, kernel_plan
from gemel.runtime.kept import READY

if TYPE_CHECKING:
    from gemel.codegen.sections import Body

NUMBER, TRUTH = 0, 8  # bytes into the loop's memory


@dataclass(frozen=True)
class Entry:
    """Where a value of a step lies: in buffer number `buffer` of the loop's kernel (None: in the
    loop's own memory) at `first` bytes, and `step` bytes further with each step's number. In odd
    turns at `odd`, where that is given."""

    buffer: int | None
    first: int = 0
    step: int = 0
    odd: int | None = None


@dataclass
class Carry:
    """A carried value. first: the buffer with its first value; start: where a step finds it;
    history: the buffer along which it moves; last: the one that it is copied to in the end."""

    start: Entry
    first: int
    nbytes: int
    history: int | None = None
    last: int | None = None


@dataclass
class BodyPlan:
    """slots    per kernel, (entry, bytes) of each of its buffers
    shared   per kernel, where in the loop's memory its pieces share some
    entries  what the slots name
    flags    where in the loop's memory each packed operand begins
    cleared  (buffer, bytes) of results that are zero where no step writes
    """

    kernels: list[Kernel]
    slots: list[list[tuple[int, int]]]
    shared: list[int]
    entries: list[Entry]
    carries: list[Carry]
    nbytes: int
    packed: int = 0
    flags: list[int] = field(default_factory=list)
    cleared: list[tuple[int, int]] = field(default_factory=list)
    truth: int | None = None  # entry of the truth value
    counts: bool = False  # is a kernel given the step's number?

    @property
    def scratch_bytes(self) -> int:
        return reduce(most, (kernel_plan(k).scratch_bytes for k in self.kernels), 0)

    @property
    def work(self) -> float:
        """Of one step."""
        return sum(kernel_plan(k).work for k in self.kernels)


class RepeatCode:
    """The loop as a section; see `sections.Section`."""

    prepared = None
    stages = (1,)

    def __init__(self, section: Repeat):
        self.section = section
        self.plan: BodyPlan = section.plan
        self.scratch_bytes = self.plan.scratch_bytes
        self.shared_bytes = self.plan.nbytes
        self.work = hint(section.turns.steps) * self.plan.work
        self.writes = set(section.results)
        self.reads = set(section.arguments)

    def emit(self, body: Body, stage: int, piece: Operand, shared: Value) -> None:
        _Emission(self, body, shared).run()

    def describe(self) -> str:
        inner = "; ".join(kernel_plan(k).describe() for k in self.plan.kernels)
        return f"{self.section.turns.steps} steps of ({inner})"


class _Emission:
    """The code of one loop, at a function's position."""

    def __init__(self, code: RepeatCode, body: Body, memory: Value):
        self.section = code.section
        self.turns = code.section.turns
        self.plan = code.plan
        self.body = body
        self.f: Function = body.function
        self.memory = memory
        self.codes: list[list[Function]] = []
        wake = code.work >= WAKING
        # the team is at hand where nothing else of the program runs meanwhile
        alone = body.piece is None
        self.sharing = Sharing(self.f, body.fault_slot, body.scratch, wake) if alone else None

    def run(self) -> None:
        from gemel.codegen.kernels import emit_inner

        f, turns = self.f, self.turns
        self.codes = emit_inner(self.body, self.plan.kernels)
        for buffer, nbytes in self.plan.cleared:
            f.clear_bytes(self.body.pointers[buffer], nbytes)
        count = self._count()
        for carry in self.plan.carries:
            f.copy_bytes(self._first(carry, count), self._given(carry.first), carry.nbytes)
        for flag in self.plan.flags:
            f.store(f.constant(0, "i64"), f.gep(self.memory, flag, "i8"))
        if turns.conditional:
            executed = self._while_true(count)
        else:
            with f.loop(0, count) as loop:
                self._step(loop.index, count)
            executed = count
        self._leave(executed)

    def _given(self, buffer: int) -> Value:
        return self.body.pointers[buffer]

    def _count(self) -> Operand:
        """How many steps run at most."""
        steps = self.turns.steps
        if not self.turns.limited:
            return steps
        limit = self.f.load(self._given(self.section.arguments[0]), "i64")
        return self.f.max(self.f.min(limit, steps), 0)

    def _first(self, carry: Carry, count: Operand) -> Value:
        """Where the first value of a carried one belongs."""
        if carry.history is None:
            return self._at(carry.start, 0, 0)
        start = count if self.turns.backwards else 0
        at = self.f.mul(start, carry.nbytes)
        return self.f.gep(self._given(carry.history), at, "i8")

    def _while_true(self, count: Operand) -> Value:
        """Steps until the truth value is false; how many there were."""
        f = self.f
        truth = f.gep(self.memory, TRUTH, "i8")
        place = self.section.arguments[self.turns.limited]
        f.store(f.load(self._given(place), "i8"), truth)
        executed = f.gep(self.memory, TRUTH + 8, "i8")
        f.store(f.constant(0, "i64"), executed)
        with f.loop(0, count) as loop:
            loop.while_true = lambda: f.compare("!=", f.load(truth, "i8"), 0)
            with f.when(f.compare("!=", f.load(truth, "i8"), 0)):
                self._step(loop.index, count)
                f.store(f.add(loop.index, 1), executed)
                found = self._at(self.plan.entries[self.plan.truth or 0], loop.index, loop.index)
                f.store(f.load(found, "i8"), truth)
        return f.load(executed, "i64")

    # ---------- one step ----------
    def _step(self, turn: Value, count: Operand) -> None:
        f = self.f
        number = f.sub(f.sub(count, 1), turn) if self.turns.backwards else turn
        if self.plan.counts:
            f.store(number, f.gep(self.memory, NUMBER, "i8"))
        addresses = {}
        for slot in sorted({s for row in self.plan.slots for s in row}):
            entry, offset = slot
            base = self._at(self.plan.entries[entry], number, turn)
            addresses[slot] = f.gep(base, offset, "i8")
        for k, kernel in enumerate(self.plan.kernels):
            self._kernel(k, [addresses[s] for s in self.plan.slots[k]])
            if kernel.checks:
                with f.when(f.compare("!=", f.load(self.body.fault_slot, "i64"), 0)):
                    f.ret()
        for flag in self.plan.flags:
            f.store(f.constant(READY, "i64"), f.gep(self.memory, flag, "i8"))

    def _kernel(self, k: int, buffers: list[Value]) -> None:
        f, body = self.f, self.body
        shared = f.gep(self.memory, self.plan.shared[k], "i8")
        packed = f.gep(self.memory, self.plan.packed, "i8")
        kernel = self.plan.kernels[k]
        for stage, several in enumerate(kernel_plan(kernel).pieces()):
            callee = self.codes[k][stage]
            sizes: list = [f.sizes] if callee.takes("sizes") else []
            head = [*sizes, body.numbers, body.fault_slot]
            # what is packed in the first step is found in all others, by whoever looks
            packs = kernel.kept and stage == 0
            if self.sharing is not None and not packs and (is_size(several) or several > 1):
                self.sharing.run(callee, several, [*head, shared, packed, *buffers])
                continue
            head += [body.scratch, shared, packed]
            if not is_size(several) and several == 1:
                f.call(callee, *head, 0, *buffers)
                continue
            with f.loop(0, several) as loop:
                f.call(callee, *head, loop.index, *buffers)

    def _at(self, entry: Entry, number: Operand, turn: Operand) -> Value:
        """The address of an entry at a step with this number, which is the turn's."""
        f = self.f
        base = self.memory if entry.buffer is None else self._given(entry.buffer)
        if entry.odd is not None:
            if type(turn) is int:
                return f.gep(base, entry.odd if turn % 2 else entry.first, "i8")
            odd = f.compare("!=", f.binary("and", f.lift(turn, I64), 1), 0)
            return f.gep(base, f.select(odd, entry.odd, entry.first), "i8")
        at = f.mul(number, entry.step) if entry.step else 0
        return f.gep(base, f.add(at, entry.first), "i8")

    # ---------- after the last step ----------
    def _leave(self, executed: Operand) -> None:
        f = self.f
        for carry in self.plan.carries:
            if carry.last is None:
                continue
            found = self._at(carry.start, 0, executed)
            f.copy_bytes(self._given(carry.last), found, carry.nbytes)
        counted = self.section.taken.get(("count", 0))
        if counted is not None:
            f.store(f.lift(executed, f.constant(0, "i64").type), self._given(counted))
