"""How each reduction starts, takes a value, joins two partial results and folds lanes.

A state is a list of SSA values: one for most reductions, (best, position) for argmax and argmin,
(best, met) for max and min of floats, `met` where a NaN was met: it costs less beside than inside.
"""

from __future__ import annotations

from gemel.codegen.emitter import Emitter, Typed, element
from gemel.codegen.llvm import Type, Value
from gemel.codegen.nest import Expr

POSITIONS = ("argmax", "argmin")
_NO_POSITION = (1 << 63) - 1


def identity(name: str, dtype):
    """The number that changes nothing."""
    if name in ("sum", "prod"):
        return 0 if name == "sum" else 1
    low = name in ("max", "argmax")
    if dtype.is_float:
        return float("-inf") if low else float("inf")
    if dtype.kind == "b":
        return not low
    bits = dtype.itemsize * 8
    if dtype.kind == "u":
        return 0 if low else (1 << bits) - 1
    return -(1 << (bits - 1)) if low else (1 << (bits - 1)) - 1


def _extreme_of_floats(e: Expr) -> bool:
    return e.payload[0] in ("max", "min") and e.args[0].dtype.is_float


def state_size(e: Expr) -> int:
    return 2 if e.payload[0] in POSITIONS or _extreme_of_floats(e) else 1


def state_types(e: Expr, lanes: int) -> list[Type]:
    """The types of a state."""
    first = Type(element(e.args[0].dtype), lanes)
    if _extreme_of_floats(e):
        return [first, Type("i1", lanes)]
    return [first, Type("i64", lanes)] if e.payload[0] in POSITIONS else [first]


def start(emit: Emitter, e: Expr, lanes: int) -> list[Value]:
    name, dtype = e.payload[0], e.args[0].dtype
    first = emit.constant(identity(name, dtype), dtype, lanes).value
    if _extreme_of_floats(e):
        return [first, emit.f.constant(False, "i1", lanes)]
    if name not in POSITIONS:
        return [first]
    return [first, emit.f.constant(_NO_POSITION, "i64", lanes)]


def step(emit: Emitter, e: Expr, state: list[Value], x: Value, at, mask) -> list[Value]:
    """Take one value (or one vector of them); `at` is its position, lanes outside mask are out."""
    name, dtype = e.payload[0], e.args[0].dtype
    lanes = state[0].lanes
    x = emit.f.splat(x, lanes)
    if mask is not None:
        neutral = emit.constant(identity(name, dtype), dtype, lanes).value
        x = emit.f.select(mask, x, neutral)
    if _extreme_of_floats(e):
        met = emit.f.binary("or", state[1], emit.f.compare("uno", x, x))
        return [_further(emit, name, state[0], x), met]
    if name not in POSITIONS:
        return [combine(emit, name, dtype, state[0], x)]
    at = emit.f.splat(at, lanes)
    if mask is not None:
        at = emit.f.select(mask, at, emit.f.constant(_NO_POSITION, "i64", lanes))
    return _better(emit, e, state, [x, at])


def join(emit: Emitter, e: Expr, a: list[Value], b: list[Value]) -> list[Value]:
    name = e.payload[0]
    if name in POSITIONS:
        return _better(emit, e, a, b)
    if _extreme_of_floats(e):
        return [_further(emit, name, a[0], b[0]), emit.f.binary("or", a[1], b[1])]
    return [combine(emit, name, e.args[0].dtype, a[0], b[0])]


def fold(emit: Emitter, e: Expr, state: list[Value]) -> list[Value]:
    """The lanes joined, halves onto halves: scalars."""
    f = emit.f
    if _extreme_of_floats(e):
        name = e.payload[0]
        best = f.reduce(lambda a, b: _further(emit, name, a, b), state[0])
        return [best, f.any(state[1])]
    while state[0].lanes > 1:
        half = state[0].lanes // 2
        low = [f.shuffle(x, None, range(half)) for x in state]
        high = [f.shuffle(x, None, range(half, 2 * half)) for x in state]
        state = join(emit, e, low, high)
    return state


def result(emit: Emitter, e: Expr, state: list[Value]) -> Typed:
    """The value of a reduction that is complete."""
    if _extreme_of_floats(e):
        best, met = state
        return Typed(emit.f.select(met, float("nan"), best), e.dtype)
    return Typed(state[-1], e.dtype)


def combine(emit: Emitter, name: str, dtype, a: Value, b: Value) -> Value:
    if name == "sum":
        return emit.f.add(a, b)
    if name == "prod":
        return emit.f.mul(a, b)
    op = "maximum" if name == "max" else "minimum"
    return emit.arith(op, Typed(a, dtype), Typed(b, dtype)).value


def _further(emit: Emitter, name: str, a: Value, b: Value) -> Value:
    """b where it is beyond a: one instruction; a NaN in b is passed over."""
    f = emit.f
    return f.select(f.compare("ogt" if name == "max" else "olt", b, a), b, a)


def _beats(emit: Emitter, name: str, dtype, x: Value, y: Value) -> Value:
    f = emit.f
    op = ">" if name == "argmax" else "<"
    if not x.type.is_float:
        return f.compare(op, x, y, unsigned=dtype.kind in "ub")
    odd = f.binary("and", f.compare("uno", x, x), f.compare("ord", y, y))
    return f.binary("or", f.compare(op, x, y), odd)


def _better(emit: Emitter, e: Expr, a: list[Value], b: list[Value]) -> list[Value]:
    """The better of two candidates; the lower position where neither beats the other."""
    f = emit.f
    name, dtype = e.payload[0], e.args[0].dtype
    tie = f.binary("and", ~_beats(emit, name, dtype, a[0], b[0]), f.compare("<", b[1], a[1]))
    take = f.binary("or", _beats(emit, name, dtype, b[0], a[0]), tie)
    return [f.select(take, y, x) for x, y in zip(a, b, strict=True)]
