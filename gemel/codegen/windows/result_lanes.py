"""What an epilogue sees of a result that no tile holds: a vector of cells, anywhere.

Role: the same view as `contraction_tile.Tile`, for strategies that finish their sums cell by cell.
Input: where lane 0 lies in each array and how far apart its lanes are. Output: loads and stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gemel.codegen.llvm import SIZES, Function, Operand, Value
from gemel.codegen.products.contraction_spec import Access, Contraction
from gemel.codegen.products.packing import lane_offsets, load_strided
from gemel.runtime.machine import Machine

_AHEAD = 4096  # bytes


def are_many(spec: Contraction, machine: Machine) -> bool:
    """Whether the results are more than the second cache holds: then it pays to `claim`."""
    pairs = zip(spec.sizes, spec.reduced, strict=True)
    cells = prod(size for size, reduced in pairs if not reduced)
    return cells * SIZES[spec.tile[0].elem] >= machine.l2


class ResultLanes:
    """`lanes` results side by side; `mask` says which of them exist (None: all).

    `offsets` and `strides`: element offset of lane 0, and from lane to lane, per array. `further`:
    known elements beyond the offsets, which fold into the addresses.
    """

    def __init__(
        self,
        f: Function,
        accesses: Sequence[Access],
        pointers: Sequence[Value],
        offsets: Sequence[Operand],
        strides: Sequence[int],
        lanes: int,
        mask: Value | None,
        further: Sequence[int] | None = None,
    ):
        self.function = f
        self.lanes = lanes
        self.mask = mask
        self._accesses = accesses
        self._pointers = pointers
        self._offsets = offsets
        self._strides = strides
        self._further = further or [0] * len(strides)

    def offset(self, slot: int) -> Operand:
        """Element offset of lane 0 in array `slot`; lane i is `i * lane_stride(slot)` further."""
        return self.function.add(self._offsets[slot], self._further[slot])

    def _place(self, slot: int) -> Value:
        f, elem = self.function, self._accesses[slot].elem
        return f.gep(
            f.gep(self._pointers[slot], self._offsets[slot], elem), self._further[slot], elem
        )

    def lane_stride(self, slot: int) -> int:
        return self._strides[slot]

    def load(self, slot: int) -> Value:
        """The elements of array `slot` that belong to the results (its own element type)."""
        elem = self._accesses[slot].elem
        stride = self._strides[slot]
        return load_strided(self.function, self._place(slot), elem, self.lanes, stride, self.mask)

    def store(self, slot: int, value: Value) -> None:
        """Write a vector to array `slot`; the value must have that array's element type."""
        f, elem, stride = self.function, self._accesses[slot].elem, self._strides[slot]
        if value.elem != elem:
            raise TypeError(f"array {slot} holds {elem}, the value is {value.type}")
        place = self._place(slot)
        if stride == 1 or self.lanes == 1:
            f.store(value, place, mask=self.mask)
        else:
            f.scatter(value, place, lane_offsets(f, self.lanes, stride), self.mask)

    def claim(self) -> None:
        """Start to fetch lines of the first array that are written soon: a store to memory that is
        in no cache would wait for them."""
        if self._strides[0] == 1:
            ahead = self.function.gep(self._place(0), _AHEAD, "i8")
            self.function.prefetch(ahead, write=True)
