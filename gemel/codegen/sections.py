"""The sections of a kernel as work in pieces: loop nests, products, hand-written loops.

Role: one way to ask any section for its stages, the memory it needs and how long it takes, and to
emit one piece. Input: a section of the loop-nest IR and, for its code, the function under way with
what the kernel was given (`Body`). Stages run one after the other; the pieces of a stage run in
any order, on any thread. Invariant: pieces follow from shapes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gemel.codegen.emitter import Typed, element
from gemel.codegen.faults import note
from gemel.codegen.half_floats import widen
from gemel.codegen.llvm import Function, Module, Operand, Value
from gemel.codegen.native import run
from gemel.codegen.nest import Access, Expr, Native, Nest, Product, Repeat, accesses, children
from gemel.codegen.nest import Operand as Side
from gemel.codegen.nests.evaluate import Evaluator, Place
from gemel.codegen.nests.pieces import NestStrategy
from gemel.codegen.products.contraction import Access as Array
from gemel.codegen.products.contraction import Contraction, Join, Pointers
from gemel.codegen.products.contraction_spec import Bound
from gemel.codegen.sizes import NeedsConstants, hint, is_size
from gemel.codegen.strategy import choose
from gemel.runtime.dtype import bfloat16
from gemel.runtime.machine import machine

# hand-written loops to a number known at run time
OF_ANY_SIZE = {"mt19937", "philox", "normal_blocks", "uniforms", "shuffle", "libm", "order", "sort"}
_DRAW = 1.5  # nanoseconds per element of a hand-written loop


class Section(Protocol):
    """stages         pieces per stage
    scratch_bytes  memory of the running thread, undefined at the start of a piece
    shared_bytes   memory of all pieces, alive from the first stage to the last
    work           estimated nanoseconds on one core
    reads, writes  numbers of the kernel's buffers
    prepared       the buffer that stage 0 alone reads, packed into the shared memory where no
                   later stage writes; or None
    """

    stages: tuple[int, ...]
    scratch_bytes: int
    shared_bytes: int
    work: float
    reads: set[int]
    writes: set[int]
    prepared: int | None

    def emit(self, body: Body, stage: int, piece: Operand, shared: Value) -> None:
        """Emit one piece at the function's position."""

    def describe(self) -> str:
        """One line for people."""


@dataclass
class Body:
    """A function under way and what it was given. faults: (fault, where) -> number; piece: the
    place in the kernel's order of what is being emitted, None where the kernel is one piece."""

    module: Module
    function: Function
    pointers: list[Value]
    numbers: Value
    fault_slot: Value
    scratch: Value
    faults: Any
    piece: Operand | None = None

    def number(self, f: Function, e: Expr) -> Typed:
        """A run-time number: 8 bytes in the table."""
        # below 0: a constant that goes with the sizes that the program was given
        start, at = (f.sizes, -1 - e.payload) if e.payload < 0 else (self.numbers, e.payload)
        place = f.gep(start, at, "i64")
        if e.dtype.name == "bool":
            return Typed(f.compare("!=", f.load(place, "i64"), 0), e.dtype)
        return Typed(f.load(place, element(e.dtype)), e.dtype)

    def fault(self, f: Function, bad: Value, value: Value, fault) -> None:
        """Note the first bad value and which check it failed."""
        with f.when(f.any(bad)):
            note(f, self.fault_slot, self.piece, self.faults(fault), f.first_of(value, bad))


def section_code(section: Nest | Product | Native | Repeat) -> Section:
    """The section's pieces and code."""
    from gemel.codegen.repeats import RepeatCode  # which holds kernels of sections

    if isinstance(section, Nest):
        return NestCode(section)
    if isinstance(section, Product):
        return ProductCode(section)
    if isinstance(section, Repeat):
        return RepeatCode(section)
    if section.name == "attention":
        from gemel.codegen.attention.section import AttentionCode  # which few programs need

        return AttentionCode(section)
    forms = (*section.argument_forms, section.result_form)
    name = section.attrs[0] if section.name == "native" else section.name
    if name not in OF_ANY_SIZE and any(is_size(n) for form in forms for n in form.shape):
        raise NeedsConstants(f"the code of {name} takes no others")
    return HostCode(section) if section.hosted else NativeCode(section)


# ---------- loop nests ----------
class NestCode:
    prepared = None

    def __init__(self, nest: Nest):
        strategy = NestStrategy(nest)
        self.strategy = strategy
        self.stages = strategy.stages
        self.scratch_bytes = strategy.scratch_bytes
        self.shared_bytes = strategy.shared_bytes
        self.work = strategy.work
        self.writes = {s.target.buffer for s in nest.stores}
        targets = len(nest.stores)  # which come first
        self.reads = {a.buffer for a in accesses(nest.stores)[targets:]}
        self.reads |= {s.target.buffer for s in nest.stores if s.adding}

    def emit(self, body: Body, stage: int, piece: Operand, shared: Value) -> None:
        f = body.function
        self.strategy.emit(f, stage, piece, body.pointers, body.number, body.fault, shared)

    def describe(self) -> str:
        return self.strategy.describe()


# ---------- hand-written loops ----------
class NativeCode:
    prepared = None
    stages = (1,)
    scratch_bytes = shared_bytes = 0

    def __init__(self, section: Native):
        self.section = section
        self.work = _DRAW * hint(section.result_form.size)
        self.writes = {section.result}
        self.reads = set(section.arguments)

    def emit(self, body: Body, stage: int, piece: Operand, shared: Value) -> None:
        from gemel.codegen.random.kernels import EMITTERS

        section = self.section
        name = f"native{len(body.module.functions)}"
        EMITTERS[section.name](
            body.module, name, section.attrs, section.argument_forms, section.result_form
        )
        pointers = [body.pointers[i] for i in (*section.arguments, section.result)]
        run(body.function, name, *pointers)

    def describe(self) -> str:
        return self.section.name


class HostCode:
    """A call of a NumPy function: no native code; the program leaves where it stands."""

    prepared = None
    stages = ()
    scratch_bytes = shared_bytes = 0
    work = 0.0  # nobody knows

    def __init__(self, section: Native):
        self.section = section
        self.writes = {section.result}
        self.reads = set(section.arguments)

    def emit(self, body: Body, stage: int, piece: Operand, shared: Value) -> None:
        raise AssertionError("a host call has no pieces")

    def describe(self) -> str:
        return f"host call {self.section.attrs[0]}"


# ---------- products ----------
class ProductCode:
    """A contraction, and the elementwise part that its finished sums go through."""

    def __init__(self, section: Product):
        self.section = section
        self.slots = _epilogue_arrays(section)
        joined = _is_joined(section.left), _is_joined(section.right)
        self.strategy = choose(_contraction(section, self.slots), machine(), joined=joined)
        self.stages = self.strategy.stages
        self.scratch_bytes = self.strategy.scratch_bytes
        self.shared_bytes = self.strategy.shared_bytes
        self.work = self.strategy.work
        self.writes = {s.target.buffer for s in section.stores}
        loads = [e.payload for e in children(section.stores) if e.kind == "load"]
        sides = (*section.left.arrays(), *section.right.arrays())
        self.reads = {a.buffer for a in (*loads, *sides)}
        side = getattr(self.strategy, "prepares", None)
        read = {a.buffer for a in getattr(section, side).arrays()} if side else ()
        self.prepared = read.pop() if len(read) == 1 else None

    def emit(self, body: Body, stage: int, piece: Operand, shared: Value) -> None:
        left, right = self.section.left, self.section.right
        pointers = Pointers(
            left=tuple(_start(body, a, element(t)) for a, t in left.arrays().items()),
            right=tuple(_start(body, a, element(t)) for a, t in right.arrays().items()),
            tile=tuple(_start(body, a, elem) for a, elem in self.slots.items()),
            scratch=body.scratch,
            shared=shared,
        )
        epilogue = _Epilogue(body, self.section, self.slots)
        joins = (_prologue(body, left), _prologue(body, right))
        self.strategy.emit(body.function, stage, piece, pointers, epilogue, joins)

    def describe(self) -> str:
        return self.strategy.describe()


def _start(body: Body, a: Access, elem: str) -> Value:
    return body.function.gep(body.pointers[a.buffer], a.offset, elem)


def _epilogue_arrays(section: Product) -> dict[Access, str]:
    """The arrays that the epilogue writes and reads, with their elements, in the slots' order: the
    strategies look at the first one to see how results lie."""
    slots: dict[Access, str] = {}
    for s in section.stores:
        slots[s.target] = element(s.value.dtype)
    for e in children(section.stores):
        if e.kind == "load":
            slots[e.payload] = element(e.dtype)
    return slots


def _contraction(section: Product, slots: dict[Access, str]) -> Contraction:
    axes = sorted(section.sizes)
    return Contraction(
        sizes=tuple(section.sizes[a] for a in axes),
        reduced=tuple(a in section.summed for a in axes),
        elem=element(section.dtype),
        left=_arrays(section.left, axes),
        right=_arrays(section.right, axes),
        tile=tuple(Array(elem, tuple(a.stride(x) for x in axes)) for a, elem in slots.items()),
        lasting=(section.left.lasting, section.right.lasting),
        bfloat16=_is_bfloat16(section.left) and _is_bfloat16(section.right),
    )


def _arrays(operand: Side, axes: list[int]) -> tuple[Array, ...]:
    bounds = tuple(
        Bound(tuple(dict(b.steps).get(x, 0) for x in axes), b.start, b.size) for b in operand.bounds
    )
    return tuple(
        Array(element(dtype), tuple(a.stride(x) for x in axes), dtype.kind != "u", bounds)
        for a, dtype in operand.arrays().items()
    )


def _is_bfloat16(operand: Side) -> bool:
    return operand.value is None and operand.dtype is bfloat16


def _is_joined(operand: Side) -> bool:
    """Is something computed on loaded elements?"""
    return operand.value is not None or operand.dtype.half


def _prologue(body: Body, operand: Side) -> Join | None:
    """What the elements of a side go through as they are loaded."""
    value = operand.value
    if value is None:
        if not operand.dtype.half:
            return None
        return lambda f, loaded: widen(f, loaded[0], operand.dtype)

    def join(f: Function, loaded: list[Value]) -> Value:
        at = _LoadedEvaluator(f, body.pointers, None, body.number, body.fault)
        pairs = zip(operand.arrays(), loaded, strict=True)
        at.loaded = dict(pairs)
        return at.value(value, Place({}, loaded[0].lanes, None, {})).value

    return join


class _LoadedEvaluator(Evaluator):
    """Expressions of elements that are loaded already."""

    loaded: dict[Access, Value]

    def _load(self, e: Expr, place: Place) -> Typed:
        return Typed(self.loaded[e.payload], e.dtype)


class _Epilogue:
    """The elementwise part of a product, at one tile of finished sums."""

    def __init__(self, body: Body, section: Product, slots: dict[Access, str]):
        self.body = body
        self.section = section
        self.slots = {a: i for i, a in enumerate(slots)}

    def __call__(self, tile, value: Value) -> None:
        at = _TileEvaluator(self, tile)
        place = Place({}, tile.lanes, None, {})
        for e in children(self.section.stores):
            if e.kind == "product":
                place.memo[id(e)] = Typed(value, e.dtype)
        at.store_all(self.section.stores, place)


class _TileEvaluator(Evaluator):
    """Loads and stores through the tile's slots."""

    def __init__(self, epilogue: _Epilogue, tile):
        body = epilogue.body
        super().__init__(tile.function, body.pointers, None, body.number, body.fault)
        self.tile = tile
        self.slots = epilogue.slots

    def _load(self, e: Expr, place: Place) -> Typed:
        return Typed(self.tile.load(self.slots[e.payload]), e.dtype)

    def store(self, s, place: Place) -> None:
        x = self.value(s.value, place).value
        self.tile.store(self.slots[s.target], self.f.splat(x, place.lanes))
