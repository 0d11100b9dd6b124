"""Attention as a section of a kernel: its pieces, and the code of one."""

from __future__ import annotations

from collections.abc import Callable

from gemel.codegen.attention import backward, forward
from gemel.codegen.attention.problem import Problem, problem_of
from gemel.codegen.blocks import covering, extent
from gemel.codegen.llvm import Function, Operand, Value
from gemel.codegen.nest import Native


class AttentionCode:
    """The forward or the backward pass; see `codegen.sections.Section`."""

    prepared = None

    def __init__(self, section: Native):
        self.problem = p = problem_of(section)
        self.work = p.work
        self.writes = {section.result}
        self.reads = set(section.arguments)
        self.shared_bytes = 0
        self.stages: tuple[int, ...] = (covering(p.units, p.together),)
        self.scratch_bytes = forward.room(p).bytes
        if p.part == "backward":
            self.scratch_bytes = backward.room(p).bytes
            self.shared_bytes = backward.partial_bytes(p)
        if p.chunks > 1:
            self.stages = (*self.stages, p.batches * p.heads * p.blocks)

    def emit(self, body, stage: int, piece: Operand, shared: Value) -> None:
        """One piece of a stage; body: a `codegen.sections.Body`."""
        f: Function = body.function
        p, pointers, scratch = self.problem, body.pointers, body.scratch
        if stage:
            backward.add_partial(f, p, piece, pointers, shared)
        elif p.part == "forward":
            self._units(f, piece, lambda at: forward.forward(f, p, at, pointers, scratch))
        else:
            self._units(f, piece, lambda at: backward.backward(f, p, at, pointers, scratch, shared))

    def _units(self, f: Function, piece: Operand, emit: Callable[[Operand], None]) -> None:
        p = self.problem
        first, count = extent(f, piece, p.together, p.units)
        with f.loop(0, count, nonempty=True) as loop:
            emit(f.add(first, loop.index))

    def describe(self) -> str:
        """One line for people."""
        return _words(self.problem)


def _words(p: Problem) -> str:
    sizes = f"{p.length}x{p.source}x{p.width}"
    blocks = f"{p.queries} queries by {p.keys} keys"
    ranges = f", {p.chunks} ranges of keys" if p.chunks > 1 else ""
    return f"attention {p.part} {p.batches * p.heads} * {sizes}, blocks of {blocks}{ranges}"
