"""Many steps in one native call give what they give one by one, bit for bit."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import gemel
import gemel.tensorflow as tf
import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime import bulk as native_bulk
from gemel.runtime.machine import usable_cores
from gemel.torch import nn

STEPS, BATCH = 7, 4
native = pytest.mark.skipif(default_device() != "cpu", reason="counts native calls")


def batches():
    rng = np.random.RandomState(0)
    x = rng.randn(STEPS, BATCH, 6).astype("float32")
    return torch.from_numpy(x), torch.from_numpy(rng.randint(0, 3, (STEPS, BATCH)))


@pytest.fixture
def calls(monkeypatch):
    """How many runs each native call was asked for."""
    found = []
    run = native_bulk.Bulk.run

    def counted(self, first, last):
        found.append(last - first)
        run(self, first, last)

    monkeypatch.setattr(native_bulk.Bulk, "run", counted)
    return found


class Net(nn.Module):
    """Dropout draws, batch norm keeps averages, and the optimizer counts."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
        )

    def forward(self, x):
        return self.layers(x)


def prepared():
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

    def step(x, y):
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "logits": logits, "name": "step"}

    return model, optimizer, step


def state(model, optimizer):
    kept = [v.tolist() for v in model.state_dict().values()]
    kept += [p.grad.tolist() for p in model.parameters()]
    kept += [float(own["step"]) for own in optimizer.state.values()]
    kept += [own["exp_avg_sq"].tolist() for own in optimizer.state.values()]
    return kept, torch.rand(3).tolist()


def one_by_one():
    x, y = batches()
    model, optimizer, step = prepared()
    compiled = torch.compile(step)
    results = [compiled(x[k], y[k]) for k in range(STEPS)]
    losses = [r["loss"].item() for r in results]
    return losses, results[-1]["logits"].tolist(), state(model, optimizer)


@native
def test_steps_of_pytorch_agree(calls):
    losses, logits, after = one_by_one()
    x, y = batches()
    model, optimizer, step = prepared()
    found = gemel.compile(step, steps=STEPS)(x, y)
    assert calls and sum(calls) == STEPS
    assert found["loss"].tolist() == losses and found["name"] == "step"
    assert found["logits"].shape == (STEPS, BATCH, 3) and found["logits"][-1].tolist() == logits
    assert state(model, optimizer) == after


def test_rows_are_gathered():
    losses, _, after = one_by_one()
    x, y = batches()
    order = np.random.RandomState(1).permutation(STEPS * BATCH)
    places = np.argsort(order).reshape(STEPS, BATCH)
    model, optimizer, step = prepared()
    many = gemel.compile(step, steps=STEPS)
    found = many(x.reshape(-1, 6)[order], y.reshape(-1)[order], rows=places)
    assert found["loss"].tolist() == losses
    assert state(model, optimizer) == after


def test_calls_with_fewer_steps_and_other_sizes():
    losses, _, after = one_by_one()
    x, y = batches()
    model, optimizer, step = prepared()
    many = gemel.compile(steps=5)(step)
    found = [*many(x[:5], y[:5])["loss"].tolist(), *many(x[5:], y[5:])["loss"].tolist()]
    assert found == losses and state(model, optimizer) == after


def test_one_step_has_a_leading_axis_too():
    many = gemel.compile(lambda x: (x * 2.0, x.sum()), steps=3)
    for count in (3, 1):
        doubled, total = many(torch.ones(count, 2))
        assert doubled.tolist() == [[2.0, 2.0]] * count
        assert total.tolist() == [2.0] * count


def test_a_step_that_looks_at_values_runs_step_by_step():
    seen = []

    def step(x):
        seen.append(x.sum().item())
        return x * 2

    x = torch.arange(6.0).reshape(3, 2)
    assert gemel.compile(step, steps=3)(x).tolist() == (x * 2).tolist()
    assert seen == [1.0, 5.0, 9.0]


def test_a_parameter_that_an_array_shares_is_written_there():
    x, y = batches()
    model, _, step = prepared()
    shared = model.layers[0].weight.detach().numpy()
    before = shared.copy()
    gemel.compile(step, steps=STEPS)(x, y)
    assert not np.array_equal(before, shared)
    np.testing.assert_array_equal(shared, model.layers[0].weight.detach().numpy())


def test_values_that_change_places():
    first, second = torch.zeros(2), torch.ones(2)

    def step(x):
        kept = first.clone()
        first.copy_(second)
        second.copy_(kept + x)
        return first + 0

    def values(run):
        first.fill_(0.0)
        second.fill_(1.0)
        return run(), first.tolist(), second.tolist()

    x = torch.arange(10.0).reshape(5, 2)
    compiled = torch.compile(step)
    want = values(lambda: [compiled(row).tolist() for row in x])
    assert values(lambda: gemel.compile(step, steps=5)(x).tolist()) == want


def test_a_check_that_fails_leaves_the_steps_before_it():
    x, y = batches()
    y[4, 1] = 9
    model, optimizer, step = prepared()
    with pytest.raises(IndexError):
        gemel.compile(step, steps=STEPS)(x, y)
    found = model.layers[0].weight.tolist()
    model, optimizer, step = prepared()
    compiled = torch.compile(step)
    for k in range(4):
        compiled(x[k], y[k])
    assert model.layers[0].weight.tolist() == found


@native
def test_an_interrupt_comes_between_stretches(monkeypatch):
    from gemel.tensor import bulk

    monkeypatch.setattr(bulk, "_FIRST", 0.0)
    monkeypatch.setattr(bulk, "STRETCH", 0.0)
    run = native_bulk.Bulk.run
    done = []

    def interrupted(self, first, last):
        run(self, first, last)
        done.append(last)
        if last == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(native_bulk.Bulk, "run", interrupted)
    x, y = batches()
    model, optimizer, step = prepared()
    with pytest.raises(KeyboardInterrupt):
        gemel.compile(step, steps=STEPS)(x, y)
    assert done == [1, 2, 3]
    assert float(optimizer.state[model.layers[0].weight]["step"]) == 3


@pytest.mark.skipif(default_device() != "cpu" or usable_cores() < 2, reason="needs a team")
def test_the_first_program_for_the_team_may_come_in_bulk():
    script = """
import gemel, gemel.torch as torch
torch.manual_seed(0)
x, w = torch.rand(3, 300, 400), torch.rand(400, 500)
found = gemel.compile(lambda part: (part @ w).relu(), steps=3)(x)
assert torch.equal(found, torch.stack([(part @ w).relu() for part in x]))
print("agrees")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "agrees\n", done.stderr


def test_steps_of_tensorflow_agree():
    def prepared():
        weight = tf.Variable([[0.5], [-0.25]])

        def step(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((x @ weight - y) ** 2)
            weight.assign_sub(0.1 * tape.gradient(loss, weight))
            return loss, {"weight": weight + 0.0}

        return weight, step

    rng = np.random.RandomState(0)
    x = tf.constant(rng.randn(STEPS, BATCH, 2), tf.float32)
    y = tf.constant(rng.randn(STEPS, BATCH, 1), tf.float32)
    weight, step = prepared()
    one = tf.function(step)
    want = [float(one(x[k], y[k])[0]) for k in range(STEPS)]
    final = weight.numpy().tolist()
    weight, step = prepared()
    losses, more = gemel.compile(step, steps=STEPS)(x, y)
    assert losses.numpy().tolist() == want
    assert weight.numpy().tolist() == final == more["weight"][-1].numpy().tolist()


def test_sizes_that_do_not_fit():
    many = gemel.compile(lambda x, y: x + y, steps=3)
    with pytest.raises(ValueError, match="compiled for 3"):
        many(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="one size"):
        many(torch.zeros(3, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="from 0 to 2"):
        many(torch.zeros(3, 2), torch.zeros(3, 2), rows=[[3]])
    with pytest.raises(ValueError, match="at least one tensor"):
        many(1, 2)
    with pytest.raises(ValueError, match="positive"):
        gemel.compile(abs, steps=0)


def test_items_are_made_ahead_in_order_and_not_too_many():
    from gemel.keras_backend.ahead import Ahead

    made, names = [], set()

    def items():
        for k in range(10):
            made.append(k)
            names.add(threading.current_thread().name)
            yield k

    rows = Ahead(items(), lambda k: k * k)
    rows.allow(4)
    assert [next(rows) for _ in range(4)] == [0, 1, 4, 9] and made == [0, 1, 2, 3]
    rows.allow(None)
    assert list(rows) == [16, 25, 36, 49, 64, 81] and names == {"gemel-ahead"}


def test_an_error_ahead_comes_where_its_item_would():
    from gemel.keras_backend.ahead import Ahead

    def items():
        yield 1
        raise OSError("gone")

    rows = Ahead(items(), lambda k: k)
    rows.allow(None)
    assert next(rows) == 1
    with pytest.raises(OSError, match="gone"):
        next(rows)
