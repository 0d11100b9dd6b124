"""Copying rows of tables to new places, natively: how batches of a data set are put together.

In: addresses of tables, new buffers and row numbers. Invariant: row numbers are checked by the
caller.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

# table: (source, target, bytes per row) for each of `tables`; rows in the order of `index`
_IR = """
declare ptr @memcpy(ptr, ptr, i64)

define void @gather_rows(ptr %table, i64 %tables, ptr %index, i64 %rows) {
entry:
  %some = icmp ne i64 %rows, 0
  br i1 %some, label %outer, label %end
outer:
  %t = phi i64 [ 0, %entry ], [ %t.next, %done ]
  %t3 = mul i64 %t, 3
  %p0 = getelementptr i64, ptr %table, i64 %t3
  %p1 = getelementptr i64, ptr %p0, i64 1
  %p2 = getelementptr i64, ptr %p0, i64 2
  %source.n = load i64, ptr %p0
  %target.n = load i64, ptr %p1
  %size = load i64, ptr %p2
  %source = inttoptr i64 %source.n to ptr
  %target = inttoptr i64 %target.n to ptr
  br label %inner
inner:
  %r = phi i64 [ 0, %outer ], [ %r.next, %inner ]
  %pi = getelementptr i64, ptr %index, i64 %r
  %i = load i64, ptr %pi
  %from = mul i64 %i, %size
  %to = mul i64 %r, %size
  %a = getelementptr i8, ptr %source, i64 %from
  %b = getelementptr i8, ptr %target, i64 %to
  %ignored = call ptr @memcpy(ptr %b, ptr %a, i64 %size)
  %r.next = add i64 %r, 1
  %more = icmp ult i64 %r.next, %rows
  br i1 %more, label %inner, label %done
done:
  %t.next = add i64 %t, 1
  %again = icmp ult i64 %t.next, %tables
  br i1 %again, label %outer, label %end
end:
  ret void
}
"""


@cache
def gather_rows() -> Any:
    """The native function (table: c_char_p or address, tables, index address, rows) -> None."""
    from .jit import load

    library = load(_IR, ["gather_rows"])
    word = ctypes.c_uint64
    return library.function("gather_rows", None, ctypes.c_void_p, word, word, word)
