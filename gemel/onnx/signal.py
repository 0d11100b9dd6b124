"""Fourier transforms and what belongs to them."""

from __future__ import annotations

import numpy as np

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import elementwise as e
from gemel.ops import movement as m
from gemel.ops.complex import as_complex, as_real, complex_type, from_real
from gemel.ops.fourier import real_transform, resized, transform
from gemel.ops.indexing import gather

from .applied import element_type
from .operators import operator


def _complex(x: Node) -> Node:
    """[..., 1 or 2] as complex numbers [...]."""
    if x.shape[-1] == 2:
        return as_complex(x)
    return from_real(m.reshape(x, x.shape[:-1]), complex_type(x.dtype))


def _transformed(x: Node, axis: int, length: int | None, inverse: bool, half: bool) -> Node:
    """The transform [..., 2] along an axis. half: only the frequencies that say all."""
    z = _complex(x)
    if inverse and half:
        n = length or 2 * (z.shape[axis] - 1)
        y = real_transform(z, axis, n) * (1.0 / n)
        return m.reshape(y, (*y.shape, 1))
    n = length or z.shape[axis]
    y = transform(resized(z, axis, n), (axis,), not inverse)
    if half:
        y = m.narrow(y, axis, 0, n // 2 + 1)
    pairs = as_real(y)
    return pairs * (1.0 / n) if inverse else pairs


def _length(node, place: int) -> int | None:
    return int(node.static[place].item()) if place in node.static else None


@operator("DFT", since=17, static=(1,))
def old_dft(node, x: Node, length=None) -> Node:
    return _dft(node, x, node.get("axis", 1))


@operator("DFT", since=20, static=(1, 2))
def dft(node, x: Node, length=None, axis=None) -> Node:
    return _dft(node, x, -2 if 2 not in node.static else int(node.static[2].item()))


def _dft(node, x: Node, axis: int) -> Node:
    inverse, half = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
    return _transformed(x, axis % x.ndim, _length(node, 1), inverse, half)


@operator("STFT", since=17, static=(1, 3))
def short_time(node, x: Node, step, window: Node | None = None, length=None) -> Node:
    """Transforms of frames [batch, frames, frequencies, 2] of a signal [batch, time, 1 or 2]."""
    hop = int(node.static[1].item())
    n = _length(node, 3) or window.shape[0]  # type: ignore[union-attr]
    count = 1 + (x.shape[1] - n) // hop
    at = m.iota((count, n), 0, int64) * hop + m.iota((count, n), 1, int64)
    frames = gather(x, m.reshape(at, (count * n,)), 1)
    frames = m.reshape(frames, (x.shape[0], count, n, x.shape[2]))
    if window is not None:
        frames = frames * m.reshape(window, (n, 1))
    half = bool(node.get("onesided", 1)) and x.shape[2] == 1
    return _transformed(frames, 2, None, False, half)


# ---------- windows ----------
def _window(*shares: float):
    """Sums of cosines of 0, 1, 2, ... turns over the window."""

    def build(node, size) -> Node:
        n = int(node.static[0].item())
        dtype = element_type(node.get("output_datatype", 1))
        turn = 2 * np.pi / (n if node.get("periodic", 1) else n - 1)
        at = e.cast(m.iota((n,), 0, int64), dtype) * turn
        y = at * 0.0 + shares[0]
        for k, share in enumerate(shares[1:], 1):
            y = y + e.COS(at * float(k)) * share
        return y

    return build


for _name, _shares in {
    "HannWindow": (0.5, -0.5),
    "HammingWindow": (25 / 46, -21 / 46),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}.items():
    operator(_name, since=17, static=(0,))(_window(*_shares))


# ---------- frequencies as they are heard ----------
@operator("MelWeightMatrix", since=17, kind="host")
def mel_weights(node, bins, length, rate, low, high) -> np.ndarray:
    """[frequencies, bins]: triangles at equal distances on the mel scale."""
    bins, length, rate = (int(x.item()) for x in (bins, length, rate))
    ends = [2595.0 * np.log10(1 + x.item() / 700.0) for x in (low, high)]
    mels = ends[0] + np.arange(bins + 2) * (ends[1] - ends[0]) / (bins + 2)
    places = ((length + 1) * 700.0 * (10.0 ** (mels / 2595.0) - 1) // rate).astype(int)
    found = np.zeros((length // 2 + 1, bins))
    for k, (left, top, right) in enumerate(zip(places, places[1:], places[2:], strict=False)):
        found[top, k] = 1.0
        found[left:top, k] = (np.arange(left, top) - left) / max(top - left, 1)
        if right > top:
            found[top:right, k] = (right - np.arange(top, right)) / (right - top)
    return found.astype(element_type(node.get("output_datatype", 1)).numpy)
