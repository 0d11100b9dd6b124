"""Ctrl-C: what ran is stored, what did not run stays pending, and the next call goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import numpy as np
import pytest

import gemel.keras as keras
import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime import interrupts
from gemel.runtime.program import Program
from gemel.tensor import plan as plans
from gemel.tensor import record as recording
from gemel.tensor.errors import TensorError
from gemel.tensor.quick import Quick
from gemel.tensor.state import drop_trie
from gemel.tensor.tape import LOCAL
from gemel.tensor.ways import forget_ways
from gemel.torch import nn

native = pytest.mark.skipif(default_device() != "cpu", reason="about native programs")


@pytest.fixture(autouse=True)
def ctrl_c():
    """The handler that a shell's foreground program has."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def come():
    """Ctrl-C while native code runs: the interpreter hears of it right after."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def in_programs(monkeypatch):
    """A list: for each True that is taken from its end, Ctrl-C comes in the next program."""
    wanted: list[bool] = []
    usual = Program.__call__

    def called(self, buffers, scalars):
        out = usual(self, buffers, scalars)
        if wanted and wanted.pop():
            come()
        return out

    monkeypatch.setattr(Program, "__call__", called)
    return wanted


def stepper(rows, width=8):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    x, y = torch.randn(rows, 6), torch.arange(rows) % 3
    x.tolist(), y.tolist()

    def step():
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def weights(model):
    return [p.tolist() for p in model.parameters()]


def test_what_comes_in_between_is_handled_after():
    handler = interrupts.hold()
    assert interrupts.hold() is None
    come()
    come()
    with pytest.raises(KeyboardInterrupt):
        interrupts.release(handler)
    interrupts.release(interrupts.hold())


def test_other_threads_put_nothing_off():
    found = []
    thread = threading.Thread(target=lambda: found.append(interrupts.hold()))
    thread.start()
    thread.join()
    assert found == [None]


@native
def test_a_step_is_done_whole(in_programs):
    model, step = stepper(5)
    want, other = stepper(5)
    model[0].weight.tolist()
    in_programs.append(True)
    with pytest.raises(KeyboardInterrupt):
        step()
    other()
    assert weights(model) == weights(want)
    assert step().item() == pytest.approx(other().item(), rel=1e-5)


@native
def test_a_quick_run_is_done_once(monkeypatch):
    """In place, with results beside it: what was written is written once."""
    count, x = torch.zeros(3), torch.ones(3)
    for _ in range(5):
        y = count.add_(1) * x
        y.tolist()
    usual, runs = Quick.run, []

    def interrupted(self, tape):
        done = usual(self, tape)
        runs.append(done)
        come()
        return done

    monkeypatch.setattr(Quick, "run", interrupted)
    y = count.add_(1) * x
    with pytest.raises(KeyboardInterrupt):
        y.tolist()
    monkeypatch.undo()
    assert runs == [True]
    assert count.tolist() == y.tolist() == [6, 6, 6]
    assert (count.add_(1) * x).tolist() == [7, 7, 7]


@native
def test_a_compiled_step_is_done_whole(in_programs):
    model, step = stepper(7)
    want, other = stepper(7)
    compiled = torch.compile(step)
    weights(model)
    in_programs.append(True)
    with pytest.raises(KeyboardInterrupt):
        compiled()
    other()
    assert weights(model) == weights(want)
    assert compiled().item() == pytest.approx(other().item(), rel=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_while_compiling_leaves_it_pending(monkeypatch, count):
    forget_ways()  # those of other sizes would do
    usual = plans.compile_graph

    def interrupted(*arguments):
        nonlocal count
        if count:
            count -= 1
            come()
        return usual(*arguments)

    model, step = stepper(4, 10 + count)
    want, other = stepper(4, 10 + count)
    monkeypatch.setattr(plans, "compile_graph", interrupted)
    for _ in range(count):
        with pytest.raises(KeyboardInterrupt):
            step() if not LOCAL.tape.state.ops else model[0].weight.tolist()
    assert not LOCAL.tape.busy and LOCAL.tape.state.ops
    monkeypatch.undo()
    other()
    assert weights(model) == weights(want)
    assert step().item() == pytest.approx(other().item(), rel=1e-6)


@native
def test_fit_ends_between_steps():
    """Whatever is interrupted: parameters and the optimizer are those of a number of steps."""
    x = np.random.default_rng(0).normal(size=(256, 5)).astype("f4")

    def trained(steps, stop=None):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
        model.compile(optimizer="adam", loss="mse")
        timer = threading.Timer(stop or 0, os.kill, (os.getpid(), signal.SIGINT))
        model.train_on_batch(x[:8], x[:8, :1])
        try:
            for k in range(10**6 if stop else steps):
                model.fit(x[:8], x[:8, :1], batch_size=8, epochs=20 if stop else 1, verbose=0)
                if stop and not k:
                    timer.start()
        except KeyboardInterrupt:
            timer.join()
        return model

    model = trained(0, stop=0.1)
    steps = int(model.optimizer.iterations.numpy()) - 1
    assert steps > 0
    want = trained(steps)
    for mine, theirs in zip(model.get_weights(), want.get_weights(), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("again", [False, True])
def test_in_the_middle_of_a_record(again, monkeypatch):
    """At each line in turn: what comes after is right, or is refused."""
    monkeypatch.setattr(recording, "RECORD", [])  # what built-in functions record is whole
    x = torch.tensor([1.0, 2.0])
    x.tolist()
    outcomes = set()
    for line in range(80):
        if not again:
            drop_trie()
        first = x * 2.0
        with interrupted_at(line) as came:
            _ = 5.0 * x + x
        last = x * 3.0
        try:
            assert (first.tolist(), last.tolist()) == ([2.0, 4.0], [3.0, 6.0])
            outcomes.add((came[0], "right"))
        except TensorError as error:
            assert "interrupt" in str(error)
            outcomes.add((came[0], "refused"))
        assert (x * 4.0).tolist() == [4.0, 8.0]
    assert outcomes >= {(True, "right"), (True, "refused"), (False, "right")}


@contextlib.contextmanager
def interrupted_at(line: int):
    """Ctrl-C at a line of what records, counted from here. Gives whether it came."""
    came = [False]
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename != recording.__file__:
            return trace if event == "call" else None
        if event == "line":
            left[0] -= 1
            if left[0] < 0 and not came[0]:
                came[0] = True
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield came
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
