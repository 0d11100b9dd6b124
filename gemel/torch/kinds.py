"""What a tensor is not (sparse, quantised, on another device): questions and refusals."""

from __future__ import annotations

from gemel.tensor import array_of, from_array

from .tensor import Tensor, attach
from .writing import write

for (
    _name
) in "is_ipu is_maia is_mkldnn is_mps is_mtia is_sparse_csr is_vulkan is_xla is_xpu".split():
    setattr(Tensor, _name, False)


@attach()
def is_distributed(self) -> bool:
    return False


@attach()
def is_coalesced(self) -> bool:
    raise RuntimeError("is_coalesced expected sparse coordinate tensor layout but got Strided")


def _refused(name: str) -> None:
    def method(self, *args, **options):
        raise NotImplementedError(f"Gemel has no sparse tensors: {name}() cannot give one")

    method.__name__ = method.__qualname__ = name
    setattr(Tensor, name, method)


for (
    _name
) in "to_sparse to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc".split():
    _refused(_name)


@attach()
def to_dense(self, dtype=None, *, masked_grad=None) -> Tensor:
    """The tensor itself, which is dense, in another type where one is given."""
    return self if dtype is None else self.to(dtype)


@attach()
def const_data_ptr(self) -> int:
    """The address of the first element, for reading."""
    return self.data_ptr()


def _mapped(name: str, count: int) -> None:
    def method(self, *given):
        *others, function = given
        if len(others) != count:
            raise TypeError(f"{name}() takes {count} tensors and a function")
        values = array_of(self)
        columns = [array_of(x.expand(self.form.shape)).reshape(-1).tolist() for x in others]
        rows = zip(values.reshape(-1).tolist(), *columns, strict=True)
        made = values.copy()
        made.reshape(-1)[:] = [function(*row) for row in rows]
        return write(self, from_array(made, Tensor))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Replace each element by function(it, those of {count} others), in Python."
    setattr(Tensor, name, method)


_mapped("map_", 1)
_mapped("map2_", 2)
