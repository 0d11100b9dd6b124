"""Kernels and whole programs as one LLVM module.

In: kernels of the loop-nest IR and where their buffers lie. Out: IR text with one exported function
`i32 @NAME(ptr table)` that runs all kernels in order; it returns 0, or the number of the fault that
stopped it. The table holds addresses (leaves, outputs, arena, and the thread team where there is
much work, and of the memory that is kept between runs), then the run-time numbers.

A program with calls of NumPy functions is exported in parts, one up to each call and one behind the
last: `runtime.host_entry` says how they follow each other.

A kernel is a native function per stage, which runs one of its pieces. A program of little work
calls them one after the other. Another one is a list of phases that the team runs (see
`runtime.team_code`); a phase is data: which function is called, and where its buffers lie.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gemel.codegen.faults import clear
from gemel.codegen.llvm import I64, POINTER, Function, Module, Value
from gemel.codegen.nest import Kernel, Repeat, show_body
from gemel.codegen.sections import Body
from gemel.codegen.shared_steps import note_team
from gemel.codegen.sizes import hint, is_size
from gemel.codegen.stages import WAKING, KernelPlan, Memory, emit_stage, kernel_plan
from gemel.runtime.host_entry import HOST_CALL, part_name
from gemel.runtime.kept import PACK, READY
from gemel.runtime.team_code import RUN


@dataclass(frozen=True)
class Slot:
    """Where a buffer lies: entry of the table, plus bytes (into the arena)."""

    entry: int
    offset: int = 0


@dataclass
class Places:
    """Where everything lies that a program touches.

    slots    per kernel, where each of its buffers lies
    shared   per kernel, where in the arena its pieces share memory
    scratch  where in the arena the calling thread has its own
    arena    table entry of the arena;  team: of the thread team, or None
    kept     table entry of the memory that is kept between runs, or None (see `runtime.kept`)
    begins   where in it each kept operand begins
    numbers  table entry of the first run-time number
    sizes    table entry of the address of the sizes that are known when the program runs, or None
    given    those sizes, in order; filled in when the code is emitted
    """

    slots: list[list[Slot]]
    shared: list[int]
    scratch: int
    arena: int
    team: int | None
    kept: int | None
    begins: list[int]
    numbers: int
    sizes: int | None = None
    given: list = field(default_factory=list)


def wants_team(kernels: list[Kernel]) -> bool:
    """Is there work that several threads can share? Pieces are made only where it is worth it."""
    return any(
        any(is_size(n) or n > 1 for n in kernel_plan(k).pieces()) or wants_team(steps_of(k))
        for k in kernels
    )


def steps_of(kernel: Kernel) -> list[Kernel]:
    """The kernels that its loops enter once per step."""
    return [k for s in kernel.sections if isinstance(s, Repeat) for k in s.plan.kernels]


class Code(NamedTuple):
    """A module, and the functions of its kernels' stages."""

    module: Module
    heads: list[Function]


def emit_program(
    name: str, kernels: list[Kernel], places: Places, faults, separate: bool = False
) -> Code:
    """The program's code.

    faults    (fault, where) -> number
    separate  also `i32 @NAME_kernel(ptr table, i64 number)`, which runs one kernel; the program
              must have a team
    """
    module = Module()
    module.sizes = list(places.given)
    codes = _emit_kernels(module, kernels, faults, places.sizes is not None)
    program = _Program(module, kernels, places, codes)
    if places.team is None:
        for number, part in enumerate(program.parts):
            program.emit_straight(part_name(name, number), part)
    else:
        program.emit_phases(name, separate)
    places.given = module.sizes
    return Code(module, list({f.name: f for code in codes for f in code}.values()))


# ---------- kernels ----------
def _emit_kernels(
    module: Module, kernels: list[Kernel], faults, sizes: bool
) -> list[list[Function]]:
    """Per kernel a function per stage; kernels with the same body have the same functions."""
    made: dict[tuple, list[Function]] = {}
    codes = []
    for kernel in kernels:
        more = (kernel.memory, kernel.kept, dict.fromkeys(kernel.apart))
        body = (kernel.text or show_body(kernel), *(tuple(sorted(d.items())) for d in more))
        if body not in made:
            made[body] = _emit_stages(module, kernel, faults, sizes)
        codes.append(made[body])
        kernel.code = " ".join(f.name for f in made[body])
    return codes


def emit_inner(body: Body, kernels: list[Kernel]) -> list[list[Function]]:
    """Per kernel of a loop's body a function per stage, in the module of the function under way."""
    sizes = body.function.sizes is not None
    outer = body.function.name
    for k, kernel in enumerate(kernels):
        kernel.name = f"{outer}_step{k}"
    return _emit_kernels(body.module, kernels, body.faults, sizes)


def _emit_stages(module: Module, kernel: Kernel, faults, sizes: bool) -> list[Function]:
    plan = kernel_plan(kernel)
    several = len(plan.stages) > 1
    names = [f"{kernel.name}_{i}" if several else kernel.name for i in range(len(plan.stages))]
    return [
        _emit_stage(module, kernel, plan, i, name, faults, sizes) for i, name in enumerate(names)
    ]


def _emit_stage(
    module: Module,
    kernel: Kernel,
    plan: KernelPlan,
    stage: int,
    name: str,
    faults,
    sizes: bool,
) -> Function:
    """An internal function (sizes, numbers, fault, scratch, shared, kept, piece, buffers...); the
    first one only where the stage needs sizes that the program is given."""
    names = ("numbers", "fault", "scratch", "shared", "kept")
    head = [("ptr", name) for name in (("sizes", *names) if sizes else names)]
    pointers = [("ptr", f"b{i}") for i in range(len(kernel.buffers))]
    f = module.function(name, [*head, ("i64", "piece"), *pointers], internal=True)
    arguments = list(f.arguments)
    if sizes:
        f.sizes = arguments.pop(0)
    numbers, fault, scratch, shared, kept, piece, *buffers = arguments
    body = Body(module, f, buffers, numbers, fault, scratch, faults)
    emit_stage(body, plan, stage, piece, Memory(shared, kept, kernel.kept))
    f.ret()
    if sizes:
        f.drop_first_if_unread()
    return f


# ---------- programs ----------
@dataclass(frozen=True)
class _Part:
    """Kernels [first, after) of a program, what running them answers, and whether the program ends
    with them."""

    first: int
    after: int
    answer: int
    last: bool


def _parts(kernels: list[Kernel]) -> list[_Part]:
    """The program cut at its host calls."""
    calls = [number for number, kernel in enumerate(kernels) if kernel.host is not None]
    starts = [0, *(number + 1 for number in calls)]
    parts = [_Part(starts[k], call, HOST_CALL + k, False) for k, call in enumerate(calls)]
    return [*parts, _Part(starts[-1], len(kernels), 0, True)]


class _Table:
    """Addresses in a function that was given the table."""

    def __init__(self, f: Function, table: Value, places: Places):
        self.f = f
        self.table = table
        self.places = places
        self.loaded: dict[int, Value] = {}
        if places.sizes is not None:
            f.take_sizes(table, places.sizes)

    def address(self, slot: Slot) -> Value:
        if slot.entry not in self.loaded:
            at = self.f.gep(self.table, slot.entry, "i64")
            self.loaded[slot.entry] = self.f.load(at, "ptr")
        return self.f.gep(self.loaded[slot.entry], slot.offset, "i8")

    def arena(self, offset: int = 0) -> Value:
        return self.address(Slot(self.places.arena, offset))

    def kept(self) -> Value:
        """The memory that is kept; the arena's address where there is none."""
        entry = self.places.kept
        return self.arena() if entry is None else self.address(Slot(entry))

    def numbers(self) -> Value:
        return self.f.gep(self.table, self.places.numbers, "i64")


class _Caller(NamedTuple):
    """buffers: of the functions that it calls; sizes: do they take the program's; checked: may a
    kernel before have stopped the program?"""

    buffers: int
    sizes: bool
    checked: bool


class _Program:
    """codes: per kernel its functions; callers: what calls them for the team"""

    def __init__(self, module: Module, kernels: list[Kernel], places: Places, codes):
        self.module = module
        self.kernels = kernels
        self.places = places
        self.codes = codes
        self.checks = any(k.checks for k in kernels)
        self.parts = _parts(kernels)
        self.callers: dict[Function, _Caller] = {}

    def _call(self, at: _Table, kernel: int, stage: int, piece, scratch: Value) -> None:
        places = self.places
        shared = at.arena(places.shared[kernel])
        buffers = [at.address(s) for s in places.slots[kernel]]
        callee = self.codes[kernel][stage]
        head = (at.numbers(), at.arena(), scratch, shared, at.kept())
        if callee.takes("sizes"):
            head = (at.f.sizes, *head)
        at.f.call(callee, *head, piece, *buffers)

    def _clear_fault(self, at: _Table) -> None:
        if self.checks:
            clear(at.f, at.arena())

    def _note_packed(self, at: _Table) -> None:
        """What was packed to be kept is ready."""
        f = at.f
        for begin in self.places.begins:
            flag = f.gep(at.kept(), begin, "i8")
            now = f.load(flag, "i64")
            f.store(f.select(f.compare("==", now, PACK), READY, now), flag)

    # ---------- little work ----------
    def emit_straight(self, name: str, part: _Part) -> None:
        """The stages in order, each of one piece."""
        f = self.module.function(name, [("ptr", "table")], "i32")
        at = _Table(f, f.arguments[0], self.places)
        slots = self.places.slots[part.first : part.after]
        entries = {s.entry for row in slots for s in row} | {self.places.arena}
        for entry in sorted(entries):
            at.address(Slot(entry))
        self._clear_fault(at)
        scratch = at.arena(self.places.scratch)
        for number in range(part.first, part.after):
            for stage in range(len(self.codes[number])):
                self._call(at, number, stage, 0, scratch)
            if self.kernels[number].checks:
                code = f.load(at.arena(), "i64")
                with f.when(f.compare("!=", code, 0)):
                    f.ret(f.convert(code, "i32"))
        self._leave(at, part)

    def _leave(self, at: _Table, part: _Part) -> None:
        if part.last:
            self._note_packed(at)
        at.f.ret(part.answer)

    # ---------- much work ----------
    def emit_phases(self, name: str, separate: bool) -> None:
        phases: list[tuple[Function, Function, int]] = []
        words: list[int] = []
        work: list[tuple[int, float]] = []
        starts = [0]
        checked = False
        for number, kernel in enumerate(self.kernels):
            plan = kernel_plan(kernel)
            for stage, pieces in enumerate(plan.pieces()):
                callee = self.codes[number][stage]
                caller = self._caller(callee, len(self.places.slots[number]), checked)
                phases.append((caller, callee, len(words)))
                work.append((pieces, sum(part.work for part in plan.stages[stage])))
            words += self._words(number)
            starts.append(len(phases))
            checked = checked or kernel.checks
        self.counts_at = self._placed(_counts(work))
        self.words_at = self._placed(words)
        for caller in dict.fromkeys(phase[0] for phase in phases):
            self._fill(caller)
        self.phases = self.module.records("phases", phases)
        for number, part in enumerate(self.parts):
            count = starts[part.after] - starts[part.first]
            self._emit_entry(part_name(name, number), part, starts[part.first], count)
        if separate:
            self._emit_one(f"{name}_kernel", self.module.table("i64", starts))

    def _placed(self, numbers: list[int]) -> str | int:
        """The address of constant numbers; where sizes are given, their place among those."""
        if self.places.sizes is None:
            return self.module.table("i64", numbers)
        start = len(self.module.sizes)
        self.module.sizes.extend(numbers)
        return start

    def _numbers_at(self, f: Function, placed: str | int) -> Value:
        if isinstance(placed, int):
            return f.gep(f.sizes, placed, "i64")
        return Value(f, placed, POINTER)

    def _words(self, kernel: int) -> list[int]:
        """Where a kernel's memory lies: of what its pieces share the offset in the arena, and of
        each buffer the table's entry and the offset from there."""
        slots = self.places.slots[kernel]
        return [self.places.shared[kernel], *(n for s in slots for n in (s.entry, s.offset))]

    def _caller(self, callee: Function, buffers: int, checked: bool) -> Function:
        """What runs the phases of functions with so many buffers, like `callee`; none of them where
        a kernel before has stopped the program."""
        sizes = callee.takes("sizes")
        name = f"phase_of_{buffers}{'_sizes' * sizes}{'_checked' * checked}"
        found = self.module.functions.get(name)
        if found is None:
            kinds = [("ptr", "table"), ("i64", "piece"), ("ptr", "scratch"), ("ptr", "phase")]
            found = self.module.function(name, kinds, internal=True)
            self.callers[found] = _Caller(buffers, sizes, checked)
        return found

    def _fill(self, f: Function) -> None:
        """The text of a caller."""
        wanted = self.callers[f]
        table, piece, scratch, phase = f.arguments
        at = _Table(f, table, self.places)
        if wanted.checked:
            with f.when(f.compare("!=", f.load(at.arena(), "i64"), 0)):
                f.ret()
        callee = f.load(f.gep(phase, 1, "ptr"), "ptr")
        first = f.load(f.gep(phase, 2, "i64"), "i64")
        words = f.gep(self._numbers_at(f, self.words_at), first, "i64")
        word = [f.load(f.gep(words, k, "i64"), "i64") for k in range(1 + 2 * wanted.buffers)]
        bases = [f.load(f.gep(table, entry, "i64"), "ptr") for entry in word[1::2]]
        buffers = [f.gep(b, offset, "i8") for b, offset in zip(bases, word[2::2], strict=True)]
        shared = f.gep(at.arena(), word[0], "i8")
        head = (at.numbers(), at.arena(), scratch, shared, at.kept())
        head = (at.f.sizes, *head) if wanted.sizes else head
        f.call_pointer(callee, "void", *head, piece, *buffers)
        f.ret()

    def _emit_entry(self, name: str, part: _Part, first: int, count: int) -> None:
        """Phases from number `first` on."""
        f = self.module.function(name, [("ptr", "table")], "i32")
        at = _Table(f, f.arguments[0], self.places)
        if count:
            self._run(at, first, count)
        self._leave(at, part)

    def _emit_one(self, name: str, starts: str) -> None:
        """Kernel number `number` alone."""
        f = self.module.function(name, [("ptr", "table"), ("i64", "number")], "i32")
        table, number = f.arguments
        place = f.gep(Value(f, starts, POINTER), number, "i64")
        first = f.load(place, "i64")
        after = f.load(f.gep(place, 1, "i64"), "i64")
        with f.when(f.compare("==", first, after)):
            f.ret(0)
        self._run(_Table(f, table, self.places), first, f.sub(after, first))
        f.ret(0)

    def _run(self, at: _Table, first, count) -> None:
        """Hand phases to the team; return the team's answer or a fault's number unless it is 0."""
        f = at.f
        self._clear_fault(at)
        team = at.address(Slot(self.places.team))
        if any(map(steps_of, self.kernels)):
            note_team(f, at.arena(), team, at.table)
        run = f.load(f.gep(team, RUN, "i8"), "ptr")
        phases = f.gep(Value(f, self.phases, POINTER), f.mul(first, 3), "i64")
        counts = f.gep(self._numbers_at(f, self.counts_at), f.mul(first, 2), "i64")
        scratch = at.arena(self.places.scratch)
        count = f.lift(count, I64)
        code = f.call_pointer(run, "i32", team, at.table, phases, counts, count, scratch)
        with f.when(f.compare("!=", code, 0)):
            f.ret(code)
        if self.checks:
            fault = f.load(at.arena(), "i64")
            with f.when(f.compare("!=", fault, 0)):
                f.ret(f.convert(fault, "i32"))


def _counts(work: list[tuple[int, float]]) -> list[int]:
    """Pieces of each phase, and how many sleeping threads to wake for it, from (pieces, work)."""
    out: list[int] = []
    ahead = 0.0
    for pieces, nanoseconds in reversed(work):
        if hint(pieces) > 1:
            ahead += nanoseconds
        out[:0] = [pieces, pieces - 1 if ahead >= WAKING else 0]
    return out
