"""Modules of the PyTorch face: errors, attributes, lives, half types."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

import gemel.torch as torch
from gemel.torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.ReLU()) for _ in range(2)])
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_an_error_in_a_forward_names_the_module():
    with pytest.raises(RuntimeError) as caught:
        Net()(torch.zeros(2, 3))
    assert caught.value.__notes__ == ["in Net.head (Linear)"]
    with pytest.raises(RuntimeError) as caught:
        Net()(torch.zeros(2, 2))
    assert caught.value.__notes__ == ["in Net.blocks.0.0 (Linear)"]


def test_a_label_outside_the_classes_names_the_users_line():
    loss = nn.CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor([0, 12]))
    with pytest.raises(IndexError, match=r"Target 12 is out of bounds\..*test_torch_nn\.py:\d+"):
        loss.item()


def test_reading_a_parameter_is_a_plain_attribute_read():
    layer = nn.Linear(2, 2)
    assert layer.__dict__["weight"] is layer._parameters["weight"]
    layer._parameters["weight"] = other = nn.Parameter(torch.zeros(2, 2))
    assert layer.weight is other
    del layer._parameters["weight"]
    assert not hasattr(layer, "weight")


def test_modules_are_freed_without_the_garbage_collector():
    gc.disable()
    try:
        module = Net()
        seen = weakref.ref(module)
        del module
        assert seen() is None
    finally:
        gc.enable()


def test_half_precision_is_stored_and_rounded_once():
    for name in ("half", "bfloat16"):
        layer = getattr(nn.Linear(2, 2), name)()
        assert layer.weight.dtype is getattr(torch, name)
        made = layer(torch.ones(1, 2, dtype=layer.weight.dtype))
        wide = layer.weight.float() @ torch.ones(2) + layer.bias.float()
        assert torch.equal(made[0], wide.to(made.dtype))


def test_a_slice_of_a_module_list_is_a_list_of_its_own():
    layers = nn.ModuleList([nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)])
    part = layers[1:]
    assert part[0] is layers[1] and part[-1] is layers[2] and getattr(part, "0") is layers[1]
    part.append(nn.Tanh())
    assert [len(layers), len(part)] == [3, 3]
    assert [name for name, _ in part.named_parameters()] == ["1.weight", "1.bias"]
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            layers[index]


def test_skip_init_draws_nothing():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 4, 3, bias=False)
    assert layer.weight.shape == (3, 4) and layer.weight.requires_grad
    assert torch.equal(torch.rand(2), wanted)
    with pytest.raises(RuntimeError, match="device"):
        torch.nn.utils.skip_init(torch.nn.Identity.__mro__[1])


def test_stateless_call_is_deprecated():
    layer = torch.nn.Linear(2, 1)
    given = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    with pytest.warns(FutureWarning, match="functional_call"):
        found = torch.nn.utils.stateless.functional_call(layer, given, torch.ones(1, 2))
    assert found.item() == 2


def test_multinomial_waits_with_its_weights():
    weights = torch.tensor([1.0, 2.0]) * 2.0
    drawn = torch.multinomial(weights, 1)
    assert weights.st.buf is None and drawn.st.buf is None
    with pytest.raises(RuntimeError, match="element < 0"):
        torch.multinomial(-weights, 1).item()


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_a_function_keeps_its_name_when_its_module_is_loaded(name):
    """In a process of its own: here others may have named the function before."""
    text = f"""
import importlib
import gemel.torch as torch
from gemel.torch.nn.utils import parametrizations, prune
module = importlib.import_module("gemel.torch.nn.utils.{name}")
assert torch.nn.utils.{name} is module.{name}
"""
    subprocess.run([sys.executable, "-c", text], check=True)
