"""A record as one HTML file: bars, roofline and tables, a part for each number of threads.

Role: `gemel bench --html`. Input: a record. Output: the page's text. Invariant: nothing comes from
outside and nothing runs; the views are switched by the page's style alone.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from string import Template

from gemel.explaining.peaks import KINDS, LEVELS
from gemel.explaining.quantities import duration

from . import record as records
from .bars import bars, key
from .peers import OWN
from .roofline import roofline

FOLDER = Path(__file__).parent
HEADS = ("row", "by", "time", "p10", "p90", "relative", "goal", "GFLOP/s", "of the limit")
TITLES = {
    "training": "Training steps",
    "inference": "Inference",
    "convolution": "Convolutions and their gradients",
    "matmul": "Matrix products",
    "rows": "Row-wise and elementwise operations",
    "start": "Starting up",
    "sweep": "Series over sizes",
}


def page(record: dict) -> str:
    """The page's text."""
    counts = sorted({row["threads"] for row in record["rows"]})
    parts = [_threads(record, threads) for threads in counts]
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        machine=escape(_machine(record)),
        versions=escape(", ".join(f"{n} {v}" for n, v in record["versions"].items())),
        parts="\n".join(parts) or "<p>Nothing was measured.</p>",
    )


def _machine(record: dict) -> str:
    found = record["machine"]
    caches = ", ".join(f"{size >> 10}" for size in found["caches"])
    return (
        f"Gemel {record['gemel']}, {record['started']}: {found['name']} ({found['cpu']}), "
        f"{found['cores']} cores, vectors of {found['vector bits']} bits, caches of {caches} KiB, "
        f"{found['system']}, Python {found['python']}"
    )


def _threads(record: dict, threads: int) -> str:
    rows = [row for row in record["rows"] if row["threads"] == threads]
    peaks = record["peaks"].get(str(threads), {})
    title = "One core" if threads == 1 else f"{threads} threads"
    charts = [_group(rows, group) for group in TITLES]
    return f"""<h2>{title}</h2>
{_cards(rows)}
<div class="views">
<input type="radio" name="view{threads}" id="charts{threads}" checked>
<label for="charts{threads}">Charts</label>
<input type="radio" name="view{threads}" id="table{threads}">
<label for="table{threads}">Tables</label>
<div class="view">{"".join(charts)}{_roof(rows, peaks)}</div>
<div class="view">{_table(rows)}{_peaks(peaks)}</div>
</div>"""


def _cards(rows: list[dict]) -> str:
    cards = []
    for group, title in TITLES.items():
        found = [records.ratio(row) for row in rows if row["group"] == group]
        ratios = [r for r in found if r is not None]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            cards.append(_card(f"{mean:.2f} ×", f"{title}: geometric mean of {len(ratios)}"))
    missed = [row for row in rows if records.misses(row)]
    with_goal = [row for row in rows if row["goal"] or row["budget"]]
    if with_goal:
        text = f"of {len(with_goal)} goals reached"
        kind = "card miss" if missed else "card"
        cards.append(_card(str(len(with_goal) - len(missed)), text, kind))
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(value: str, text: str, kind: str = "card") -> str:
    return f'<div class="{kind}"><b>{value}</b><span>{escape(text)}</span></div>'


def _group(rows: list[dict], group: str) -> str:
    inside = [row for row in rows if row["group"] == group]
    chart = bars(inside)
    if not chart:
        return ""
    return (
        f"<section><h3>{TITLES[group]}</h3><p>Time relative to the best peer of the same run; "
        f"shorter is faster.</p>{key(inside)}{chart}</section>"
    )


def _roof(rows: list[dict], peaks: dict) -> str:
    chart = roofline(rows, peaks)
    if not chart:
        return ""
    return (
        "<section><h3>Roofline</h3><p>Each point is a row; the lines are this machine's limits, "
        f"measured in the same run.</p>{chart}</section>"
    )


# ---------- tables ----------
def _table(rows: list[dict]) -> str:
    lines = [line for row in rows for line in _lines(row)]
    return f"<section><table>{_head(HEADS)}{''.join(lines)}</table></section>"


def _head(titles) -> str:
    return f"<tr>{''.join(f'<th>{escape(t)}</th>' for t in titles)}</tr>"


def _lines(row: dict) -> list[str]:
    chosen = records.own(row)
    order = sorted(row["results"], key=lambda n: (n != chosen, n not in OWN))
    return [_line(row, label, label == chosen) for label in order]


def _line(row: dict, label: str, stands: bool) -> str:
    name, result = escape(row["name"]) if stands else "", row["results"][label]
    kind = "" if stands else ' class="other"'
    if "failure" in result:
        why = escape(result["failure"])
        return (
            f"<tr{kind}><td>{name or escape(row['name'])}</td><td>{escape(label)}</td>"
            f'<td class="failed" colspan="{len(HEADS) - 2}">{why}</td></tr>'
        )
    ratio = records.ratio(row, label)
    seconds = result["median"]
    cells = [
        duration(seconds),
        duration(result["p10"]),
        duration(result["p90"]),
        "" if ratio is None else f"{ratio:.2f}",
        f"{row['goal']:g}" if stands and row["goal"] else "",
        f"{row['flops'] / seconds / 1e9:.1f}" if row["flops"] else "",
        f"{row['limit'] / seconds:.0%} {row['limited_by']}" if row["limit"] else "",
    ]
    missed = stands and records.misses(row)
    texts = [
        f'<td class="miss">{escape(c)}</td>' if missed and i == 3 else f"<td>{escape(c)}</td>"
        for i, c in enumerate(cells)
    ]
    return f"<tr{kind}><td>{name}</td><td>{escape(label)}</td>{''.join(texts)}</tr>"


def _peaks(peaks: dict) -> str:
    if not peaks:
        return ""
    lines = [_head(("GB/s", *KINDS))]
    for level in LEVELS:
        cells = "".join(f"<td>{peaks['levels'][level][kind]:.0f}</td>" for kind in KINDS)
        lines.append(f"<tr><td>{level}</td>{cells}</tr>")
    speeds = f"{peaks['float32']:.0f} GFLOP/s in float32, {peaks['float64']:.0f} in float64"
    return (
        f"<section><h3>The machine's limits</h3><p>{speeds}</p>"
        f"<table>{''.join(lines)}</table></section>"
    )
