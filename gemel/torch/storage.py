"""`Tensor.storage()`: the memory behind a tensor, as one row of elements."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.tensor import look
from gemel.tensor.arrays import settled
from gemel.tensor.tape import LOCAL
from gemel.tensor.tensor import over

from .tensor import Tensor, attach


class TypedStorage:
    """All elements behind a tensor, in memory order; reading and writing reach the tensor."""

    def __init__(self, t: Tensor):
        whole = over(t.st, Tensor)
        self._row = look(whole, ("reshape", (whole.form.size,)))
        self.dtype = t.dtype

    def data_ptr(self) -> int:
        return _address(self._row)

    def __len__(self) -> int:
        return self._row.form.size

    size = __len__

    def nbytes(self) -> int:
        return self._row.form.nbytes

    def element_size(self) -> int:
        return self._row.form.dtype.itemsize

    def tolist(self) -> list:
        return self._row.tolist()

    def __iter__(self):
        return iter(self.tolist())

    def __getitem__(self, index):
        found = self._row[index]
        return found.item() if isinstance(index, int) else found.tolist()

    def __setitem__(self, index, value) -> None:
        with lazy.no_grad():
            self._row[index] = value

    def __repr__(self) -> str:
        rows = "\n".join(f" {v}" for v in self.tolist())
        return (
            f"{rows}\n[torch.storage.TypedStorage(dtype={self.dtype!r}, device=cpu) of size "
            f"{len(self)}]"
        )


def _address(t: Tensor) -> int:
    return lazy.evaluated(over(t.st, Tensor)).address


@attach("storage", "untyped_storage")
def _storage(self) -> TypedStorage:
    """The memory behind the tensor."""
    return TypedStorage(self)


@attach()
def data_ptr(self) -> int:
    """The address of the first element; runs what is pending."""
    tape = LOCAL.tape
    if self.lens is None and tape.tracing is None:
        st = self.st
        buf = st.buf
        if buf is None or st.mark is not None:
            buf = settled(tape, st)
        return buf.address
    return _address(self) + lazy.offset(self) * self.form.dtype.itemsize
