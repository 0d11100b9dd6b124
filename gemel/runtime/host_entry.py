"""How a program calls a NumPy function: it comes back to Python, and is entered again behind.

Role: a program with host calls is cut where they stand, and each part has an entry of its own. A
part that ends at a host call answers HOST_CALL plus the call's number; then `HostCall.run` runs the
function on the memory that the program's table names, and the next part is entered with the same
table. So the function runs on the calling thread with the interpreter's lock as any Python code,
its exceptions are Python's, and no native code waits for Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from .dtype import dtype_of
from .host_calls import find

HOST_CALL = 1 << 24  # what a part answers is this much plus the number of its host call
WORD = 8
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


def part_name(entry: str, number: int) -> str:
    """The exported name of a program's part."""
    return f"{entry}_{number}" if number else entry


def part_names(entry: str, facts: dict) -> list[str]:
    """All parts of a program with these facts."""
    return [part_name(entry, k) for k in range(len(facts["hosts"]) + 1)]


class HostCall:
    """One host call of a program, and how the program goes on: `enter(table)`.

    facts: name, settings and paired (see `ops.host`), kernel (its number), and per argument and for
    the result (word of the table, bytes from the address there, shape, element type).
    """

    def __init__(self, facts: dict, after: int):
        self.name = facts["name"]
        self.settings = _tuples(facts["settings"])
        self.kernel = facts["kernel"]
        self.paired = facts["paired"]
        self.arguments = facts["arguments"]
        self.result = facts["result"]
        self.enter = _ENTRY(after)
        self.function: Callable[..., None] | None = None

    def run(self, table: Any) -> None:
        """Call the function. table: bytes, or the address of the words."""
        if self.function is None:
            self.function = find(self.name)
        arrays = [_array(table, *place) for place in self.arguments]
        out = _array(table, *self.result)
        self.function(self.settings, out, *seen(arrays, self.paired))


def seen(arrays: list[np.ndarray], paired: tuple[bool, ...]) -> list[np.ndarray]:
    """Arrays whose last axis holds a real and an imaginary part, as complex arrays."""
    return [_complex(x) if pair else x for x, pair in zip(arrays, paired, strict=True)]


def _complex(x: np.ndarray) -> np.ndarray:
    kind = np.complex64 if x.dtype == np.float32 else np.complex128
    return np.ascontiguousarray(x).view(kind)[..., 0]


def _tuples(x):
    """What JSON makes lists of."""
    return tuple(map(_tuples, x)) if isinstance(x, (list, tuple)) else x


def _array(table: Any, word: int, offset: int, shape: list[int], dtype: str) -> np.ndarray:
    """A value of the running program; valid until the program goes on."""
    if isinstance(table, bytes):
        base = int.from_bytes(table[WORD * word : WORD * word + WORD], "little")
    else:
        base = ctypes.c_uint64.from_address(table + WORD * word).value
    kind = dtype_of(dtype).numpy
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    memory = (ctypes.c_char * max(size, 1)).from_address(base + offset)
    return np.ndarray(tuple(shape), kind, memory)
