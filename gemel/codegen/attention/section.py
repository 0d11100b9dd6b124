"""Attention as a section of a kernel: its pieces, and the code of one."""

from __future__ import annotations

from collections.abc import Callable

from gemel.codegen.attention import backward, backward_tiles, forward, forward_tiles
from gemel.codegen.attention.problem import Problem, problem_of
from gemel.codegen.attention.scores import Room
from gemel.codegen.blocks import covering, extent
from gemel.codegen.dots import tile_unit
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
        self.scratch_bytes = _memory(p).bytes
        if p.part == "backward":
            self.shared_bytes = backward.partial_bytes(p)
        if p.chunks > 1:
            self.stages = (*self.stages, p.batches * p.heads * p.blocks)

    def emit(self, body, stage: int, piece: Operand, shared: Value) -> None:
        """One piece of a stage; body: a `codegen.sections.Body`."""
        f: Function = body.function
        p = self.problem
        if stage:
            backward.add_partial(f, p, piece, body.pointers, shared)
            return
        places = _memory(p).pointers(f, body.scratch)
        if p.on_tiles:
            tile_unit.configure(f)
        self._units(f, piece, _unit(f, p, body.pointers, places, shared))
        if p.on_tiles:
            tile_unit.release(f)

    def _units(self, f: Function, piece: Operand, emit: Callable[[Operand], None]) -> None:
        p = self.problem
        first, count = extent(f, piece, p.together, p.units)
        with f.loop(0, count, nonempty=True) as loop:
            emit(f.add(first, loop.index))

    def describe(self) -> str:
        """One line for people."""
        return _words(self.problem)


def _memory(p: Problem) -> Room:
    """Memory of a thread."""
    if p.part == "forward":
        return forward_tiles.room(p) if p.on_tiles else forward.room(p)
    return backward_tiles.room(p) if p.on_tiles else backward.room(p)


def _unit(
    f: Function, p: Problem, pointers: list[Value], places: dict[str, Value], shared: Value
) -> Callable[[Operand], None]:
    """What emits a unit of the first stage."""
    if p.part == "forward":
        queries = forward_tiles.Queries if p.on_tiles else forward.Queries
        return lambda at: forward.forward(f, p, at, pointers, places, queries)
    head = backward_tiles.TileHead if p.on_tiles else backward.Head
    return lambda at: backward.backward(f, p, at, pointers, places, shared, head)


def _words(p: Problem) -> str:
    sizes = f"{p.length}x{p.source}x{p.width}"
    blocks = f"{p.queries} queries by {p.keys} keys"
    where = " on matrix tiles" if p.on_tiles else ""
    ranges = f", {p.chunks} ranges of keys" if p.chunks > 1 else ""
    return f"attention {p.part} {p.batches * p.heads} * {sizes}, blocks of {blocks}{where}{ranges}"
