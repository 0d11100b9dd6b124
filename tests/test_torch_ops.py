"""The PyTorch face's operations against PyTorch: values, element types, gradients and errors.

`make test` compares with recorded outcomes; tests marked `oracle` ask PyTorch itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch_outcomes
import torch_rows

import gemel.torch as torch
from gemel.passes.compile import device

RECORDED = Path(__file__).parent / "recorded"
PIECE = 30


def pieces(table: str) -> list[tuple[str, list[str]]]:
    rows = torch_rows.TABLES[table]
    return [(f"{table}{k // PIECE}", rows[k : k + PIECE]) for k in range(0, len(rows), PIECE)]


def recorded(table: str) -> dict:
    return json.loads((RECORDED / f"torch_{table}.json").read_text())


def differences(table: str, rows: list[str], theirs) -> list[str]:
    """Rows in which Gemel differs; `theirs(row)` is PyTorch's outcome."""
    found = []
    for row in rows:
        mine = torch_outcomes.outcome(torch, row, table.endswith("gradients"))
        want = theirs(row)
        if not torch_outcomes.agree(mine, want):
            found.append(f"{row}\n    PyTorch {want}\n    Gemel   {mine}")
    return found


TABLES = ("ops", "gradients", "errors", "functions", "function_gradients")
ALL_PIECES = [(t, name, rows) for t in TABLES for name, rows in pieces(t)]
IDS = [name for _, name, _ in ALL_PIECES]


@pytest.mark.parametrize("where", ["cpu", "reference"])
@pytest.mark.parametrize("table, name, rows", ALL_PIECES, ids=IDS)
def test_rows_are_as_recorded(table, name, rows, where):
    with device(where):
        outcomes = recorded(table)
        assert not (bad := differences(table, rows, outcomes.__getitem__)), "\n".join(bad)


@pytest.mark.oracle
@pytest.mark.parametrize("table, name, rows", ALL_PIECES, ids=IDS)
def test_rows_are_as_pytorch_says(table, name, rows):
    oracle = pytest.importorskip("torch")

    def theirs(row):
        return torch_outcomes.outcome(oracle, row, table.endswith("gradients"))

    assert not (bad := differences(table, rows, theirs)), "\n".join(bad)


# ---------- one operation, three spellings ----------
def _samples() -> dict:
    names = {"torch": torch, "np": np}
    exec(torch_rows.SETUP, names)
    return names


@pytest.mark.parametrize("sample", list(torch_rows.UNARY))
def test_method_function_and_in_place_are_one(sample):
    for op in torch_rows.UNARY[sample].split():
        x = _samples()[sample]
        result = getattr(torch, op)(x)
        assert torch_outcomes.same(*map(_plain, (result, getattr(x, op)()))), op
        if hasattr(x, op + "_") and result.dtype == x.dtype:
            y = x.clone()
            assert getattr(y, op + "_")() is y
            assert torch_outcomes.same(_plain(result), _plain(y)), op + "_"


@pytest.mark.parametrize("op", torch_rows.ARITHMETIC.split())
def test_binary_in_place_writes_through_views(op):
    if op in ("maximum", "minimum"):
        return
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    other = torch.tensor([2.0, 3.0])
    want = getattr(torch, op)(x[:, 1], other)
    column = x[:, 1]
    assert getattr(column, op + "_")(other) is column
    assert torch_outcomes.same(_plain(want), _plain(x.select(1, 1)))


def _plain(x):
    return torch_outcomes.plain(x, torch)


def test_out_takes_the_result():
    target = torch.empty(0)
    given = torch.add(torch.ones(3), torch.ones(3), out=target)
    assert given is target and target.tolist() == [2.0, 2.0, 2.0]


def test_a_missing_name_says_how_to_see_what_there_is():
    with pytest.raises(AttributeError, match="gemel coverage torch"):
        torch.this_is_no_name  # noqa: B018


def test_default_dtype_changes_what_promotion_gives():
    try:
        torch.set_default_dtype(torch.float64)
        assert (torch.arange(3) / 2).dtype is torch.float64
        assert torch.tensor([1.5]).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert (torch.arange(3) / 2).dtype is torch.float32


def test_numbers_compile_nothing_new():
    from gemel.tensor.plan import program_count

    x = torch.tensor([1.0] * 5)
    (x * 1.5).sum().item()
    before = program_count()
    found = [(x * (0.5 * k)).sum().item() for k in range(20)]
    assert program_count() == before
    assert found == [2.5 * k for k in range(20)]


def test_custom_function_gives_its_own_gradient():
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, factor):
            ctx.save_for_backward(a)
            ctx.factor = factor
            return a.exp() * factor

        @staticmethod
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * ctx.factor * 10 + a * 0, None

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Scaled.apply(x * 2, 3.0)
    (y * torch.tensor([1.0, 2.0])).sum().backward()
    assert x.grad.tolist() == [60.0, 120.0]
