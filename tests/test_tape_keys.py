"""The key of a program: what must differ, and what must not."""

from __future__ import annotations

import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.tensor import plan as plans
from gemel.tensor import state as states
from gemel.tensor.tape import LOCAL


@pytest.fixture(autouse=True)
def fresh_tape():
    LOCAL.tape.reset()
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()


def way(f):
    """The state at which the tape stands after f()."""
    LOCAL.tape.reset()
    kept = f()
    found = LOCAL.tape.state
    del kept
    LOCAL.tape.reset()
    return found


def T(*shape):
    return face.tensor(np.ones(shape, "f4"))


X, Y, Z = T(3), T(3), T(3)
W, W2 = T(3).requires_grad_(), T(3).requires_grad_()
INTS, B = face.tensor(np.array([1, 2])), face.tensor(np.array([True, False]))
NOISE = face.Noise()


def quiet(f):
    with core.no_grad():
        return f()


def noisy(x):
    return x * NOISE(3)


def back(f, **options):
    loss = f()
    loss.backward(**options)
    W.grad = W2.grad = None


DIFFERENT = {
    "one value twice or two values": (lambda: X * X, lambda: X * Y),
    "identity of leaves across calls": (
        lambda: (X * Y) + (X * Z),
        lambda: (X * Y) + (Y * Z),
    ),
    "order of operands": (lambda: (X + Y) - X, lambda: X - (X + Y)),
    "shape": (lambda: X * X, lambda: (lambda q: q * q)(T(4))),
    "element type": (lambda: X * X, lambda: INTS * INTS),
    "history": (lambda: X * X, lambda: W * W),
    "which operand has a history": (lambda: X * W, lambda: W * X),
    "operation": (lambda: X * Y, lambda: X + Y),
    "type of a number": (lambda: X * 2.0, lambda: X * 2),
    "True and 1": (lambda: core.record2(face.EQ, B, True), lambda: core.record2(face.EQ, B, 1)),
    "side of a number": (lambda: X - 2.0, lambda: 2.0 - X),
    "static exponent": (lambda: X**2, lambda: X**3),
    "exponents 2 and 2.0": (lambda: INTS**2, lambda: INTS**2.0),
    "axis": (lambda: T(2, 2).sum(0), lambda: T(2, 2).sum(1)),
    "one noise twice or two noises": (
        lambda: (lambda d: d + d)(noisy(X)),
        lambda: noisy(X) + noisy(X),
    ),
    "no_grad": (lambda: W * W, lambda: quiet(lambda: W * W)),
    "view": (lambda: (X * 2.0)[1:] * 1.0, lambda: (X * 2.0)[:2] * 1.0),
    "write through a view": (
        lambda: (lambda q: q[1:].add_(1.0))(T(3)),
        lambda: (lambda q: q[:2].add_(1.0))(T(3)),
    ),
    "write and .data write": (lambda: T(3).add_(1.0), lambda: T(3).data.add_(1.0)),
    "root of the gradient": (
        lambda: back(lambda: (W * W2).sum() * 2.0),
        lambda: back(lambda: ((W * W2).sum() * 2.0, (W * W2).sum())[1]),
    ),
    "retain_graph": (
        lambda: back(lambda: (W * W).sum()),
        lambda: back(lambda: (W * W).sum(), retain_graph=True),
    ),
}
SAME = {
    "piece of a table": (lambda: X[1:] * 1.0, lambda: X[:2] * 1.0),
    "other buffers": (lambda: X * Y, lambda: Y * X),
    "one value twice": (lambda: X * X, lambda: Z * Z),
    "value of a number": (lambda: X * 2.0, lambda: X * 3.5),
    "nan and infinity": (lambda: X * float("nan"), lambda: X * float("inf")),
    "zero and minus zero": (lambda: X * 0.0, lambda: X * -0.0),
    "noise": (lambda: noisy(X), lambda: noisy(X)),
    "an empty no_grad block": (lambda: X * X, lambda: (quiet(lambda: None), X * X)[1]),
    "fill": (lambda: face.full((3,), 1.0), lambda: face.full((3,), 2.0)),
    "a class of the face": (lambda: W * W, lambda: (lambda p: p * p)(face.parameter(np.ones(3)))),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name):
    one, other = DIFFERENT[name]
    assert way(one) is not way(other)


@pytest.mark.parametrize("name", SAME)
def test_same(name):
    one, other = SAME[name]
    assert way(one) is way(other)


def test_result_types_follow_the_exponent():
    assert (INTS**2).dtype.name == "int64"
    assert (INTS**2.0).dtype.name == "float32"


def test_noise_is_drawn_anew():
    assert noisy(X).tolist() != noisy(X).tolist()
    d = noisy(X)
    assert np.allclose((d + d).tolist(), (d * 2.0).tolist())


def test_held_values_are_the_second_half_of_the_key():
    states.drop_trie()  # or the second way may be known already
    a = X * 2.0
    b = a + 1.0
    at = LOCAL.tape.state
    core.flush()
    count = len(at.plans)
    a = X * 2.0
    b = a + 1.0
    a = None
    core.flush()
    assert len(at.plans) > count
    assert b.tolist() == [3.0] * 3


def test_ways_with_one_graph_share_a_program():
    def first():
        a = X * 7.0
        _ = X + 100.0  # dead
        return a + Y

    def second():
        return X * 7.0 + Y

    first().tolist()
    count = plans.program_count()
    second().tolist()
    assert plans.program_count() == count


def test_a_dropped_trie_compiles_nothing_again():
    def step():
        return (X * 3.0 + Y).tanh().tolist()

    expected = step()
    count = plans.program_count()
    states.drop_trie()
    LOCAL.tape.reset()
    assert step() == expected
    assert plans.program_count() == count


def test_the_trie_is_bounded(monkeypatch):
    from gemel.tensor import tape as tapes

    monkeypatch.setattr(tapes, "STATE_LIMIT", states.State.count + 50)
    for n in range(3, 40):
        assert (T(n) * 2.0).tolist() == [2.0] * n
    assert states.State.count < 200


def _random_step(rng, values, expected):
    i, j = rng.integers(0, len(values), 2)
    c = float(rng.uniform(0.5, 2))
    kind = rng.integers(0, 7)
    if kind == 0:
        values.append(values[i] + values[j])
        expected.append(expected[i] + expected[j])
    elif kind == 1:
        values.append(values[i] * values[j])
        expected.append(expected[i] * expected[j])
    elif kind == 2:
        values.append(c - values[i])
        expected.append(c - expected[i])
    elif kind == 3:
        values[i].mul_(c)
        expected[i] = expected[i] * c
    elif kind == 4:
        values[i][1:].add_(values[j][:2])
        fresh = expected[i].copy()
        fresh[1:] += expected[j][:2]
        expected[i] = fresh
    elif kind == 5:
        values.append(values[i].tanh())
        expected.append(np.tanh(expected[i]))
    else:
        values[i].copy_(values[j])
        expected[i] = expected[j].copy()


@pytest.mark.parametrize("block", range(4))
def test_random_programs(block):
    """Views, writes, dead values and flushes anywhere, against a model in double precision."""
    rng = np.random.default_rng(block)
    start = [rng.uniform(0.5, 1.5, 3).astype("f4") for _ in range(3)]
    for _ in range(100):
        LOCAL.tape.reset()
        values = [face.tensor(a) for a in start]
        expected = [a.astype("f8") for a in start]
        for _ in range(rng.integers(1, 9)):
            _random_step(rng, values, expected)
            if rng.random() < 0.1:
                core.flush()
            if rng.random() < 0.2 and len(values) > 3:
                k = rng.integers(3, len(values))
                del values[k], expected[k]
        for t, a in zip(values, expected, strict=True):
            assert np.allclose(t.tolist(), a, rtol=1e-4, atol=1e-5)
