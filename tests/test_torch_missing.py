"""Names that the PyTorch face lacks say so, and what is accepted does what it says."""

from __future__ import annotations

import pytest

import gemel.torch as torch
from gemel.torch.missing_methods import NAMES, Missing


@pytest.mark.parametrize("name", ["crow_indices", "q_scale", "sspaddmm"])
def test_a_missing_method_says_so(name):
    assert not hasattr(torch.ones(2), name)
    with pytest.raises(AttributeError, match=f"'{name}'.*gemel coverage torch"):
        getattr(torch.ones(2), name)


def test_every_name_of_the_list_is_there_or_says_so():
    for name in NAMES:
        found = vars(torch.Tensor).get(name)
        assert isinstance(found, Missing) or hasattr(torch.Tensor, name)


def test_a_tensor_may_carry_an_attribute_of_such_a_name():
    t = torch.ones(2)
    t.q_scale = 3
    assert t.q_scale == 3


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_a_gradient_of_another_shape(make):
    p = torch.nn.Parameter(torch.ones(1, 2))
    p.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="same size"):
        make([p], lr=0.1).step()
