"""Training loops of users: the losses are PyTorch's, and what comes again compiles nothing."""

from __future__ import annotations

import pytest
import torch_loop_cases
from torch_compare import cases_of, difference, recorded, run

import gemel.tensorflow as tensorflow
import gemel.torch as torch
from gemel.passes.compile import default_device
from gemel.passes.compiles import compiles
from gemel.tensor.state import State
from gemel.tensor.tensor import Tensor

LOOPS = torch_loop_cases.LOOPS
BEGINNING, REST = 24, 16  # steps


@pytest.mark.parametrize("name", LOOPS)
def test_losses(name):
    case = torch_loop_cases.losses_of(LOOPS[name])
    assert difference(run(case, torch), recorded("torch_loop")["losses"][name], 1e-4) == ""


@pytest.mark.parametrize("name", ["foreach", "foreach_refuses"])
def test_lists_of_tensors(name):
    case = getattr(torch_loop_cases, f"case_{name}")
    assert difference(run(case, torch), recorded("torch_loop")[name], 1e-5) == ""


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


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases_of(torch_loop_cases))
def test_case_live(name):
    original = pytest.importorskip("torch")
    case = cases_of(torch_loop_cases)[name]
    assert difference(run(case, torch), run(case, original), 1e-4) == ""


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
