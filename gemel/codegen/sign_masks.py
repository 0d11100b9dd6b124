"""Masked loads and stores where a mask is the signs of a vector's lanes (AVX).

Role: what `Function.load` and `Function.store` emit on such machines, in the processor's own
instructions. LLVM's `masked.load` would do, but LLVM 22 goes wrong where it finds that a part of
the mask is constant: it reads what the mask forbids, or ends the process. What a known mask lets
through is stored in plain pieces: a masked store takes some processors dozens of cycles.
Invariant: lanes outside the mask touch no memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemel.codegen.values import SIZES, Type, Value

if TYPE_CHECKING:
    from gemel.codegen.llvm import Function

_WIDTHS = 16, 32  # bytes of a register
_INTEGERS = {4: "i32", 8: "i64"}
_FLOATS = {4: "float", 8: "double"}


def takes(elem: str) -> bool:
    """Are there such instructions for the element?"""
    return elem in ("float", "double", "i32", "i64")


def load(f: Function, pointer: Value, type_: Type, mask: Value, other: Value | None) -> Value:
    """Consecutive elements; lanes outside the mask give `other` (or 0)."""
    parts = []
    for start, count in _parts(type_):
        some = _cut(f, mask, start, count)
        place = f.gep(pointer, start, type_.elem)
        wide, signs = _signs(f, some, SIZES[type_.elem])
        found = f.value(_call(f, "maskload", wide, [place, signs], str(wide)), wide)
        value = _cut(f, f.bitcast(found, type_.elem), 0, count)
        if other is not None:
            value = f.select(some, value, _cut(f, other, start, count))
        parts.append(value)
    return _joined(f, parts)


def store(f: Function, x: Value, pointer: Value, mask: Value) -> None:
    """Consecutive elements; lanes outside the mask are left alone."""
    if mask.text.startswith("<"):
        for start, count in _runs(mask):
            part = f.extract(x, start) if count == 1 else _cut(f, x, start, count)
            f.store(part, f.gep(pointer, start, x.elem))
        return
    for start, count in _parts(x.type):
        place = f.gep(pointer, start, x.elem)
        wide, signs = _signs(f, _cut(f, mask, start, count), SIZES[x.elem])
        value = _widened(f, _cut(f, x, start, count), wide.lanes)
        f.emit(_call(f, "maskstore", wide, [place, signs, f.bitcast(value, wide.elem)], "void"))


def _runs(mask: Value) -> list[tuple[int, int]]:
    """(first lane, lanes) of what a known mask holds, in powers of two."""
    held = [item.endswith("true") for item in mask.text.strip("<>").split(",")]
    found = []
    at = 0
    while at < len(held):
        count = 1 << (len(held) - at).bit_length() - 1
        while count and not all(held[at : at + count]):
            count >>= 1
        if count:
            found.append((at, count))
        at += max(count, 1)
    return found


def _parts(type_: Type) -> list[tuple[int, int]]:
    """(first lane, lanes) of each register."""
    most = _WIDTHS[-1] // SIZES[type_.elem]
    return [(at, min(most, type_.lanes - at)) for at in range(0, type_.lanes, most)]


def _cut(f: Function, x: Value, start: int, count: int) -> Value:
    return x if count == x.lanes else f.shuffle(x, None, range(start, start + count))


def _widened(f: Function, x: Value, lanes: int) -> Value:
    """Zeros behind the lanes."""
    if x.lanes == lanes:
        return x
    behind = [x.lanes] * (lanes - x.lanes)
    return f.shuffle(x, f.zero(x.type), [*range(x.lanes), *behind])


def _signs(f: Function, mask: Value, size: int) -> tuple[Type, Value]:
    """The vector of the instruction that holds the lanes, and the mask as its signs."""
    width = next(n for n in _WIDTHS if mask.lanes * size <= n)
    wide = _widened(f, mask, width // size)
    made = Type(_INTEGERS[size], wide.lanes)
    return Type(_FLOATS[size], wide.lanes), f.value(f"sext {wide.type} {wide} to {made}", made)


def _call(f: Function, what: str, wide: Type, given: list[Value], result: str) -> str:
    """The text of a call, whose function is declared."""
    name = f"llvm.x86.avx.{what}.{'ps' if wide.elem == 'float' else 'pd'}"
    if SIZES[wide.elem] * wide.lanes == _WIDTHS[-1]:
        name += ".256"
    f.module.declare(f"declare {result} @{name}({', '.join(str(x.type) for x in given)})")
    return f"call {result} @{name}({', '.join(f'{x.type} {x}' for x in given)})"


def _joined(f: Function, parts: list[Value]) -> Value:
    """The lanes of all, one after the other."""
    whole = parts[0]
    for part in parts[1:]:
        lanes = whole.lanes + part.lanes
        wide = max(whole.lanes, part.lanes)
        a, b = _widened(f, whole, wide), _widened(f, part, wide)
        picks = [n if n < whole.lanes else n - whole.lanes + wide for n in range(lanes)]
        whole = f.shuffle(a, b, picks)
    return whole
