"""How each reduction starts, takes a value, joins two partial results and folds lanes.

A state is a list of SSA values: one for most reductions, (best, position) for argmax and argmin.
"""

from __future__ import annotations

from .emitter import Emitter, Typed, element
from .llvm import Type, Value
from .nest import Expr

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


def state_size(e: Expr) -> int:
    return 2 if e.payload[0] in POSITIONS else 1


def state_types(e: Expr, lanes: int) -> list[Type]:
    """The types of a state."""
    first = Type(element(e.args[0].dtype), lanes)
    return [first, Type("i64", lanes)] if e.payload[0] in POSITIONS else [first]


def start(emit: Emitter, e: Expr, lanes: int) -> list[Value]:
    name, dtype = e.payload[0], e.args[0].dtype
    first = emit.constant(identity(name, dtype), dtype, lanes).value
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
    return [combine(emit, name, e.args[0].dtype, a[0], b[0])]


def fold(emit: Emitter, e: Expr, state: list[Value]) -> list[Value]:
    """The lanes joined, halves onto halves: scalars."""
    f = emit.f
    while state[0].lanes > 1:
        half = state[0].lanes // 2
        low = [f.shuffle(x, None, range(half)) for x in state]
        high = [f.shuffle(x, None, range(half, 2 * half)) for x in state]
        state = join(emit, e, low, high)
    return state


def result(e: Expr, state: list[Value]) -> Typed:
    return Typed(state[-1], e.dtype)


def combine(emit: Emitter, name: str, dtype, a: Value, b: Value) -> Value:
    if name == "sum":
        return emit.f.add(a, b)
    if name == "prod":
        return emit.f.mul(a, b)
    if dtype.is_float:
        return _float_extreme(emit, name, a, b)
    op = "maximum" if name == "max" else "minimum"
    return emit.arith(op, Typed(a, dtype), Typed(b, dtype)).value


def _float_extreme(emit: Emitter, name: str, a: Value, b: Value) -> Value:
    """The running extreme; a NaN on either side stays."""
    f = emit.f
    keep = f.compare("ogt" if name == "max" else "olt", a, b)
    return f.select(f.binary("or", keep, f.compare("uno", a, a)), a, b)


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
