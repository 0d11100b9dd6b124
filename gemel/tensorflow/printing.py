"""`tf.print`: values on standard error, at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

from gemel import tensor as engine

from . import context
from .symbolic import Tensor
from .variables import Variable


def print_(*inputs, output_stream=None, summarize=3, sep=" ", end="\n", name=None) -> None:
    """Write the inputs to standard error, or to `output_stream` (a file, or sys.stdout).

    NotImplementedError in graph mode and inside of tf.function: there is no value to print yet.
    """
    if context.building() is not None or engine.tracing():
        raise NotImplementedError(
            "tf.print works in eager mode only; in a graph fetch the value with session.run, in a "
            "tf.function return it"
        )
    target = output_stream if hasattr(output_stream, "write") else sys.stderr
    target.write(sep.join(_shown(x, summarize) for x in inputs) + end)
    target.flush()


def _shown(value, summarize: int) -> str:
    if isinstance(value, Tensor | Variable):
        return _cells(np.asarray(value.numpy()), summarize)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{k!r}: {_shown(v, summarize)}" for k, v in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        inside = ", ".join(_shown(v, summarize) for v in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return str(value)


def _cells(array: np.ndarray, summarize: int, indent: int = 1) -> str:
    """Nested brackets; of a long axis the first and last few."""
    if array.ndim == 0:
        return str(int(array)) if array.dtype.kind == "b" else _number(array[()])
    rows = list(array)
    if summarize >= 0 and len(rows) > 2 * summarize:
        rows = [*rows[:summarize], None, *rows[len(rows) - summarize :]]
    gap = " " if array.ndim == 1 else "\n" * (array.ndim - 1) + " " * indent
    parts = ["..." if r is None else _cells(np.asarray(r), summarize, indent + 1) for r in rows]
    return "[" + gap.join(parts) + "]"


def _number(value: np.generic) -> str:
    """Few digits where they give the value back, else enough of them."""
    if value.dtype.kind != "f":
        return str(value)
    few, enough = (6, 9) if value.dtype == np.float32 else (15, 17)
    text = f"{value:.{few}g}"
    return text if value.dtype.type(text) == value else f"{value:.{enough}g}"
