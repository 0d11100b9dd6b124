"""One tape per thread; values, leaves and parameters may go from one to another."""

from __future__ import annotations

import queue
import threading

import mini_face as face
import numpy as np
import pytest

import gemel.tensor as core
from gemel.tensor.tape import LOCAL, SEVERAL


@pytest.fixture(autouse=True)
def fresh_tape():
    LOCAL.tape.reset()
    yield
    core.set_grad_enabled(True)
    LOCAL.tape.reset()


def in_thread(f):
    """f() in a thread of its own; its result or its exception."""
    out = []

    def run():
        try:
            out.append(f())
        except BaseException as error:
            out.append(error)

    t = threading.Thread(target=run)
    t.start()
    t.join()
    if isinstance(out[0], BaseException):
        raise out[0]
    return out[0]


def test_a_pending_value_of_a_finished_thread():
    y = in_thread(lambda: face.tensor(np.ones(3)) * 2.0 + 1.0)
    assert y.st.buf is None
    assert (y + 1.0).tolist() == [4.0] * 3
    assert y.tolist() == [3.0] * 3


def test_a_pending_write_of_another_thread():
    x = face.tensor(np.ones(3))
    in_thread(lambda: x.add_(5.0))
    assert (x * 1.0).tolist() == [6.0] * 3


def test_a_producer_and_a_consumer():
    """The producer is alive and waits while its values are used."""
    box = queue.Queue(maxsize=2)

    def produce():
        for k in range(50):
            box.put(face.full((4,), float(k)) * 2.0)
        box.put(None)

    t = threading.Thread(target=produce)
    t.start()
    seen = []
    while (x := box.get()) is not None:
        seen.append((x + 1.0).sum().item())
    t.join()
    assert seen == [4 * (2.0 * k + 1) for k in range(50)]


def test_a_history_from_another_thread():
    p = face.tensor(np.full(3, 2.0), requires_grad=True)
    loss = in_thread(lambda: (p * p * p).sum())
    loss.backward()
    assert p.grad.tolist() == [12.0] * 3


def test_threads_read_the_same_parameters():
    """A loop that reads its weights again and again, while others do the same."""
    weight = face.parameter(np.full((4, 4), 0.1))
    x = face.tensor(np.ones((2, 4)))

    def run():
        h = x
        for _ in range(20):
            h = (h @ weight).tanh() + x
        return h.tolist()

    expected = run()
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(run() for _ in range(5))) for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 20
    assert all(np.allclose(f, expected) for f in found)


def test_grad_mode_is_per_thread():
    p = face.parameter(np.ones(3))
    with core.no_grad():
        assert in_thread(core.grad_enabled)
        y = in_thread(lambda: p * 2.0)
    assert y.requires_grad


def test_hogwild():
    """Several threads train one set of parameters; every update arrives whole."""
    p = face.parameter(np.zeros(8))

    def run():
        for _ in range(25):
            with core.no_grad():
                p.add_(1.0)
            core.flush()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    values = p.detach().tolist()
    assert len(set(values)) == 1
    assert 1 <= values[0] <= 75


def test_threads_that_only_make_tensors_leave_the_quick_ways_on():
    before = SEVERAL[:]
    SEVERAL.clear()
    try:
        made = [in_thread(lambda k=k: face.tensor(np.full(3, float(k))) * 2.0) for k in range(4)]
        assert [(m + 1.0).tolist()[0] for m in made] == [1.0, 3.0, 5.0, 7.0]
        assert not SEVERAL
    finally:
        SEVERAL[:] = before + SEVERAL


def test_what_two_threads_read_at_the_same_time_keeps_its_place_in_both():
    before = SEVERAL[:]
    SEVERAL.clear()
    try:
        p = face.tensor(np.full(3, 2.0), requires_grad=True)
        x = face.tensor(np.full(3, 5.0))
        one = p * x
        leaves = len(LOCAL.tape.leaves)
        loss = in_thread(lambda: (p * x * x).sum())
        two = one + p * x
        assert len(LOCAL.tape.leaves) == leaves  # neither was read a second time
        assert SEVERAL
        two.sum().backward()
        assert p.grad.tolist() == [10.0] * 3
        assert loss.item() == 150.0
    finally:
        SEVERAL[:] = before + SEVERAL
