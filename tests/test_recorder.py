"""Calls recorded by the built-in function are those that are recorded in Python."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime.builtins.instances import counts_are_words
from gemel.tensor import recorder
from gemel.tensor.tape import LOCAL, SEVERAL
from gemel.torch import nn
from gemel.torch.nn import functional as F

built_in = pytest.mark.skipif(not counts_are_words(), reason="this interpreter has no such calls")


@pytest.fixture(autouse=True)
def one_thread():
    """As in a process that had no second thread yet: other tests of this process may have."""
    before = SEVERAL[:]
    SEVERAL.clear()
    yield
    SEVERAL[:] = before + SEVERAL


COUNTED = recorder.RECORD, recorder.WRITTEN, recorder.LOOKED, recorder.RECORD_MANY, recorder.DRAWN


def _without_any():
    for place in recorder.PLACES:
        place.clear()
    recorder._asked.clear()


@pytest.fixture(autouse=True)
def restored():
    before = [place[:] for place in recorder.PLACES]
    yield
    for place, functions in zip(recorder.PLACES, before, strict=True):
        place[:] = functions


def _both(scenario):
    """What the scenario gives in Python alone, and with the built-in functions; their uses, of
    each kind of function."""
    _without_any()
    plain = [scenario(i) for i in range(4)]
    recorder.prepare()
    assert recorder.RECORD
    used = {}
    for place in COUNTED:
        used[id(place)] = found = []
        place[:] = [_counted(place[0], found)]
    assert [scenario(i) for i in range(4)] == plain
    return [used[id(place)] for place in COUNTED]


def _counted(function, found):
    def counted(*arguments):
        out = function(*arguments)
        found.append(out is not None)
        return out

    return counted


def _weights(i):
    torch.manual_seed(i)
    return nn.Parameter(torch.randn(3, 3)), nn.Parameter(torch.randn(3))


X = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0]])


def _training(i):
    w, b = _weights(i)
    loss = F.cross_entropy(F.relu(F.linear(X, w, b)), torch.tensor([0, 2]))
    loss.backward()
    return loss.item(), w.grad.tolist(), b.grad.tolist(), loss.requires_grad


def _tied(i):
    w, b = _weights(i)
    loss = (F.linear(F.linear(X, w, b), w, b) @ w).sum()
    loss.backward()
    return loss.item(), w.grad.tolist(), b.grad.tolist()


def _without_gradients(i):
    w, b = _weights(i)
    with torch.no_grad():
        y = torch.tanh(F.linear(X, w, b))
    return y.tolist(), y.requires_grad, torch.tanh(y).requires_grad


def _views(i):
    w, b = _weights(i)
    y = torch.relu(w[1:]) @ w.t() + b[:2].detach().view(2, 1)
    y.sum().backward()
    return y.tolist(), w.grad.tolist(), b.grad


def _writes(i):
    a = X.clone()
    b = torch.exp(a)
    a.add_(b)
    c = torch.exp(a) + b
    return c.tolist(), a.tolist(), a._version


def _shared_with_an_array(i):
    a = X.clone()
    array = a.numpy()
    b = torch.exp(a)
    array[0, 0] = i
    return b.tolist(), torch.exp(a).tolist()


def _accumulated(i):
    w, b = _weights(i)
    b.tolist()
    for k in range(3):
        F.linear(X, w, b).mean().backward()
        if k:
            b.grad = None
    return w.grad.tolist(), b.grad


def _hooked(i):
    w, b = _weights(i)
    w.tolist(), b.tolist()  # leaves are reached in the order of their reading: nothing is run first
    seen = []
    b.register_hook(lambda g: seen.append(w.grad is None) or g * 2)
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad is None))
    F.linear(X, w, b).mean().backward()
    return w.grad.tolist(), b.grad.tolist(), seen


def _history(i):
    w, b = _weights(i)
    y = torch.tanh(F.linear(X, w, b))
    y.tolist()
    z = torch.exp(y).sum()
    z.backward()
    return z.item(), w.grad.tolist()


def _numbers(i):
    return (X * i + 2 - X / 3.0).tolist(), torch.maximum(X, X * 0.5).tolist()


def _numbers_of_all_kinds(i):
    a = torch.arange(3)
    return ((a + i) * 2.5 + True).tolist(), (2 - a).tolist(), torch.clamp(a * 1.0, i, 2.0).tolist()


def _parameters_are_data(i):
    w, b = _weights(i)
    with torch.no_grad():
        y = F.linear(X, w, b) + F.linear(X, w, b)
        z = y @ w.t()[1:].t()
    seen = F.linear(X, w, b) + b
    seen.sum().backward()
    return z.tolist(), w.grad.tolist(), b.grad.tolist()


def _parts_of_what_is_computed(i):
    a, b, c = torch.exp(X.repeat(1, 2)).split(2, dim=1)
    y = a.view(1, 2, 2).transpose(1, 2) + b.t().reshape(1, -1, 2).permute(0, 2, 1)
    return y.tolist(), (c.unsqueeze(0).expand(2, -1, -1) * 2.0).sum(0).tolist()


def _parts_of_what_is_known(i):
    table = torch.arange(40.0).view(10, 4)
    rows = [(table[k : k + 3] * float(i)).sum().item() for k in range(5)]
    columns = [(table[:, k : k + 2] + 1.0).sum().item() for k in range(3)]
    return rows, columns


def _cache_written_at_positions(i):
    cache = torch.zeros(2, 6, 3)
    places = torch.arange(6)
    seen = []
    for k in range(6):
        row = torch.full((2, 1, 3), float(k + i)) * 2.0
        cache.index_copy_(1, torch.tensor([k]), row)
        cache[:, k] += 1.0
        cache[:, k, 1:] = row[:, 0, 1:]
        seen.append((cache * (places <= k).view(1, -1, 1)).sum().item())
    return seen, cache.tolist(), cache._version


def _written_through_views(i):
    a = torch.exp(X)
    b = a.t()
    b.mul_(2.0)
    a[0].add_(1)
    c = b.clone()
    a.zero_()
    return a.tolist(), b.tolist(), c.tolist(), a._version


def _views_with_gradients(i):
    w, b = _weights(i)
    x = (X @ w).transpose(0, 1)
    with torch.no_grad():
        cut = (X @ w).transpose(0, 1)
        y = w.transpose(0, 1)
    (x.sum() * 2.0 + w.transpose(0, 1).sum()).backward()
    return w.grad.tolist(), cut.requires_grad, y.requires_grad, x._base is not None


def _detached_views(i):
    w, b = _weights(i)
    y = torch.tanh(X @ w)
    y.tolist()
    with torch.no_grad():
        flat = y.view(-1)
    (y.view(-1) * 2.0).sum().backward()
    return flat.requires_grad, flat.detach().view(3, 2).tolist(), w.grad.tolist()


def _pieces_of_known_memory(i):
    table = torch.arange(12.0).view(4, 3)
    table.tolist()
    rows = [(X[:, :2] * table[k % 4, :2] + table[k - 2][1:]).tolist() for k in range(3)]
    first, twice = table[1], (table[1] + table[1]) * 2.0
    table[1] += 1.0
    return rows, (first * 2.0 + table[1]).tolist(), twice.tolist(), table[1:3].detach().tolist()


def _pieces_of_shared_memory(i):
    table = torch.arange(12.0).view(4, 3)
    array = table.numpy()
    row = table[2]
    doubled = row * 2.0
    array[2] = i
    return doubled.tolist(), (row * 2.0).tolist()


def _views_of_all_of_it(i):
    w, b = _weights(i)
    y = X[:2] * w[:2] + torch.tanh(w)[:][:2].detach()
    y.sum().backward()
    return y.tolist(), w.grad.tolist(), X[:2].detach().requires_grad


def _indexed_again(i):
    rows = [X[k].tolist() for k in (0, 1, -1, -2)]
    return rows, X[True].tolist(), X[0]._base is X, X[1].requires_grad, _weights(i)[0][1].is_leaf


def _several_results(i):
    w, b = _weights(i)
    mean, variance = torch.zeros(3), torch.ones(3)
    y = F.batch_norm(X @ w, mean, variance, b, training=True)
    largest, place = torch.sort(y, 1)
    y.exp().sum().backward()
    found = y, mean, variance, largest, place, *torch.var_mean(X, 0), w.grad, b.grad
    return [t.tolist() for t in found]


def _drawn(i):
    torch.manual_seed(i)
    odd = torch.randn(3), torch.empty(5).normal_(1.0, i + 1.0), torch.randn(20)
    noise = F.dropout(X, 0.5), torch.rand(2, 3) * i, torch.bernoulli(torch.full((4,), 0.5))
    whole = torch.randint(0, 10 + i, (4,)), torch.randperm(6), torch.multinomial(X.exp(), 2)
    own = torch.rand(2, generator=torch.Generator().manual_seed(i))
    state = torch.get_rng_state()
    return [t.tolist() for t in (*odd, *noise, *whole, own, state, torch.rand(1))]


def _drawn_in_a_turn(i):
    torch.manual_seed(i)
    x = X
    for _ in range(3):
        x = F.dropout(x + torch.rand(2, 3), 0.25)
    return x.tolist(), torch.get_rng_state().tolist()


def _refused(i):
    w, b = _weights(i)
    found = []
    for wrong in (
        lambda: w.add_(1.0),
        lambda: X.transpose(0, 5),
        lambda: X.view(4, 4),
        lambda: X.expand(2, 3).add_(X.view(4, 4)),
        lambda: X.transpose(1.0, 0),
        lambda: torch.zeros(1, 3).expand(2, 3).add_(1.0),
    ):
        try:
            wrong()
        except (RuntimeError, IndexError, TypeError) as error:
            found.append(type(error).__name__)
    return found


def _attention(i):
    q, k = torch.tanh(X).view(1, 2, 1, 3), torch.exp(X).view(1, 2, 1, 3)
    mask = torch.arange(1) <= i
    return [
        F.scaled_dot_product_attention(q, k, k, scale=scale, attn_mask=m).tolist()
        for scale in (None, 1, 0.5)
        for m in (None, mask)
    ]


SCENARIOS = [
    _numbers_of_all_kinds, _parameters_are_data, _parts_of_what_is_computed,
    _parts_of_what_is_known, _cache_written_at_positions, _written_through_views,
    _pieces_of_known_memory, _pieces_of_shared_memory, _views_of_all_of_it, _indexed_again,
    _several_results, _drawn, _drawn_in_a_turn, _views_with_gradients, _detached_views, _refused,
    _attention, _training, _accumulated, _hooked, _tied, _without_gradients, _views, _writes,
    _shared_with_an_array, _history, _numbers,
]  # fmt: skip


@built_in
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__.strip("_"))
def test_both_ways_give_the_same(scenario):
    assert any(sum(_both(scenario), []))


@built_in
def test_a_turn_of_generation_is_recorded_without_python():
    weight, table = nn.Parameter(torch.ones(6, 3)), nn.Parameter(torch.ones(5, 3))
    cache = torch.zeros(1, 4, 3)
    weight.tolist(), table.tolist()

    def turn(i):
        with torch.no_grad():
            x = F.embedding(torch.tensor([[1]]), table)
            a, b = F.linear(F.layer_norm(x, (3,)), weight).split(3, dim=2)
            cache.index_copy_(1, torch.tensor([i]), a)
            y = F.scaled_dot_product_attention(b, cache, cache)
            return (y.transpose(1, 2) * 2.0 + 1.0).argmax(1).view(-1).tolist()

    turn(0), turn(0)
    used = _both(turn)
    assert all(map(all, used))
    assert list(map(len, used)) == [28, 4, 12, 0, 0]


@built_in
def test_rows_results_and_draws_are_recorded_without_python():
    table = torch.arange(12.0).view(4, 3)
    table.tolist()

    def turn(i):
        torch.manual_seed(i)
        y = F.dropout(X * table[2] + table[:2], 0.5) + torch.rand(2, 3)
        return F.batch_norm(y, None, None, training=True).tolist()

    turn(0), turn(0)
    recorded, written, looked, several, drawn = _both(turn)
    assert all(recorded + several + drawn)
    assert all(looked[1:])  # the first time, the row may be a new one
    assert (len(looked), len(several), len(drawn)) == (4, 4, 8)


@built_in
def test_a_known_piece_is_recorded_without_python():
    w, b = _weights(0)
    (w + b).tolist()

    def piece(i):
        w.grad = None
        loss = F.cross_entropy(F.relu(F.linear(X, w, b)), torch.tensor([0, 2]))
        loss.backward()
        return loss.item(), w.grad.tolist()

    assert all(_both(piece)[0])


@built_in
def test_a_class_of_a_user_stays_its_own():
    class Mine(torch.Tensor):
        pass

    _without_any()
    recorder.prepare()
    for _ in range(3):
        made = torch.relu(X.as_subclass(Mine)) if hasattr(X, "as_subclass") else torch.relu(X)
        assert type(made) is type(made).kin
        made.tolist()


@built_in
@pytest.mark.skipif(default_device() != "cpu", reason="prepared with the first quick program")
def test_it_is_there_once_a_program_has_run_often():
    _without_any()
    for _ in range(6):
        (torch.ones(5, 7) * 2.5).tolist()
    assert recorder.RECORD


@built_in
def test_a_loop_that_never_looks_runs_by_itself():
    _without_any()
    recorder.prepare()
    x = torch.zeros(3)
    one = torch.ones(3)
    for _ in range(2000):
        x = torch.add(x, one)
    assert len(LOCAL.tape.made) < 1500
    assert x.tolist() == [2000.0] * 3
