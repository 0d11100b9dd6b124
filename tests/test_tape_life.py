"""Lifetime: nothing leaks, nothing is kept alive by cycles, loops that never look stay bounded."""

from __future__ import annotations

import gc
import weakref

import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.tensor import tape as tapes
from gemel.tensor.state import State
from gemel.tensor.storage import UNHELD, UNSHARED
from gemel.tensor.tape import LOCAL

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fresh_tape():
    LOCAL.tape.reset()
    LOCAL.tape.limit = tapes.OPERATIONS
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()
    LOCAL.tape.limit = tapes.OPERATIONS


@pytest.fixture
def no_collector():
    """Cycles would show: nobody collects them."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def network():
    a = face.Linear(RNG.uniform(-1, 1, (6, 8)), np.zeros(6))
    b = face.Linear(RNG.uniform(-1, 1, (4, 6)), np.zeros(4))
    return (lambda x: b(a(x).relu())), [a.weight, a.bias, b.weight, b.bias]


def batch():
    return face.tensor(RNG.standard_normal((16, 8)).astype("f4")), face.tensor(
        RNG.integers(0, 4, 16)
    )


def steps(n, look):
    model, params = network()
    optimizer = face.Adam(params)
    x, y = batch()

    def run():
        for _ in range(n):
            loss = face.cross_entropy(model(x), y)
            if look:
                loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


@pytest.mark.parametrize("look", [False, True])
def test_training_leaves_nothing_behind(look, no_collector):
    run = steps(20, look)
    run()
    run()
    gc.collect()  # compiling leaves cycles behind; running must not
    states = State.count
    before = len(gc.get_objects())
    run()
    run()
    assert State.count == states
    assert len(gc.get_objects()) - before < 50
    assert gc.collect() == 0


def test_residuals_die_with_backward(no_collector):
    model, _ = network()
    loss = face.cross_entropy(model(batch()[0]), batch()[1])
    loss.item()
    record = loss.st.hist[0]
    assert record.saved
    loss.backward()
    assert record.saved is None and record.leaves == ()


def test_residuals_die_with_the_last_handle(no_collector):
    model, _ = network()
    loss = face.cross_entropy(model(batch()[0]), batch()[1])
    loss.item()
    record = weakref.ref(loss.st.hist[0])
    del loss
    assert record() is None


def test_a_result_is_not_held_by_its_record(no_collector):
    p = face.tensor(np.ones(3), requires_grad=True)
    y = (p * p).exp()
    y.tolist()
    st = weakref.ref(y.st)
    del y
    assert st() is None


def test_a_written_leaf_is_not_held_by_its_record(no_collector):
    p = face.tensor(np.ones(2), requires_grad=True)
    b = face.tensor(np.zeros(3))
    b[:2] = p * 3
    b.tolist()
    st = weakref.ref(b.st)
    del b
    assert st() is None


def test_dead_values_are_not_computed():
    x = face.tensor(np.ones(3))
    a = x * 2.0
    st = weakref.ref(a.st)
    del a
    b = x + 1.0
    core.flush()
    assert st() is None
    assert b.tolist() == [2.0] * 3


def test_refcount_baselines():
    assert UNHELD >= 2 and UNSHARED >= 1
    x = face.tensor(np.zeros(3))
    y = x * 1.0
    made = LOCAL.tape.made
    from gemel.tensor.storage import held

    assert held(made) == (0,)
    del y
    assert held(made) == ()


def test_an_older_value_survives_the_step():
    """Parameters are overwritten in place only when nobody holds their buffer."""
    model, params = network()
    optimizer = face.SGD(params, 0.5)
    x, y = batch()
    old = core.array_of(params[0])
    expected = old.copy()
    copy = params[0].detach().clone()
    face.cross_entropy(model(x), y).backward()
    optimizer.step()
    assert np.array_equal(old, expected)
    assert np.array_equal(copy.tolist(), expected)
    assert not np.array_equal(core.array_of(params[0]), expected)


@pytest.mark.parametrize(
    "turn, model",
    [
        (lambda a: a * 1.0001, lambda a: a * np.float32(1.0001)),
        (
            lambda a: ((a * 1.5 + 1.0).tanh() * a - (a * 0.5)).relu(),
            lambda a: np.maximum(np.tanh(a * 1.5 + 1) * a - a * 0.5, 0),
        ),
    ],
)
def test_a_loop_that_never_looks(turn, model):
    a = face.tensor(np.ones(4))
    n = np.ones(4)
    states = State.count
    for _ in range(5000):
        a = turn(a)
        n = model(n)
    assert np.allclose(a.tolist(), n, rtol=1e-2)
    assert State.count - states < 3000


def test_unobserved_inference_is_bounded():
    model, _ = network()
    xs = [batch()[0] for _ in range(300)]
    with core.no_grad():
        out = [model(x) for x in xs]
        again = model(xs[299])
    assert LOCAL.tape.state.ops < 1100
    assert np.allclose(out[299].tolist(), again.tolist(), atol=1e-6)


def test_a_snapshot_is_taken_only_while_the_array_lives():
    a = np.ones(4, "f4")
    x = face.from_numpy(a)
    y = x * 2.0
    assert LOCAL.tape.leaves[0] is not x.st
    assert y.tolist() == [2.0] * 4
    del a
    y = x * 2.0
    assert LOCAL.tape.leaves[0] is x.st and not x.st.exported
    assert y.tolist() == [2.0] * 4
