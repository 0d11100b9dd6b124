"""Programs that fail when they run, and calls that fail when they are recorded."""

from __future__ import annotations

import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.graph.errors import Fault, ShapeError
from gemel.ops.elementwise import check_range
from gemel.ops.indexing import gather
from gemel.ops.record import Call
from gemel.tensor import errors
from gemel.tensor.tape import LOCAL

OUT = Fault(IndexError, "index {value} is out of range")
PICK = Call("pick", lambda attrs, x, i: gather(x, check_range(i, 0, x.shape[0], OUT), 0))


@pytest.fixture(autouse=True)
def fresh_tape():
    LOCAL.tape.reset()
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()


def tensors():
    return face.tensor(np.arange(3.0)), face.tensor(np.array([0, 7]))


def test_a_fault_is_raised_where_somebody_looks():
    x, index = tensors()
    y = core.record2(PICK, x, index)
    with pytest.raises(IndexError) as caught:
        y.tolist()
    assert "7" in str(caught.value)
    assert "test_tape_faults.py" in str(caught.value)


def test_what_follows_from_a_refused_value_remembers_the_fault():
    x, index = tensors()
    y = core.record2(PICK, x, index)
    z = y * 2.0
    with pytest.raises(IndexError):
        y.tolist()
    for _ in range(2):
        with pytest.raises(IndexError):
            z.tolist()
    with pytest.raises(IndexError):
        (z + 1.0).tolist()


def test_what_does_not_is_still_to_be_had():
    x, index = tensors()
    y = core.record2(PICK, x, index)
    z = x * 2.0
    with pytest.raises(IndexError):
        y.tolist()
    assert z.tolist() == [0.0, 2.0, 4.0]
    assert (z + 1.0).tolist() == [1.0, 3.0, 5.0]


def test_updates_that_do_not_follow_are_made_and_others_are_not():
    x, index = tensors()
    c = face.tensor(np.zeros(3))
    x.add_(100.0)
    y = core.record2(PICK, x, index)
    c.add_(1.0)
    x.mul_(y.sum())
    c.add_(1.0)
    with pytest.raises(IndexError):
        y.tolist()
    assert c.tolist() == [2.0] * 3
    assert x.tolist() == [0.0, 1.0, 2.0]  # all of its writes are one update


def test_later_writes_do_not_reach_what_was_set_aside():
    x, index = tensors()
    c = face.tensor(np.ones(3))
    y = core.record2(PICK, x, index)
    z, w = x * 2.0, c * 3.0
    with pytest.raises(IndexError):
        y.tolist()
    c.add_(1.0)
    x.add_(1.0)
    assert c.tolist() == [2.0] * 3
    assert x.tolist() == [1.0, 2.0, 3.0]
    assert z.tolist() == [0.0, 2.0, 4.0]
    assert w.tolist() == [3.0] * 3


def test_two_refused_values():
    x, index = tensors()
    c = face.tensor(np.ones(3))
    first = core.record2(PICK, x, index)
    second = core.record2(PICK, c * 2.0, index)
    both, none = first + second, c + x
    with pytest.raises(IndexError):
        first.tolist()
    assert none.tolist() == [1.0, 2.0, 3.0]
    for t in (second, both, first):
        with pytest.raises(IndexError):
            t.tolist()


def test_gradients_of_what_was_set_aside():
    p = face.tensor(np.arange(3.0), requires_grad=True)
    x, index = tensors()
    y = core.record2(PICK, x, index)
    z = (p * p).sum()
    with pytest.raises(IndexError):
        y.tolist()
    z.backward()
    assert p.grad.tolist() == [0.0, 2.0, 4.0]


def test_the_tape_goes_on_after_a_fault():
    p = face.tensor(np.arange(3.0), requires_grad=True)
    _, index = tensors()
    with pytest.raises(IndexError):
        core.record2(PICK, p * 2.0, index).tolist()
    (p * 3.0).sum().backward()
    assert p.grad.tolist() == [3.0] * 3


def test_a_failing_call_leaves_no_trace():
    x = face.tensor(np.ones(3))
    y = face.tensor(np.ones(4))
    state = LOCAL.tape.state
    scalars = len(LOCAL.tape.scalars)
    for _ in range(2):
        with pytest.raises(ShapeError):
            x + y
    with pytest.raises(errors.InPlaceShape):
        x.add_(face.tensor(np.ones((2, 3))))
    assert not LOCAL.tape.busy
    assert len(LOCAL.tape.scalars) == scalars
    assert (x + 1.0).tolist() == [2.0] * 3
    assert state is not None


def test_a_failing_backward_leaves_no_trace():
    p = face.tensor(np.ones(3), requires_grad=True)
    y = p.exp()
    z = y * y
    y.add_(1.0)
    for _ in range(2):
        with pytest.raises(errors.ModifiedInPlace):
            z.sum().backward()
    assert p.grad is None
    (p * 2.0).sum().backward()
    assert p.grad.tolist() == [2.0] * 3


def test_create_graph_through_changed_inputs_is_refused():
    p = face.tensor(np.ones(3), requires_grad=True)
    y = (p * p * p).sum()
    y.item()
    with core.no_grad():
        p.mul_(2.0)
    with pytest.raises((errors.HistoryChanged, errors.ModifiedInPlace)):
        core.grad([y], [p], create_graph=True)


def test_unused_inputs():
    p = face.tensor(np.ones(3), requires_grad=True)
    q = face.tensor(np.ones(3), requires_grad=True)
    with pytest.raises(errors.UnusedInput) as caught:
        core.grad([(p * 2.0).sum()], [p, q])
    assert caught.value.position == 1
    found = core.grad([(p * 2.0).sum()], [q, p], allow_unused=True)
    assert found[0] is None and found[1].tolist() == [2.0] * 3


def test_symbolic_operands_divert():
    seen = []

    class Symbol(core.Symbolic):
        __slots__ = ()

        @classmethod
        def divert(cls, call, operands, attrs):
            seen.append((call, len(operands), attrs))
            return "recorded"

    s = Symbol.of("anything")
    x = face.tensor(np.ones(3))
    assert core.record1(face.EXP, s) == "recorded"
    assert core.record2(face.ADD, x, s) == "recorded"
    assert core.record2(face.ADD, s, 2.0) == "recorded"
    assert core.record3(face.WHERE, x, s, x) == "recorded"
    assert core.record_n(face.NORM, face.Tensor, [x, s]) == "recorded"
    assert core.inplace(face.ADD, x, s) == "recorded"
    assert core.inplace(face.ADD, s, 1.0) == "recorded"
    assert len(seen) == 7
    assert not LOCAL.tape.busy
    assert (x + 1.0).tolist() == [2.0] * 3
