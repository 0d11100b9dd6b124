"""Programs touch nothing outside their arrays: each input ends at a page that may not be read."""

from __future__ import annotations

import ctypes
import itertools
import sys

import numpy as np
import pytest

from gemel.graph.form import float32, float64, form
from gemel.ops import activations, contraction, elementwise, movement, reduction
from gemel.ops.movement import expand
from gemel.ops.record import leaf
from gemel.ops.tiled_attention import ATTENTION
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer

PAGE = 4096
READ_WRITE, ANONYMOUS = 3, 0x22

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses mmap and mprotect of Linux")


class Fenced:
    """An input whose last byte is the last of a page, between two pages without access."""

    _shelf = None

    def __init__(self, array: np.ndarray):
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = (
            [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        )
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.nbytes = array.nbytes
        pages = -(-array.nbytes // PAGE)
        start = libc.mmap(None, (pages + 2) * PAGE, READ_WRITE, ANONYMOUS, -1, 0)
        end = start + (pages + 1) * PAGE
        self.address = end - array.nbytes
        ctypes.memmove(self.address, array.ctypes.data, array.nbytes)
        assert libc.mprotect(start, PAGE, 0) == 0 and libc.mprotect(end, PAGE, 0) == 0


def values(a, b, c, left_turned, right_turned):
    """Outputs that read the three inputs in all ways: product, rows, columns, transposed."""
    x = movement.swap(a) if left_turned else a
    y = movement.swap(b) if right_turned else b
    return [
        activations.relu(contraction.matmul(x, y) + c),
        activations.softmax(a, 1),
        reduction.sum_(b, 0) * 2.0,
        elementwise.EXP(movement.swap(a)),
    ]


SIZES = [(1, 7, 5), (10, 33, 65), (64, 64, 10), (17, 100, 31), (130, 16, 48)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", [float32, float64])
def test_inputs_at_the_edge_of_memory(sizes, dtype):
    m, n, k = sizes
    rng = np.random.default_rng(0)
    for left, right in itertools.product([False, True], repeat=2):
        shapes = [(k, m) if left else (m, k), (n, k) if right else (k, n), (n,)]
        leaves = [leaf(i, form(s, dtype)) for i, s in enumerate(shapes)]
        arrays = [rng.standard_normal(s).astype(dtype.numpy) for s in shapes]
        outputs = values(*leaves, left, right)
        got = compile_graph(leaves, [], outputs, {}, device="cpu")([Fenced(a) for a in arrays], [])
        want = compile_graph(leaves, [], outputs, {}, device="reference")(
            [Buffer.of(a) for a in arrays], []
        )
        for x, y, node in zip(got, want, outputs, strict=True):
            np.testing.assert_allclose(x.array(node.form), y.array(node.form), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes", [(17, 33, 5, 7), (70, 9, 16, 24), (9, 70, 33, 1)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_at_the_edge_of_memory(sizes, causal, masked):
    length, source, width, depth = sizes
    rng = np.random.default_rng(0)
    shapes = [(2, length, width), (1, source, width), (1, source, depth), (2, length, depth)]
    leaves = [leaf(i, form(s, float32)) for i, s in enumerate(shapes)]
    arrays = [rng.standard_normal(s).astype("f4") for s in shapes]
    if masked:
        leaves.append(leaf(4, form((length, source), float32)))
        arrays.append(rng.standard_normal((length, source)).astype("f4"))
    q, k, v, g, *masks = leaves
    masks = [expand(m, (2, length, source)) for m in masks]
    kept = ATTENTION(q, k, v, *masks, attrs=("forward", causal, 0.5, None))
    outputs = [kept, ATTENTION(q, k, v, *masks, kept, g, attrs=("backward", causal, 0.5, None))]
    got = compile_graph(leaves, [], outputs, {}, device="cpu")([Fenced(a) for a in arrays], [])
    want = compile_graph(leaves, [], outputs, {}, device="reference")(
        [Buffer.of(a) for a in arrays], []
    )
    for x, y, node in zip(got, want, outputs, strict=True):
        np.testing.assert_allclose(x.array(node.form), y.array(node.form), rtol=1e-4, atol=1e-4)
