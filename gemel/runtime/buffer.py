"""`Buffer`: a piece of aligned memory that holds one value.

Values never change, so storages may share a buffer; a program overwrites one only when nobody else
holds it. Freed memory is kept by size and used again: a training step asks for the same sizes at
every turn.
"""

from __future__ import annotations

import ctypes

import numpy as np

ALIGNMENT = 64  # one cache line, and the widest vector
SLACK = 64  # bytes after the end that vector loads may touch
KEPT_BYTES = 1 << 28  # memory kept for reuse, at most

_pool: dict[int, list] = {}
_pooled = [0]


def _rounded(nbytes: int) -> int:
    """Sizes are rounded up so that nearby sizes share a pool."""
    step = ALIGNMENT if nbytes <= 4096 else 4096
    return -(-(nbytes + SLACK) // step) * step


def _allocate(size: int):
    raw = np.empty(size + ALIGNMENT, np.uint8)
    address = raw.__array_interface__["data"][0]
    return raw, -(-address // ALIGNMENT) * ALIGNMENT


class Buffer:
    """Aligned memory of `nbytes` bytes at `address`. Uninitialised when made."""

    __slots__ = ("address", "nbytes", "_memory", "_size", "__weakref__")

    def __init__(self, nbytes: int):
        self.nbytes = nbytes
        self._size = size = _rounded(nbytes)
        free = _pool.get(size)
        if free:
            self._memory, self.address = free.pop()
            _pooled[0] -= size
        else:
            self._memory, self.address = _allocate(size)

    def __del__(self):
        size = self._size
        if size and _pooled[0] + size <= KEPT_BYTES:
            _pooled[0] += size
            free = _pool.get(size)
            if free is None:
                free = _pool[size] = []
            free.append((self._memory, self.address))

    def array(self, form) -> np.ndarray:
        """A writable NumPy view of the whole buffer; it keeps the buffer alive."""
        return np.asarray(_View(self, form))

    def copy(self) -> Buffer:
        new = Buffer(self.nbytes)
        ctypes.memmove(new.address, self.address, self.nbytes)
        return new

    @classmethod
    def of(cls, array: np.ndarray) -> Buffer:
        """A buffer with a copy of the array's values in C order."""
        new = cls(array.nbytes)
        source = np.ascontiguousarray(array)
        ctypes.memmove(new.address, source.__array_interface__["data"][0], array.nbytes)
        return new

    @classmethod
    def sharing(cls, array: np.ndarray) -> Buffer:
        """A buffer that is the memory of a C-contiguous array."""
        if not array.flags.c_contiguous:
            raise ValueError("only a C-contiguous array can be shared")
        new = object.__new__(cls)
        new.nbytes = array.nbytes
        new._size = 0  # not ours: never pooled
        new._memory = array
        new.address = array.__array_interface__["data"][0]
        return new

    def __repr__(self) -> str:
        return f"Buffer({self.nbytes} bytes at {self.address:#x})"


class _View:
    """Gives NumPy the address, and holds the buffer for as long as the array lives."""

    def __init__(self, buffer: Buffer, form):
        self.buffer = buffer
        self.__array_interface__ = {
            "data": (buffer.address, False),
            "shape": form.shape,
            "typestr": form.dtype.numpy.str,
            "version": 3,
        }


def pooled_bytes() -> int:
    """Bytes of memory kept for reuse now."""
    return _pooled[0]


def release_pool() -> None:
    """Give the kept memory back to the system."""
    _pool.clear()
    _pooled[0] = 0
