"""What the namespace can tell about itself."""

from __future__ import annotations

from gemel.graph.form import complex128, float64, int64

from .array import DEVICE, check_device
from .dtypes import DTYPES, isdtype


class Info:
    """What `__array_namespace_info__` returns."""

    def capabilities(self) -> dict:
        """boolean indexing and data-dependent shapes: both there; ranks have no limit."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        return DEVICE

    def devices(self) -> list[str]:
        return [DEVICE]

    def default_dtypes(self, *, device=None) -> dict:
        """The types that are taken where none is named."""
        check_device(device)
        return {
            "real floating": float64,
            "complex floating": complex128,
            "integral": int64,
            "indexing": int64,
        }

    def dtypes(self, *, device=None, kind=None) -> dict:
        """All types by name, or those of a kind."""
        check_device(device)
        names = {d.name: d for d in DTYPES}
        return {n: d for n, d in names.items() if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> Info:
    """Devices, types and capabilities."""
    return Info()
