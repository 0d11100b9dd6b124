"""Packed weights that outlive a run are used again only while the weights are the same."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.torch as torch
from gemel.graph.form import float32, form
from gemel.ops import windows
from gemel.ops.record import leaf
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer
from gemel.runtime.kept import PACK, READY, forget_lonely

IMAGE, KERNEL = form((1, 64, 14, 14), float32), form((64, 64, 3, 3), float32)
SAME = windows.Convolution((1, 1), (1, 1), ((1, 1), (1, 1)))


def program(updates: bool = False):
    x, w = leaf(0, IMAGE), leaf(1, KERNEL)
    y = windows.convolution(x, w, SAME)
    return compile_graph([x, w], [], [y], {1: w * 0.5} if updates else {}, device="cpu")


def arrays(seed: int):
    random = np.random.RandomState(seed)
    return [random.randn(*f.shape).astype("f4") for f in (IMAGE, KERNEL)]


def result(run, buffers) -> np.ndarray:
    return run(buffers, [])[0].array(IMAGE).copy()


def flags(run) -> list[int]:
    return [operand.flag.value for kept in run._kept for operand in kept.operands]


def test_weights_that_come_again_are_packed_once():
    run = program()
    assert run.facts["kept"]["leaves"] == [1]
    buffers = [Buffer.of(a) for a in arrays(0)]
    expected = result(run, buffers)
    seen = []
    for _ in range(6):
        assert (result(run, buffers) == expected).all()
        seen += flags(run)
    assert seen[-1] == READY and PACK not in seen


def test_other_weights_are_packed_again():
    run = program()
    x, w = (Buffer.of(a) for a in arrays(0))
    for _ in range(6):
        expected = result(run, [x, w])
    other = Buffer.of(arrays(1)[1])
    fresh = result(program(), [x, other])
    assert (fresh != expected).any()
    for weights, right in [(other, fresh), (w, expected), (w, expected), (other, fresh)]:
        assert (result(run, [x, weights]) == right).all()


def test_another_buffer_at_the_same_address_is_another():
    run = program()
    x, w = (Buffer.of(a) for a in arrays(0))
    for _ in range(6):
        result(run, [x, w])
    right = result(program(), [x, Buffer.of(arrays(2)[1])])
    for _ in range(6):
        del w
        w = Buffer.of(arrays(2)[1])
        assert (result(run, [x, w]) == right).all()


def test_memory_goes_with_the_weights():
    run = program()
    x, w = (Buffer.of(a) for a in arrays(0))
    for _ in range(6):
        result(run, [x, w])
    (kept,) = run._kept
    forget_lonely()
    assert kept.memory is not None
    before = result(run, [x, w])
    del w
    forget_lonely()
    assert kept.memory is None and not kept.operands
    again = [x, Buffer.of(arrays(0)[1])]
    assert all((result(run, again) == before).all() for _ in range(6))


def test_what_the_program_itself_updates_is_not_kept():
    assert program(updates=True).facts["kept"] == {}


def test_memory_of_an_array_is_not_kept():
    """Its owner may write it without a word."""
    run = program()
    image, kernel = arrays(0)
    buffers = [Buffer.of(image), Buffer.sharing(kernel)]
    for _ in range(6):
        before = result(run, buffers)
    kernel *= 2
    assert (result(run, buffers) == 2 * before).all()


def network() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(64, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(64, 64, 3, padding=1),
    )


def halved(model: torch.nn.Sequential) -> None:
    for p in model.parameters():
        p.mul_(0.5)


def replaced(model: torch.nn.Sequential) -> None:
    model.load_state_dict({k: v * 3 for k, v in model.state_dict().items()})


def through_numpy(model: torch.nn.Sequential) -> None:
    model[0].weight.detach().numpy()[...] = 0.25


def in_a_cell(model: torch.nn.Sequential) -> None:
    model[2].weight[3, 4, 1, 1] = 7.0


def trained(model: torch.nn.Sequential) -> None:
    with torch.enable_grad():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.ones(1, 64, 14, 14)).mean().backward()
            optimizer.step()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("change", [halved, replaced, through_numpy, in_a_cell, trained])
def test_every_change_of_the_weights_is_seen(change, compiled):
    model = network()
    run = torch.compile(model) if compiled else model
    with torch.no_grad():
        x = torch.randn(1, 64, 14, 14)
        for _ in range(3):
            for _ in range(12):
                before = run(x).numpy().copy()
            change(model)
            fresh = network()
            fresh.load_state_dict({k: v.clone() for k, v in model.state_dict().items()})
            expected = fresh(x).numpy().copy()
            assert (run(x).numpy() == expected).all()
            assert change in (through_numpy, in_a_cell) or (before != expected).any()


def test_weights_that_keep_changing_are_seen():
    """A forward and an updating program in turn: weights keep their place, not their values."""
    model = network()
    x = torch.randn(1, 64, 14, 14)
    with torch.no_grad():
        for _ in range(20):
            y = model(x).numpy().copy()
            halved(model)
            fresh = network()
            fresh.load_state_dict(model.state_dict())
            assert (model(x).numpy() == fresh(x).numpy()).all()
            assert (model(x).numpy() != y).any()
