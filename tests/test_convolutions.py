"""Every way to contract and convolve, through the whole compiler: the result and both gradients
against float64 NumPy, for a generated table of sizes, strides, dilations, groups and layouts."""

from __future__ import annotations

import numpy as np
import pytest
from convolution_table import Case, Plain, contractions, convolutions

from gemel.autodiff.reverse import gradients
from gemel.graph.form import dtype_of, form
from gemel.graph.node import Node
from gemel.ops import windows
from gemel.ops.contraction import contract
from gemel.ops.movement import expand, permute, slice_
from gemel.ops.record import leaf
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer

CONVOLUTIONS = convolutions()
CONTRACTIONS = contractions()
ROUNDING = {"float32": 2e-6, "float64": 1e-14}


class Operands:
    """Leaves of a program with random values, seen through views where they do not lie plainly."""

    def __init__(self, dtype: str, lies: str):
        self.random = np.random.default_rng(0)
        self.dtype = np.dtype(dtype)
        self.lies = lies
        self.arrays: list[np.ndarray] = []
        self.leaves: list[Node] = []

    def _leaf(self, shape) -> tuple[Node, np.ndarray]:
        if self.dtype.kind == "f":
            array = self.random.uniform(-1, 1, shape).astype(self.dtype)
        else:
            array = self.random.integers(0, 7, shape).astype(self.dtype)
        node = leaf(len(self.leaves), form(array.shape, dtype_of(array.dtype)))
        self.arrays.append(array)
        self.leaves.append(node)
        return node, array

    def new(self, shape) -> tuple[Node, np.ndarray]:
        """(a node of the shape, its value in float64)"""
        shape = tuple(shape)
        if self.lies == "permuted":
            node, array = self._leaf(shape[::-1])
            return permute(node, range(len(shape))[::-1]), array.T.astype(float)
        if self.lies == "sliced":
            node, array = self._leaf(tuple(2 * n + 1 for n in shape))
            spec = [(1, 1 + 2 * n, 2) for n in shape]
            cut = tuple(slice(*s) for s in spec)
            return slice_(node, spec), array[cut].astype(float)
        if self.lies == "expanded" and shape:
            node, array = self._leaf((1, *shape[1:]))
            return expand(node, shape), np.broadcast_to(array, shape).astype(float)
        node, array = self._leaf(shape)
        return node, array.astype(float)

    def run(self, outputs: list[Node]) -> list[np.ndarray]:
        program = compile_graph(self.leaves, [], outputs, {})
        results = program([Buffer.of(a) for a in self.arrays], [])
        return [b.array(o.form) for b, o in zip(results, outputs, strict=True)]


def assert_near(got: np.ndarray, want: np.ndarray, terms: np.ndarray) -> None:
    """Within rounding of the sum of the terms' sizes; integers exactly."""
    assert got.shape == want.shape
    if got.dtype.kind == "f":
        allowed = ROUNDING[got.dtype.name] * (terms + 1)
        assert (np.abs(got - want) <= allowed).all(), f"off by {np.abs(got - want).max()}"
    else:
        np.testing.assert_array_equal(got, want.astype(np.int64).astype(got.dtype))


def _check(case, operands: Operands, y: Node, x, w, build_gradients) -> None:
    (x_node, x_value), (w_node, w_value) = x, w
    g_node, g_value = operands.new(y.shape)
    outputs = [y, *build_gradients(y, g_node, x_node, w_node)]
    wanted = case.expected(x_value, w_value, g_value)
    terms = case.expected(*map(np.abs, (x_value, w_value, g_value)))
    for got, want, size in zip(operands.run(outputs), wanted, terms, strict=False):
        assert_near(got, want, size)


def _by_autodiff(y: Node, g: Node, x: Node, w: Node) -> list[Node]:
    return gradients([y], [g], [x, w])


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution(case: Case):
    operands = Operands(case.dtype, case.lies)
    x, w = operands.new(case.x_shape()), operands.new(case.kernel_shape())
    how = windows.Convolution(
        case.strides, case.dilations, case.widths, case.groups, case.channels_last,
        case.kernel_last,
    )  # fmt: skip
    y = windows.convolution(x[0], w[0], how)
    assert y.shape == case.y_shape()

    def transposed(y, g, x, w):  # integers have no gradients: the operation that is one of them
        return [windows.transposed(g, w, case.sizes, how)]

    _check(case, operands, y, x, w, _by_autodiff if y.dtype.is_float else transposed)


@pytest.mark.parametrize("case", CONTRACTIONS, ids=str)
def test_contraction(case: Plain):
    operands = Operands(case.dtype, case.lies)
    shapes = case.shapes()
    x, w = operands.new(shapes[0]), operands.new(shapes[1])
    number = {letter: i for i, (letter, _) in enumerate(case.sizes)}
    la, lb, lo = ([number[a] for a in labels] for labels in case.labels())
    y = contract(x[0], w[0], la, lb, lo)

    def turned(y, g, x, w):  # also for integers
        return [contract(g, w, lo, lb, la), contract(g, x, lo, la, lb)]

    _check(case, operands, y, x, w, turned)


def test_the_table_is_long():
    assert len(CONVOLUTIONS) + len(CONTRACTIONS) >= 500


def test_second_gradients():
    """The gradient of the gradients' squared norm, against differences."""
    case = Case(2, 1, 2, 3, (5, 4), (3, 2), (2, 1), (1, 2), ((1, 1), (2, 0)), dtype="float64")
    operands = Operands("float64", "plain")
    (x, x_value), (w, w_value) = (operands.new(s) for s in (case.x_shape(), case.kernel_shape()))
    g, g_value = operands.new(case.y_shape())
    y = windows.convolution(x, w, windows.Convolution(case.strides, case.dilations, case.widths))
    dx, dw = gradients([y], [g], [x, w])
    found = operands.run(gradients([dx * dx, dw * dw], [None, None], [x, w]))

    def norm(x, w):
        _, dx, dw = case.expected(x, w, g_value)
        return (dx * dx).sum() + (dw * dw).sum()

    for value, got in ((x_value, found[0]), (w_value, found[1])):
        at = (0,) * value.ndim
        value[at] += 1e-4
        up = norm(x_value, w_value)
        value[at] -= 2e-4
        down = norm(x_value, w_value)
        value[at] += 1e-4
        np.testing.assert_allclose(got[at], (up - down) / 2e-4, rtol=1e-6)
