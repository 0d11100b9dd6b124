"""Memory that a program keeps between runs: operands in the order in which its kernels read them.

A contraction may begin by packing an operand that is a leaf: the weights of a network that only
answers. The packed copy stays good while the leaf is the same buffer with the same values. A
buffer that anybody else holds is never written (its writer makes a copy), so holding it is all
that is needed. Where somebody does write it now and then, each time costs that copy: so a buffer
is held only after it came several times in a row, and more times after each that was in vain.

Each packed operand begins with a word that the code looks at: READY, it is packed; PACK, pack it
and it is READY when the run is over; 0, pack it for this run.
"""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from sys import getrefcount

from .buffer import Buffer

READY, PACK = 1, 2
_PATIENCE = 2
_LONGEST = 4096


@dataclass
class _Operand:
    """holding  the buffer whose values are packed, or will be after this run
    seen     the buffer of the run before;  turns: how often it came again;  patience: how often
             it must"""

    flag: ctypes.c_int64
    holding: Buffer | None = None
    seen: weakref.ref | None = None
    turns: int = 0
    patience: int = _PATIENCE

    def look(self, buffer: Buffer) -> bool:
        """Before a run with this buffer. True: it will be held from now on."""
        if self.holding is buffer:
            return False
        if self.holding is not None:
            self.holding = None
            self.patience = min(2 * self.patience, _LONGEST)
        again = self.seen is not None and self.seen() is buffer
        self.turns = self.turns + 1 if again else 0
        self.flag.value = 0
        if not again:
            self.seen = weakref.ref(buffer)
        elif self.turns >= self.patience and buffer.owned:
            self.hold(buffer)
            return True
        return False

    def hold(self, buffer: Buffer) -> None:
        """Pack it in the next run and keep that."""
        self.holding, self.seen = buffer, None
        self.flag.value = PACK

    def lonely(self) -> bool:
        """Does nobody else hold the buffer any more, or is there none?"""
        return self.holding is None or getrefcount(self.holding) <= _ALONE


_all: weakref.WeakSet[Kept] = weakref.WeakSet()


class Kept:
    """What one run at a time uses. `facts` are a program's: bytes, and per operand the leaf that
    it is and where it begins."""

    def __init__(self, facts: dict):
        self.facts = facts
        self.used = False
        self.memory: Buffer | None = None
        self.operands: list[_Operand] = []
        _all.add(self)

    @property
    def address(self) -> int:
        if self.memory is None:
            raise AssertionError("kept memory is used before it is taken")
        return self.memory.address

    def take(self) -> None:
        """A run, or several, will use it."""
        self.used = True
        if not self.operands:
            self.memory = Buffer(self.facts["bytes"])
            words = [self.address + at for at in self.facts["begins"]]
            self.operands = [_Operand(ctypes.c_int64.from_address(at)) for at in words]

    def look(self, buffers: list[Buffer]) -> None:
        """Before a run with these leaves."""
        pairs = zip(self.facts["leaves"], self.operands, strict=True)
        if any([operand.look(buffers[leaf]) for leaf, operand in pairs]):
            forget_lonely()

    def hold(self, fixed: dict[int, Buffer]) -> None:
        """For runs that all have these buffers at these leaves, and others at other leaves."""
        for leaf, operand in zip(self.facts["leaves"], self.operands, strict=True):
            if leaf not in fixed:
                operand.holding = operand.seen = None
                operand.flag.value = 0
            elif operand.holding is not fixed[leaf]:
                operand.hold(fixed[leaf])
        forget_lonely()


def forget_lonely() -> None:
    """Give the memory of programs back whose packed buffers are theirs alone by now."""
    for kept in list(_all):
        if not kept.used and all(operand.lonely() for operand in kept.operands):
            kept.operands = []
            kept.memory = None


def _measure_alone() -> int:
    """What getrefcount says in `lonely` of a buffer that nobody else holds."""
    operand = _Operand(ctypes.c_int64())
    operand.holding = Buffer(0)
    return getrefcount(operand.holding)


_ALONE = _measure_alone()
