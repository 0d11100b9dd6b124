"""A kernel's sections put together as stages of pieces.

Role: between sections, each of which knows its own pieces, and the program, which lets threads run
them. Input: a kernel. Output: its `KernelPlan`. Sections that touch different memory share their
stages, and their pieces are numbered through; small ones become one piece together. A kernel of
little work ends as one stage of one piece. Invariant: nothing here depends on the number of
threads, or on values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce

from gemel.codegen.llvm import Operand, Value
from gemel.codegen.nest import Kernel, show_body
from gemel.codegen.sections import Body, Section, section_code
from gemel.codegen.sizes import hint, most
from gemel.runtime.kept import READY

LINE = 64
PIECE_WORK = 20_000.0  # nanoseconds that pieces of several small sections should last
WAKING = 120_000.0  # nanoseconds of shared work that pay for waking threads


@dataclass
class Part:
    """Pieces of one stage of a section, or one piece that makes several `calls`, in order: each
    a section and its stage, with all pieces that it has."""

    pieces: int
    calls: list[tuple[int, int]]
    work: float


@dataclass
class KernelPlan:
    """stages        parts per stage; their pieces are numbered in this order
    shared_at     where the memory that the pieces of a section share begins, per section
    shared_bytes  of all sections
    scratch_bytes of a running thread
    work          estimated nanoseconds on one core
    """

    sections: list[Section]
    stages: list[list[Part]] = field(default_factory=list)
    shared_at: list[int] = field(default_factory=list)
    shared_bytes: int = 0
    scratch_bytes: int = 0
    work: float = 0.0

    def pieces(self) -> list[int]:
        """How many pieces each stage has."""
        return [sum(part.pieces for part in stage) for stage in self.stages]

    def describe(self) -> str:
        """One line for people."""
        return "; ".join(section.describe() for section in self.sections)


def kernel_plan(kernel: Kernel) -> KernelPlan:
    """The kernel's plan, made once."""
    if kernel.plan is None:
        kernel.plan = _plan(kernel)
    return kernel.plan


def share_plans(kernels: list[Kernel]) -> None:
    """Note the text of each kernel's body, and make one plan for those that have the same."""
    made: dict[tuple, KernelPlan] = {}
    for kernel in kernels:
        kernel.text = show_body(kernel)
        key = (kernel.text, *(tuple(sorted(d)) for d in (kernel.memory.items(), kernel.apart)))
        kernel.plan = made.get(key)
        made[key] = kernel_plan(kernel)


def _plan(kernel: Kernel) -> KernelPlan:
    sections = [section_code(s) for s in kernel.sections]
    plan = KernelPlan(sections, shared_at=[0] * len(sections))
    plan.scratch_bytes = reduce(most, (s.scratch_bytes for s in sections), 0)
    plan.work = sum(s.work for s in sections)
    for group in _independent(kernel, sections):
        at = 0
        for k in group:
            plan.shared_at[k] = at
            at += -(-sections[k].shared_bytes // LINE) * LINE
        plan.shared_bytes = most(plan.shared_bytes, at)
        for stage in _stages_of(sections, group):
            _append(plan.stages, stage)
    return plan


# ---------- which sections may run at the same time ----------
def _independent(kernel: Kernel, sections: list[Section]) -> list[list[int]]:
    """The sections in order, in groups of those that do not wait for each other: no cell that one
    of them writes is read or written by another."""
    groups: list[list[int]] = []
    shared: set[int] = set()
    read: set[int] = set()
    written: set[int] = set()

    def memory(numbers: set[int]) -> set[int]:
        return {kernel.memory_of(b) for b in numbers}

    for k, section in enumerate(sections):
        reads, writes = memory(section.reads), memory(section.writes)
        together = memory(section.writes - kernel.apart)
        if not groups or together & shared or writes & read or reads & written:
            groups.append([])
            shared, read, written = set(), set(), set()
        groups[-1].append(k)
        shared |= together
        read |= reads
        written |= writes
    return groups


# ---------- stages ----------
def _stages_of(sections: list[Section], group: list[int]) -> Iterator[list[Part]]:
    depth = max(len(sections[k].stages) for k in group)
    for stage in range(depth):
        parts: list[Part] = []
        for k in group:
            if stage < len(sections[k].stages):
                _add_part(parts, sections[k], k, stage)
        yield parts


def _add_part(parts: list[Part], section: Section, number: int, stage: int) -> None:
    """A part of its own, or with the small one before it."""
    pieces = section.stages[stage]
    work = section.work * hint(pieces) / sum(map(hint, section.stages))
    before = parts[-1] if parts else None
    small = pieces == 1 and before is not None and before.pieces == 1
    if small and before.work + work <= PIECE_WORK:
        before.calls.append((number, stage))
        before.work += work
    else:
        parts.append(Part(pieces, [(number, stage)], work))


def _append(stages: list[list[Part]], stage: list[Part]) -> None:
    """One piece after one piece needs no stage of its own."""
    if stages and _single(stages[-1]) and _single(stage):
        stages[-1] = [_in_order([stages[-1], stage])]
    else:
        stages.append(stage)


def _single(stage: list[Part]) -> bool:
    return len(stage) == 1 and stage[0].pieces == 1


def _in_order(stages: list[list[Part]]) -> Part:
    parts = [part for stage in stages for part in stage]
    calls = [call for part in parts for call in part.calls]
    return Part(1, calls, sum(part.work for part in parts))


# ---------- code ----------
@dataclass
class Memory:
    """shared: where the kernel's pieces share memory. kept: where sections that keep what they
    packed have theirs (`places`: section -> where it begins, with its flag's line)."""

    shared: Value
    kept: Value
    places: dict[int, int]


def emit_stage(body: Body, plan: KernelPlan, stage: int, piece: Value, memory: Memory) -> None:
    """Emit piece number `piece` of a stage."""
    parts = plan.stages[stage]
    first = 0
    for part in parts:
        if len(parts) == 1:
            _emit_part(body, plan, part, piece, memory)
            return
        f = body.function
        here = f.compare("<", f.sub(piece, first), part.pieces, unsigned=True)
        with f.when(here):
            _emit_part(body, plan, part, f.sub(piece, first), memory)
        first += part.pieces


def _emit_part(body: Body, plan: KernelPlan, part: Part, piece: Operand, memory: Memory) -> None:
    for number, stage in part.calls:
        own = piece if part.pieces != 1 else None
        place = memory.places.get(number)
        if place is None:
            shared = body.function.gep(memory.shared, plan.shared_at[number], "i8")
            _emit_pieces(body, plan, number, stage, own, shared)
        else:
            _emit_kept(body, plan, number, stage, own, memory, place)


def _emit_kept(
    body: Body,
    plan: KernelPlan,
    number: int,
    stage: int,
    piece: Operand | None,
    memory: Memory,
    place: int,
) -> None:
    """Stage 0 packs, where that is not done yet."""
    f = body.function
    flag = f.gep(memory.kept, place, "i8")
    packed = f.gep(flag, LINE, "i8")
    if stage:
        _emit_pieces(body, plan, number, stage, piece, packed)
        return
    with f.when(f.compare("!=", f.load(flag, "i64"), READY)):
        _emit_pieces(body, plan, number, stage, piece, packed)


def _emit_pieces(
    body: Body, plan: KernelPlan, number: int, stage: int, piece: Operand | None, shared: Value
) -> None:
    """One piece of a section's stage, or all of them."""
    section = plan.sections[number]

    def emit(at: Operand) -> None:
        body.piece = None
        if plan.pieces() != [1]:
            body.piece = body.function.add((stage << 16 | number) << 32, at)
        section.emit(body, stage, at, shared)

    if piece is not None:
        emit(piece)
    elif section.stages[stage] == 1:
        emit(0)
    else:
        with body.function.loop(0, section.stages[stage]) as loop:
            emit(loop.index)
