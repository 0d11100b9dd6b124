"""Kernels and whole programs as one LLVM module.

In: kernels of the loop-nest IR and where their buffers lie. Out: IR text with one exported function
`i32 @NAME(ptr table)` that runs all kernels in order; it returns 0, or the number of the fault that
stopped it. The table holds addresses (leaves, outputs, arena), then the run-time numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemel.runtime.machine import machine

from . import contraction
from .contraction_plan import Bound
from .emitter import Typed, element
from .evaluate import Evaluator, Place
from .llvm import Function, Module, Value
from .loops import NestEmitter
from .nest import Access, Expr, Kernel, Native, Nest, Operand, Product, children, show_body
from .strategy import Strategy, choose

FAULT_BYTES = 64  # at the start of the arena: number and value of the first fault
_NOTHING = -(1 << 63)


@dataclass(frozen=True)
class Slot:
    """Where a buffer lies: entry of the table, plus bytes (into the arena)."""

    entry: int
    offset: int = 0


def emit_program(
    name: str, kernels: list[Kernel], slots: list[list[Slot]], scalars: int, arena: int, faults
) -> str:
    """The module's text.

    slots    per kernel, where each of its buffers lies
    scalars  table entry of the first run-time number
    arena    table entry of the arena
    faults   (fault, where) -> number
    """
    module = Module()
    callees = _emit_kernels(module, kernels, faults)
    entry = module.function(name, [("ptr", "table")], "i32")
    _emit_entry(entry, kernels, callees, slots, scalars, arena)
    return module.text()


def _emit_kernels(module: Module, kernels: list[Kernel], faults) -> list[Function]:
    """A function per kernel; kernels with the same body are one function."""
    made: dict[str, Function] = {}
    for kernel in kernels:
        body = show_body(kernel)
        if body not in made:
            made[body] = _KernelEmitter(module, kernel, faults).function
        kernel.code = made[body].name
    return [module.functions[k.code] for k in kernels]


def _emit_entry(f: Function, kernels, callees, slots, scalars: int, arena: int) -> None:
    (table,) = f.arguments
    loaded: dict[int, Value] = {}

    def address(slot: Slot) -> Value:
        if slot.entry not in loaded:
            loaded[slot.entry] = f.load(f.gep(table, slot.entry, "i64"), "ptr")
        return f.gep(loaded[slot.entry], slot.offset, "i8")

    every = {s.entry for row in slots for s in row} | {arena}
    for number in sorted(every):
        address(Slot(number))
    fault = address(Slot(arena))
    numbers = f.gep(table, scalars, "i64")
    if any(k.checks for k in kernels):
        f.store(f.constant(0, "i64"), fault)
    for kernel, callee, row in zip(kernels, callees, slots, strict=True):
        scratch = address(Slot(arena, kernel.scratch_at)) if kernel.scratch else fault
        f.call(callee, numbers, fault, scratch, *(address(s) for s in row))
        if kernel.checks:
            code = f.load(fault, "i64")
            with f.when(f.compare("!=", code, 0)):
                f.ret(f.convert(code, "i32"))
    f.ret(0)


def scratch_bytes(kernel: Kernel) -> int:
    """Bytes of memory that the kernel needs while it runs."""
    chosen = [_chosen(s)[0] for s in kernel.sections if isinstance(s, Product)]
    return max((_shared_at(s) + s.shared_bytes for s in chosen), default=0)


def _shared_at(strategy: Strategy) -> int:
    """Where in a kernel's memory the pieces of a contraction share theirs: behind the scratch."""
    return (strategy.scratch_bytes + 63) // 64 * 64


class _KernelEmitter:
    """One kernel as an internal function (numbers, fault, scratch, buffers...)."""

    def __init__(self, module: Module, kernel: Kernel, faults):
        self.module = module
        self.faults = faults
        pointers = [("ptr", f"b{i}") for i in range(len(kernel.buffers))]
        head = [("ptr", "numbers"), ("ptr", "fault"), ("ptr", "scratch")]
        f = module.function(kernel.name, head + pointers, internal=True)
        self.function = f
        self.numbers, self.fault_slot, self.scratch, *self.pointers = f.arguments
        for i, section in enumerate(kernel.sections):
            if isinstance(section, Nest):
                NestEmitter(f, section, self.pointers, self.number, self.fault).run()
            elif isinstance(section, Product):
                self._product(section)
            else:
                self._native(f"{kernel.name}_{i}", section)
        f.ret()

    def number(self, f: Function, e: Expr) -> Typed:
        """A run-time number: 8 bytes in the table."""
        place = f.gep(self.numbers, e.payload, "i64")
        if e.dtype.name == "bool":
            return Typed(f.compare("!=", f.load(place, "i64"), 0), e.dtype)
        return Typed(f.load(place, element(e.dtype)), e.dtype)

    def fault(self, f: Function, bad: Value, value: Value, fault) -> None:
        """Note the first bad value and which check it failed."""
        some = f.reduce(lambda a, b: a | b, bad)
        with f.when(some):
            marked = f.select(bad, value, f.constant(_NOTHING, "i64", value.lanes))
            first = f.reduce(lambda a, b: f.select(f.compare("!=", a, _NOTHING), a, b), marked)
            f.store(f.constant(self.faults(fault), "i64"), self.fault_slot)
            f.store(first, f.gep(self.fault_slot, 1, "i64"))

    def _native(self, name: str, section: Native) -> None:
        from .random_kernels import EMITTERS

        EMITTERS[section.name](
            self.module, name, section.attrs, section.argument_forms, section.result_form
        )
        pointers = [self.pointers[i] for i in (*section.arguments, section.result)]
        self.function.call(self.module.functions[name], *pointers)

    def _product(self, section: Product) -> None:
        strategy, slots = _chosen(section)
        pointers = contraction.Pointers(
            left=(self._start_of(section.left.access, element(section.left.dtype)),),
            right=(self._start_of(section.right.access, element(section.right.dtype)),),
            tile=tuple(self._start_of(a, elem) for a, elem in slots),
            scratch=self.scratch,
            shared=self.function.gep(self.scratch, _shared_at(strategy), "i8"),
        )
        epilogue = _Epilogue(self, section, {a: i for i, (a, _) in enumerate(slots)})
        for stage, pieces in enumerate(strategy.stages):
            with self.function.loop(0, pieces) as loop:
                strategy.emit(self.function, stage, loop.index, pointers, epilogue)

    def _start_of(self, a: Access, elem: str) -> Value:
        return self.function.gep(self.pointers[a.buffer], a.offset, elem)


def _chosen(section: Product):
    """The contraction's strategy, and the arrays of its epilogue: (access, element) per slot."""
    slots: dict[Access, str] = {}
    for e in children(section.stores):
        if e.kind == "load":
            slots[e.payload] = element(e.dtype)
    for s in section.stores:
        slots[s.target] = element(s.value.dtype)
    axes = sorted(section.sizes)
    spec = contraction.Contraction(
        sizes=tuple(section.sizes[a] for a in axes),
        reduced=tuple(a in section.summed for a in axes),
        elem=element(section.dtype),
        left=(_array(section.left, axes),),
        right=(_array(section.right, axes),),
        tile=tuple(
            contraction.Access(elem, tuple(a.stride(x) for x in axes)) for a, elem in slots.items()
        ),
    )
    return choose(spec, machine()), list(slots.items())


def _array(operand: Operand, axes):
    dtype, strides = operand.dtype, tuple(operand.access.stride(x) for x in axes)
    bounds = tuple(
        Bound(tuple(dict(b.steps).get(x, 0) for x in axes), b.start, b.size)
        for b in operand.bounds
    )
    return contraction.Access(element(dtype), strides, dtype.kind != "u", bounds)


class _Epilogue:
    """The elementwise part of a product, at one tile of finished sums."""

    def __init__(self, kernel: _KernelEmitter, section: Product, slots: dict[Access, int]):
        self.kernel = kernel
        self.section = section
        self.slots = slots

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
        kernel = epilogue.kernel
        super().__init__(tile.function, kernel.pointers, None, kernel.number, kernel.fault)
        self.tile = tile
        self.slots = epilogue.slots

    def _load(self, e: Expr, place: Place) -> Typed:
        return Typed(self.tile.load(self.slots[e.payload]), e.dtype)

    def store(self, s, place: Place) -> None:
        x = self.value(s.value, place).value
        self.tile.store(self.slots[s.target], self.f.splat(x, place.lanes))
