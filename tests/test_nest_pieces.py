"""Nests in pieces: whichever order pieces run in, the values have the same bits."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from nest_runner import nests_of, run_graph
from test_guard_pages import Fenced

from gemel.codegen.nests import pieces, streams
from gemel.graph.form import float32, float64, form, int32
from gemel.ops import activations, elementwise, movement, reduction, statistics
from gemel.ops.record import leaf
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer


@pytest.fixture
def tiny_pieces(monkeypatch):
    """Pieces so small that arrays of a test have many of them."""
    monkeypatch.setattr(pieces, "PIECE_WORK", 20.0)
    monkeypatch.setattr(pieces, "WIDE_COLUMNS", 32)


def chain(x):
    return [elementwise.EXP(x * 0.5) + x, x * x]


def turned(x):
    return [movement.permute(x, tuple(reversed(range(x.ndim)))) + 1.0]


def turned_inside(x):
    """The last axis goes to the front: lanes lie across, and so does what is stored."""
    axes = (x.ndim - 1, *range(x.ndim - 1))
    return [movement.permute(x, axes) * 2.0, x - 1.0]


def turned_operand(x):
    square = movement.reshape(x, (x.form.size // x.shape[-1], x.shape[-1]))
    return [elementwise.EXP(movement.swap(square)) * movement.swap(square)]


def softmax_rows(x):
    return [activations.softmax(x, x.ndim - 1)]


def softmax_columns(x):
    return [activations.softmax(x, 0)]


def softmax_all(x):
    flat = movement.reshape(x, (x.form.size,))
    return [activations.softmax(flat, 0), reduction.sum_(elementwise.EXP(flat))]


def sum_rows(x):
    return [reduction.sum_(x, 0), x * 2.0]


def sum_columns(x):
    return [reduction.sum_(x, x.ndim - 1), reduction.amax(x, x.ndim - 1)]


def sum_both(x):
    """A layer norm's backward: a sum in every row, and sums over the rows."""
    mean = statistics.mean(x, x.ndim - 1, True)
    return [x - mean, reduction.sum_(x * (x - mean), tuple(range(x.ndim - 1)))]


def sum_all(x):
    return [reduction.sum_(x), reduction.amax(x), statistics.mean(x * x)]


def variance_all(x):
    centered = x - statistics.mean(x)
    return [statistics.mean(centered * centered)]


def positions(x):
    flat = movement.reshape(x, (x.form.size,))
    return [reduction.argmax(x, 0), reduction.argmin(x, x.ndim - 1), reduction.argmax(flat, 0)]


def channel_sums(x):
    axes = (0, *range(2, x.ndim))
    mean = statistics.mean(x, axes, True)
    return [mean, statistics.mean(elementwise.square(x - mean), axes, True)]


def late(x):
    """Known only after the last row, beside sums in every row."""
    rows = activations.softmax(x, x.ndim - 1)
    axes = tuple(range(x.ndim - 1))
    return [rows, reduction.amax(rows, axes), reduction.sum_(rows * x, axes), reduction.sum_(rows)]


GRAPHS = [
    chain,
    turned,
    turned_inside,
    turned_operand,
    softmax_rows,
    softmax_columns,
    softmax_all,
    sum_rows,
    sum_columns,
    sum_both,
    sum_all,
    variance_all,
    positions,
    channel_sums,
    late,
]
SHAPES = [
    *((shape, float32) for shape in [(37, 5), (130, 64), (33, 301), (2, 2000), (400, 17)]),
    *((shape, float32) for shape in [(3, 1500), (900, 7), (1000, 12), (700, 90), (7, 9, 11, 13)]),
    *((shape, float64) for shape in [(33, 301), (900, 7), (7, 9, 11, 13)]),
]


def made(shape, dtype):
    rng = np.random.default_rng(sum(shape))
    if dtype is int32:
        return rng.integers(-50, 50, shape).astype(np.int32)
    return rng.standard_normal(shape).astype(dtype.numpy)


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda g: g.__name__)
@pytest.mark.parametrize("shape, dtype", SHAPES, ids=str)
def test_order_of_pieces_does_not_matter(tiny_pieces, graph, shape, dtype):
    x = leaf(0, form(shape, dtype))
    outputs = graph(x)
    array = made(shape, dtype)
    r = random.Random(0)
    forwards, _ = run_graph(outputs, [array], lambda p: p)
    backwards, _ = run_graph(outputs, [array], lambda p: p[::-1])
    mixed, _ = run_graph(outputs, [array], lambda p: r.sample(p, len(p)))
    reference = compile_graph([x], [], outputs, {}, device="reference")([Buffer.of(array)], [])
    for a, b, c, want, node in zip(forwards, backwards, mixed, reference, outputs, strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
        expected = want.array(node.form)
        tolerance = 1e-5 if dtype is float32 else 1e-12
        np.testing.assert_allclose(
            a.reshape(expected.shape), expected, rtol=tolerance, atol=tolerance * array.size**0.5
        )


WAYS = [
    (chain, (130, 64), "by cells"),
    (softmax_rows, (130, 64), "by cells"),
    (softmax_columns, (5, 2000), "by cells"),
    (sum_rows, (16, 2000), "by cells"),
    (sum_both, (640, 130), "by rows"),
    (late, (640, 40), "by rows"),
    (sum_all, (640, 130), "by passes"),
    (softmax_all, (640, 130), "by passes"),
    (softmax_rows, (2, 3000), "by passes"),
    (softmax_columns, (3000, 10), "by passes"),
    (sum_rows, (3000, 24), "by passes"),
    (positions, (3, 2000), "by passes"),
]


@pytest.mark.parametrize("graph, shape, way", WAYS, ids=lambda w: getattr(w, "__name__", str(w)))
def test_nests_are_cut(tiny_pieces, graph, shape, way):
    _, strategies = run_graph(graph(leaf(0, form(shape, float32))), [made(shape, float32)], list)
    cut = [s for s in strategies if max(s.stages) > 1]
    assert any(way in s.describe() for s in cut)
    assert all(max(s.stages) <= pieces.MOST_PIECES for s in strategies)


@pytest.mark.skipif(sys.platform != "linux", reason="uses mmap and mprotect of Linux")
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda g: g.__name__)
@pytest.mark.parametrize("shape", [(33, 301), (130, 63), (2, 1999)], ids=str)
def test_pieces_stay_inside_their_arrays(tiny_pieces, graph, shape):
    def fenced(array):
        held = Fenced(array)
        kind = np.ctypeslib.as_ctypes_type(array.dtype) * array.size
        return np.frombuffer(kind.from_address(held.address), array.dtype).reshape(array.shape)

    outputs, array = graph(leaf(0, form(shape, float32))), made(shape, float32)
    got, _ = run_graph(outputs, [array], lambda p: p[::-1], fenced)
    want, _ = run_graph(outputs, [array], lambda p: p)
    assert [x.tobytes() for x in got] == [x.tobytes() for x in want]


def aligned(array, shift=0):
    """The array in memory that starts `shift` elements behind a cache line."""
    raw = np.zeros(array.nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + shift * array.itemsize
    moved = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("shape", [(130, 64), (33, 301), (7, 9, 11, 16)], ids=str)
def test_results_past_the_caches(tiny_pieces, monkeypatch, shape, shift):
    outputs, array = chain(leaf(0, form(shape, float32))), made(shape, float32)
    want, _ = run_graph(outputs, [array], lambda p: p)
    monkeypatch.setattr(streams, "_large", lambda nest, store: True)
    got, _ = run_graph(outputs, [array], lambda p: p[::-1], lambda x: aligned(x, shift))
    assert [x.tobytes() for x in got] == [x.tobytes() for x in want]


def test_large_results_qualify():
    x = leaf(0, form((1 << 24,), float32))
    large = [s for k in nests_of([x * 2.0])[0] for s in k.sections]
    assert all(map(streams.streamed, large))
    small = [s for k in nests_of([leaf(0, form((4096,), float32)) * 2.0])[0] for s in k.sections]
    assert not any(map(streams.streamed, small))


def test_small_nests_are_whole():
    _, strategies = run_graph(
        chain(leaf(0, form((64, 64), float32))), [made((64, 64), float32)], list
    )
    assert [s.stages for s in strategies] == [(1,)] and strategies[0].shared_bytes == 0
