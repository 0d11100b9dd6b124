"""`repr` of tensors, character by character as PyTorch's.

Expected texts are recorded in `recorded/torch_printing.json` (tools/record_oracles.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch_printing_rows

import gemel.torch as torch

RECORDED = Path(__file__).parent / "recorded" / "torch_printing.json"


def test_texts_are_as_recorded():
    texts = json.loads(RECORDED.read_text())
    for row, array in torch_printing_rows.arrays():
        assert repr(torch.from_numpy(array)) == texts[row], row
    for row in torch_printing_rows.EXPRESSIONS:
        assert torch_printing_rows.shown(torch, row) == texts[row], row


@pytest.mark.oracle
def test_texts_are_as_pytorchs():
    oracle = pytest.importorskip("torch")
    for row, array in torch_printing_rows.arrays(seed=5):
        assert repr(torch.from_numpy(array)) == repr(oracle.from_numpy(array)), row
    for row in torch_printing_rows.EXPRESSIONS:
        shown = torch_printing_rows.shown
        assert shown(torch, row) == shown(oracle, row), row


def test_options():
    x = torch.tensor([1.0, 2.5])
    try:
        torch.set_printoptions(precision=2)
        assert repr(x) == "tensor([1.00, 2.50])"
        torch.set_printoptions(sci_mode=True)
        assert repr(x) == "tensor([1.00e+00, 2.50e+00])"
    finally:
        torch.set_printoptions(profile="default")
    assert repr(x) == "tensor([1.0000, 2.5000])"


def test_subclasses_and_formats():
    assert f"{torch.tensor(2.5):.2f}" == "2.50"
    assert str(torch.tensor([1, 2])) == "tensor([1, 2])"
    assert repr(torch.float32) == "torch.float32"
    assert repr(torch.zeros(2, 3).shape) == "torch.Size([2, 3])"
    assert repr(torch.device("cpu")) == "device(type='cpu')"
