"""Faults: how a kernel says that a check of values has failed.

At the start of the arena lie the fault's number (0: none) and the bad value. Where pieces of a
kernel may run at the same time, the fault of the last piece in order stands, as if they had run one
after the other: a third word holds which piece that was, a fourth keeps others away meanwhile.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Operand, Value

FAULT_BYTES = 64
_PIECE, _LOCK = 2, 3

_NOTE = f"""
define internal void @note_fault(ptr %slot, i64 %piece, i64 %number, i64 %value) noinline {{
entry:
  %lock = getelementptr i64, ptr %slot, i64 {_LOCK}
  br label %try
try:
  %x = cmpxchg ptr %lock, i64 0, i64 1 acquire monotonic, align 8
  %free = extractvalue {{i64, i1}} %x, 1
  br i1 %free, label %look, label %try
look:
  %at = getelementptr i64, ptr %slot, i64 {_PIECE}
  %before = load i64, ptr %at, align 8
  %later = icmp uge i64 %piece, %before
  br i1 %later, label %write, label %end
write:
  store i64 %piece, ptr %at, align 8
  store i64 %number, ptr %slot, align 8
  %second = getelementptr i64, ptr %slot, i64 1
  store i64 %value, ptr %second, align 8
  br label %end
end:
  store atomic i64 0, ptr %lock release, align 8
  ret void
}}
"""


def clear(f: Function, slot: Value) -> None:
    """There is no fault."""
    for word in (0, _PIECE, _LOCK):
        f.store(f.constant(0, "i64"), f.gep(slot, word, "i64"))


def note(f: Function, slot: Value, piece: Operand | None, number: int, value: Value) -> None:
    """A check has failed. piece: its place in the kernel's order, None where that is one piece."""
    if piece is None:
        f.store(f.constant(number, "i64"), slot)
        f.store(value, f.gep(slot, 1, "i64"))
        return
    f.module.declare(_NOTE)
    f.emit(f"call void @note_fault(ptr {slot}, i64 {piece}, i64 {number}, i64 {value})")
