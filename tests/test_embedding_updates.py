"""Tables of which a step reads few rows: updates in place that touch those rows only."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.tensorflow as tf
import gemel.torch as torch
from gemel.autodiff.reverse import gradients
from gemel.codegen.nest import Kernel, Nest
from gemel.graph.errors import Fault
from gemel.graph.form import float32, form, int32, int64
from gemel.graph.node import Node
from gemel.ops import updates
from gemel.ops.elementwise import check_range, mul
from gemel.ops.indexing import gather, scatter_add
from gemel.ops.movement import slice_, update_slice, zeros
from gemel.ops.record import leaf, scalar
from gemel.ops.reduction import sum_
from gemel.passes.compile import compile_graph
from gemel.passes.pipeline import GRAPH_PASSES
from gemel.passes.schedule import schedule
from gemel.runtime.buffer import Buffer

ROWS, WIDTH = 50_000, 64
TABLE = leaf(0, form((ROWS, WIDTH), float32))
INDEX = leaf(1, form((3, 5), int64))
WEIGHT = leaf(2, form((3, 5, WIDTH), float32))
RATE = scalar(0, float)


def planned(outputs: list[Node], new: dict[int, Node]):
    """The schedule of a graph."""
    results = [*outputs, *new.values()]
    for _, function in GRAPH_PASSES:
        results = function(results)
    count = len(outputs)
    return schedule(results[:count], dict(zip(new, results[count:], strict=True)))


def dense_passes(kernels: list[Kernel], cells: int = ROWS * WIDTH) -> int:
    """How many sections run over every cell of the table."""
    sections = [s for k in kernels for s in k.sections if isinstance(s, Nest)]
    return sum(int(np.prod(list(s.sizes.values()), dtype=np.int64)) >= cells for s in sections)


def gradient_of(table: Node) -> tuple[Node, Node]:
    """(loss, its gradient in the table): sum(table[index]^2 * weight)"""
    rows = gather(table, INDEX, 0)
    loss = sum_(rows * rows * WEIGHT)
    return loss, gradients([loss], [None], [table])[0]


def numbers(seed: int = 0):
    random = np.random.default_rng(seed)
    table = random.standard_normal((ROWS, WIDTH)).astype(np.float32)
    index = np.array([[1, 7, 1, ROWS - 1, 0], [7, 7, 2, 3, 1], [9, 40_000, 7, 0, 5]])
    return table, index, random.standard_normal((3, 5, WIDTH)).astype(np.float32)


def expected(table, index, weight, rate: float):
    gradient = np.zeros_like(table)
    np.add.at(gradient, index, 2 * table[index] * weight)
    return gradient, table - np.float32(rate) * gradient


STEPS = {
    "sub": lambda p, g: updates.sgd(p, g, RATE),
    "number first": lambda p, g: p - mul(updates._as(RATE, p), g),
    "sum": lambda p, g: p + g * updates._as(-RATE, p),
    "sum, other side": lambda p, g: mul(-updates._as(RATE, p), g) + p,
    "scaled twice": lambda p, g: p - (-(g / 2.0)) * -2.0 * updates._as(RATE, p),
}


@pytest.mark.parametrize("name", STEPS)
def test_descent_touches_only_the_rows_that_were_read(name):
    loss, gradient = gradient_of(TABLE)
    new = {0: STEPS[name](TABLE, gradient)}
    found = planned([loss], new)
    assert list(found.in_place) == [0]
    assert dense_passes(found.kernels) == 0


def run(outputs: list[Node], new: dict[int, Node], values, rate: float = 0.25):
    """(outputs, the table afterwards) of the compiled program."""
    program = compile_graph([TABLE, INDEX, WEIGHT], [RATE], outputs, new, device="cpu")
    buffers = [Buffer.of(v) for v in values]
    *results, table = program(buffers, [rate])
    results = [r.array(o.form).copy() for r, o in zip(results, outputs, strict=True)]
    return results, (buffers[0] if table is None else table).array(TABLE.form).copy()


@pytest.mark.parametrize("name", STEPS)
def test_rows_that_come_several_times_add_up(name):
    values = numbers()
    loss, gradient = gradient_of(TABLE)
    _, got = run([loss], {0: STEPS[name](TABLE, gradient)}, values)
    np.testing.assert_allclose(got, expected(*values, 0.25)[1], rtol=1e-6, atol=1e-6)


def test_a_kept_gradient_costs_one_fill_and_one_pass():
    values = numbers(1)
    loss, gradient = gradient_of(TABLE)
    new = {0: updates.sgd(TABLE, gradient, RATE)}
    assert dense_passes(planned([loss, gradient], new).kernels) == 2
    (_, kept), got = run([loss, gradient], new, values)
    want, table = expected(*values, 0.25)
    np.testing.assert_allclose(kept, want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got, table, rtol=1e-6, atol=1e-6)


def test_adam_costs_one_fill_and_one_pass():
    first, second = (leaf(i, TABLE.form) for i in (2, 3))
    rows = leaf(4, WEIGHT.form)
    gradient = scatter_add(zeros(TABLE.shape, float32), INDEX, rows, 0)
    found = updates.adam(TABLE, gradient, first, second, RATE, 1.0, 0.9, 0.999, 1e-8)
    new = dict(zip((0, 2, 3), found, strict=True))
    assert dense_passes(planned([], new).kernels) == 2


def test_an_old_table_that_is_asked_for_is_kept():
    """The new table is then a copy with the rows added: the only dense pass."""
    values = numbers(2)
    loss, gradient = gradient_of(TABLE)
    new = {0: updates.sgd(TABLE, gradient, RATE)}
    found = planned([loss, TABLE], new)
    assert not found.in_place and dense_passes(found.kernels) == 1
    (_, old), got = run([loss, TABLE], new, values)
    np.testing.assert_array_equal(old, values[0])
    np.testing.assert_allclose(got, expected(*values, 0.25)[1], rtol=1e-6, atol=1e-6)


def test_who_reads_old_rows_reads_them_before():
    """A gather that comes later in the program, and one of the new table."""
    values = numbers(3)
    loss, gradient = gradient_of(TABLE)
    new = updates.sgd(TABLE, gradient, RATE)
    outputs = [loss, gather(new, INDEX, 0), gather(TABLE, INDEX, 0) * 3.0]
    (_, later, before), got = run(outputs, {0: new}, values)
    want = expected(*values, 0.25)[1]
    np.testing.assert_allclose(before, values[0][values[1]] * 3, rtol=1e-6)
    np.testing.assert_allclose(later, want[values[1]], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_a_table_read_in_several_places():
    """Indices of two types and shapes, and what one of them reads weighs twice."""
    table = leaf(0, form((300, 8), float32))
    here, there = leaf(1, form((2, 3), int64)), leaf(2, form((4,), int32))
    weights = leaf(3, form((2, 3, 8), float32)), leaf(4, form((4, 8), float32))
    loss = sum_(gather(table, here, 0) * weights[0])
    loss = loss + sum_(gather(table, there, 0) * 2.0 * weights[1])
    new = {0: updates.sgd(table, gradients([loss], [None], [table])[0], 0.5)}
    found = planned([loss], new)
    assert list(found.in_place) == [0] and dense_passes(found.kernels, 300 * 8) == 0
    random = np.random.default_rng(7)
    start, a, b = (random.standard_normal(s).astype("f4") for s in ((300, 8), (2, 3, 8), (4, 8)))
    at = np.array([[3, 299, 3], [0, 3, 7]]), np.array([3, 8, 299, 8], np.int32)
    leaves = [table, here, there, *weights]
    buffers = [Buffer.of(v) for v in (start, *at, a, b)]
    compile_graph(leaves, [], [loss], new, device="cpu")(buffers, [])
    want = start.copy()
    np.add.at(want, at[0], -0.5 * a)
    np.add.at(want, at[1], -1.0 * b)
    np.testing.assert_allclose(buffers[0].array(table.form), want, rtol=1e-5, atol=1e-6)


def test_rows_that_are_rows_of_the_table_itself():
    """They are read before any row changes, so the table is not written over."""
    part = slice_(TABLE, ((0, 3, 1), (0, WIDTH, 1)))
    at = leaf(1, form((3,), int64))
    new = {0: scatter_add(TABLE, at, part, 0)}
    table, index = numbers(8)[0], np.array([1, 2, 1])
    program = compile_graph([TABLE, at], [], [], new, device="cpu")
    (got,) = program([Buffer.of(table), Buffer.of(index)], [])
    want = table.copy()
    np.add.at(want, index, table[:3])
    np.testing.assert_array_equal(got.array(TABLE.form), want)


def test_more_rows_than_the_table_has_are_added_up_first():
    table = leaf(0, form((4, WIDTH), float32))
    gradient = scatter_add(zeros(table.shape, float32), INDEX, WEIGHT, 0)
    kernels = planned([], {0: updates.sgd(table, gradient, RATE)}).kernels
    assert dense_passes(kernels, 4 * WIDTH) == 3  # fill, rows, step


def test_columns_and_several_index_axes():
    """A table whose rows lie along its second axis."""
    table = leaf(0, form((8, 300), float32))
    at, rows = leaf(1, form((2, 3), int64)), leaf(2, form((8, 2, 3), float32))
    gradient = scatter_add(zeros(table.shape, float32), at, rows, 1)
    new = {0: updates.sgd(table, gradient, 0.5)}
    found = planned([], new)
    assert list(found.in_place) == [0] and dense_passes(found.kernels, 8 * 300) == 0
    random = np.random.default_rng(4)
    start, add = (random.standard_normal(s).astype(np.float32) for s in ((8, 300), (8, 2, 3)))
    index = np.array([[3, 299, 3], [0, 3, 7]])
    buffers = [Buffer.of(v) for v in (start, index, add)]
    program = compile_graph([table, at, rows], [], [], new, device="cpu")
    assert program.donated == {0}
    program(buffers, [])
    want = start.copy()
    np.add.at(want, (slice(None), index), -0.5 * add)
    np.testing.assert_allclose(buffers[0].array(table.form), want, rtol=1e-6, atol=1e-6)


def test_a_slice_written_into_a_leaf_leaves_the_rest_alone():
    part = leaf(1, form((2, WIDTH), float32))
    new = update_slice(TABLE, part, ((5, 7, 1), (0, WIDTH, 1)))
    found = planned([], {0: new})
    assert list(found.in_place) == [0] and dense_passes(found.kernels) == 0


# ---------- through the faces ----------
def test_tensorflow_step():
    values = numbers(5)
    table, rate = tf.Variable(values[0]), tf.Variable(0.25)

    @tf.function
    def step(index, weight):
        with tf.GradientTape() as tape:
            rows = tf.gather(table, index)
            loss = tf.reduce_sum(rows * rows * weight)
        table.assign_sub(rate * tf.convert_to_tensor(tape.gradient(loss, table)))
        return loss

    want = values[0]
    for _ in range(3):
        step(tf.constant(values[1]), tf.constant(values[2]))
        want = expected(want, *values[1:], 0.25)[1]
    np.testing.assert_allclose(table.numpy(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", [ROWS, -1])
def test_an_index_out_of_range_stops_before_the_table_changes(bad):
    values = numbers(6)
    values[1][1, 1] = bad
    index = check_range(INDEX, 0, ROWS, Fault(IndexError, "index out of range"))
    rows = gather(TABLE, index, 0)
    loss = sum_(rows * WEIGHT)
    (gradient,) = gradients([loss], [None], [TABLE])
    new = {0: updates.sgd(TABLE, gradient, RATE)}
    found = planned([loss], new)
    assert list(found.in_place) == [0] and dense_passes(found.kernels) == 0
    program = compile_graph([TABLE, INDEX, WEIGHT], [RATE], [loss], new, device="cpu")
    buffers = [Buffer.of(v) for v in values]
    with pytest.raises(IndexError, match="index out of range"):
        program(buffers, [0.25])
    np.testing.assert_array_equal(buffers[0].array(TABLE.form), values[0])


@pytest.mark.parametrize("bad", [100, -1])
def test_torch_step_with_an_index_out_of_range(bad):
    layer = torch.nn.Embedding(100, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with pytest.raises(IndexError, match="index out of range in self"):
        layer(torch.tensor([1, bad])).sum().backward()
        optimizer.step()
        layer.weight.sum().item()
