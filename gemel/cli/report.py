"""The demo's report: one HTML page that needs no other file.

Role: turns the records of the training runs into a page. Input: runs (`demo.Run`), the test
images and their labels. Output: the page's text. Invariant: no script, nothing loaded from
outside; the views are switched by the style alone.
"""

from collections.abc import Sequence
from datetime import date
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from gemel import __version__
from gemel.cli import charts, sprite

if TYPE_CHECKING:
    from gemel.cli.demo import Run

FOLDER = Path(__file__).parent
SIDE = 8
PEAK = 16.0
ACROSS = 20
# Pixels of the page a side of one digit takes.
SHOWN = 32


def page(runs: Sequence["Run"], images: np.ndarray, labels: np.ndarray, original: bool) -> str:
    """The report. Images [count, 64] with values 0..16, labels [count]."""
    ink = sprite.sheet(images.reshape(-1, SIDE, SIDE), ACROSS, PEAK)
    scale = SHOWN // SIDE
    names = [run.program for run in runs]
    template = Template((FOLDER / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=(FOLDER / "report.css").read_text(encoding="utf-8"),
        digits=sprite.data_address(sprite.png(ink)),
        sheet=f"{ink.shape[1] * scale}px {ink.shape[0] * scale}px",
        title="Handwritten digits, three ways",
        subtitle=_subtitle(len(labels), original),
        cards="".join(_card(index, run) for index, run in enumerate(runs)),
        curves=charts.loss_curves(names, [run.losses for run in runs]),
        views=_views(runs, labels),
        footer=_footer(),
    )


def _subtitle(tested: int, original: bool) -> str:
    engine = "under the original frameworks" if original else "on one engine, Gemel"
    return (
        f"The same 64-64-10 network, written as a PyTorch, a Keras and a TensorFlow 1 program, "
        f"trained {engine}, and tested on {tested} digits that it never saw."
    )


def _card(index: int, run: "Run") -> str:
    rows = (
        ("seconds, whole program", f"{run.total:.1f}"),
        ("steps per second", f"{run.rate:,.0f}"),
        ("first step, seconds", f"{run.first_step:.3f}"),
        ("last loss", f"{run.losses[-1]:.6f}"),
    )
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return (
        f'<div class="card c{index}"><span class="face">{escape(run.program)}</span>'
        f"<b>{100 * run.accuracy:.2f} %</b><p>test accuracy</p><dl>{listed}</dl></div>"
    )


def _views(runs: Sequence["Run"], labels: np.ndarray) -> str:
    """Buttons, then for each run its confusion matrix and its test digits."""
    parts = []
    for index, run in enumerate(runs):
        chosen = " checked" if index == 0 else ""
        parts.append(f'<input type="radio" name="view" id="v{index}"{chosen}>')
        parts.append(f'<label for="v{index}">{escape(run.program)}</label>')
    for index, run in enumerate(runs):
        parts.append(f'<div class="view c{index}">{_view(run, labels)}</div>')
    return "\n".join(parts)


def _view(run: "Run", labels: np.ndarray) -> str:
    predicted = np.asarray(run.predicted)
    misses = int((predicted != labels).sum())
    return (
        "<section><h2>Confusion matrix</h2><p>Rows are the true digits, columns the predicted "
        f"ones.</p>{charts.confusion(_confusion(labels, predicted))}</section>"
        f"<section><h2>Test digits</h2><p>{len(labels)} digits with their predictions; the "
        f"{misses} wrong ones are marked, true digit first.</p>"
        f'<div class="digits">{_digits(labels, predicted)}</div></section>'
    )


def _confusion(labels: np.ndarray, predicted: np.ndarray) -> list[list[int]]:
    counts = np.zeros((10, 10), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts.tolist()


def _digits(labels: np.ndarray, predicted: np.ndarray) -> str:
    parts = []
    for index, (true, guess) in enumerate(zip(labels.tolist(), predicted.tolist(), strict=True)):
        down, across = divmod(index, ACROSS)
        place = f"{-across * SHOWN}px {-down * SHOWN}px"
        kind, text = ("digit", guess) if true == guess else ("digit miss", f"{true}→{guess}")
        parts.append(
            f'<div class="{kind}"><i style="background-position:{place}"></i>{text}</div>'
        )
    return "".join(parts)


def _footer() -> str:
    return (
        f"Gemel {__version__}, {date.today().isoformat()}. Digits: E. Alpaydin and C. Kaynak, "
        "Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 "
        "(CC BY 4.0)."
    )
