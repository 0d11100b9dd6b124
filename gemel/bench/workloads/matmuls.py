"""Rows of matrix products, M x N x K."""

from __future__ import annotations

from .workload import Workload, program

SHAPES = (
    "32x64x64", "64x64x64", "100x10x64", "128x512x784", "512x512x512", "1024x1024x1024",
    "2048x2048x2048", "1024x4096x1024", "2048x65x256", "64*128x32x128", "64*128x128x32",
    "1x4096x4096",
)  # fmt: skip
SWEPT = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 500, 512, 768, 1000, 1024, 1536)
SMALL = 128**3  # below, Python's call counts more than the product


def table() -> list[Workload]:
    """The products of the project's goals."""
    return [row(f"matmul {text}", "matmul", text) for text in SHAPES]


def sweep() -> list[Workload]:
    """Square products by size, and each layout of one."""
    square = [row(f"sweep matmul {n}x{n}x{n}", "sweep", f"{n}x{n}x{n}") for n in SWEPT]
    turned = [
        row(f"sweep matmul 512x512x512 {layout}", "sweep", f"512x512x512:{layout}")
        for layout in ("nt", "tn", "tt")
    ]
    return [*square, *turned]


def row(name: str, group: str, text: str) -> Workload:
    """A product by its sizes: [BATCH*]MxNxK[:nt|tn|tt], `t` for an operand stored transposed."""
    batch, m, n, k, _ = sizes(text)
    return Workload(
        name,
        group,
        {
            "torch": program("kernels_torch", "plain", "matmul", text),
            "torch compiled": program("kernels_torch", "compiled", "matmul", text),
            "kernel": program("kernels_native", "repeated", "matmul", text),
            "jax": program("kernels_jax", "matmul", text),
            "tensorflow": program("kernels_tensorflow", "matmul", text),
            "numpy": program("kernels_numpy", "matmul", text),
        },
        flops=2.0 * batch * m * n * k,
        traffic=4.0 * batch * (m * k + n * k + m * n),
        goal=0.6 if batch * m * n * k < SMALL else 1.0,
        tolerance=1e-4,
    )


def sizes(text: str) -> tuple[int, int, int, int, str]:
    """(batch, m, n, k, layout) of a product's text."""
    numbers, _, layout = text.partition(":")
    batch, _, rest = numbers.rpartition("*")
    m, n, k = map(int, rest.split("x"))
    return int(batch or 1), m, n, k, layout or "nn"


def operand_shapes(text: str) -> tuple[tuple[int, ...], tuple[int, ...], bool, bool]:
    """Shapes of both operands as stored, and whether each is to be transposed."""
    batch, m, n, k, layout = sizes(text)
    more = (batch,) if batch > 1 else ()
    left = (*more, k, m) if layout[0] == "t" else (*more, m, k)
    right = (*more, n, k) if layout[1] == "t" else (*more, k, n)
    return left, right, layout[0] == "t", layout[1] == "t"
