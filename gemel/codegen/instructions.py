"""Instructions without memory or control flow: arithmetic, comparison, lanes, intrinsics.

Role: the arithmetic half of `codegen.llvm.Function`, which adds `value` (append an instruction).
Operands are `Value`s or Python numbers; a Python number takes the type of its neighbour and a
scalar next to a vector is splat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gemel.codegen.sizes import Size, least, most
from gemel.codegen.values import BITS, FLOATS, I64, POINTER, Operand, Type, Value, literal

if TYPE_CHECKING:
    from gemel.codegen.llvm import Module

_ORDERED = {"==": "oeq", "!=": "une", "<": "olt", "<=": "ole", ">": "ogt", ">=": "oge"}
_SIGNED = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}
_UNSIGNED = {**_SIGNED, "<": "ult", "<=": "ule", ">": "ugt", ">=": "uge"}


class Instructions:
    """What a function can compute; subclasses provide `module` and `value`."""

    module: Module

    def value(self, text: str, type_: Type) -> Value:
        raise NotImplementedError

    def size(self, size: Size) -> Value:
        """An i64 that is known when the program runs."""
        raise NotImplementedError

    # Constants.

    def constant(self, value: float, elem: str, lanes: int = 1) -> Value:
        """A constant, the same in every lane; a size is read where the program has it."""
        if type(value) is Size:
            return self.splat(self.convert(self.size(value), elem), lanes)
        text = literal(value, elem)
        if lanes > 1:
            text = f"splat ({elem} {text})"
        return Value(self, text, Type(elem, lanes))

    def constants(self, values: Sequence[float], elem: str) -> Value:
        """A vector constant with one value per lane."""
        if len(values) == 1:
            return self.constant(values[0], elem)
        if any(type(value) is Size for value in values):
            made = self.zero(Type(elem, len(values)))
            for lane, value in enumerate(values):
                made = self.insert(made, self.constant(value, elem), lane)
            return made
        items = ", ".join(f"{elem} {literal(value, elem)}" for value in values)
        return Value(self, f"<{items}>", Type(elem, len(values)))

    def lanes_index(self, lanes: int, elem: str = "i32") -> Value:
        """The vector 0, 1, 2, ... of lane numbers."""
        return self.constants(range(lanes), elem)

    def zero(self, type_: Type) -> Value:
        return self.constant(0, type_.elem, type_.lanes)

    def table(self, elem: str, values: Sequence[float]) -> Value:
        """The address of a constant array of the module."""
        return Value(self, self.module.table(elem, values), POINTER)

    def lift(self, x: Operand, type_: Type) -> Value:
        """A Python number becomes a constant of the type; a scalar Value becomes a vector."""
        if not isinstance(x, Value):
            return self.constant(x, type_.elem, type_.lanes)
        if x.type == type_:
            return x
        if x.elem == type_.elem and x.lanes == 1:
            return self.splat(x, type_.lanes)
        raise TypeError(f"a value of type {x.type} where {type_} is needed")

    def _pair(self, a: Operand, b: Operand) -> tuple[Value, Value]:
        if isinstance(a, Value) and isinstance(b, Value):
            type_ = a.type if a.lanes >= b.lanes else b.type
        elif isinstance(a, Value):
            type_ = a.type
        elif isinstance(b, Value):
            type_ = b.type
        else:
            raise TypeError("at least one operand must be a Value")
        return self.lift(a, type_), self.lift(b, type_)

    # Arithmetic.

    def binary(self, opcode: str, a: Operand, b: Operand) -> Value:
        """An LLVM two-operand instruction by its opcode: and, or, xor, shl, lshr, frem, ..."""
        a, b = self._pair(a, b)
        return self.value(f"{opcode} {a.type} {a}, {b}", a.type)

    def add(self, a: Operand, b: Operand) -> Operand:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if _is_zero(a, b):
            return b
        if _is_zero(b, a):
            return a
        a, b = self._pair(a, b)
        return self.value(f"{'fadd' if a.type.is_float else 'add'} {a.type} {a}, {b}", a.type)

    def sub(self, a: Operand, b: Operand) -> Operand:
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        if _is_zero(b, a):
            return a
        a, b = self._pair(a, b)
        return self.value(f"{'fsub' if a.type.is_float else 'sub'} {a.type} {a}, {b}", a.type)

    def mul(self, a: Operand, b: Operand) -> Operand:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        for x, y in ((a, b), (b, a)):
            if type(x) is int and isinstance(y, Value) and y.type == I64:
                if x == 0:
                    return 0
                if x == 1:
                    return y
        a, b = self._pair(a, b)
        return self.value(f"{'fmul' if a.type.is_float else 'mul'} {a.type} {a}, {b}", a.type)

    def fdiv(self, a: Operand, b: Operand) -> Value:
        return self.binary("fdiv", a, b)

    def bit_length(self, x: Value) -> Operand:
        """How many bits an i64 that is not negative has up to its highest one."""
        self.module.declare("declare i64 @llvm.ctlz.i64(i64, i1)")
        return self.sub(64, self.value(f"call i64 @llvm.ctlz.i64(i64 {x}, i1 false)", I64))

    def udiv(self, a: Operand, b: Operand) -> Operand:
        """Unsigned quotient; Python ints fold."""
        if isinstance(a, int) and isinstance(b, int):
            return a // b
        return a if type(b) is int and b == 1 else self.binary("udiv", a, b)

    def urem(self, a: Operand, b: Operand) -> Operand:
        """Unsigned remainder; Python ints fold."""
        if isinstance(a, int) and isinstance(b, int):
            return a % b
        if type(b) is int and b == 1 and a.type == I64:
            return 0
        return self.binary("urem", a, b)

    def neg(self, x: Operand) -> Operand:
        if not isinstance(x, Value):
            return -x
        if x.type.is_float:
            return self.value(f"fneg {x.type} {x}", x.type)
        return self.value(f"sub {x.type} {self.zero(x.type)}, {x}", x.type)

    def min(self, a: Operand, b: Operand, *, unsigned: bool = False) -> Operand:
        """The smaller integer; i64 Python ints fold. For floats see `minnum` and `minimum`."""
        if isinstance(a, int) and isinstance(b, int):
            return least(a, b)
        return self.intrinsic("llvm.umin" if unsigned else "llvm.smin", *self._pair(a, b))

    def max(self, a: Operand, b: Operand, *, unsigned: bool = False) -> Operand:
        """The larger integer; i64 Python ints fold. For floats see `maxnum` and `maximum`."""
        if isinstance(a, int) and isinstance(b, int):
            return most(a, b)
        return self.intrinsic("llvm.umax" if unsigned else "llvm.smax", *self._pair(a, b))

    # Comparison and choice.

    def compare(self, op: str, a: Operand, b: Operand, *, unsigned: bool = False) -> Value:
        """i1 lanes of `a op b`. op: == != < <= > >=, or an LLVM predicate such as "uno", "ult".

        Comparisons of floats are false on nan, but != is true (as in Python).
        """
        a, b = self._pair_or_i64(a, b)
        if a.type.is_float:
            instruction, name = "fcmp", _ORDERED.get(op, op)
        else:
            instruction, name = "icmp", (_UNSIGNED if unsigned else _SIGNED).get(op, op)
        return self.value(f"{instruction} {name} {a.type} {a}, {b}", Type("i1", a.lanes))

    def _pair_or_i64(self, a: Operand, b: Operand) -> tuple[Value, Value]:
        if isinstance(a, int) and isinstance(b, int):
            return self.constant(a, "i64"), self.constant(b, "i64")
        return self._pair(a, b)

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        """a where the i1 condition is true, else b (two Python ints give an i64)."""
        a, b = self._pair_or_i64(a, b)
        if condition.lanes > a.lanes:
            a, b = self.splat(a, condition.lanes), self.splat(b, condition.lanes)
        chooser = condition.type if condition.lanes == a.lanes else Type("i1")
        return self.value(f"select {chooser} {condition}, {a.type} {a}, {a.type} {b}", a.type)

    # Conversion.

    def bitcast(self, x: Value, elem: str) -> Value:
        """The same bits; lanes follow from the sizes (<16 x i1> to i16 is possible)."""
        lanes = x.lanes * BITS[x.elem] // BITS[elem]
        made = Type(elem, lanes)
        return self.value(f"bitcast {x.type} {x} to {made}", made)

    def convert(self, x: Operand, elem: str, *, signed: bool = True) -> Operand:
        """Numeric conversion; to integers it truncates toward zero, to i1 it is `x != 0`."""
        if not isinstance(x, Value):
            return x if elem == "i64" and isinstance(x, int) else self.constant(x, elem)
        if x.elem == elem:
            return x
        if elem == "i1":
            return self.compare("!=", x, 0)
        made = Type(elem, x.lanes)
        opcode = _conversion(x.elem, elem, signed and x.elem != "i1")
        return self.value(f"{opcode} {x.type} {x} to {made}", made)

    def opaque(self, x: Value) -> Value:
        """The same value, whose origin the compiler does not look into: its search for cheap
        addresses inside loops can be very long."""
        return self.value(f"freeze {x.type} {x}", x.type)

    # Lanes.

    def splat(self, x: Operand, lanes: int, elem: str = "i64") -> Value:
        """A scalar in every lane (`elem` types a Python number)."""
        if not isinstance(x, Value):
            return self.constant(x, elem, lanes)
        if lanes == x.lanes:
            return x
        if x.text[0] != "%":
            return Value(self, f"splat ({x.type} {x})", Type(x.elem, lanes))
        made = Type(x.elem, lanes)
        first = self.value(f"insertelement {made} poison, {x.type} {x}, i64 0", made)
        return self.value(
            f"shufflevector {made} {first}, {made} poison, <{lanes} x i32> zeroinitializer", made
        )

    def shuffle(self, a: Value, b: Value | None, lanes: Sequence[int]) -> Value:
        """Lanes of a and b by number (those of b follow those of a)."""
        if len(lanes) == 1 and lanes[0] < a.lanes:
            return self.extract(a, lanes[0])
        other = "poison" if b is None else b.text
        picks = ", ".join(f"i32 {lane}" for lane in lanes)
        made = Type(a.elem, len(lanes))
        text = f"shufflevector {a.type} {a}, {a.type} {other}, <{len(lanes)} x i32> <{picks}>"
        return self.value(text, made)

    def extract(self, x: Value, lane: Operand) -> Value:
        if x.lanes == 1:
            return x
        return self.value(f"extractelement {x.type} {x}, i64 {lane}", Type(x.elem))

    def insert(self, x: Value, item: Value, lane: Operand) -> Value:
        if x.lanes == 1:
            return item
        return self.value(f"insertelement {x.type} {x}, {item.type} {item}, i64 {lane}", x.type)

    def lanes_below(self, count: Operand, lanes: int) -> Value:
        """The i1 mask of lanes whose number is below an i64 count (any count is allowed)."""
        if type(count) is Size:
            count = self.size(count)
        if isinstance(count, int):
            return self.constants([lane < count for lane in range(lanes)], "i1")
        if lanes == 1:
            return self.compare(">", count, 0)
        near = self.max(self.min(count, lanes), 0)
        return self.compare("<", self.lanes_index(lanes), self.convert(near, "i32"))

    def any(self, mask: Value) -> Value:
        """Whether a lane of an i1 mask is true, as a scalar."""
        if mask.lanes == 1:
            return mask
        name = f"llvm.vector.reduce.or.{mask.type.suffix}"
        self.module.declare(f"declare i1 @{name}({mask.type})")
        return self.value(f"call i1 @{name}({mask.type} {mask})", Type("i1"))

    def first_of(self, x: Value, mask: Value) -> Value:
        """The first lane of x that the mask holds; it must hold one."""
        if mask.lanes == 1:
            return x
        bits = Type(f"i{mask.lanes}")
        word = self.value(f"bitcast {mask.type} {mask} to {bits}", bits)
        name = f"llvm.cttz.{bits}"
        self.module.declare(f"declare {bits} @{name}({bits}, i1)")
        lane = self.value(f"call {bits} @{name}({bits} {word}, i1 true)", bits)
        return self.value(f"extractelement {x.type} {x}, {bits} {lane}", Type(x.elem))

    def reduce(self, join: Callable[[Value, Value], Value], x: Value) -> Value:
        """Fold the lanes pairwise (halves onto halves) with `join(a, b)`; returns a scalar."""
        while x.lanes > 1:
            half = x.lanes // 2
            low = self.shuffle(x, None, range(half))
            x = join(low, self.shuffle(x, None, range(half, x.lanes)))
        return x

    def intrinsic(self, name: str, *operands: Value) -> Value:
        """An overloaded intrinsic whose operands and result have the type of the first operand."""
        type_ = operands[0].type
        operands = [self.lift(x, type_) for x in operands]
        full = f"{name}.{type_.suffix}"
        self.module.declare(f"declare {type_} @{full}({', '.join([str(type_)] * len(operands))})")
        return self.value(f"call {type_} @{full}({typed(operands)})", type_)

    def fma(self, a: Operand, b: Operand, c: Operand) -> Value:
        """a * b + c with one rounding for floats; plain multiply and add for integers."""
        type_ = max((x.type for x in (a, b, c) if isinstance(x, Value)), key=lambda t: t.lanes)
        a, b, c = (self.lift(x, type_) for x in (a, b, c))
        if not type_.is_float:
            return self.add(self.mul(a, b), c)
        return self.intrinsic("llvm.fma", a, b, c)

    def scale(self, x: Value, n: Value) -> Value:
        """x * 2**n for i32 exponents, rounded once (fast where `Machine.vector_scale`)."""
        name = f"llvm.ldexp.{x.type.suffix}.{n.type.suffix}"
        self.module.declare(f"declare {x.type} @{name}({x.type}, {n.type})")
        return self.value(f"call {x.type} @{name}({typed([x, n])})", x.type)

    def sqrt(self, x: Value) -> Value:
        return self.intrinsic("llvm.sqrt", x)

    def abs(self, x: Value) -> Value:
        if x.type.is_float:
            return self.intrinsic("llvm.fabs", x)
        return self.select(self.compare("<", x, 0), self.neg(x), x)

    def copysign(self, x: Operand, sign: Value) -> Value:
        return self.intrinsic("llvm.copysign", *self._pair(x, sign))

    def floor(self, x: Value) -> Value:
        return self.intrinsic("llvm.floor", x)

    def ceil(self, x: Value) -> Value:
        return self.intrinsic("llvm.ceil", x)

    def trunc(self, x: Value) -> Value:
        return self.intrinsic("llvm.trunc", x)

    def round_even(self, x: Value) -> Value:
        return self.intrinsic("llvm.roundeven", x)

    def minnum(self, a: Operand, b: Operand) -> Value:
        """The smaller float; a nan loses against a number."""
        return self.intrinsic("llvm.minnum", *self._pair(a, b))

    def maxnum(self, a: Operand, b: Operand) -> Value:
        """The larger float; a nan loses against a number."""
        return self.intrinsic("llvm.maxnum", *self._pair(a, b))

    def minimum(self, a: Operand, b: Operand) -> Value:
        """The smaller float; nan wins and -0 is below +0."""
        return self.intrinsic("llvm.minimum", *self._pair(a, b))

    def maximum(self, a: Operand, b: Operand) -> Value:
        """The larger float; nan wins and +0 is above -0."""
        return self.intrinsic("llvm.maximum", *self._pair(a, b))


def _is_zero(x: Operand, other: Operand) -> bool:
    """x is the integer 0 next to an i64 (a float 0.0 must not vanish: -0.0 + 0.0 is 0.0)."""
    return type(x) is int and x == 0 and isinstance(other, Value) and other.type == I64


def typed(operands: Sequence[Value]) -> str:
    """Operands with their types, as a call spells them."""
    return ", ".join(f"{x.type} {x}" for x in operands)


def _conversion(source: str, target: str, signed: bool) -> str:
    if source in FLOATS and target in FLOATS:
        return "fpext" if target == "double" else "fptrunc"
    if source in FLOATS:
        return "fptosi" if signed else "fptoui"
    if target in FLOATS:
        return "sitofp" if signed else "uitofp"
    if BITS[target] < BITS[source]:
        return "trunc"
    return "sext" if signed else "zext"
