"""`Buffer`: a piece of aligned memory that holds one value.

Values never change, so storages may share a buffer; a program overwrites one only when nobody else
holds it. Freed memory is kept by size and used again: a training step asks for the same sizes at
every turn. What nobody takes while much new memory is asked for goes back to the system.

`Workspace`: memory of one run, for what lives no longer. Its size follows from those of the inputs;
any idle piece serves that is large enough, since fresh memory costs a fault a page when it is
touched: a quarter of a training step, where each text has another length.
"""

from __future__ import annotations

import ctypes
from bisect import bisect, insort
from contextlib import suppress

import numpy as np

ALIGNMENT = 64  # one cache line, and the widest vector
SLACK = 64  # bytes after the end that vector loads may touch
PAGE = 4096
MUCH = 1 << 16  # bytes from which on a larger piece is better than a new one
KEPT_BYTES = 1 << 27  # memory kept for reuse, at most, per size
KEPT_PIECES = 64
LOOK_BYTES = 1 << 24  # of new memory between looks for pieces that nobody takes


class _Shelf:
    """Free pieces of one size, and how many are worth keeping."""

    __slots__ = ("size", "pieces", "room")

    def __init__(self, size: int):
        self.size = size
        self.pieces: list[tuple] = []
        self.room = min(KEPT_PIECES, KEPT_BYTES // size)


_shelves: dict[int, _Shelf] = {}  # by rounded size
_sizes: list[int] = []  # of the shelves of large pieces, ascending
_largest: list[_Shelf] = []  # at most one, with one piece
_by_bytes: dict[int, _Shelf] = {}  # by requested size


def _rounded(nbytes: int) -> int:
    """Up, so that nearby sizes share."""
    step = ALIGNMENT if nbytes <= PAGE else PAGE
    return -(-(nbytes + SLACK) // step) * step


def _shelf(nbytes: int) -> _Shelf:
    """The shelf of a request."""
    size = _rounded(nbytes)
    shelf = _shelves.get(size)
    if shelf is None:
        shelf = _shelves.setdefault(size, _Shelf(size))
        if size >= MUCH:
            insort(_sizes, size)
    if len(_by_bytes) > 10_000:
        _by_bytes.clear()
    _by_bytes[nbytes] = shelf
    return shelf


def _nearby(size: int) -> tuple[_Shelf, tuple] | None:
    """A free piece that is larger, but not by much: results differ in size where texts do."""
    if size < MUCH:
        return None
    for larger in _sizes[bisect(_sizes, size) : bisect(_sizes, size * 5 // 4)]:
        shelf = _shelves[larger]
        with suppress(IndexError):
            return shelf, shelf.pieces.pop()
    return None


def _drop(shelf: _Shelf) -> None:
    _given[0] -= shelf.size * len(shelf.pieces)
    shelf.pieces.clear()


def _keep_latest(shelf: _Shelf, piece: tuple) -> None:
    """Of pieces that are too large for shelves the latest one is kept: a training step's memory."""
    for other in _largest:
        _drop(other)
    _largest[:] = [shelf]
    shelf.pieces.append(piece)


class _Seen(tuple):
    """A piece that lay on its shelf at the last look."""


def _drop_idle() -> None:
    """Drop the pieces that nobody took since the last look; piece by piece, since other threads
    may take some meanwhile."""
    _fresh[0] = 0
    for shelf in list(_shelves.values()):
        found = []
        with suppress(IndexError):
            while True:
                found.append(shelf.pieces.pop())
        for piece in reversed(found):
            if type(piece) is _Seen:
                _given[0] -= shelf.size
            else:
                shelf.pieces.append(_Seen(piece))


_idle: list[tuple] = []  # workspaces of ended runs: (bytes, address, memory), ascending
_given = [0, 0]  # bytes taken from the system: now, and at most
_fresh = [0]  # bytes taken from the system since the last look


def _allocate(size: int):
    _fresh[0] += size
    if _fresh[0] > LOOK_BYTES:
        _drop_idle()
    raw = np.empty(size + ALIGNMENT, np.uint8)
    _given[0] += size
    _given[1] = max(_given)
    begun = raw.__array_interface__["data"][0]
    address = -(-begun // ALIGNMENT) * ALIGNMENT
    return raw[address - begun : address - begun + size], address


class Buffer:
    """Aligned memory of `nbytes` bytes at `address`. Uninitialised when made."""

    __slots__ = ("address", "nbytes", "_memory", "_shelf", "__weakref__")
    _shelf: _Shelf | None

    def __init__(self, nbytes: int):
        shelf = _by_bytes.get(nbytes) or _shelf(nbytes)
        self.nbytes = nbytes
        try:
            piece = shelf.pieces.pop()
        except IndexError:
            self._shelf = None  # nothing to give back where there is no memory
            shelf, piece = _nearby(shelf.size) or (shelf, _allocate(shelf.size))
        self._shelf = shelf
        self._memory, self.address = piece

    def __del__(self):
        shelf = self._shelf
        if shelf is None:
            return
        if len(shelf.pieces) < shelf.room:
            shelf.pieces.append((self._memory, self.address))
        elif not shelf.room:
            _keep_latest(shelf, (self._memory, self.address))
        else:
            _given[0] -= shelf.size

    def array(self, form) -> np.ndarray:
        """A writable NumPy view of the whole buffer; it keeps the buffer alive."""
        held = np.asarray(_View(self, form))
        return held if held.dtype is form.dtype.numpy else held.view(form.dtype.numpy)

    def glance(self, form) -> np.ndarray:
        """As `array`, made quickly, for use at once by a holder: it does not keep the buffer."""
        if self._shelf is None:
            return self.array(form)
        return np.ndarray(form.shape, form.dtype.numpy, self._memory)

    def copy(self) -> Buffer:
        new = Buffer(self.nbytes)
        ctypes.memmove(new.address, self.address, self.nbytes)
        return new

    @classmethod
    def of(cls, array: np.ndarray) -> Buffer:
        """A buffer with a copy of the array's values in C order."""
        new = cls(array.nbytes)
        np.ndarray(array.shape, array.dtype, new._memory)[...] = array
        return new

    @classmethod
    def holding(cls, content: bytes) -> Buffer:
        """A buffer with a copy of these bytes."""
        new = cls(len(content))
        ctypes.memmove(new.address, content, new.nbytes)
        return new

    @classmethod
    def sharing(cls, array: np.ndarray) -> Buffer:
        """A buffer that is the memory of a C-contiguous array."""
        if not array.flags.c_contiguous:
            raise ValueError("only a C-contiguous array can be shared")
        new = object.__new__(cls)
        new.nbytes = array.nbytes
        new._shelf = None  # not ours: never kept
        new._memory = array
        new.address = array.__array_interface__["data"][0]
        return new

    def part(self, offset: int, nbytes: int) -> Buffer:
        """A buffer that is a piece of this one, which it keeps alive. Not to be written."""
        new = object.__new__(Buffer)
        new.nbytes = nbytes
        new._shelf = None
        new._memory = self
        new.address = self.address + offset
        return new

    @property
    def owned(self) -> bool:
        """Is the memory this buffer's own, neither an array's nor a part of another buffer?"""
        return self._shelf is not None

    def __repr__(self) -> str:
        return f"Buffer({self.nbytes} bytes at {self.address:#x})"


class Workspace(Buffer):
    """Memory of at least `nbytes` bytes for one run."""

    __slots__ = ()

    def __init__(self, nbytes: int):
        self.nbytes = nbytes
        self._shelf = self._memory = None
        size = _rounded(nbytes)
        piece = _large_enough(size)
        if piece is None:
            _let_go(-1)  # what was too small: the new one takes its place
            self._memory, self.address = _allocate(size)
        else:
            _, self.address, self._memory = piece

    def __del__(self):
        if self._memory is None:  # there was none
            return
        insort(_idle, (self._memory.nbytes, self.address, self._memory))
        while sum(size for size, *_ in _idle[:-1]) > KEPT_BYTES:
            _let_go(0)


def _large_enough(size: int) -> tuple | None:
    """The smallest idle workspace of so many bytes; other threads may take some meanwhile."""
    for piece in list(_idle):
        if piece[0] >= size:
            with suppress(ValueError):
                _idle.remove(piece)
                return piece
    return None


def _let_go(place: int) -> None:
    """Give an idle workspace back to the system, if there is one."""
    with suppress(IndexError):
        _given[0] -= _idle.pop(place)[0]


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
    shelves = sum(shelf.size * len(shelf.pieces) for shelf in list(_shelves.values()))
    return shelves + sum(size for size, *_ in list(_idle))


def release_pool() -> None:
    """Give the kept memory back to the system."""
    for shelf in list(_shelves.values()):
        _drop(shelf)
    while _idle:
        _let_go(-1)


def given_bytes() -> int:
    """Bytes taken from the system now: those of values, and those kept for reuse."""
    return _given[0]


def most_given_bytes(forget: bool = False) -> int:
    """The most that was ever taken at once. forget: begin again with what is taken now."""
    most = _given[1]
    if forget:
        _given[1] = _given[0]
    return most
