"""How tensors print: the columns, precision, summary and suffixes of PyTorch's `repr`.

In: a tensor (printing runs what is pending). Out: text equal to PyTorch's.
"""

from __future__ import annotations

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import bool_, int64
from gemel.ops.complex import complex_type
from gemel.tensor.html import html
from gemel.tensor.tape import LOCAL

from . import dtypes
from .tensor import attach


class _Options:
    precision = 4
    threshold: float = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


OPTIONS = _Options()
_PROFILES = {
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, float("inf"), 3, 80),
}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None,
                     sci_mode=None) -> None:  # fmt: skip
    """Set what printing does; `profile` is 'default', 'short' or 'full'."""
    names = ("precision", "threshold", "edgeitems", "linewidth")
    if profile is not None:
        for name, value in zip(names, _PROFILES[profile], strict=True):
            setattr(OPTIONS, name, value)
    for name, value in zip(names, (precision, threshold, edgeitems, linewidth), strict=True):
        if value is not None:
            setattr(OPTIONS, name, value)
    OPTIONS.sci_mode = sci_mode


class _Column:
    """One width and one notation for all values of a tensor."""

    def __init__(self, values: np.ndarray):
        self.floating = values.dtype.kind == "f"
        self.whole = True
        self.scientific = False
        self.width = 1
        if self.floating:
            self._fit_floats(values)
        elif values.size:
            self.width = max(len(str(v)) for v in values.reshape(-1).tolist())

    def _fit_floats(self, values: np.ndarray) -> None:
        flat = values.reshape(-1)
        shown = flat[np.isfinite(flat) & (flat != 0)]
        if shown.size == 0:
            self._force()
            return
        size = np.abs(shown.astype(np.float64))
        top, bottom = float(size.max()), float(size.min())
        self.whole = bool(np.all(shown == np.ceil(shown)))
        far = top / bottom > 1000.0 or top > 1.0e8
        self.scientific = far or (not self.whole and bottom < 1.0e-4)
        self._force()
        if self.scientific:
            texts = (f"{v:.{OPTIONS.precision}e}" for v in shown.tolist())
            more = 0
        elif self.whole:
            texts = (f"{v:.0f}" for v in shown.tolist())
            more = 1
        else:
            texts = (f"{v:.{OPTIONS.precision}f}" for v in shown.tolist())
            more = 0
        self.width = max(self.width, max(len(t) for t in texts) + more)

    def _force(self) -> None:
        if OPTIONS.sci_mode is not None:
            self.scientific = OPTIONS.sci_mode

    def text(self, value) -> str:
        return self._bare(value).rjust(self.width)

    def _bare(self, value) -> str:
        if not self.floating:
            return str(value)
        if self.scientific:
            return f"{value:.{OPTIONS.precision}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if np.isfinite(value) else "")
        return f"{value:.{OPTIONS.precision}f}"


class _ComplexColumn:
    """A column for the real parts and one for the imaginary parts."""

    def __init__(self, values: np.ndarray):
        self.real, self.imaginary = _Column(values.real), _Column(values.imag)
        self.width = self.real.width + self.imaginary.width + 1

    def text(self, value) -> str:
        imaginary = self.imaginary.text(value.imag).lstrip()
        sign = "" if imaginary[0] in "+-" else "+"
        return f"{self.real.text(value.real)}{sign}{imaginary}j"


_Columns = _Column | _ComplexColumn


def _row(values, indent: int, column: _Columns, summarize: bool) -> str:
    """One vector, broken into lines where it is too long."""
    per_line = max(1, (OPTIONS.linewidth - indent) // (column.width + 2))
    edge = OPTIONS.edgeitems
    if summarize and len(values) > 2 * edge:
        texts = [column.text(v) for v in values[:edge].tolist()] + [" ..."]
        texts += [column.text(v) for v in values[-edge:].tolist()]
    else:
        texts = [column.text(v) for v in values.tolist()]
    lines = [texts[i : i + per_line] for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(", ".join(line) for line in lines) + "]"


def _block(values: np.ndarray, indent: int, column: _Columns, summarize: bool) -> str:
    if values.ndim == 0:
        return column.text(values.item())
    if values.ndim == 1:
        return _row(values, indent, column, summarize)
    edge = OPTIONS.edgeitems
    if summarize and len(values) > 2 * edge:
        parts = [_block(v, indent + 1, column, summarize) for v in values[:edge]]
        parts.append("...")
        parts += [_block(v, indent + 1, column, summarize) for v in values[-edge:]]
    else:
        parts = [_block(v, indent + 1, column, summarize) for v in values]
    between = "," + "\n" * (values.ndim - 1) + " " * (indent + 1)
    return "[" + between.join(parts) + "]"


def _edges(values: np.ndarray) -> np.ndarray:
    """The cells that a summary shows."""
    edge = OPTIONS.edgeitems
    for axis, n in enumerate(values.shape):
        if n > 2 * edge:
            kept = [*range(edge), *range(n - edge, n)]
            values = np.take(values, kept, axis)
    return values


def contents(values: np.ndarray, indent: int) -> str:
    """The bracketed values."""
    if values.dtype.itemsize == 2 and values.dtype.kind not in "iu":
        values = values.astype(np.float32)
    if values.size == 0:
        return "[]"
    summarize = values.size > OPTIONS.threshold
    kind = _ComplexColumn if values.dtype.kind == "c" else _Column
    column = kind(_edges(values) if summarize else values)
    return _block(values, indent, column, summarize)


def _suffixes(t) -> list[str]:
    found = []
    size = t.form.size
    if size == 0 and t.form.ndim != 1:
        found.append(f"size={tuple(t.form.shape)}")
    kind = dtypes.get_default_dtype().engine
    default = (kind, int64, bool_, complex_type(kind))
    if t.form.dtype not in (default[:1] if size == 0 else default):
        found.append(f"dtype={t.dtype!r}")
    return found


def _history(t) -> list[str]:
    made = t.grad_fn
    if made is not None:
        return [f"grad_fn=<{made.name()}>"]
    return ["requires_grad=True"] if lazy.requires_grad(t) else []


def show(t) -> str:
    """`repr(t)`."""
    recording = LOCAL.tape.tracing
    if recording is not None and recording.size:
        return recording.shown(t, show)
    return _framed("tensor(", t)


def _framed(prefix: str, t) -> str:
    indent = len(prefix)
    made = _history(t)
    text = contents(lazy.array_of(t), indent)
    suffixes = _suffixes(t) + made
    out = prefix + text
    width = len(out) - out.rfind("\n") + 1
    for s in suffixes:
        if width + len(s) + 2 > OPTIONS.linewidth:
            out += ",\n" + " " * indent + s
            width = indent + len(s)
        else:
            out += ", " + s
            width += len(s) + 2
    return out + ")"


@attach()
def _repr_html_(self) -> str:
    """The tensor in a notebook."""
    return html("torch.Tensor", repr(self.dtype), lazy.array_of(self), show(self))
