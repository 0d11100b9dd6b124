"""Rows that memory or exp bounds: softmax, layer norm, chains of elementwise operations."""

from __future__ import annotations

from .workload import Workload, program

LENGTHS = (10, 64, 512, 1000, 4096, 50_257)
SWEPT = (16, 32, 100, 128, 256, 768, 1024, 2048, 8192, 16_384)
CELLS = 1 << 21  # of a row-wise case, about
# per cell: elementwise operations and values that go into a reduction, an exponential as one
OPERATIONS = {"softmax": 5, "log softmax": 5, "layer norm": 8, "sum": 1}
CHAINS = (1 << 14, 1 << 20, 1 << 24)


def table() -> list[Workload]:
    """The rows of the project's goals; the optimizer's update is beside its network."""
    return [
        *(_by_rows(kind, n, "rows") for kind in ("softmax", "layer norm") for n in LENGTHS),
        *(_chain("chain", n) for n in CHAINS),
        _chain("chain with exp", CHAINS[1]),
    ]


def sweep() -> list[Workload]:
    """Row lengths in between."""
    kinds = ("softmax", "log softmax", "layer norm", "sum")
    return [_by_rows(kind, n, "sweep") for kind in kinds for n in SWEPT]


def _by_rows(kind: str, length: int, group: str) -> Workload:
    count = max(1, CELLS // length)
    written = count if kind == "sum" else count * length
    name = f"{kind} {count}x{length}"
    return Workload(
        name if group == "rows" else f"sweep {name}",
        group,
        _builders(kind.replace(" ", "_"), count, length),
        flops=float(OPERATIONS[kind] * count * length),
        traffic=4.0 * (count * length + written),
        goal=0.8,
        enough=0.8,
    )


def _chain(kind: str, cells: int) -> Workload:
    return Workload(
        f"{kind} of 10 over {cells}",
        "rows",
        _builders(kind.replace(" ", "_"), 1, cells),
        "ten elementwise operations one after the other",
        flops=10.0 * cells,
        traffic=8.0 * cells,
        goal=0.8,
        enough=0.8,
    )


def _builders(kind: str, count: int, length: int) -> dict:
    return {
        "torch": program("kernels_torch", "plain", kind, count, length),
        "torch compiled": program("kernels_torch", "compiled", kind, count, length),
        "kernel": program("kernels_native", "repeated", kind, count, length),
        "jax": program("kernels_jax", "by_rows", kind, count, length),
        "tensorflow": program("kernels_tensorflow", "by_rows", kind, count, length),
        "numpy": program("kernels_numpy", "by_rows", kind, count, length),
    }
