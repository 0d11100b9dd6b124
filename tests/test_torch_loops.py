"""Training loops of users: what comes again compiles nothing."""

from __future__ import annotations

import pytest
import torch_loop_cases

import gemel.tensorflow as tensorflow
import gemel.torch as torch
from gemel.ops import elementwise
from gemel.ops.record import Call
from gemel.passes.compile import default_device
from gemel.passes.compiles import compiles
from gemel.tensor import record1, recorder
from gemel.tensor.state import State
from gemel.tensor.tensor import Tensor

LOOPS = torch_loop_cases.LOOPS
BEGINNING, REST = 24, 16  # steps


@pytest.mark.skipif(default_device() != "cpu", reason="counts what is compiled")
@pytest.mark.parametrize("name", LOOPS)
def test_later_steps_compile_nothing(name):
    data = torch_loop_cases.batches(torch)
    step = LOOPS[name](torch)
    for k in range(BEGINNING):
        step(*data[k % len(data)])
    before = len(compiles()), State.count
    for k in range(REST):
        step(*data[k % len(data)])
    assert (len(compiles()), State.count) == before


IN_PLACE = "own_descent data_descent own_momentum own_adam clipped_values accumulation".split()


@pytest.fixture
def kept():
    """(list, what it held) of lists that are filled again after the test."""
    emptied: list = []
    yield emptied
    for functions, content in emptied:
        functions[:] = content


@pytest.mark.parametrize("name", IN_PLACE)
def test_with_and_without_built_in_functions(name, monkeypatch, kept):
    """The same bits and versions, whether calls are recorded by built-in functions or in Python."""
    data = torch_loop_cases.batches(torch)
    recorder.prepare()
    found = []
    for built_in in (True, False):
        if not built_in:
            for functions in recorder.PLACES:
                kept.append((functions, functions[:]))
                functions.clear()
        made = []
        with monkeypatch.context() as patch:
            patch.setattr(torch_loop_cases, "_setting", _noted(torch_loop_cases._setting, made))
            step = LOOPS[name](torch)
        losses = [step(*data[k % len(data)]).item() for k in range(10)]
        versions = [(p._version, p.detach().tolist()) for p in made[0]]
        found.append((losses, versions))
    assert found[0] == found[1]


def _noted(setting, made: list):
    def noting(torch):
        model, params, criterion = setting(torch)
        made.append(params)
        return model, params, criterion

    return noting


def test_a_piece_is_a_step():
    """New values of parameters run before the next step reads them, whoever computed them."""
    model, params, criterion = torch_loop_cases._setting(torch)
    x, y = torch_loop_cases.batches(torch)[0]
    for _ in range(3):
        criterion(model(x), y).backward()
        pending = params[0].grad
        with torch.no_grad():
            for p in params:
                p -= 0.05 * p.grad
                p.grad = None
        assert pending.st.buf is None
        model(x)
        assert pending.st.buf is not None


@pytest.mark.parametrize(
    "face", [torch.Tensor, torch.nn.Parameter, tensorflow.Tensor, tensorflow.Variable]
)
def test_no_face_hides_what_the_core_asks(face):
    names = {name for name in vars(Tensor) if not name.startswith("__")} - {"kin"}
    own = [kind for kind in face.__mro__ if kind not in Tensor.__mro__]
    assert names.isdisjoint(name for kind in own for name in vars(kind))


def test_a_loop_of_gradients_that_reach_nothing():
    """The engine's steps pass no gradient on: such a gradient has no results, and the loop, which
    nobody looks at, is cut all the same."""
    steps = Call("steps", lambda attrs, x: elementwise.floor(x))
    x = torch.ones(3, requires_grad=True)
    total = torch.zeros(3)
    for i in range(700):
        y = record1(steps, x * float(i))
        assert torch.autograd.grad(y, [x], torch.ones(3), allow_unused=True) == (None,)
        total = total + y.detach()
    assert total.tolist() == [float(sum(range(700)))] * 3


@pytest.mark.parametrize("name", "ceil floor round trunc sign sgn".split())
def test_steps_pass_zeros_on(name):
    x = torch.tensor([1.5, -2.5, 0.25], requires_grad=True)
    getattr(torch, name)(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
    (g,) = torch.autograd.grad((getattr(torch, name)(x) * x).sum(), [x])
    assert g.tolist() == getattr(torch, name)(x).tolist()
