"""The roofline (Williams, Waterman and Patterson 2009) as inline SVG.

Both axes are logarithmic: operations per byte that must move, and GFLOP/s. A sloping line is what
a level of the memory can feed, the flat one what the cores can compute; a point is a row, and its
height below the lines is what is left to gain. Every point carries its numbers as a tooltip.
"""

from __future__ import annotations

import math
from html import escape

from gemel.explaining.limits import attainable, level_of
from gemel.explaining.peaks import LEVELS
from gemel.explaining.quantities import duration

from . import record as records
from .bars import KINDS

WIDTH, HEIGHT = 1000, 520
LEFT, RIGHT, TOP, BOTTOM = 62, 110, 16, 46
KERNEL = "Gemel kernel"


def roofline(rows: list[dict], peaks: dict) -> str:
    """The rows of which operations and bytes are known; "" without any, or without limits."""
    points = [p for p in map(_point, rows) if p is not None]
    if not points or not peaks:
        return ""
    plot = _Plot(points, peaks)
    parts = [plot.grid(), *(plot.roof(level) for level in LEVELS), plot.top()]
    parts += [plot.mark(point) for point in points]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Roofline: operations per '
        f'byte against GFLOP per second">{"".join(parts)}</svg>'
    )


def _point(row: dict) -> dict | None:
    """Where a row stands: the kernel itself where it was measured, else the program."""
    times = records.measured(row)
    label = KERNEL if KERNEL in times else records.own(row)
    if label is None or not row["flops"] or not row["traffic"]:
        return None
    seconds = times[label]["median"]
    return {
        "row": row,
        "label": label,
        "seconds": seconds,
        "intensity": row["flops"] / row["traffic"],
        "speed": row["flops"] / seconds / 1e9,
    }


class _Plot:
    """Places values on two logarithmic axes."""

    def __init__(self, points: list[dict], peaks: dict) -> None:
        self.peaks = peaks
        marks = [p["intensity"] for p in points]
        speeds = [p["speed"] for p in points]
        self.low = 10 ** math.floor(math.log10(min(*marks, 0.5)))
        self.high = 10 ** math.ceil(math.log10(max(*marks, 100)))
        self.bottom = 10 ** math.floor(math.log10(min(*speeds, 1.0)))
        self.ceiling = peaks["float32"] * 1.6

    def x(self, intensity: float) -> float:
        """Place of operations per byte."""
        share = math.log(intensity / self.low) / math.log(self.high / self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, speed: float) -> float:
        """Place of GFLOP/s."""
        share = math.log(speed / self.bottom) / math.log(self.ceiling / self.bottom)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def grid(self) -> str:
        """Lines at powers of ten, with their numbers."""
        parts = []
        for value in _powers(self.low, self.high):
            x = self.x(value)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}">{value:g}</text>'
            )
        for value in _powers(self.bottom, self.ceiling):
            y = self.y(value)
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="left" x="{LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>'
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text class="tick" x="{middle}" y="{HEIGHT - 6}">operations a byte</text>')
        parts.append(f'<text x="4" y="{TOP - 4}">GFLOP/s</text>')
        return "".join(parts)

    def roof(self, level: str) -> str:
        """What a level of the memory allows, up to where the cores are the limit."""
        bandwidth = self.peaks["levels"][level]["copy"]
        start = max(self.low, self.bottom / bandwidth)
        knee = min(max(self.peaks["float32"] / bandwidth, start), self.high)
        path = self.path([(start, start * bandwidth), (knee, knee * bandwidth)])
        # each name stands at another height of its line: lines may be close to each other
        middle = start * (knee / start) ** (0.75 - 0.2 * LEVELS.index(level))
        x, y = self.x(middle) + 7, self.y(middle * bandwidth) + 13
        speed = f"{level} {bandwidth:.0f} GB/s"
        return (
            f'<g><polyline class="roof" points="{path}"/><title>{speed} copied</title>'
            f'<text class="halo" x="{x:.1f}" y="{y:.1f}">{speed}</text></g>'
        )

    def top(self) -> str:
        """What the cores allow, from where the first cache feeds them."""
        peak = self.peaks["float32"]
        start = max(self.low, peak / self.peaks["levels"][LEVELS[0]]["copy"])
        path = self.path([(start, peak), (self.high, peak)])
        return (
            f'<polyline class="roof top" points="{path}"/><text class="left" '
            f'x="{WIDTH - RIGHT}" y="{self.y(peak) - 7:.1f}">{peak:.0f} GFLOP/s</text>'
        )

    def path(self, points: list[tuple[float, float]]) -> str:
        """Points of a line as SVG has them."""
        return " ".join(f"{self.x(x):.1f},{self.y(max(y, self.bottom)):.1f}" for x, y in points)

    def mark(self, point: dict) -> str:
        """A row."""
        row = point["row"]
        level = level_of(row["traffic"], self.peaks)
        most = attainable(point["intensity"], self.peaks, level)
        lines = [
            f"{row['name']}: {point['label']}",
            f"{point['speed']:.1f} GFLOP/s, {duration(point['seconds'])}",
            f"{point['intensity']:.2g} operations a byte, {row['traffic'] / 1e6:.3g} MB",
            f"{point['speed'] / most:.0%} of what {level} and the cores allow",
        ]
        kind = KINDS.get(point["label"], "gemel")
        return (
            f'<circle class="point k-{kind}" cx="{self.x(point["intensity"]):.1f}" '
            f'cy="{self.y(max(point["speed"], self.bottom)):.1f}" r="5.5">'
            f"<title>{escape(chr(10).join(lines))}</title></circle>"
        )


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**power for power in range(first, last + 1)]
