"""Lifetime: nothing leaks, nothing is kept alive by cycles, loops that never look stay bounded."""

from __future__ import annotations

import gc
import weakref

import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.tensor import plan as plans
from gemel.tensor import tape as tapes
from gemel.tensor.state import State
from gemel.tensor.storage import UNHELD, UNSHARED, lent
from gemel.tensor.tape import LOCAL

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fresh_tape():
    LOCAL.tape.reset()
    LOCAL.tape.limit = tapes.EARLY
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()
    LOCAL.tape.limit = tapes.EARLY


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


def count_programs(loop, look):
    """Programs that a second half of a loop adds."""
    for k in range(20):
        loop(k)
    look()
    before = plans.program_count()
    for k in range(20, 60):
        loop(k)
    look()
    return plans.program_count() - before


def test_batches_cut_from_a_table():
    """Where a slice begins is in no key."""
    table = face.tensor(np.arange(600.0).reshape(60, 10))
    seen = []
    added = count_programs(lambda k: seen.append((table[k : k + 1] * 2.0).sum().item()), list)
    assert added == 0
    assert seen == [float(sum(2 * (10 * k + j) for j in range(10))) for k in range(60)]


def test_columns_of_a_table():
    table = face.tensor(np.arange(600.0).reshape(10, 60))
    seen = []
    added = count_programs(lambda k: seen.append((table[:, k] + 1.0).sum().item()), list)
    assert added == 0
    assert seen == [float(sum(60 * j + k + 1 for j in range(10))) for k in range(60)]


def test_single_values_are_read_without_a_program():
    table = face.tensor(np.arange(60.0)) * 1.0
    before = plans.program_count()
    assert [table[k].item() for k in range(60)] == list(map(float, range(60)))
    assert plans.program_count() - before <= 1


def test_numbers_written_one_by_one():
    out = face.full((60,), 0.0)
    out.tolist()
    other = out.clone()

    def write(k):
        out[k] = float(k)

    assert count_programs(write, list) == 0
    assert out.tolist() == list(map(float, range(60)))
    assert other.tolist() == [0.0] * 60


def test_known_values_written_one_by_one():
    out = face.full((60, 3), 0.0)
    out.tolist()
    table = face.tensor(np.arange(180.0).reshape(60, 3))
    before = plans.program_count()
    for k in range(1, 60):
        out[k] = table[k]
        out[k - 1] = out[k]
    assert plans.program_count() == before
    assert LOCAL.tape.idle
    expected = np.arange(180.0).reshape(60, 3)
    assert out.tolist() == [*expected[1:].tolist(), expected[59].tolist()]


def test_rows_written_one_by_one():
    out = face.full((60, 3), 0.0)
    x = face.tensor(np.ones(3))

    def write(k):
        out[k] = x * float(k)
        core.flush()

    assert count_programs(write, list) == 0
    assert out.tolist() == [[float(k)] * 3 for k in range(60)]


def test_blocks_written_one_by_one():
    """Two moving axes, read and written, with gradients."""
    p = face.tensor(np.ones((2, 2)), requires_grad=True)
    expected = np.zeros((2, 2))
    for k in range(6):
        out = face.full((8, 9), 1.0)
        out[k : k + 2, k + 1 : k + 3] = p * float(k)
        out[k : k + 2, k : k + 2].mul_(3.0)
        out.sum().backward()
        expected += [[3 * k, k], [3 * k, k]]
        block = np.ones((8, 9))
        block[k : k + 2, k + 1 : k + 3] = k
        block[k : k + 2, k : k + 2] *= 3
        assert np.array_equal(out.detach().tolist(), block)
    assert np.array_equal(p.grad.tolist(), expected)


def test_the_limit_is_back_after_a_look():
    a = face.tensor(np.ones(4))
    for _ in range(400):
        a = a * 1.0
    assert LOCAL.tape.limit < tapes.EARLY
    a.tolist()
    assert LOCAL.tape.limit == tapes.EARLY


def test_a_deep_network_is_not_cut():
    w = face.parameter(np.full((4, 4), 0.1))
    x = face.tensor(np.ones((2, 4)))
    for _ in range(150):
        x = (x @ w).tanh()
    assert LOCAL.tape.state.ops == 300


def test_a_snapshot_is_taken_only_while_the_array_lives():
    a = np.ones(4, "f4")
    x = face.from_numpy(a)
    y = x * 2.0
    assert LOCAL.tape.leaves[0] is not x.st
    assert y.tolist() == [2.0] * 4
    del a
    assert not lent(x.st) and not x.st.exported and x.st.twin is None
    y = x * 2.0
    assert LOCAL.tape.leaves[0] is x.st
    assert y.tolist() == [2.0] * 4
