"""Bars of time relative to the best peer, as inline SVG.

A row has a bar for Gemel, a whisker from its 10th to its 90th percentile, a mark at the goal, and
a dot for every other candidate. Shorter is faster; 1 is the best peer. Bars and dots that would
leave the scale end at its edge. Every mark carries its numbers as a tooltip.
"""

from __future__ import annotations

from html import escape

from gemel.explaining.quantities import duration

from . import record as records
from .peers import OWN, PEERS

WIDTH = 1000
LEFT, RIGHT = 300, 120
LINE = 26
TOP = 26
EDGE = 2.0  # the end of the scale, in times of the best peer
TICKS = (0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
KINDS = {label: peer.name for peer in PEERS for label in peer.labels.values()}


def bars(rows: list[dict]) -> str:
    """The rows that have a time of Gemel's and of a peer; "" without any."""
    shown = [row for row in rows if records.ratio(row) is not None]
    if not shown:
        return ""
    height = TOP + LINE * len(shown) + 12
    parts = [_grid(height)]
    for i, row in enumerate(shown):
        parts.append(_bar(row, TOP + LINE * i))
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Time relative to the best peer">{"".join(parts)}</svg>'
    )


def key(rows: list[dict]) -> str:
    """What the colours mean, for the candidates that are there."""
    labels = [n for row in rows for n in records.measured(row)]
    kinds = dict.fromkeys(KINDS[n] for n in labels if n in KINDS)
    names = {"gemel": "Gemel", "torch": "PyTorch", "tensorflow": "TensorFlow, Keras on it"}
    names |= {"jax": "JAX, Keras on it", "numpy": "NumPy"}
    items = [f'<span><i class="k-{kind}"></i>{names[kind]}</span>' for kind in kinds]
    items.append('<span><i class="line"></i>the goal</span>')
    return f'<div class="key">{"".join(items)}</div>'


def _x(times: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(times, EDGE) / EDGE


def _grid(height: float) -> str:
    parts = []
    for tick in TICKS:
        kind = "one" if tick == 1 else "grid"
        x = _x(tick)
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP - 4}" y2="{height - 8}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{TOP - 11}">{tick:g}</text>')
    return "".join(parts)


def _bar(row: dict, y: float) -> str:
    label, peer = records.own(row), records.best_peer(row)
    assert label is not None and peer is not None
    times = records.measured(row)
    unit = times[peer]["median"]
    ratio = times[label]["median"] / unit
    kind = "bar miss" if records.misses(row) else "bar"
    middle = y + LINE / 2
    parts = [
        f'<text class="name" x="{LEFT - 12}" y="{middle + 4}">{escape(row["name"])}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y + 6}" width="{_x(ratio) - LEFT:.1f}" '
        f'height="{LINE - 12}" rx="3"/>',
        _whisker(times[label], unit, middle),
    ]
    if row["goal"]:
        x = _x(row["goal"])
        parts.append(f'<line class="goal" x1="{x}" x2="{x}" y1="{y + 3}" y2="{y + LINE - 3}"/>')
    for other, result in times.items():
        if other != label:
            parts.append(_dot(other, result, unit, middle))
    value = f"{ratio:.2f} × · {duration(times[label]['median'])}"
    x = WIDTH - RIGHT + 12
    parts.append(f'<text class="value" x="{x}" y="{middle + 4}">{value}</text>')
    return f"<g>{''.join(parts)}<title>{escape(_tooltip(row))}</title></g>"


def _whisker(result: dict, unit: float, y: float) -> str:
    low, high = _x(result["p10"] / unit), _x(result["p90"] / unit)
    return f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'


def _dot(label: str, result: dict, unit: float, y: float) -> str:
    times = result["median"] / unit
    text = f"{label}: {duration(result['median'])}, {times:.2f} x the best peer"
    return (
        f'<circle class="point k-{KINDS.get(label, "numpy")}" cx="{_x(times):.1f}" cy="{y}" '
        f'r="{3.5 if label in OWN else 5}"><title>{escape(text)}</title></circle>'
    )


def _tooltip(row: dict) -> str:
    lines = [row["name"] + (f" ({row['about']})" if row["about"] else "")]
    times = records.measured(row)
    for label in sorted(times, key=lambda n: times[n]["median"]):
        r = times[label]
        lines.append(
            f"{label}: {duration(r['median'])} ({duration(r['p10'])} - {duration(r['p90'])})"
        )
    if row["limit"]:
        lines.append(f"limit: {duration(row['limit'])} ({row['limited_by']})")
    return "\n".join(lines)
