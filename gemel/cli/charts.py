"""Charts as inline SVG: loss curves, and a confusion matrix.

Role: drawing for the report. Input: plain numbers. Output: SVG text whose colours come from the
page's style (classes `line-0`, `line-1`, ...), so that a chart follows the light or dark page.
Invariant: no script and nothing from outside; every mark carries its number as a tooltip.
"""

import math
from collections.abc import Sequence
from html import escape

WIDTH = 880
HEIGHT = 340
LEFT, RIGHT, TOP, BOTTOM = 52, 128, 14, 40
CELL = 34
LABEL = 18


def loss_curves(names: Sequence[str], curves: Sequence[Sequence[float]]) -> str:
    """Loss per epoch on a logarithmic scale, one line a name. All losses must be positive."""
    low, high = _decades(curves)
    epochs = max(map(len, curves))
    plot = _Plot(low, high, epochs)
    parts = [plot.axes()]
    for index, curve in enumerate(curves):
        parts.append(plot.line(index, names[index], curve))
    parts.append(plot.labels(names, [curve[-1] for curve in curves]))
    return (
        f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Training loss per epoch">{"".join(parts)}</svg>'
    )


def confusion(counts: Sequence[Sequence[int]]) -> str:
    """Counts [true][predicted] as a grid of cells, darker where there are more."""
    size = len(counts)
    most = max(max(row) for row in counts) or 1
    parts = []
    for true, row in enumerate(counts):
        for predicted, count in enumerate(row):
            parts.append(_cell(true, predicted, count, most))
    for index in range(size):
        middle = CELL * (index + 1.5)
        parts.append(f'<text class="tick" x="{middle}" y="{CELL * 0.7}">{index}</text>')
        parts.append(f'<text class="tick" x="{CELL * 0.6}" y="{middle + 5}">{index}</text>')
    side = CELL * (size + 1) + 2
    return (
        f'<svg class="confusion" viewBox="0 0 {side} {side}" role="img" '
        f'aria-label="Confusion matrix: rows are true digits, columns predicted ones">'
        f"{''.join(parts)}</svg>"
    )


def _cell(true: int, predicted: int, count: int, most: int) -> str:
    x, y = CELL * (predicted + 1), CELL * (true + 1)
    kind = "empty" if count == 0 else "right" if true == predicted else "wrong"
    strength = 1.0 if kind == "wrong" else 0.55 + 0.45 * count / most
    text = f'<text x="{x + CELL / 2}" y="{y + CELL / 2 + 5}">{count}</text>' if count else ""
    return (
        f'<g class="{kind}"><rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" '
        f'rx="4" opacity="{strength:.2f}"/>{text}'
        f"<title>true {true}, predicted {predicted}: {count}</title></g>"
    )


def _decades(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Limits of the scale: the losses' range with a little air."""
    values = [value for curve in curves for value in curve]
    return min(values) * 0.85, max(values) * 1.15


class _Plot:
    """Places values: epochs run to the right, the loss upwards on a logarithmic scale."""

    def __init__(self, low: float, high: float, epochs: int) -> None:
        self.low = low
        self.high = high
        self.epochs = epochs

    def x(self, epoch: int) -> float:
        """Place of an epoch, counted from 1."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(self.epochs - 1, 1)

    def y(self, loss: float) -> float:
        """Place of a loss."""
        share = math.log(loss / self.low) / math.log(self.high / self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def axes(self) -> str:
        """Grid lines and their numbers."""
        parts = []
        for value in self._ticks():
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="left" x="{LEFT - 10}" y="{y + 4}">{value:g}</text>')
        below = HEIGHT - BOTTOM + 20
        for epoch in (1, *range(5, self.epochs + 1, 5)):
            parts.append(f'<text class="tick" x="{self.x(epoch)}" y="{below}">{epoch}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text class="tick" x="{middle}" y="{HEIGHT - 4}">epoch</text>')
        return "".join(parts)

    def line(self, index: int, name: str, curve: Sequence[float]) -> str:
        """One curve with a dot an epoch."""
        points = [(self.x(epoch), self.y(loss)) for epoch, loss in enumerate(curve, 1)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
            f"<title>{escape(name)}, epoch {epoch}: {loss:.6f}</title></circle>"
            for epoch, ((x, y), loss) in enumerate(zip(points, curve, strict=True), 1)
        )
        return f'<g class="line-{index}"><polyline points="{path}"/>{dots}</g>'

    def labels(self, names: Sequence[str], last: Sequence[float]) -> str:
        """The names at the lines' ends, pushed apart where they would overlap."""
        parts = []
        floor: float = HEIGHT - BOTTOM + LABEL
        for index in sorted(range(len(names)), key=lambda i: last[i]):
            y = floor = min(self.y(last[index]), floor - LABEL)
            parts.append(
                f'<text class="name line-{index}" x="{WIDTH - RIGHT + 12}" y="{y + 4:.1f}">'
                f"{escape(names[index])}</text>"
            )
        return "".join(parts)

    def _ticks(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**power for power in powers for step in (1, 2, 5)]
        return [value for value in values if self.low <= value <= self.high]
