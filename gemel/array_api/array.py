"""`Array`: the array object of the standard, a tensor of the lazy core.

Its operators are put on it by `elementwise`, its subscripts by `subscripts`. What it tells about
itself is here, and how it becomes a Python number or an array of another library.
"""

from __future__ import annotations

import numpy as np

from gemel.graph.form import DType
from gemel.tensor import array_of, dlpack, item, look
from gemel.tensor.tensor import Tensor

VERSION = "2024.12"
DEVICE = "cpu"


class Array(Tensor):
    """A multidimensional array. Made by `asarray` and the other creation functions."""

    __slots__ = ()

    def __init__(self, *args, **kwargs):
        raise TypeError("an Array is made by asarray(), zeros(), ..., not by its class")

    # ---------- attributes ----------
    @property
    def dtype(self) -> DType:
        return self.form.dtype

    @property
    def device(self) -> str:
        return DEVICE

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form.shape

    @property
    def ndim(self) -> int:
        return self.form.ndim

    @property
    def size(self) -> int:
        return self.form.size

    @property
    def mT(self) -> Array:
        """The last two axes exchanged. ValueError for fewer than two."""
        if self.ndim < 2:
            raise ValueError(f"mT needs at least 2 dimensions, not {self.ndim}")
        return look(self, ("permute", (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)))

    @property
    def T(self) -> Array:
        """The transposed matrix. ValueError unless there are two axes."""
        if self.ndim != 2:
            raise ValueError(f"T needs 2 dimensions, not {self.ndim}: use mT or permute_dims")
        return self.mT

    # ---------- numbers ----------
    def _only(self, kinds: str, what: str):
        """The Python number of an array of one element."""
        if self.ndim:
            raise TypeError(f"only a 0-dimensional array becomes {what}, not shape {self.shape}")
        if self.dtype.kind not in kinds:
            raise TypeError(f"an array of {self.dtype} does not become {what}")
        return item(self)

    def __bool__(self) -> bool:
        return bool(self._only("buifc", "a bool"))

    def __int__(self) -> int:
        return int(self._only("buif", "an int"))

    def __float__(self) -> float:
        return float(self._only("buif", "a float"))

    def __complex__(self) -> complex:
        return complex(self._only("buifc", "a complex"))

    def __index__(self) -> int:
        return self._only("ui", "an index")

    # ---------- other libraries ----------
    def __array_namespace__(self, *, api_version: str | None = None):
        """The module of the functions that take this array."""
        if api_version not in (None, "2021.12", "2022.12", "2023.12", VERSION):
            raise ValueError(f"version {api_version!r} of the standard is not known, {VERSION} is")
        import gemel.array_api

        return gemel.array_api

    def to_device(self, device, /, *, stream=None) -> Array:
        """This array: there is one device."""
        check_device(device)
        if stream is not None:
            raise ValueError(f"the device {DEVICE!r} has no streams")
        return self

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A capsule over this array's memory; BufferError where that cannot be."""
        if dl_device not in (None, (1, 0)):
            raise BufferError(f"no export to the device {dl_device}")
        return dlpack.capsule(self, max_version, copy)

    def __array__(self, dtype=None, copy=None):
        values = array_of(self)
        if dtype is not None and values.dtype != dtype:
            return values.astype(dtype)
        return np.array(values) if copy is None or copy else values

    def __repr__(self) -> str:
        text = np.array2string(array_of(self), separator=", ", prefix="Array(")
        return f"Array({text}, dtype={self.dtype})"


Array.kin = Array


def check_device(device) -> None:
    """ValueError for a device that is not there."""
    if device not in (None, DEVICE):
        raise ValueError(f"device {device!r} is not known, there is {DEVICE!r}")


def check_array(name: str, *values) -> None:
    """TypeError for what is no array."""
    for x in values:
        if not isinstance(x, Array):
            raise TypeError(f"{name} takes arrays, not {type(x).__name__}")
