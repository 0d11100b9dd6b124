"""A loop that never looks runs piece by piece when what waits fills its share of memory."""

from __future__ import annotations

import gc

import pytest

import gemel.torch as torch
from gemel.runtime import buffer, needs
from gemel.tensor import overflow, state
from gemel.tensor import plan as plans
from gemel.tensor.tape import LOCAL

ROWS = 256  # times 64 floats: 64 KiB
LIMIT = 1 << 20


@pytest.fixture
def limited(monkeypatch):
    LOCAL.tape.reset()
    state.drop_trie()
    for module in (state, overflow):
        monkeypatch.setattr(module, "waiting_limit", lambda: LIMIT)
    yield
    LOCAL.tape.reset()
    state.drop_trie()


def most_of(run):
    """(what it returns, bytes that were given out at most, programs that it made)"""
    gc.collect()
    buffer.release_pool()
    buffer.most_given_bytes(forget=True)
    before, programs = buffer.given_bytes(), plans.program_count()
    found = run()
    return found, buffer.most_given_bytes() - before, plans.program_count() - programs


def batches(turns):
    """Each input is given up by the loop, and held by nobody but what waits."""
    w = torch.full((64, 8), 0.01)
    w.tolist()

    def run():
        total = torch.zeros(())
        for k in range(turns):
            x = torch.tensor([[float(k)] * 64] * ROWS)
            total = total + (x @ w).tanh().mean()
        return total

    return run


def test_inputs_that_wait_are_bounded(limited):
    run = batches(40)
    first = run().item()
    again, most, programs = most_of(run)
    assert again.item() == first
    assert most < 2 * LIMIT  # all of them are 2.5 times as much
    assert programs == 0  # the pieces are alike


def test_without_a_limit_they_wait():
    LOCAL.tape.reset()
    _, most, _ = most_of(batches(40))
    assert most > 2 * LIMIT
    torch.zeros(1).item()


def test_results_that_somebody_holds_are_computed(limited):
    x = torch.ones(ROWS, 64)

    def run():
        return [x * k for k in range(60)]

    run()[59].tolist()
    held, _, programs = most_of(run)
    pending = [y for y in held if y.st.buf is None]
    assert 0 < len(held) - len(pending) and len(pending) * ROWS * 256 <= 2 * LIMIT
    assert programs <= 1
    assert [y[0, 0].item() for y in held] == list(range(60))


def test_values_that_nobody_holds_do_not_wait(limited):
    """Large on the way, but never in memory at the same time: one program, as ever."""
    x = torch.ones(ROWS, 64)
    x.tolist()
    for _ in range(100):
        x = x * 1.01
    assert LOCAL.tape.state.ops == 100 and LOCAL.tape.state.nbytes > 4 * LIMIT
    assert x[0, 0].item() == pytest.approx(1.01**100, rel=1e-4)


def test_a_loop_with_gradients(limited):
    p = torch.full((64,), 0.5, requires_grad=True)

    def run():
        seen = [(torch.tensor([[float(k)] * 64] * ROWS) * p) for k in range(40)]
        total = sum(y.mean() for y in seen)
        p.grad = None
        total.backward()
        return total.item(), p.grad.tolist()

    total, gradient = run()
    assert total == pytest.approx(0.5 * sum(range(40)))
    assert gradient == pytest.approx([sum(range(40)) / 64] * 64)
    assert run() == (total, gradient)


def test_a_step_without_a_period_is_one_program(limited):
    """What is larger than the share, but no loop, runs when it is looked at."""
    x = torch.ones(ROWS, 64)
    a, b, c = x + 1, x.exp(), x.sin()
    y = [a * b, b * c, c / a, (a @ b.T)[:, :64], torch.relu(c)]
    assert LOCAL.tape.state.load < 2 * state.LEVEL
    assert y[0].st.buf is None


def test_the_share_is_a_setting(monkeypatch):
    monkeypatch.setenv("GEMEL_WAITING_LIMIT", "5000000")
    assert needs.waiting_share() == 5_000_000
    monkeypatch.delenv("GEMEL_WAITING_LIMIT")
    monkeypatch.setenv("GEMEL_MEMORY_LIMIT", "4000")
    assert needs.waiting_share() == 1000
    monkeypatch.delenv("GEMEL_MEMORY_LIMIT")
    assert needs.waiting_share() == needs.total_bytes() // 4
    monkeypatch.setenv("GEMEL_WAITING_LIMIT", "some")
    with pytest.raises(ValueError, match="GEMEL_WAITING_LIMIT must be a number of bytes"):
        needs.waiting_share()
