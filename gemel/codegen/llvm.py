"""LLVM IR as text: modules, functions, typed SSA values.

Role: the only place that knows the spelling of LLVM IR. Input: calls from the generators. Output:
`Module.text()`, parsed once by `runtime.jit`. No pass pipeline runs over the text, so what is
emitted here is what is compiled: loops are rotated, vectors explicit, integer arithmetic folded.

    module = Module()
    f = module.function("axpy", [("ptr", "x"), ("ptr", "y"), ("i64", "n")])
    x, y, n = f.arguments
    with f.loop(0, n, 16) as loop:
        live = f.lanes_below(n - loop.index, 16)
        a = f.load(f.gep(x, loop.index, "float"), "float", 16, mask=live)
        f.store(a * 2.0 + 1.0, f.gep(y, loop.index, "float"), mask=live)
    f.ret()

Invariants and conventions:
- A `Value` has a `Type(elem, lanes)`; `lanes == 1` is a plain scalar. Elements: float, double,
  i1, i8, i16, i32, i64, ptr. Python numbers are accepted next to a Value and take its type.
- i64 scalars may be Python ints. They fold: `f.mul(0, x) == 0`, `f.add(2, 3) == 5`. Test with
  `isinstance(x, int)` whether a value is known at compile time.
- i1 is stored as one byte (0 or 1): `load`, `store` and `gep` do the conversion.
- `+ - * / & | ^ << >> - ~ < <= > >=` work on Values (`>>` and comparisons of integers are signed,
  `/` is for floats); `==` is not overloaded: use `f.compare("==", a, b)`.
- Loads and stores need only the alignment of one element.
- `f.fma`, `f.sqrt` ... are exact intrinsics; nothing is emitted with fast-math flags.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from gemel.codegen import sign_masks
from gemel.codegen.instructions import Instructions, typed
from gemel.codegen.sizes import Size, surely_below
from gemel.codegen.values import FLOATS, I64, POINTER, SIZES, Operand, Type, Value, literal
from gemel.runtime.machine import machine

__all__ = [
    "FLOATS",
    "I64",
    "POINTER",
    "RECORD",
    "SIZES",
    "Function",
    "Loop",
    "Module",
    "Operand",
    "Type",
    "Value",
    "literal",
    "names_in",
    "renamed",
]

_NAME = re.compile(r"@([\w.]+)")
_METADATA = re.compile(r"!\d+")
RECORD = "{ptr, ptr, i64}"
_DIGITS = 16  # of a table's name


class Module:
    """Functions, constant tables and declarations that become one object."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self._declarations: dict[str, None] = {}
        self._tables: dict[tuple[str, tuple], str] = {}
        self.sizes: list[int] = []  # what the program has to be given, in order
        self._size_places: dict[Size, int] = {}

    def function(
        self,
        name: str,
        parameters: Sequence[tuple[str, str]] = (),
        result: str = "void",
        *,
        internal: bool = False,
        inline: bool | None = None,
    ) -> Function:
        """Start a function. Parameters are (type text, name) pairs, e.g. ("ptr noalias", "x")."""
        if name in self.functions:
            raise ValueError(f"the module already has a function @{name}")
        made = Function(self, name, parameters, result, internal, inline)
        self.functions[name] = made
        return made

    def size_place(self, size: Size) -> int:
        """The place among the sizes that the program is given."""
        if size not in self._size_places:
            self._size_places[size] = len(self.sizes)
            self.sizes.append(size)
        return self._size_places[size]

    def declare(self, text: str) -> None:
        """Add a declaration once."""
        self._declarations[text] = None

    def table(self, elem: str, values: Sequence[float]) -> str:
        """A constant array shared by equal content; returns the text of its address."""
        key = (elem, tuple(values))
        if key not in self._tables:
            digest = hashlib.sha256(repr(key).encode())
            self._tables[key] = f"@table_{digest.hexdigest()[:_DIGITS]}"
        return self._tables[key]

    def records(self, name: str, rows: Sequence[tuple[Function, Function, int]]) -> str:
        """A constant array of `RECORD`s: addresses of two functions, and a number. Returns the text
        of its address."""
        items = ", ".join(f"{RECORD} {{ptr @{f.name}, ptr @{g.name}, i64 {n}}}" for f, g, n in rows)
        kind = f"[{len(rows)} x {RECORD}]"
        self.declare(f"@{name} = private unnamed_addr constant {kind} [{items}], align 64")
        return f"@{name}"

    def text(self) -> str:
        parts = [_table_text(name, *key) for key, name in self._tables.items()]
        parts.extend(self._declarations)
        parts.extend(function.text() for function in self.functions.values())
        return "\n".join(parts) + "\n"

    def text_of(self, functions: Iterable[str], names: Mapping[str, str] | None = None) -> str:
        """The text of a module with these functions, and what they use of tables and
        declarations, in which functions have other names."""
        body = list(functions)
        used = {name for text in body for name in (*names_in(text), *_METADATA.findall(text))}
        declared = sorted(d for d in self._declarations if _subject(d) in used)
        tables = (_table_text(name, *key) for key, name in self._tables.items() if name[1:] in used)
        declared = [renamed(d, names or {}) for d in declared]
        return "\n".join([*tables, *declared, *body]) + "\n"


def names_in(text: str) -> list[str]:
    """Names of functions and tables in a text, in order."""
    return _NAME.findall(text)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text where functions have other names."""
    return _NAME.sub(lambda found: f"@{names.get(found[1], found[1])}", text) if names else text


def _subject(declaration: str) -> str:
    """What a declaration declares: a function or constant, or metadata."""
    found = names_in(declaration)
    return found[0] if found else declaration.split(None, 1)[0]


def _table_text(name: str, elem: str, values: tuple) -> str:
    items = ", ".join(f"{elem} {literal(value, elem)}" for value in values)
    return f"{name} = private unnamed_addr constant [{len(values)} x {elem}] [{items}], align 64"


def _turns(low: Operand, high: Operand, step: Operand) -> int:
    """How often a loop runs; 0 where that is not known."""
    if type(low) is not int or type(high) is not int or type(step) is not int:
        return 0
    return min(max(0, -((low - high) // step)), 1 << 30)


class Loop:
    """What `Function.loop` yields: set `next` in the body when values are carried, and `while_true`
    to what gives the truth value that ends the loop where it is false."""

    def __init__(self, index: Value, values: list[Value]):
        self.index = index
        self.values = values
        self.next: Sequence[Operand] = values
        self.out: list[Value] = []
        self.while_true: Callable[[], Value] | None = None


class Function(Instructions):
    """Emits one function, instruction by instruction.

    delegated   what a function that only calls another one hands over; see `codegen.native`
    sizes       the address of the sizes that the program was given; None where none are at hand
    """

    delegated: tuple | None = None
    sizes: Value | None = None

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[tuple[str, str]],
        result: str,
        internal: bool,
        inline: bool | None,
    ):
        self.module = module
        self.name = name
        self.result = result
        self.arguments = [
            Value(self, f"%{label}", Type(kind.split()[0])) for kind, label in parameters
        ]
        self._parameters = [f"{kind} %{label}" for kind, label in parameters]
        self._linkage = "internal " if internal else ""
        self._wish = {None: "", True: " alwaysinline", False: " noinline"}[inline]
        self._lines: list[str] = []
        self._allocas: list[str] = []
        self._sizes: dict[Size, Value] = {}
        self._count = 0
        self.block = "entry"
        self._closed = False

    def text(self) -> str:
        signature = f"@{self.name}({', '.join(self._parameters)}) nounwind{self._wish}"
        head = f"define {self._linkage}{self.result} {signature} {{"
        return "\n".join([head, "entry:", *self._allocas, *self._lines, "}"])

    def drop_first_if_unread(self) -> None:
        """The first parameter goes where no instruction reads it; callers ask `takes`."""
        pattern = re.compile(rf"{self.arguments[0]}\b")
        if not any(pattern.search(line) for line in (*self._allocas, *self._lines)):
            del self._parameters[0], self.arguments[0]

    def takes(self, label: str) -> bool:
        """Has it a parameter of this name?"""
        return any(str(a) == f"%{label}" for a in self.arguments)

    def take_sizes(self, table: Value, entry: int) -> None:
        """The sizes lie where an entry of the table says."""
        at = f"getelementptr i64, ptr {table}, i64 {entry}"
        self._allocas.append(f"  %sizes.at = {at}")
        self._allocas.append("  %sizes = load ptr, ptr %sizes.at, align 8")
        self.sizes = Value(self, "%sizes", POINTER)

    def size(self, size: Size) -> Value:
        """An i64 that is known when the program runs, read at the function's start."""
        if self.sizes is None:
            return self.constant(int(size), "i64")
        found = self._sizes.get(size)
        if found is None:
            place = self.module.size_place(size)
            self.module.declare("!1 = !{}")
            name = f"%size{place}"
            at = f"getelementptr i64, ptr {self.sizes}, i64 {place}"
            self._allocas.append(f"  {name}.at = {at}")
            load = f"load i64, ptr {name}.at, align 8, !invariant.load !1"
            self._allocas.append(f"  {name} = {load}")
            found = self._sizes[size] = Value(self, name, I64)
        return found

    # Plain emission.

    def emit(self, text: str) -> None:
        """One instruction without a result."""
        self._lines.append("  " + text)

    def value(self, text: str, type_: Type) -> Value:
        """One instruction with a result."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {text}")
        return Value(self, name, type_)

    def trial(self, body: Callable[[], object]) -> int:
        """How many lines `body` would emit; nothing of it stays (declarations may)."""
        kept = len(self._lines), len(self._allocas), self._count, self.block, self._closed
        sizes = dict(self._sizes)
        body()
        lines = len(self._lines) - kept[0]
        self._sizes = sizes
        del self._lines[kept[0] :], self._allocas[kept[1] :]
        self._count, self.block, self._closed = kept[2:]
        return lines

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def _start(self, label: str) -> None:
        self._lines.append(f"{label}:")
        self.block = label
        self._closed = False

    def _jump(self, label: str) -> None:
        if not self._closed:
            self.emit(f"br label %{label}")
        self._closed = True

    def _branch(self, condition: Value, then: str, other: str, turns: int = 0) -> None:
        """turns: of the loop that `then` leads back to, where that is known; LLVM takes an inner
        loop for the busier one otherwise, and gives it the registers."""
        often = f', !prof !{{!"branch_weights", i32 {turns - 1}, i32 1}}' if turns else ""
        self.emit(f"br i1 {condition}, label %{then}, label %{other}{often}")
        self._closed = True

    def ret(self, value: Operand | None = None) -> None:
        """Return; allowed inside `when` and `if_else` bodies too."""
        if value is None:
            self.emit("ret void")
        else:
            self.emit(f"ret {self.result} {self.lift(value, Type(self.result))}")
        self._closed = True

    # Memory.

    def gep(self, pointer: Value, index: Operand, elem: str) -> Value:
        """The address of element `index` (an i64) behind a pointer."""
        if isinstance(index, int) and index == 0:
            return pointer
        stored = "i8" if elem == "i1" else elem
        index = self.size(index) if type(index) is Size else index
        return self.value(f"getelementptr {stored}, ptr {pointer}, i64 {index}", POINTER)

    def load(
        self,
        pointer: Value,
        elem: str,
        lanes: int = 1,
        *,
        mask: Value | None = None,
        other: Value | None = None,
        align: int | None = None,
    ) -> Value:
        """Consecutive elements. Lanes outside the mask touch no memory and give `other` (or 0)."""
        if elem == "i1":
            fill = None if other is None else self.convert(other, "i8")
            stored = self.load(pointer, "i8", lanes, mask=mask, other=fill)
            return self.compare("!=", stored, 0)
        type_ = Type(elem, lanes)
        align = align or SIZES[elem]
        if mask is None:
            return self.value(f"load {type_}, ptr {pointer}, align {align}", type_)
        if lanes > 1 and machine().sign_masks and sign_masks.takes(elem):
            other = None if other is None else self.lift(other, type_)
            return sign_masks.load(self, pointer, type_, mask, other)
        other = self.zero(type_) if other is None else self.lift(other, type_)
        if lanes == 1:
            text = f"load {type_}, ptr {pointer}, align {align}"
            return self.if_else(mask, lambda: [self.value(text, type_)], lambda: [other])[0]
        name = f"llvm.masked.load.{type_.suffix}.p0"
        self.module.declare(f"declare {type_} @{name}(ptr, <{lanes} x i1>, {type_})")
        where = f"ptr align {align} {pointer}, {mask.type} {mask}"
        return self.value(f"call {type_} @{name}({where}, {type_} {other})", type_)

    def store(
        self,
        x: Value,
        pointer: Value,
        *,
        mask: Value | None = None,
        align: int | None = None,
    ) -> None:
        """Consecutive elements; lanes outside the mask are left alone."""
        if x.elem == "i1":
            x = self.convert(x, "i8")
        align = align or SIZES[x.elem]
        if mask is None:
            self.emit(f"store {x.type} {x}, ptr {pointer}, align {align}")
        elif x.lanes == 1:
            with self.when(mask):
                self.emit(f"store {x.type} {x}, ptr {pointer}, align {align}")
        elif machine().sign_masks and sign_masks.takes(x.elem):
            sign_masks.store(self, x, pointer, mask)
        else:
            name = f"llvm.masked.store.{x.type.suffix}.p0"
            self.module.declare(f"declare void @{name}({x.type}, ptr, <{x.lanes} x i1>)")
            where = f"ptr align {align} {pointer}, {mask.type} {mask}"
            self.emit(f"call void @{name}({x.type} {x}, {where})")

    def gather(self, pointer: Value, index: Value, elem: str, mask: Value | None = None) -> Value:
        """Elements at `pointer[index]`, one integer index per lane; masked-off lanes give 0."""
        if elem == "i1":
            return self.compare("!=", self.gather(pointer, index, "i8", mask), 0)
        lanes = index.lanes
        if lanes == 1:
            return self.load(self.gep(pointer, self.convert(index, "i64"), elem), elem, mask=mask)
        places = self.addresses(pointer, index, elem)
        mask = mask or self.constant(True, "i1", lanes)
        type_ = Type(elem, lanes)
        name = f"llvm.masked.gather.{type_.suffix}.v{lanes}p0"
        self.module.declare(f"declare {type_} @{name}(<{lanes} x ptr>, <{lanes} x i1>, {type_})")
        where = f"<{lanes} x ptr> align {SIZES[elem]} {places}, {mask.type} {mask}"
        return self.value(f"call {type_} @{name}({where}, {type_} zeroinitializer)", type_)

    def scatter(self, x: Value, pointer: Value, index: Value, mask: Value | None = None) -> None:
        """Store to `pointer[index]`, one integer index per lane, in lane order."""
        if x.elem == "i1":
            x = self.convert(x, "i8")
        lanes = x.lanes
        if lanes == 1:
            self.store(x, self.gep(pointer, self.convert(index, "i64"), x.elem), mask=mask)
            return
        places = self.addresses(pointer, index, x.elem)
        mask = mask or self.constant(True, "i1", lanes)
        name = f"llvm.masked.scatter.{x.type.suffix}.v{lanes}p0"
        self.module.declare(f"declare void @{name}({x.type}, <{lanes} x ptr>, <{lanes} x i1>)")
        where = f"<{lanes} x ptr> align {SIZES[x.elem]} {places}, {mask.type} {mask}"
        self.emit(f"call void @{name}({x.type} {x}, {where})")

    def addresses(self, pointer: Value, index: Value, elem: str) -> Value:
        """The addresses `pointer[index]`, one per lane."""
        text = f"getelementptr {elem}, ptr {pointer}, {index.type} {index}"
        return self.value(text, Type("ptr", index.lanes))

    def alloca(self, elem: str, count: int = 1) -> Value:
        """Stack memory of the whole call, aligned to a cache line."""
        name = "%" + self._fresh("stack")
        self._allocas.append(f"  {name} = alloca {elem}, i64 {count}, align 64")
        return Value(self, name, POINTER)

    def stream(self, x: Value, pointer: Value) -> None:
        """Store a full, aligned vector past the caches; `settle` before others may read it."""
        self.module.declare("!0 = !{i32 1}")
        size = SIZES[x.elem] * x.lanes
        self.emit(f"store {x.type} {x}, ptr {pointer}, align {size}, !nontemporal !0")

    def settle(self) -> None:
        """Everything stored before is seen before everything after."""
        self.emit("fence seq_cst")

    def prefetch(self, pointer: Value, *, write: bool = False, cache: int = 1) -> None:
        """Start to fetch a line into the cache of a level and those behind it."""
        self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        how = f"i32 {int(write)}, i32 {4 - cache}, i32 1"
        self.emit(f"call void @llvm.prefetch.p0(ptr {pointer}, {how})")

    def copy_bytes(self, target: Value, source: Value, count: Operand) -> None:
        """memcpy (the ranges do not overlap)."""
        self.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        where = f"ptr {target}, ptr {source}, i64 {self.lift(count, I64)}"
        self.emit(f"call void @llvm.memcpy.p0.p0.i64({where}, i1 false)")

    def clear_bytes(self, target: Value, count: Operand) -> None:
        """memset to zero."""
        self.module.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        bytes_ = self.lift(count, I64)
        self.emit(f"call void @llvm.memset.p0.i64(ptr {target}, i8 0, i64 {bytes_}, i1 false)")

    # Calls.

    def call(self, callee: Function, *operands: Operand) -> Value | None:
        """Call a function of the module."""
        types = [argument.type for argument in callee.arguments]
        if len(types) != len(operands):
            raise TypeError(f"@{callee.name} takes {len(types)} operands, not {len(operands)}")
        lifted = [self.lift(x, type_) for x, type_ in zip(operands, types, strict=True)]
        text = f"call {callee.result} @{callee.name}({typed(lifted)})"
        if callee.result == "void":
            self.emit(text)
            return None
        return self.value(text, Type(callee.result))

    def call_pointer(self, pointer: Value, result: str, *operands: Value) -> Value | None:
        """Call a function by its address."""
        text = f"call {result} {pointer}({typed(operands)})"
        if result == "void":
            self.emit(text)
            return None
        return self.value(text, Type(result))

    def call_external(self, name: str, result: str, *operands: Value) -> Value | None:
        """Call a C symbol of the process, for example a libm function."""
        kinds = ", ".join(str(x.type) for x in operands)
        self.module.declare(f"declare {result} @{name}({kinds})")
        text = f"call {result} @{name}({typed(operands)})"
        if result == "void":
            self.emit(text)
            return None
        return self.value(text, Type(result))

    # Control flow.

    @contextmanager
    def loop(
        self,
        low: Operand,
        high: Operand,
        step: Operand = 1,
        carry: Sequence[Operand] = (),
        *,
        nonempty: bool = False,
    ) -> Iterator[Loop]:
        """for index in range(low, high, step), step > 0, with values carried from turn to turn.

        In the body `loop.index` and `loop.values` are current; set `loop.next` to the values for
        the next turn. After it `loop.out` holds the last ones (the initial ones if it never ran).
        """
        known = isinstance(low, int) and isinstance(high, int)
        nonempty = nonempty or (known and surely_below(low, high))
        low = self.size(low) if type(low) is Size else low
        start = [self.lift(x, x.type if isinstance(x, Value) else I64) for x in carry]
        before, head, done = self.block, self._fresh("loop"), self._fresh("done")
        if nonempty:
            self._jump(head)
        else:
            self._branch(self.compare("<", low, high), head, done)
        self._start(head)
        index = Value(self, f"%{head}.i", I64)
        values = [Value(self, f"%{head}.c{j}", x.type) for j, x in enumerate(start)]
        place = len(self._lines)
        self._lines.append("")
        loop = Loop(index, list(values))
        yield loop
        after = self.add(index, step)
        following = [self.lift(x, y.type) for x, y in zip(loop.next, start, strict=True)]
        again = self.compare("<", after, high)
        if loop.while_true is not None:
            again = again & loop.while_true()
        last = self.block
        turns = 0 if loop.while_true is not None else _turns(low, high, step)
        self._branch(again, head, done, turns)
        phis = [(index, low, after), *zip(values, start, following, strict=True)]
        self._lines[place] = "\n".join(
            f"  {x} = phi {x.type} [{first}, %{before}], [{later}, %{last}]"
            for x, first, later in phis
        )
        self._start(done)
        if nonempty:
            loop.out = following
        else:
            ends = zip(start, following, strict=True)
            loop.out = [self._phi([(x, before), (y, last)]) for x, y in ends]

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """The body runs if the i1 scalar is true."""
        body, rest = self._fresh("then"), self._fresh("rest")
        self._branch(condition, body, rest)
        self._start(body)
        yield
        self._jump(rest)
        self._start(rest)

    def if_else(
        self,
        condition: Value,
        then: Callable[[], Sequence[Value] | None],
        other: Callable[[], Sequence[Value] | None],
    ) -> list[Value]:
        """One of two bodies; each returns a list of values of equal types (or None)."""
        yes, no, rest = self._fresh("then"), self._fresh("else"), self._fresh("rest")
        self._branch(condition, yes, no)
        sides = []
        for label, body in ((yes, then), (no, other)):
            self._start(label)
            values = list(body() or ())
            if not self._closed:
                sides.append((values, self.block))
            self._jump(rest)
        self._start(rest)
        columns = zip(*(values for values, _ in sides), strict=True)
        blocks = [block for _, block in sides]
        return [self._phi(list(zip(column, blocks, strict=True))) for column in columns]

    def _phi(self, sides: list[tuple[Operand, str]]) -> Value:
        type_ = next((x.type for x, _ in sides if isinstance(x, Value)), I64)
        arms = ", ".join(f"[{self.lift(x, type_)}, %{block}]" for x, block in sides)
        return self.value(f"phi {type_} {arms}", type_)
