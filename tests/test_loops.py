"""Loops as primitives: values and gradients against the same steps written out, on the reference
and compiled; how many kernels a step has; when a loop ends."""

from __future__ import annotations

import numpy as np
import pytest

from gemel.autodiff.batching import Lane, batch, with_lanes
from gemel.autodiff.reverse import gradients
from gemel.graph.form import bool_, float32, form, int64
from gemel.graph.node import Node
from gemel.graph.verifier import verify
from gemel.ops import recurrent
from gemel.ops.contraction import matmul
from gemel.ops.divisors import gcd
from gemel.ops.elementwise import EXP, TANH, cast, lt, mul, where
from gemel.ops.indexing import GATHER
from gemel.ops.linear import linear
from gemel.ops.loops import either, loop_while, scan
from gemel.ops.movement import narrow, reshape, stack
from gemel.ops.record import leaf
from gemel.ops.reduction import sum_
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer

DEVICES = ("reference", "cpu")


def given(*shapes, dtype=float32, seed=0) -> tuple[list[Node], list[np.ndarray]]:
    random = np.random.default_rng(seed)
    leaves = [leaf(i, form(s, dtype)) for i, s in enumerate(shapes)]
    return leaves, [random.standard_normal(s).astype(np.float32) for s in shapes]


def run(leaves, arrays, outputs, device="cpu"):
    program = compile_graph(leaves, [], list(outputs), {}, device)
    verify(outputs)
    found = program([Buffer.of(np.ascontiguousarray(a)) for a in arrays], [])
    return [b.array(o.form).copy() for b, o in zip(found, outputs, strict=True)], program


def unrolled(step, slices, carried, steps, backwards=False):
    values: list = [None] * steps
    for t in reversed(range(steps)) if backwards else range(steps):
        here = tuple(reshape(narrow(x, 0, t, 1), x.shape[1:]) for x in slices)
        number = leaf(-1, form((), int64)) * 0 + t
        carried, values[t] = step(number, here, tuple(carried))
    return list(carried), [stack(row, 0) for row in zip(*values, strict=True)]


def both_ways(step, slices, carried, steps, targets, leaves, arrays, device, backwards=False):
    """Values and gradients of the loop and of the same steps written out."""
    found = []
    for way in (scan, unrolled):
        last, stacks = way(step, slices, carried, steps, backwards=backwards)
        results = [*last, *stacks]
        slopes = gradients(results, [None] * len(results), targets)
        found.append(run(leaves, arrays, [*results, *slopes], device)[0])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


CELLS = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_over_time(kind, backwards, device):
    time, batch, width, gates = 5, 3, 6, CELLS[kind]
    rows = gates * width
    leaves, arrays = given(
        (time, batch, 4), (batch, width), (batch, width), (rows, 4), (rows, width), (rows,), (rows,)
    )
    x, h, c, wi, wh, bi, bh = leaves
    weights = recurrent.Weights(wi, wh, bi, bh)
    state = (h, c) if kind == "lstm" else (h,)

    def step(number, slices, carried):
        new = recurrent.step(kind, slices[0], carried, weights)
        return new, [new[0]]

    targets = [x, *state, wi, wh, bi, bh]
    inputs = [linear(x, wi, bi)]
    both_ways(step, inputs, state, time, targets, leaves, arrays, device, backwards)


def step_scaled(leaves):
    """Reads its number, a value that no step changes, a gather, and stacks several values."""
    x, h, w, table = leaves

    def step(number, slices, carried):
        row = GATHER(table, cast(number, int64), attrs=(0,))
        scale = cast(number, float32) * 0.1 + 1.0
        new = TANH(matmul(carried[0], w) + slices[0] * row) * scale
        return (new, carried[1] + sum_(new, (0,), False)), [new * new, carried[0]]

    return step


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backwards", [False, True])
def test_what_a_step_may_read(backwards, device):
    leaves, arrays = given((4, 2, 3), (2, 3), (3, 3), (4, 3))
    x, h, w, table = leaves
    total = sum_(w, (0,), False)
    step = step_scaled(leaves)
    both_ways(step, [x], [h, total], 4, leaves, leaves, arrays, device, backwards)


def test_second_gradient():
    leaves, arrays = given((3, 2, 2), (2, 2), (2, 2))
    x, h, w = leaves

    def step(number, slices, carried):
        new = TANH(matmul(carried[0], w) + slices[0])
        return (new,), [new]

    found = []
    for way in (scan, unrolled):
        (last,), (stacked,) = way(step, [x], [h], 3)
        slopes = gradients([last, stacked], [None, None], leaves)
        squares = [sum_(mul(g, g), tuple(range(g.ndim)), False) for g in slopes]
        again = gradients(squares, [None] * 3, leaves)
        found.append(run(leaves, arrays, again)[0])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("limit", [0, 2, 5, 9])
def test_steps_that_do_not_run_leave_zeros(limit, device):
    leaves, arrays = given((5, 3), (3,))
    x, h = leaves
    count = leaf(2, form((), int64))

    def step(number, slices, carried):
        new = carried[0] * slices[0]
        return (new,), [new]

    (last,), (values,) = scan(step, [x], [h], 5, limit=count)
    slopes = gradients([last, values], [None, None], [x, h])
    given_arrays = [*arrays, np.array(limit, np.int64)]
    found, _ = run([*leaves, count], given_arrays, [last, values, *slopes], device)
    runs = min(limit, 5)
    state, expected = arrays[1], np.zeros((5, 3), np.float32)
    for t in range(runs):
        state = expected[t] = state * arrays[0][t]
    np.testing.assert_allclose(found[0], state, rtol=1e-6)
    np.testing.assert_allclose(found[1], expected, rtol=1e-6)
    assert not found[2][runs:].any()
    results = [h]
    if runs:
        (short,), (stacked,) = unrolled(step, [narrow(x, 0, 0, runs)], [h], runs)
        results = [short, stacked]
    slopes = gradients(results, [None] * len(results), [h])
    np.testing.assert_allclose(found[3], run(leaves, arrays, slopes)[0][0], rtol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_while_and_its_gradient(device):
    leaves, arrays = given((3,))
    (x,) = leaves

    def goes_on(value, turns):
        return lt(sum_(value, (0,), False), 50.0)

    def step(value, turns):
        return value * value + 1.5, turns + 1

    def outcome(start):
        value, turns = loop_while(goes_on, step, [start, zero], 40)
        return value, turns

    zero = cast(sum_(x * 0, (0,), False), int64)
    value, turns = outcome(x)
    (slope,) = gradients([value], [None], [x])
    found, _ = run(leaves, arrays, [value, turns, slope], device)
    state, count, rate = arrays[0].astype(np.float64), 0, 1.0
    while state.sum() < 50:
        rate = rate * 2 * state
        state, count = state * state + 1.5, count + 1
    assert found[1] == count > 1
    np.testing.assert_allclose(found[0], state, rtol=1e-5)
    np.testing.assert_allclose(found[2], rate, rtol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("truth", [False, True])
def test_either_computes_one_side(truth, device):
    """The other side would overflow, and its gradient would not be finite."""
    leaves, arrays = given((3,))
    (x,) = leaves
    flag = leaf(1, form((), bool_))
    (value,) = either(flag, lambda: [x * 2.0], lambda: [EXP(x * 1000.0 + 5000.0)])
    (slope,) = gradients([value], [None], [x])
    found, _ = run([x, flag], [*arrays, np.array(truth)], [value, slope], device)
    if truth:
        np.testing.assert_allclose(found[0], arrays[0] * 2)
        np.testing.assert_allclose(found[1], np.full(3, 2.0))
    else:
        assert np.isinf(found[0]).all()


def test_kernels_of_a_step():
    """A step of an LSTM is one product for all gates and one nest, there and back; the gradients of
    the weights are products behind the loop."""
    time, batch, width = 6, 8, 64
    leaves, arrays = given(
        (time, batch, 4 * width), (batch, width), (batch, width), (4 * width, width)
    )
    x, h, c, w = leaves
    weights = recurrent.Weights(w, w)

    def step(number, slices, carried):
        new = recurrent.step("lstm", slices[0], carried, weights)
        return new, [new[0]]

    last, (values,) = scan(step, [x], [h, c], time)
    slopes = gradients([values], [None], leaves)
    _, program = run(leaves, arrays, [values, *slopes])
    loops = [k["about"] for k in program.kernels if " steps of " in k["about"]]
    assert [about.count(";") + 1 for about in loops] == [2, 2]
    assert not any("loops" in k for k in program.kernels)


@pytest.mark.parametrize(("width", "shared"), [(32, False), (256, True)])
def test_threads_share_steps_that_are_worth_it(width, shared):
    leaves, arrays = given((4, 32, 4 * width), (32, width), (32, width), (4 * width, width))
    x, h, c, w = leaves
    weights = recurrent.Weights(w, w)

    def step(number, slices, carried):
        new = recurrent.step("lstm", slices[0], carried, weights)
        return new, [new[0]]

    _, (values,) = scan(step, [x], [h, c], 4)
    _, program = run(leaves, arrays, [values])
    (loop,) = [k for k in program.kernels if " steps of " in k["about"]]
    assert program.facts["team"] == shared == (max(loop["pieces"]) > 1)


def test_an_unread_carried_value_is_not_computed():
    leaves, arrays = given((4, 3), (3,), (3,))
    x, a, b = leaves

    def step(number, slices, carried):
        return (carried[0] + slices[0], carried[1] * EXP(slices[0])), []

    (total, _), _ = scan(step, [x], [a, b], 4)
    (found,), program = run(leaves, arrays, [total])
    np.testing.assert_allclose(found, arrays[1] + arrays[0].sum(0), rtol=1e-5)
    assert len(program.kernels) == 1


def test_values_exchange_places():
    leaves, arrays = given((3,), (3,))
    a, b = leaves

    def step(number, slices, carried):
        return (carried[1], carried[0] + 1.0), []

    for steps in (1, 4, 5):
        last, _ = scan(step, [], [a, b], steps)
        first, second = arrays
        for _ in range(steps):
            first, second = second, first + 1
        for device in DEVICES:
            found, _ = run(leaves, arrays, last, device)
            np.testing.assert_allclose(found[0], first, rtol=1e-6)
            np.testing.assert_allclose(found[1], second, rtol=1e-6)


def test_loops_in_loops():
    leaves, arrays = given((3, 4, 2), (2,), (2,))
    x, h, w = leaves

    def inner(number, slices, carried):
        new = carried[0] * w + slices[0]
        return (new,), [new]

    def step(number, slices, carried):
        (new,), (values,) = scan(inner, [slices[0]], [carried[0]], 4)
        return (TANH(new),), [values]

    def written_out(number, slices, carried):
        (new,), (values,) = unrolled(inner, [slices[0]], [carried[0]], 4)
        return (TANH(new),), [values]

    found = []
    for way, body in ((scan, step), (unrolled, written_out)):
        last, stacks = way(body, [x], [h], 3)
        slopes = gradients([*last, *stacks], [None, None], leaves)
        found.append(run(leaves, arrays, [*last, *stacks, *slopes])[0])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_no_steps():
    leaves, arrays = given((2,))
    last, (values,) = scan(lambda n, s, c: ((c[0] * 2.0,), [c[0]]), [], leaves, 0)
    assert last == leaves and values.shape == (0, 2)


def test_a_choice_among_values_of_a_step():
    """Values stacked that are operands, carried values, or constants."""
    leaves, arrays = given((3, 2), (2,), (2,))
    x, h, w = leaves

    def step(number, slices, carried):
        new = where(lt(slices[0], 0.0), carried[0], slices[0])
        return (new,), [slices[0], carried[0], new, w, w * 2.0]

    for device in DEVICES:
        _, stacks = scan(step, [x], [h], 3)
        found, _ = run(leaves, arrays, stacks, device)
        before, after, state = [], [], arrays[1]
        for row in arrays[0]:
            before.append(state)
            state = np.where(row < 0, state, row)
            after.append(state)
        expected = [arrays[0], before, after, [arrays[2]] * 3, [arrays[2] * 2] * 3]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("lanes_in", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("backwards", [False, True])
def test_lanes(lanes_in, backwards):
    """A loop with lanes computes what loops over each lane compute, gradients too."""
    lanes = 3
    shapes = [(4, 2), (2,), (2, 2)]
    wide = [(lanes, *s) if i in lanes_in else s for i, s in enumerate(shapes)]
    one, _ = given(*shapes)
    many, arrays = given(*wide)

    def step(number, slices, carried):
        new = TANH(matmul(carried[0], one[2]) + slices[0])
        return (new, carried[1] + 1.0), [new * new, new, carried[1]]

    last, stacks = scan(step, [one[0]], [one[1], sum_(one[1] * 0, (0,), False)], 4,
                        backwards=backwards)  # fmt: skip
    slopes = gradients([last[0], *stacks], [None] * 4, one)
    results = [*last, *stacks, *slopes]
    lanes_of = {x: Lane(y, i in lanes_in) for i, (x, y) in enumerate(zip(one, many, strict=True))}
    found = [with_lanes(lane, lanes) for lane in batch(results, lanes_of, lanes)]
    together, _ = run(many, arrays, found)
    for k in range(lanes):
        here = [a[k] if i in lanes_in else a for i, a in enumerate(arrays)]
        alone, _ = run(one, here, results)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-5, atol=1e-5)


def test_a_call_of_numpy_in_a_step():
    """Such a loop is written out; one whose length depends on data says what it cannot do."""
    leaves, arrays = given((4, 3), (3,))
    x, h = leaves

    def step(number, slices, carried):
        values = gcd(cast(slices[0] * 50.0, int64), cast(slices[0] * 0.0 + 12.0, int64))
        new = carried[0] * cast(number, float32) + cast(values, float32)
        return (new,), [new, values]

    last, stacks = scan(step, [x], [h], 4, backwards=True)
    found, _ = run(leaves, arrays, [*last, *stacks])
    state = arrays[1]
    for t in reversed(range(4)):
        values = np.gcd((arrays[0][t] * np.float32(50)).astype(np.int64), 12)
        state = state * t + values
        np.testing.assert_allclose(found[1][t], state, rtol=1e-4)
        np.testing.assert_array_equal(found[2][t], values)
    np.testing.assert_allclose(found[0], state, rtol=1e-4)
    count = leaf(2, form((), int64))
    limited, _ = scan(step, [x], [h], 4, limit=count)
    with pytest.raises(NotImplementedError, match="fixed number"):
        run([*leaves, count], [*arrays, np.array(3)], limited)
