"""Calls of compiled functions that no Python serves: they are made, and give what others give."""

from __future__ import annotations

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.runtime.builtins import instances
from gemel.tensor.storage import Storage
from gemel.tensor.tape import SEVERAL
from gemel.torch import compiling

pytestmark = pytest.mark.skipif(
    default_device() == "reference" or not instances.containers_are_words(),
    reason="neither the reference device nor other interpreters have direct calls",
)
WARM = compiling.DIRECT + 4  # calls after which a function is called directly


@pytest.fixture(autouse=True)
def one_thread():
    """As in a process that had no second thread yet: other tests of this process may have."""
    before = SEVERAL[:]
    SEVERAL.clear()
    yield
    SEVERAL[:] = before + SEVERAL


def _product():
    """A compiled product that is called directly, and its operands."""
    torch.manual_seed(0)
    f = torch.compile(lambda a, b: a @ b)
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    for _ in range(WARM):
        f(a, b)
    assert f.direct is not None
    return f, a, b


def _served(f) -> int:
    return f.direct["served"]


def _check(found, a, b) -> None:
    np.testing.assert_allclose(found.tolist(), np.matmul(a.numpy(), b.numpy()), rtol=1e-5)


def test_calls_are_direct():
    f, a, b = _product()
    before = _served(f)
    for _ in range(10):
        f(a, b)
    assert _served(f) == before + 10
    _check(f(*(a, b)), a, b)


def test_results_that_are_held_are_never_overwritten():
    f, a, b = _product()
    kept, wanted = [], []
    for i in range(12):
        x = torch.full((3, 4), float(i))
        kept.append(f(x, b))
        wanted.append(np.matmul(x.numpy(), b.numpy()))
    assert len({t.data_ptr() for t in kept}) == 12
    for t, w in zip(kept, wanted, strict=True):
        np.testing.assert_allclose(t.tolist(), w, rtol=1e-5)


@pytest.mark.parametrize(
    "hold",
    [
        lambda y: y.numpy(),
        lambda y: y.detach(),
        lambda y: y[1:],
        lambda y: y.t(),
        lambda y: y.view(-1),
        lambda y: y.untyped_storage(),
        lambda y: y.st,
        lambda y: y.st.buf,
        lambda y: torch.nn.Parameter(y),
        lambda y: y + 0,  # not computed yet
    ],
)
def test_what_shares_a_result_keeps_its_values(hold):
    f, a, b = _product()
    x = torch.ones(3, 4)
    held = hold(f(x, b))
    before = f(x, b).tolist()
    for i in range(8):
        f(torch.full((3, 4), i + 2.0), b)
    if isinstance(held, (np.ndarray, torch.Tensor)):
        values = np.asarray(held.tolist()).reshape(-1)
        wanted = np.asarray(before)
        wanted = wanted.T if held.shape == (5, 3) else wanted
        np.testing.assert_array_equal(values, wanted.reshape(-1)[-values.size :])
    elif isinstance(held, Storage):
        assert held.buf.array(held.form).tolist() == before


def test_a_result_is_used_again_only_as_a_new_one():
    """Nothing that was done to a result is seen on a later one."""
    f, a, b = _product()
    for change in (
        lambda y: setattr(y, "note", 1),
        lambda y: y.requires_grad_(),
        lambda y: y.add_(1),
        lambda y: y.t_(),
        lambda y: y.unsqueeze_(0),
        lambda y: y.numpy().fill(7.0),
        lambda y: y.resize_(2, 2),
        lambda y: setattr(y, "data", torch.zeros(2)),
    ):
        for _ in range(4):
            y = f(a, b)
            change(y)
            del y
            y = f(a, b)
            assert y.shape == (3, 5) and not y.requires_grad and not hasattr(y, "note")
            assert y._version == 0
            _check(y, a, b)


def test_weak_references_die():
    f, a, b = _product()
    for _ in range(4):
        y = f(a, b)
        seen = weakref.ref(y)
        del y
        z = [f(a, b) for _ in range(4)]
        gc.collect()
        assert seen() is None or all(seen() is not one for one in z)


def test_a_result_as_an_argument():
    f = torch.compile(lambda a, b: a @ b)
    b = torch.eye(4) * 2
    x = torch.ones(4, 4)
    for _ in range(3 * WARM):
        y = x
        for _ in range(5):
            y = f(y, b)
        assert y.tolist() == [[32.0] * 4] * 4
    assert _served(f) > WARM


def test_operands_that_change():
    f, a, b = _product()
    for i in range(6):
        a.mul_(0.5)
        b[0, 0] = float(i)
        _check(f(a, b), a, b)
        _check(f(a * 2, b), a * 2, b)  # pending
        _check(f(b.t()[:3, :4].contiguous(), b), b.t()[:3, :4], b)
        _check(f(torch.cat([a, a])[3:], b), a, b)
    before = a.numpy()
    before[...] = 3.0
    _check(f(a, b), a, b)


def test_arguments_of_other_kinds():
    f, a, b = _product()
    assert f(a[:2], b).shape == (2, 5)
    assert f(a.double(), b.double()).dtype == torch.float64
    assert f(a=a, b=b).shape == (3, 5)
    with pytest.raises(TypeError):
        f(a)
    with pytest.raises(TypeError):
        f(a, b, a)
    with pytest.raises(TypeError):
        f(a, None)
    w = torch.nn.Parameter(b.clone())
    for _ in range(4):
        f(a, w).sum().backward()
    with torch.no_grad():
        assert not f(a, w).requires_grad
    _check(f(a, b), a, b)


def test_an_argument_that_becomes_a_leaf():
    f, a, b = _product()
    b.requires_grad_()
    y = f(a, b)
    assert y.requires_grad
    y.sum().backward()
    assert b.grad is not None
    b.requires_grad_(False)
    assert not f(a, b).requires_grad


def test_grad_modes():
    f, a, b = _product()
    w = b.clone().requires_grad_()
    for _ in range(3):
        with torch.no_grad():
            for _ in range(WARM):
                assert not f(a, w).requires_grad
            _check(f(a, b), a, b)
        assert f(a, w).requires_grad
        for _ in range(WARM):
            _check(f(a, b), a, b)


def test_modules_that_change_their_mode():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(1.0))
    f = torch.compile(lambda x: model(x))
    x = torch.ones(2, 4)
    with torch.no_grad():
        for training in (False, True) * 3:
            model.train(training)
            for _ in range(WARM):
                assert bool((f(x) == 0).all()) is training


def test_weights_updated_in_place():
    model = torch.nn.Linear(4, 2)
    f = torch.compile(lambda x: model(x))
    x = torch.ones(3, 4)
    with torch.no_grad():
        for i in range(6):
            model.weight.fill_(float(i))
            for _ in range(WARM):
                wanted = 4.0 * i + np.array(model.bias.tolist())
                np.testing.assert_allclose(f(x).tolist(), [wanted.tolist()] * 3, rtol=1e-6)
            model.weight.data.add_(1)
            np.testing.assert_allclose(f(x)[0].tolist(), wanted + 4, rtol=1e-6)


def test_weights_replaced():
    """By other parameters, modules and storages, and back."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 2))
    f = torch.compile(lambda x: model(x))
    x = torch.ones(3, 4)
    first = model[0].weight.data
    with torch.no_grad():
        for change in (
            lambda: setattr(model[0].weight, "data", model[0].weight + 1),
            lambda: setattr(model[0], "weight", torch.nn.Parameter(model[0].weight + 1)),
            lambda: setattr(model[0].weight, "data", first),
            lambda: model.__setitem__(0, torch.nn.Linear(4, 2)),
            lambda: setattr(model[0], "bias", None),
        ):
            for _ in range(WARM):
                f(x)
            change()
            for _ in range(WARM):
                assert f(x).tolist() == model(x).tolist()


def test_tensors_that_look_at_another_storage():
    w = torch.ones(4, 2)
    f = torch.compile(lambda x: x @ w)
    x = torch.ones(3, 4)
    before = w.data
    for i in range(3):
        for _ in range(WARM):
            assert f(x).tolist() == (x @ w).tolist()
        w.data = torch.full((4, 2), float(i))
        assert f(x).tolist() == [[4.0 * i] * 2] * 3
        w.data = before
        assert f(x).tolist() == [[4.0] * 2] * 3


def test_other_threads():
    f, a, b = _product()
    wrong = []

    def work(k: int) -> None:
        x = torch.full((3, 4), float(k))
        for _ in range(50):
            if not np.allclose(f(x, b).numpy(), np.matmul(x.numpy(), b.numpy())):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for _ in range(50):
        _check(f(a, b), a, b)
    for t in threads:
        t.join()
    assert not wrong


def test_a_thread_has_its_own_grad_mode():
    f, a, b = _product()
    w = b.clone().requires_grad_()
    found = []
    with torch.no_grad():
        for _ in range(WARM):
            f(a, w)
        thread = threading.Thread(target=lambda: found.append(f(a, w).requires_grad))
        thread.start()
        thread.join()
    assert found == [True]


def test_a_fault_in_a_direct_call():
    table = torch.arange(6.0)
    f = torch.compile(lambda i: table[i])
    good = torch.tensor([1, 2])
    for _ in range(WARM):
        f(good)
    before = _served(f)
    for _ in range(3):
        with pytest.raises(IndexError):
            f(torch.tensor([1, 7]))
        assert f(good).tolist() == [1.0, 2.0]
    assert _served(f) == before + 3


def test_training_without_python():
    """Weights, gradients, versions and settings as in a plain loop."""
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])

        def step(x, y, model=model, optimizer=optimizer):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = torch.compile(step) if compiled else step
        losses, kept, versions = [], [], []
        for i in range(3 * WARM):
            if i == 2 * WARM:
                optimizer.param_groups[0]["lr"] = 0.05
            if i in (WARM + 7, WARM + 9):
                kept.append(model[0].bias.grad)
            if i in (5, WARM + 3, 2 * WARM + 3):
                model.zero_grad()
            losses.append(run(x, y).item())
            versions.append(model[0].weight._version)
            if compiled and i == WARM + 4:
                assert _served(run) > 2
        kept = [g.tolist() for g in kept]
        found.append((losses, model[0].weight.tolist(), kept, np.diff(versions)))
    plain, direct = found
    np.testing.assert_allclose(plain[0], direct[0], rtol=1e-5)
    np.testing.assert_allclose(plain[1], direct[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(plain[2], direct[2], rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(plain[3], direct[3])


def test_methods_and_copies():
    class Scale:
        by = 3.0

        @torch.compile
        def apply(self, x):
            return x * self.by

    s, x = Scale(), torch.ones(2)
    for _ in range(WARM):
        assert s.apply(x).tolist() == [3.0, 3.0]
    f, a, b = _product()
    other = copy.deepcopy(f)
    assert other.plan == 0
    for _ in range(WARM):
        _check(other(a, b), a, b)
        _check(f(a, b), a, b)


def test_functions_that_are_dropped_leave_nothing():
    f, a, b = _product()
    plan = weakref.ref(f.direct)
    y = f(a, b)
    wanted = y.tolist()
    del f
    gc.collect()
    assert plan() is None
    assert y.tolist() == wanted


def test_instances_with_attributes_are_told_from_bare_ones():
    class Thing:
        __slots__ = ("a", "__dict__", "__weakref__")

    at = instances.weak_slot(Thing)
    thing = Thing()
    assert at and instances.word_at(id(thing) + at) == 0
    mark = weakref.ref(thing)
    assert instances.word_at(id(thing) + at) != 0
    assert mark() is thing
