"""Numbers below the normal range taken as zero, in native code that is called meanwhile.

Additions and products that meet such numbers take a hundred times as long. Averages of gradients
that stay zero end there: an optimizer multiplies them by 0.9 until they are the smallest numbers
there are, and stay so. TensorFlow and XLA compute with them as zeros, NumPy and PyTorch do not.

The mode belongs to the thread; members of a team compute in the mode of the thread that they help.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import Any

from . import jit
from .builtins.call import image_of

_NAME = "gemel_float_mode"
_FLUSHED = 0x8040  # results to zero, operands as zero
_TEXT = f"""
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define i32 @{_NAME}(i32 %kept, i32 %added) {{
  %word = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %word)
  %before = load i32, ptr %word
  %some = and i32 %before, %kept
  %after = or i32 %some, %added
  store i32 %after, ptr %word
  call void @llvm.x86.sse.ldmxcsr(ptr %word)
  ret i32 %before
}}
"""


def known() -> bool:
    """Can the mode be changed on this machine?"""
    return platform.machine() == "x86_64"


@cache
def _native() -> Any:
    if not known():
        return None
    library = jit.load_object(image_of(_TEXT), [_NAME])
    return library.function(_NAME, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)


class Flushed:
    """A context in which this thread's native code takes tiny numbers as zero. Where the mode
    cannot be changed nothing is different."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        change = _native()
        self._before = None if change is None else change(0xFFFFFFFF, _FLUSHED) & _FLUSHED

    def __exit__(self, *error) -> None:
        if self._before is not None:
            _native()(0xFFFFFFFF & ~_FLUSHED, self._before)
