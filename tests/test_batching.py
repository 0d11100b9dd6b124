"""Batched graphs against the loop over their lanes, on the op table and on windows."""

from __future__ import annotations

import numpy as np
import pytest
from op_table import SAMPLES
from test_ops import cases, inputs, run

from gemel.autodiff.batching import Lane, batch
from gemel.autodiff.reverse import gradients
from gemel.graph.form import dtype_of, float32, form
from gemel.graph.verifier import verify
from gemel.ops import ordering
from gemel.ops.indexing import gather, scatter_add, scatter_set
from gemel.ops.random import PHILOX
from gemel.ops.record import leaf
from gemel.ops.windows import Convolution, convolution

LANES = 3


def patterns(count: int):
    """Which arguments have lanes: all, or only one of them."""
    yield (True,) * count
    if count > 1:
        for k in range(count):
            yield tuple(i == k for i in range(count))


def compare(build, arrays, many, device="reference", tolerance=1e-5):
    """build(*nodes) -> list of nodes; arrays have lanes in front where `many` says so."""
    lane_forms = [
        form(a.shape[1:] if m else a.shape, dtype_of(a.dtype))
        for a, m in zip(arrays, many, strict=True)
    ]
    inner = [leaf(i, f) for i, f in enumerate(lane_forms)]
    outs = build(*inner)
    outer = [leaf(i, form(a.shape, dtype_of(a.dtype))) for i, a in enumerate(arrays)]
    given = {i: Lane(o, m) for i, o, m in zip(inner, outer, many, strict=True)}
    got = batch(outs, given, LANES)
    verify([g.node for g in got])
    found = run(outer, [g.node for g in got], arrays, device)
    rows = []
    for k in range(LANES):
        row = [a[k] if m else a for a, m in zip(arrays, many, strict=True)]
        rows.append(run(inner, outs, row, "reference"))
    for j, g in enumerate(got):
        for k in range(LANES):
            np.testing.assert_allclose(
                found[j][k] if g.many else found[j], rows[k][j], tolerance, tolerance
            )


def stacked(sample, shapes, dtype, many, seed=0):
    rows = [inputs(sample, shapes, dtype, seed + k) for k in range(LANES)]
    pairs = zip(zip(*rows, strict=True), many, strict=True)
    return [np.stack(column) if m else column[0] for column, m in pairs]


@pytest.mark.parametrize("sample,shapes", cases())
def test_table(sample, shapes):
    dtype = "float64" if "f" in sample.kinds else "int64"
    for many in patterns(len(shapes)):
        arrays = stacked(sample, shapes, dtype, many)
        compare(lambda *x: [sample.build(*x)], arrays, many)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.differentiable and "f" in s.kinds])
def test_gradients(sample):
    shapes = sample.shapes[0]

    def slopes(*nodes):
        smooth = [n for n in nodes if n.dtype.is_float]
        found = gradients([sample.build(*nodes)], [None], smooth)
        return [g for g in found if g is not None]

    for many in patterns(len(shapes)):
        compare(slopes, stacked(sample, shapes, "float64", many), many, tolerance=1e-9)


def array(*shape, kind="float32", seed=0):
    rng = np.random.default_rng(seed)
    if kind == "int64":
        return rng.integers(0, 4, shape)
    return rng.standard_normal(shape).astype(kind)


def batched_arrays(shapes, kinds, many):
    pairs = enumerate(zip(shapes, kinds, many, strict=True))
    return [array(*((LANES, *s) if m else s), kind=k, seed=i) for i, (s, k, m) in pairs]


CONVOLUTIONS = [
    Convolution((1, 1), (1, 1), ((1, 1), (1, 1))),
    Convolution((2, 2), (1, 1), ((0, 0), (0, 0))),
    Convolution((1, 1), (2, 1), ((1, 1), (0, 0)), groups=2),
    Convolution((1, 1), (1, 1), ((1, 1), (1, 1)), groups=4),
]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("how", CONVOLUTIONS)
def test_windows(how, device):
    def both(x, w):
        y = convolution(x, w, how)
        return [y, *gradients([y * y], [None], [x, w])]

    shapes = (2, 4, 7, 6), (8, 4 // how.groups, 3, 3)
    for many in patterns(2):
        arrays = batched_arrays(shapes, ("float32", "float32"), many)
        compare(both, arrays, many, device, 1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows(axis):
    shapes = [(4, 5, 6), (2, 3)]
    for many in patterns(2):
        arrays = batched_arrays(shapes, ("float32", "int64"), many)
        compare(lambda x, i: [gather(x, i, axis)], arrays, many, "cpu")


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("put", [scatter_add, scatter_set])
def test_puts(axis, put):
    base = (4, 5, 6)
    value = base[:axis] + (2, 3) + base[axis + 1 :]
    for many in patterns(3):
        arrays = batched_arrays([base, (2, 3), value], ("float32", "int64", "float32"), many)
        compare(lambda x, i, v: [put(x, i, v, axis)], arrays, many, "cpu", 1e-4)


def test_sorting():
    x = array(LANES, 4, 9)
    for axis in (0, 1):
        compare(lambda x, a=axis: [ordering.sorting_order(x, a)], [x], [True], "cpu")


def test_what_is_shared_stays():
    """A value that depends on no lane is not repeated."""
    x, w = leaf(0, form((3,), float32)), leaf(1, form((3,), float32))
    shared = w * w
    wide = leaf(0, form((LANES, 3), float32))
    given = {x: Lane(wide, True), w: Lane(w, False)}
    product, alone = batch([x * shared, shared], given, LANES)
    assert product.many and not alone.many
    assert alone.node is shared and product.node.args[1] is shared


def test_other_natives_go_lane_by_lane():
    states = np.arange(6 * LANES, dtype=np.uint32).reshape(LANES, 6)
    compare(lambda s: [PHILOX(s, attrs=(5,))], [states], [True])
