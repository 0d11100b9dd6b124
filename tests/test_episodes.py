"""Loops that look at a value in every turn and go back through all turns at once: what they give,
and what they compile."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.tensor import plan, way_back
from gemel.tensor.plan import program_count
from gemel.tensor.quick import QuickWithHistory
from gemel.tensor.state import State
from gemel.torch import nn
from gemel.torch.distributions import Categorical

native = pytest.mark.skipif(
    default_device() != "cpu", reason="other devices have no quick way to take"
)


def policy(width=8):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def play(model, steps: int, start: float = 0.1) -> list:
    """The logarithms of the chances of the actions of one episode."""
    state, kept = [start, -0.2, 0.3, 0.05], []
    for k in range(steps):
        given = Categorical(torch.softmax(model(torch.tensor(state)), -1))
        action = given.sample()
        kept.append(given.log_prob(action))
        push = 0.1 if action.item() else -0.1
        state = [0.9 * state[0] + push, state[1] - push, state[2] * 0.8, 0.01 * k]
    return kept


def learn(model, optimizer, kept) -> float:
    weights = torch.linspace(-1.0, 1.0, len(kept))
    loss = torch.stack([-chance * w for chance, w in zip(kept, weights, strict=True)]).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def weights_of(model) -> list:
    return [p.detach().numpy().copy() for p in model.parameters()]


def test_each_piece_by_itself_gives_what_one_program_gives(monkeypatch):
    found = []
    for many in (way_back.MANY, 10**6):
        monkeypatch.setattr(sys.modules["gemel.tensor.backward"], "MANY", many)
        model, optimizer = policy()
        losses = [learn(model, optimizer, play(model, 9)) for _ in range(4)]
        found.append((losses, weights_of(model)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=2e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


def test_a_chain_of_looks_is_gone_back_piece_by_piece():
    """Each turn goes on from the value of the last one, which was looked at."""
    w = torch.tensor([0.9, 1.1], requires_grad=True)
    x = torch.tensor([1.0, 2.0])
    for _ in range(12):
        x = x * w
        x.sum().item()
    x.sum().backward()
    expected = 12 * np.array([0.9, 1.1]) ** 11 * [1.0, 2.0]
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-5)


def test_values_used_twice_get_both_gradients():
    w = torch.tensor(0.5, requires_grad=True)
    kept = []
    for k in range(8):
        y = w * float(k)
        y.item()
        kept += [y * 2.0, y * y]
        kept[-1].item()
    torch.stack(kept).sum().backward()
    k = np.arange(8.0)
    np.testing.assert_allclose(w.grad.item(), (2 * k + k * k).sum(), rtol=1e-6)


def test_hooks_see_the_whole_gradient():
    w = torch.tensor(2.0, requires_grad=True)
    seen = []
    w.register_hook(lambda g: seen.append(g.item()))
    kept = []
    for k in range(6):
        kept.append(w * float(k))
        kept[-1].item()
    torch.stack(kept).sum().backward()
    assert seen == [15.0]


def test_what_was_written_since_is_an_error():
    w = torch.ones(3, requires_grad=True)
    kept, rows = [], []
    for k in range(6):
        row = torch.full((3,), float(k))
        rows.append(row)
        kept.append((w * row).sum())
        kept[-1].item()
    rows[2].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.stack(kept).sum().backward()


def test_a_graph_that_is_kept_gives_its_gradients_again():
    w = torch.tensor(2.0, requires_grad=True)
    kept = []
    for k in range(6):
        kept.append(w * float(k))
        kept[-1].item()
    loss = torch.stack(kept).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert w.grad.item() == 30.0
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@native
def test_turns_take_the_quick_way(monkeypatch):
    model, optimizer = policy()
    for _ in range(3):
        learn(model, optimizer, play(model, 10))
    taken = []
    usual = QuickWithHistory.run

    def run(self, tape):
        taken.append(usual(self, tape))
        return taken[-1]

    monkeypatch.setattr(QuickWithHistory, "run", run)
    play(model, 10)
    assert taken == [True] * 10


def test_the_same_lengths_compile_nothing_and_add_no_state():
    model, optimizer = policy()
    for _ in range(3):
        learn(model, optimizer, play(model, 7))
    before = program_count(), State.count
    for _ in range(3):
        learn(model, optimizer, play(model, 7))
    assert (program_count(), State.count) == before


# ---------- episodes of different lengths ----------
def play_and_learn(model, optimizer, steps: int) -> float:
    kept = play(model, steps)
    loss = torch.stack([-chance * (0.5 - k / 20) for k, chance in enumerate(kept)]).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def test_another_length_compiles_only_what_has_its_size():
    """The sum over the episode; whatever works on single steps is there."""
    model, optimizer = policy(6)
    for steps in range(24, 40):
        play_and_learn(model, optimizer, steps)
    before = program_count()
    for steps in range(40, 56):
        play_and_learn(model, optimizer, steps)
    assert program_count() - before <= 16


@native
def test_two_values_of_each_turn_are_no_longer_piece():
    """An actor and its critic: both are read for the loss of a turn."""
    before = set(map(id, plan._programs.values()))
    torch.manual_seed(4)
    body, head, critic = nn.Linear(4, 7), nn.Linear(7, 2), nn.Linear(7, 1)

    def episode(steps):
        kept = []
        for k in range(steps):
            h = torch.tanh(body(torch.tensor([0.1 * k, -0.2, 0.3, 0.05])))
            chance = torch.log_softmax(head(h), -1)[k % 2]
            kept.append((chance, critic(h)[0]))
            chance.item()
        losses = [-chance * (0.5 - value.item()) + value**2 for chance, value in kept]
        torch.stack(losses).sum().backward()
        return body.weight.grad.sum().item()

    for steps in range(24, 40):
        episode(steps)
    new = [p for p in plan._programs.values() if id(p) not in before]
    assert new and max(len(p.facts["kernels"]) for p in new) <= 32


def test_sums_that_grow_turn_by_turn_are_bounded():
    model, optimizer = policy(5)

    def episode(steps):
        loss = 0.0
        for k, chance in enumerate(play(model, steps)):
            loss = loss - chance * (0.5 - k / 20)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    for steps in range(20, 37):
        episode(steps)
    before = program_count()
    for steps in range(37, 60):
        episode(steps)
    assert program_count() == before


def test_pieces_of_eight_turns_give_what_one_program_gives(monkeypatch):
    found = []
    for records in (8, 10**6):
        monkeypatch.setattr(sys.modules["gemel.tensor.read"], "RECORDS", records)
        monkeypatch.setattr(sys.modules["gemel.tensor.joint"], "LOOKED_AT", records)
        model, optimizer = policy()
        losses = [play_and_learn(model, optimizer, 21) for _ in range(3)]
        found.append((losses, weights_of(model)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=2e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


# ---------- values put side by side ----------
def looked_at(w, count: int, shape=()) -> list:
    kept = []
    for k in range(count):
        kept.append((w * float(k)).reshape(shape) if shape else w * float(k))
        kept[-1].sum().item()
    return kept


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("join", ["cat", "stack"])
def test_gradients_of_joined_values(join, axis):
    w = torch.ones(2, 3, requires_grad=True)
    whole = getattr(torch, join)(looked_at(w, 16), axis)
    shape = [2, 3]
    if join == "stack":
        shape.insert(axis if axis >= 0 else 2, 16)
    else:
        shape[axis] *= 16
    assert list(whole.shape) == shape and whole.requires_grad
    weights = np.arange(whole.numel(), dtype="f4").reshape(whole.shape)
    (whole * torch.tensor(weights)).sum().backward()
    parts = np.moveaxis(weights, axis if axis >= 0 else 2, 0) if join == "stack" else None
    if parts is None:
        parts = np.stack(np.split(weights, 16, axis))
    expected = (parts * np.arange(16.0).reshape(-1, 1, 1)).sum(0)
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-5)


def test_joined_values_have_their_place_in_the_history():
    w = torch.tensor(2.0, requires_grad=True)
    kept = looked_at(w, 16)
    whole = torch.stack(kept)
    assert whole.grad_fn.name() == "StackBackward0"
    assert len(whole.grad_fn.next_functions) == 16
    assert whole.grad_fn.next_functions[3][0].name() == "MulBackward0"
    seen = []
    whole.register_hook(lambda g: seen.append(g.tolist()) or g * 2.0)
    whole.sum().backward()
    assert seen == [[1.0] * 16]
    assert w.grad.item() == 240.0


def test_gradients_of_gradients_through_joined_values():
    w = torch.tensor(2.0, requires_grad=True)
    kept = []
    for k in range(16):
        kept.append(w * w * float(k))
        kept[-1].item()
    total = torch.stack(kept).sum()
    (first,) = torch.autograd.grad(total, w, create_graph=True)
    (second,) = torch.autograd.grad(first, w)
    assert (first.item(), second.item()) == (480.0, 240.0)


def test_gradients_asked_for_at_joined_values():
    w = torch.tensor(2.0, requires_grad=True)
    whole = torch.stack(looked_at(w, 16))
    (g,) = torch.autograd.grad((whole * whole).sum(), whole)
    np.testing.assert_allclose(g.numpy(), 4.0 * np.arange(16.0))


def test_joined_values_give_their_gradient_once():
    w = torch.tensor(2.0, requires_grad=True)
    whole = torch.stack(looked_at(w, 16))
    whole.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        whole.sum().backward()


def test_joining_does_not_hide_errors_of_shape():
    w = torch.ones(2, requires_grad=True)
    kept = looked_at(w, 16)
    with pytest.raises(IndexError):
        torch.stack(kept, 3)
    with pytest.raises(RuntimeError, match="equal size"):
        torch.stack([*kept, torch.ones(3)])


def test_without_gradients_nothing_is_left_behind():
    w = torch.tensor(2.0, requires_grad=True)
    kept = looked_at(w, 16)
    with torch.no_grad():
        assert not torch.stack(kept).requires_grad


def test_samples_of_a_replay_buffer_compile_nothing_anew():
    """Which samples are put together, how many, and which come twice, is in no program."""
    random = np.random.RandomState(0)
    seen = [torch.tensor([[float(k), -float(k)]]) for k in range(40)]
    total = nn.Linear(2, 1)

    def turn(count):
        chosen = [seen[k] for k in random.randint(0, 40, count)]
        states = torch.cat(chosen)
        assert states.st.buf is not None and states.tolist() == [row.tolist()[0] for row in chosen]
        assert torch.stack(chosen, 1).tolist() == [states.tolist()]
        return total(states).pow(2).mean().item()

    turn(32), turn(32)
    before = program_count()
    for _ in range(6):
        turn(32)
    assert program_count() == before


def test_known_values_that_are_written_later_stay_what_they_were():
    seen = [torch.full((2,), float(k)) for k in range(20)]
    torch.stack(seen).sum().item()
    together = torch.stack(seen)
    seen[3].add_(100.0)
    assert together[3].tolist() == [3.0, 3.0]
    assert torch.stack(seen)[3].tolist() == [103.0, 103.0]
    assert not together.requires_grad
    leaves = [torch.full((2,), float(k), requires_grad=True) for k in range(20)]
    torch.stack(leaves).sum().backward()
    assert all(leaf.grad.tolist() == [1.0, 1.0] for leaf in leaves)
