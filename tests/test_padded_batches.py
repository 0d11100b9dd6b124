"""Batches of sequences, padded or written row by row into zeros: no set of lengths is compiled."""

from __future__ import annotations

import random

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes import pipeline
from gemel.passes.compile import device
from gemel.runtime import object_cache
from gemel.tensor import plan as plans
from gemel.torch import nn


@pytest.fixture
def no_cache(monkeypatch):
    """Programs are compiled, not found on disk."""
    monkeypatch.setattr(object_cache, "lookup", lambda key: None)


def sets_of_lengths(count, rows, least=2, most=30):
    draw = random.Random(3)
    return [draw.sample(range(least, most), rows) for _ in range(count)]


def padded(lengths, longest, pad=0):
    ids = torch.full((len(lengths), longest), pad)
    mask = torch.zeros(len(lengths), longest)
    for k, n in enumerate(lengths):
        ids[k, :n] = torch.tensor(list(range(1, n + 1)))
        mask[k, :n] = 1.0
    return ids, mask


def model_of():
    torch.manual_seed(0)
    words, head = nn.Embedding(32, 8), nn.Linear(8, 3)
    optimizer = torch.optim.SGD([*words.parameters(), *head.parameters()], lr=0.1)

    def step(ids, mask):
        seen = words(ids) * mask[..., None]
        loss = head(seen.sum(1)).logsumexp(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def test_what_is_written():
    ids, mask = padded([3, 1, 4], 4, pad=-1)
    assert ids.tolist() == [[1, 2, 3, -1], [1, -1, -1, -1], [1, 2, 3, 4]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]


def test_a_batch_is_no_program():
    before = plans.program_count()
    for lengths in sets_of_lengths(20, 6):
        ids, mask = padded(lengths, 30)
        assert ids.st.buf is not None and mask.st.buf is not None
    assert plans.program_count() == before


def test_lengths_of_one_width_compile_once(no_cache):
    step = model_of()
    step(*padded([4, 5, 6, 7, 8, 9], 30))
    before = pipeline.compiled_count[0]
    for lengths in sets_of_lengths(30, 6):
        step(*padded(lengths, 30))
    assert pipeline.compiled_count[0] == before


def test_widths_compile_three_times(no_cache):
    """Constants, one size, and where two sizes looked like one."""
    step = model_of()
    before = pipeline.compiled_count[0]
    for lengths in sets_of_lengths(30, 6):
        step(*padded(lengths, max(lengths)))
    assert pipeline.compiled_count[0] - before <= 4  # the first step makes the parameters, too


def test_rows_with_gradients_compile_four_times(no_cache):
    """Embedded rows are sizes of the graph: each of them, and the widest, become arguments."""
    torch.manual_seed(0)
    words, head = nn.Embedding(32, 8), nn.Linear(8, 3)
    words.weight.sum().item(), head.weight.sum().item()
    before = pipeline.compiled_count[0]
    for lengths in sets_of_lengths(20, 3):
        x = torch.zeros(3, max(lengths), 8)
        for k, n in enumerate(lengths):
            x[k, :n] = words(torch.arange(n))
        head(x.mean(1)).sum().backward()
        found = words.weight.grad.tolist()
        assert len(found) == 32
        words.weight.grad = None
    assert pipeline.compiled_count[0] - before <= 5


@pytest.mark.parametrize("where", ["cpu", "reference"])
def test_who_reads_the_constant_before_keeps_it(where):
    with device(where):
        x = torch.zeros(3)
        y = x + 1
        x[:2] = torch.tensor([5.0, 6.0])
        assert y.tolist() == [1, 1, 1] and x.tolist() == [5, 6, 0]


def test_views_made_before_see_what_is_written():
    x = torch.ones(2, 3)
    row = x[1]
    x[1, :2] = 4
    assert row.tolist() == [4, 4, 1] and x._version == 1
    row[2] = 7
    assert x.tolist() == [[1, 1, 1], [4, 4, 7]]


def test_a_constant_that_a_gradient_needs_is_not_overwritten_unseen():
    p = torch.ones(3, requires_grad=True)
    mask = torch.ones(3)
    y = (p * mask).sum()
    mask[:1] = 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_rows_that_require_gradients_are_recorded():
    p = torch.ones(2, requires_grad=True)
    x = torch.zeros(4)
    x[1:3] = p
    (x * torch.arange(4)).sum().backward()
    assert p.grad.tolist() == [1, 2]


@pytest.mark.parametrize(
    "value, dtype, expected",
    [(300, torch.uint8, 44), (2.7, torch.int64, 2), (True, torch.float32, 1.0),
     (0.1, torch.bfloat16, 0.10009765625), (1 + 2j, torch.complex64, 1 + 2j)],
)  # fmt: skip
def test_constants_are_cast(value, dtype, expected):
    x = torch.full((3,), value, dtype=dtype)
    x[:1] = 1
    assert x.tolist() == [1, expected, expected]


def test_a_filled_tensor_that_becomes_a_parameter():
    w = torch.zeros(3, requires_grad=True)
    with torch.no_grad():
        w[:2] = torch.tensor([2.0, 3.0])
    (w * w).sum().backward()
    assert w.grad.tolist() == [4, 6, 0]


def test_arrays_see_what_is_written():
    x = torch.zeros(4)
    a = x.numpy()
    x[:2] = torch.ones(2)
    assert np.array_equal(a, [1, 1, 0, 0])


def texts(torch, seed: int, dtype: str):
    """Rows of other lengths each time, with a second axis."""
    draws = np.random.default_rng(seed)
    return [
        torch.tensor(draws.integers(1, 9, (n, 2)), dtype=getattr(torch, dtype))
        for n in draws.integers(1, 8, 6)
    ]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("dtype", ["int64", "float32", "bfloat16", "uint8"])
@pytest.mark.parametrize("value", [0, 3.0, -1.5])
def test_padded_rows(dtype, value, first, side):
    """Known rows are padded in memory, as the recorded padding of rows with a history does it."""
    rows = texts(torch, 1, dtype)
    if value != int(value) and not rows[0].is_floating_point() or (value < 0 and dtype == "uint8"):
        pytest.skip("not a value of the type")
    pad = torch.nn.utils.rnn.pad_sequence
    got = pad(rows, first, value, side)
    longest = max(len(row) for row in rows)
    wanted = np.full((6, longest, 2), value)
    for at, row in zip(wanted, rows, strict=True):
        at[longest - len(row) if side == "left" else 0 :][: len(row)] = row.float().numpy()
    if not first:
        wanted = wanted.swapaxes(0, 1)
    assert got.dtype is rows[0].dtype and tuple(got.shape) == wanted.shape
    assert np.array_equal(got.float().numpy(), wanted)
    if rows[0].is_floating_point():
        rows[0].requires_grad_()
        recorded = pad(rows, first, value, side)
        assert np.array_equal(recorded.detach().float().numpy(), wanted)
        recorded.float().sum().backward()
        assert rows[0].grad.float().eq(1).all()


def test_padding_of_known_rows_is_no_program():
    pad = torch.nn.utils.rnn.pad_sequence
    rows = [texts(torch, seed, "int64") for seed in range(4)]
    before = plans.program_count()
    for some in rows:
        assert pad(some, True, 3).st.buf is not None
    assert plans.program_count() == before
