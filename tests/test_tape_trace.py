"""Traced functions: recorded once, called as one program."""

from __future__ import annotations

import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.graph.form import float32, form
from gemel.tensor import errors
from gemel.tensor.tape import LOCAL

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fresh_tape():
    LOCAL.tape.reset()
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()


def ones(*shape):
    return face.tensor(np.ones(shape, "f4"))


def test_a_function_is_recorded_once():
    calls = []

    def f(x, y):
        calls.append(1)
        return [x * y + 1.0, x - y]

    traced = core.trace(f, [ones(3), ones(3)])
    for k in (2.0, 3.0):
        a, b = traced(ones(3) * k, ones(3))
        assert a.tolist() == [k + 1] * 3 and b.tolist() == [k - 1] * 3
    assert calls == [1]


def test_other_forms_are_refused():
    traced = core.trace(lambda x: [x * 2.0], [ones(3)])
    with pytest.raises(ValueError):
        traced(ones(4))


def test_cells_are_read_and_written_at_every_call():
    count = ones(2)

    def f(x):
        count.add_(x)
        return [count * 10.0]

    traced = core.trace(f, [ones(2)])
    assert count.tolist() == [1.0, 1.0]
    assert traced(ones(2))[0].tolist() == [20.0] * 2
    assert traced(ones(2))[0].tolist() == [30.0] * 2
    assert count.tolist() == [3.0] * 2
    count.zero_()
    assert traced(ones(2))[0].tolist() == [10.0] * 2


def test_an_input_may_be_written():
    def f(x):
        x[0] = 5.0
        return [x.sum()]

    traced = core.trace(f, [ones(3)])
    x = ones(3)
    assert traced(x)[0].item() == 7.0
    assert x.tolist() == [5.0, 1.0, 1.0]
    y = face.tensor(np.zeros((2, 3), "f4"))
    traced(y[1])
    assert y.tolist() == [[0.0] * 3, [5.0, 0.0, 0.0]]


def test_an_older_reader_keeps_the_older_value():
    cell = ones(2)

    def f():
        cell.mul_(2.0)
        return [cell + 0.0]

    traced = core.trace(f, [])
    before = core.array_of(cell)
    first = traced()[0]
    second = traced()[0]
    assert before.tolist() == [1.0, 1.0]
    assert first.tolist() == [2.0, 2.0] and second.tolist() == [4.0, 4.0]


def test_looking_breaks_the_trace():
    p = face.parameter(np.ones(3))

    def f(x):
        (p * x).sum().backward()
        return [x * 2.0] if x.sum().item() > 0 else [x]

    with pytest.raises(errors.TraceBreak):
        core.trace(f, [ones(3)])
    assert p.grad is None
    assert not core.tracing()
    assert (p.detach() * 2.0).tolist() == [2.0] * 3


def network():
    a = face.Linear(RNG.uniform(-1, 1, (6, 8)), np.zeros(6))
    b = face.Linear(RNG.uniform(-1, 1, (4, 6)), np.zeros(4))
    return (lambda x: b(a(x).tanh())), [a.weight, a.bias, b.weight, b.bias]


def data():
    rng = np.random.default_rng(7)
    return [
        (face.tensor(rng.standard_normal((16, 8)).astype("f4")),
         face.tensor(rng.integers(0, 4, 16)))
        for _ in range(6)
    ]  # fmt: skip


def two_networks():
    model, params = network()
    twin, twins = network()
    with core.no_grad():
        for p, q in zip(params, twins, strict=True):
            q.copy_(p)
    return model, params, twin, twins


@pytest.mark.parametrize("optimizer", [face.SGD, face.Adam])
def test_a_training_step(optimizer):
    model, params, twin, twins = two_networks()
    one, other = optimizer(params, 0.05), optimizer(twins, 0.05)

    def step(model, optimizer, x, y):
        loss = face.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return [loss]

    traced = core.trace(lambda x, y: step(twin, other, x, y), data()[0])
    other.steps = 0
    for x, y in data():
        expected = step(model, one, x, y)[0].item()
        assert traced(x, y)[0].item() == pytest.approx(expected, abs=1e-5)
    for p, q in zip(params, twins, strict=True):
        assert np.allclose(p.detach().tolist(), q.detach().tolist(), atol=1e-5)
        assert np.allclose(p.grad.tolist(), q.grad.tolist(), atol=1e-5)


def test_two_steps_in_one_trace():
    model, params, twin, twins = two_networks()
    one, other = face.SGD(params, 0.05), face.SGD(twins, 0.05)

    def steps(model, optimizer, x, y):
        for _ in range(2):
            loss = face.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return [loss]

    traced = core.trace(lambda x, y: steps(twin, other, x, y), data()[0])
    for x, y in data()[:3]:
        expected = steps(model, one, x, y)[0].item()
        assert traced(x, y)[0].item() == pytest.approx(expected, abs=1e-5)


def test_numbers_are_asked_for_again():
    p = face.parameter(np.zeros(1))
    rate = [1.0]
    call = face.Call("down", lambda attrs, rate, p: p - face.el.cast(rate, p.dtype), False)

    def f():
        with core.no_grad():
            core.update(call, [p], [], core.replayed(lambda: (rate[0],)))
        return []

    traced = core.trace(f, [])
    traced()
    rate[0] = 10.0
    traced()
    assert p.detach().tolist() == [-11.0]


def test_gradients_flow_through_a_traced_function():
    model, params, twin, twins = two_networks()
    traced = core.trace(lambda x: [twin(x)], [data()[0][0]])
    assert traced.flows
    for x, y in data()[:2]:
        face.cross_entropy(model(x), y).backward()
        face.cross_entropy(traced(x)[0], y).backward()
    for p, q in zip(params, twins, strict=True):
        assert np.allclose(p.grad.tolist(), q.grad.tolist(), atol=1e-6)


def test_gradients_flow_to_inputs():
    x = face.tensor(np.array([1.0, 2.0]), requires_grad=True)
    traced = core.trace(lambda x: [x * x * 3.0], [x])
    (y,) = traced(x)
    y.sum().item()
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]
    z = x * 2.0
    traced(z)[0].sum().backward()
    assert x.grad.tolist() == [30.0, 60.0]


def test_without_gradients_it_is_one_program():
    model, _ = network()
    x = data()[0][0]
    with core.no_grad():
        traced = core.trace(lambda x: [model(x)], [x])
        assert not traced.flows
        assert np.allclose(traced(x)[0].tolist(), model(x).tolist(), atol=1e-6)


def test_running_statistics_beside_gradients():
    mean = ones(3)
    p = face.parameter(np.ones(3))

    def f(x):
        with core.no_grad():
            mean.mul_(0.5).add_(x)
        return [(x - mean) * p]

    traced = core.trace(f, [ones(3)])
    for _ in range(2):
        traced(ones(3))[0].sum().backward()
    assert mean.tolist() == [1.75] * 3
    assert p.grad.tolist() == [-0.5 - 0.75] * 3


def test_noise_is_drawn_at_every_call():
    noise = face.Noise()
    traced = core.trace(lambda: [noise(4)], [])
    first, second = traced()[0].tolist(), traced()[0].tolist()
    assert first != second
    fresh = face.Noise()
    assert np.allclose([fresh(4).tolist(), fresh(4).tolist()], [first, second])


def test_a_traced_function_inside_another():
    inner = core.trace(lambda x: [x * 2.0 + 1.0], [ones(3)])
    outer = core.trace(lambda x: [inner(x)[0] * 10.0], [ones(3)])
    assert outer(ones(3))[0].tolist() == [30.0] * 3


def test_variables_are_made_once():
    made = []

    def f(x):
        if not made:
            with core.outside():
                made.append(face.full((2,), 3.0))
        made[0].add_(x)
        return [made[0] + 0.0]

    traced = core.trace(f, [ones(2)])
    assert traced(ones(2))[0].tolist() == [4.0] * 2
    assert traced(ones(2))[0].tolist() == [5.0] * 2


def test_held_results_are_filled_at_every_call():
    kept = {}

    def f(x):
        kept["h"] = x * 3.0
        return [x + 1.0]

    traced = core.trace(f, [ones(2)])
    traced(ones(2))
    assert kept["h"].tolist() == [3.0] * 2
    traced(ones(2) * 2.0)
    assert kept["h"].tolist() == [6.0] * 2


def test_abstract_computes_nothing():
    weight = ones(3, 5)

    def f(x):
        weight.zero_()
        return {"y": (x @ weight).tanh(), "n": x.sum()}

    out = core.abstract(f, [form((2, 3), float32)], face.Tensor)
    assert out["y"].shape == (2, 5) and out["n"].shape == ()
    assert weight.tolist() == np.ones((3, 5)).tolist()
    with pytest.raises(errors.TensorError):
        out["y"].tolist()
    with pytest.raises(errors.TraceBreak):
        core.abstract(lambda x: x.tolist(), [form((2,), float32)], face.Tensor)


def test_the_python_side_of_a_call_is_small():
    """One call reads and stores a fixed number of things; the benchmark has the time."""
    traced = core.trace(lambda x: [x * 2.0], [ones(3)])
    x = ones(3)
    traced(x)
    states = LOCAL.tape.state
    traced(x)
    assert LOCAL.tape.state is states
