"""Rows of convolutions: forward, gradient of the input, gradient of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from .workload import Workload, program

PARTS = ("forward", "dx", "dw")


@dataclass(frozen=True)
class Case:
    """Images (batch, channels, side, side), square windows; `groups` of channels."""

    batch: int
    channels: int
    side: int
    filters: int
    size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def out(self) -> int:
        """The side of the result."""
        return (self.side + 2 * self.padding - self.size) // self.stride + 1

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Images, kernel and result, channels first."""
        return (
            (self.batch, self.channels, self.side, self.side),
            (self.filters, self.channels // self.groups, self.size, self.size),
            (self.batch, self.filters, self.out, self.out),
        )

    @property
    def text(self) -> str:
        name = f"({self.batch},{self.channels},{self.side},{self.side})->{self.filters}"
        name += f" {self.size}x{self.size}"
        name += f" stride {self.stride}" if self.stride > 1 else ""
        name += f" groups {self.groups}" if 1 < self.groups < self.channels else ""
        return name + (" depthwise" if self.groups == self.channels > 1 else "")

    @property
    def flops(self) -> float:
        taps = self.channels // self.groups * self.size**2
        return 2.0 * self.batch * self.filters * self.out**2 * taps

    @property
    def traffic(self) -> float:
        return 4.0 * sum(_count(shape) for shape in self.shapes)


CASES = (
    Case(32, 64, 56, 64, 3, padding=1),
    Case(32, 128, 28, 128, 3, padding=1),
    Case(32, 256, 14, 256, 3, padding=1),
    Case(32, 512, 7, 512, 3, padding=1),
    Case(1, 64, 56, 64, 3, padding=1),
    Case(64, 1, 28, 32, 3),
    Case(32, 3, 224, 64, 7, stride=2, padding=3),
    Case(32, 64, 56, 64, 3, padding=1, groups=64),
    Case(32, 256, 56, 64, 1),
)
SWEPT = (
    *(Case(16, n, 28, n, 3, padding=1) for n in (8, 16, 32, 96, 192)),
    *(Case(16, 64, 28, 64, size, padding=size // 2) for size in (1, 5, 7)),
    *(Case(16, 64, 56, 128, 3, stride=s, padding=1) for s in (2, 3)),
    *(Case(16, 64, 28, 64, 3, padding=1, groups=g) for g in (2, 8, 32)),
)


def table() -> list[Workload]:
    """The convolutions of the project's goals, each with both gradients."""
    return [row(case, part, "convolution") for case in CASES for part in PARTS]


def sweep() -> list[Workload]:
    """By channels, window, stride and groups."""
    return [row(case, part, "sweep") for case in SWEPT for part in PARTS]


def row(case: Case, part: str, group: str) -> Workload:
    """One convolution, or one of its gradients."""
    before = "sweep " if group == "sweep" else ""
    return Workload(
        f"{before}conv {case.text} {part}",
        group,
        {
            "torch": program("kernels_torch", "plain", "convolution", case, part),
            "kernel": program("kernels_native", "repeated", "convolution", case, part),
            "jax": program("kernels_jax", "convolution", case, part),
            "tensorflow": program("kernels_tensorflow", "convolution", case, part),
        },
        flops=case.flops,
        traffic=case.traffic,
        goal=1.0,
        tolerance=2e-3 if part == "dw" else 2e-4,
    )


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
