"""Attention block by block, against its composite: sizes, masks, heads, gradients of any order."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

import gemel
import gemel.torch as torch
import gemel.torch.nn.functional as F
from gemel.autodiff.reverse import gradients
from gemel.codegen.attention import problem
from gemel.graph.form import bool_, float32, float64, form
from gemel.graph.node import order
from gemel.ops import tiled_attention
from gemel.ops.record import leaf
from gemel.passes import native
from gemel.passes.compile import compile_graph
from gemel.passes.simplify import simplify
from gemel.runtime.buffer import Buffer
from gemel.runtime.machine import machine
from gemel.tensor import plan
from gemel.tensor.state import drop_trie

# batch, query heads, heads of key and value, L, S, E, V, causal, mask
CASES = [
    (2, 3, 3, 64, 64, 32, 32, False, None),
    (2, 3, 3, 128, 128, 32, 32, True, None),
    (1, 2, 2, 300, 300, 64, 64, True, None),
    (1, 2, 2, 300, 170, 64, 64, True, None),
    (1, 2, 2, 170, 300, 64, 64, True, None),
    (1, 2, 2, 37, 53, 20, 24, False, None),
    (1, 2, 2, 9, 11, 5, 3, True, None),
    (1, 2, 2, 8, 8, 1, 1, False, None),
    (1, 4, 2, 70, 81, 33, 17, False, None),
    (1, 8, 1, 70, 70, 16, 16, True, None),
    (2, 2, 2, 70, 81, 16, 16, False, "bool"),
    (2, 2, 2, 70, 81, 16, 16, False, "dead rows"),
    (2, 2, 2, 70, 81, 16, 16, False, "added"),
    (2, 2, 2, 70, 81, 16, 16, False, "keys"),
    (2, 4, 2, 70, 81, 16, 16, False, "one query"),
    (1, 1, 1, 1100, 1100, 16, 16, True, None),  # several ranges of keys
    (1, 2, 1, 40, 1100, 16, 16, False, None),
    (1, 4, 2, 300, 300, 40, 72, False, "bool"),
    (1, 1, 1, 65, 63, 48, 33, False, None),
    (1, 2, 2, 17, 65, 31, 100, True, None),
    (1, 1, 1, 700, 300, 64, 64, False, "causal"),
    (1, 1, 1, 300, 17, 130, 64, True, None),
]


def compute(monkeypatch, tiles: bool) -> None:
    """On matrix tiles or not, whatever the sizes; nothing compiled in another way is found."""
    if tiles and not machine().matrix_tiles:
        pytest.skip("no matrix tiles here")
    host = dataclasses.replace(machine(), matrix_tiles=tiles)
    monkeypatch.setattr(problem, "machine", lambda: host)
    monkeypatch.setattr(problem, "_LONG_FOR_TILES", 1)
    monkeypatch.setattr(problem, "_FEWEST_FOR_TILES", 1)
    monkeypatch.setattr(problem, "_EMPTIEST", 100)
    monkeypatch.setenv("GEMEL_CACHE", "off")
    for kept in (native, "_loaded"), (native, "_structures"), (plan, "_programs"):
        monkeypatch.setattr(*kept, {})
    drop_trie()


@pytest.fixture(params=["matrix tiles", "vectors"])
def way(request, monkeypatch):
    """How products are computed."""
    compute(monkeypatch, request.param == "matrix tiles")
    yield request.param
    drop_trie()


def mask_of(kind: str, shape, random) -> np.ndarray:
    batch, heads, length, source = shape
    if kind == "causal":  # whole blocks are hidden
        return np.tri(length, source, dtype=bool)
    if kind == "added":
        mask = random.randn(*shape).astype("f4")
        mask[..., 3:9] = -np.inf
        return mask
    sizes = {
        "bool": (length, source),
        "dead rows": (batch, 1, length, source),
        "keys": (batch, 1, 1, source),
        "one query": (batch, heads, 1, source),
    }
    mask = random.rand(*sizes[kind]) > 0.3
    if kind == "dead rows":
        mask[..., 5, :] = False
    return mask


def given(case, dtype="f4"):
    batch, heads, shared, length, source, width, depth, _, kind = case
    random = np.random.RandomState(0)
    shapes = [
        (batch, heads, length, width),
        (batch, shared, source, width),
        (batch, shared, source, depth),
        (batch, heads, length, depth),
    ]
    arrays = [random.randn(*s).astype(dtype) for s in shapes]
    return arrays, kind and mask_of(kind, (batch, heads, length, source), random)


def attended(case, arrays, mask, tiled: bool, turned: bool = False):
    """The result and the gradients for query, key and value."""
    before = tiled_attention.enabled[0]
    tiled_attention.enabled[0] = tiled
    try:
        *sides, weight = (torch.tensor(x) for x in arrays)
        if turned:  # heads between places and width
            sides = [x.transpose(1, 2).contiguous() for x in sides]
        for x in sides:
            x.requires_grad_()
        q, k, v = (x.transpose(1, 2) for x in sides) if turned else sides
        mask = None if mask is None else torch.tensor(mask)
        y = F.scaled_dot_product_attention(
            q, k, v, mask, is_causal=case[7], enable_gqa=case[1] != case[2]
        )
        y.backward(weight)
        grads = [x.grad.transpose(1, 2) if turned else x.grad for x in sides]
        return [x.detach().numpy() for x in (y, *grads)]
    finally:
        tiled_attention.enabled[0] = before


def assert_close(found, expected, tolerance=1e-5):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1e-30, np.abs(b).max()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_blocks_give_what_the_composite_gives(case, way):
    arrays, mask = given(case)
    assert_close(attended(case, arrays, mask, True), attended(case, arrays, mask, False))


@pytest.mark.parametrize("case", [CASES[1], CASES[5]], ids=str)
def test_operands_are_read_where_they_lie(case, way):
    arrays, mask = given(case)
    assert_close(attended(case, arrays, mask, True, True), attended(case, arrays, mask, False))


def test_float64():
    arrays, mask = given(CASES[8], "f8")
    found = attended(CASES[8], arrays, mask, True)
    assert_close(found, attended(CASES[8], arrays, mask, False), 1e-14)


def test_rows_that_see_nothing_are_zeros(way):
    case = CASES[11]
    arrays, mask = given(case)
    y, dq, dk, dv = attended(case, arrays, mask, True)
    assert (y[:, :, 5] == 0).all() and (dq[:, :, 5] == 0).all()
    assert np.isfinite(dk).all() and np.isfinite(dv).all()


def test_nan_and_infinity_stay_in_their_rows(way):
    case = CASES[0]
    arrays, _ = given(case)
    arrays[0][0, 1, 7, 3] = np.nan
    arrays[0][1, 2, 9, :] = np.inf
    found, expected = (attended(case, arrays, None, tiled)[0] for tiled in (True, False))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.isnan(found[0, 1, 7]).all() and np.isfinite(found[0, 0]).all()


def test_what_is_not_finite_gives_on_tiles_what_floats_give(monkeypatch):
    """In query, key, value or the result's gradient."""
    case = (1, 2, 2, 170, 130, 33, 40, False, None)
    values = (np.nan, np.inf, -np.inf, 3e38)
    found: list[list] = []
    for tiles in (True, False):
        compute(monkeypatch, tiles)
        found.append([])
        for side, value in itertools.product(range(4), values):
            arrays, _ = given(case)
            arrays[side][0, 1, 77, 3] = value
            found[-1] += attended(case, arrays, None, True)
    drop_trie()
    for a, b in zip(*found, strict=True):
        assert np.isfinite(a[0, 0]).all()
        for test in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(test(a), test(b))
        fine = np.isfinite(b)
        assert_close([a[0, 0], a[fine]], [b[0, 0], b[fine]])


def test_large_scores_do_not_overflow(way):
    case = CASES[1]
    arrays, _ = given(case)
    arrays[0] *= 100
    found = attended(case, arrays, None, True)
    assert all(np.isfinite(x).all() for x in found)
    assert_close(found[:1], attended(case, arrays, None, False)[:1], 1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_errors_are_those_of_float32(causal, way):
    case = (1, 2, 2, 300, 300, 64, 64, causal, None)
    arrays, _ = given(case)
    exact = attended(case, [x.astype("f8") for x in arrays], None, False)
    for a, b in zip(attended(case, arrays, None, True), exact, strict=True):
        assert np.abs(a - b).max() < 2e-6 * np.abs(b).max()


def test_any_number_of_threads_gives_the_same_bits(way):
    case = (1, 2, 2, 1100, 1100, 32, 32, True, None)
    arrays, mask = given(case)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(attended(case, arrays, mask, True))
    torch.set_num_threads(before)
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_second_gradients_are_those_of_the_composite():
    found = []
    for tiled in (True, False):
        before, tiled_attention.enabled[0] = tiled_attention.enabled[0], tiled
        arrays, _ = given((1, 2, 1, 12, 10, 4, 4, True, None))
        q, k, v = (torch.tensor(x).requires_grad_() for x in arrays[:3])
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        (g,) = torch.autograd.grad((y**2).sum(), q, create_graph=True)
        second = torch.autograd.grad((g**2).sum(), (q, k, v))
        found.append([x.numpy() for x in second])
        tiled_attention.enabled[0] = before
    assert_close(*found)


def test_a_mask_of_numbers_has_a_gradient():
    found = []
    for tiled in (True, False):
        before, tiled_attention.enabled[0] = tiled_attention.enabled[0], tiled
        arrays, _ = given((1, 2, 2, 12, 10, 4, 4, False, None))
        mask = torch.tensor(np.random.RandomState(1).randn(2, 12, 10).astype("f4"))
        mask.requires_grad_()
        q, k, v = map(torch.tensor, arrays[:3])
        F.scaled_dot_product_attention(q, k, v, mask).square().sum().backward()
        found.append([mask.grad.numpy()])
        tiled_attention.enabled[0] = before
    assert_close(*found)


def test_vmap_and_forward_mode():
    arrays, _ = given((3, 2, 2, 16, 16, 8, 8, True, None))
    q, k, v, t = map(torch.tensor, arrays)

    def one(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    rows = torch.func.vmap(one)(q, k, v)
    assert_close([rows.numpy()], [one(q, k, v).numpy()])
    _, pushed = torch.func.jvp(lambda x: one(x, k, v), (q,), (t,))
    step = 1e-2
    about = (one(q + t * step, k, v) - one(q - t * step, k, v)) / (2 * step)
    assert_close([pushed.numpy()], [about.numpy()], 1e-3)


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_reference_computes_the_same(dtype, masked):
    """Both passes, as one program on each device."""
    random = np.random.RandomState(0)
    shapes = [(2, 4, 20, 8), (2, 2, 12, 8), (2, 2, 12, 6), (2, 4, 20, 6)]
    arrays = [random.randn(*s).astype(dtype.numpy) for s in shapes]
    leaves = [leaf(i, form(s, dtype)) for i, s in enumerate(shapes)]
    masks = []
    if masked:
        arrays.append(random.rand(2, 4, 20, 12) > 0.4)
        masks.append(leaf(4, form((2, 4, 20, 12), bool_)))
    q, k, v, g = leaves
    kept = tiled_attention.ATTENTION(q, k, v, *masks, attrs=("forward", True, 0.3, None))
    attrs = ("backward", True, 0.3, None)
    slopes = tiled_attention.ATTENTION(q, k, v, *masks, kept, g, attrs=attrs)
    outputs = [kept, slopes]
    buffers = [Buffer.of(x) for x in arrays]
    found = []
    for device in ("cpu", "reference"):
        program = compile_graph([*leaves, *masks], [], outputs, {}, device=device)
        made = program(buffers, [])
        found.append([b.array(o.form) for b, o in zip(made, outputs, strict=True)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        fine = np.isfinite(b)
        np.testing.assert_allclose(a[fine], b[fine], rtol=0, atol=1e-5 * np.abs(b[fine]).max())


def test_no_value_is_as_large_as_the_scores():
    shape = form((1, 2, 512, 16), float32)
    q, k, v = (leaf(i, shape) for i in range(3))
    y = tiled_attention.attention(q, k, v, None, True, 1 / math.sqrt(16))
    assert max(n.form.size for n in order([y])) < 512 * 512
    small = form((1, 2, 1, 16), float32)
    y = tiled_attention.attention(leaf(0, small), k, v, None, False, 0.25)
    assert not any(n.op is tiled_attention.ATTENTION for n in order([y]))


def test_the_explanation_names_it():
    case = (1, 2, 2, 64, 64, 16, 16, True, None)
    arrays, _ = given(case)
    q, k, v = map(torch.tensor, arrays[:3])
    told = gemel.explain(
        lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True).data_ptr(), calls=0
    )
    (kernel,) = [x for x in told.kernels if "attention" in x.does]
    assert "2 * 64x64x16" in kernel.does
    assert kernel.flops >= 2 * 2 * (16 + 16) * (64 * 65 // 2)


@pytest.mark.parametrize("tiles", [True, False])
def test_the_shown_kernel_says_where_tiles_are_used(tiles, monkeypatch, capsys):
    compute(monkeypatch, tiles)
    monkeypatch.setenv("GEMEL_SHOW", "plans")
    arrays, _ = given((1, 2, 2, 64, 64, 32, 32, True, None))
    q, k, v = map(torch.tensor, arrays[:3])
    F.scaled_dot_product_attention(q, k, v, is_causal=True).data_ptr()
    shown = capsys.readouterr().out
    assert "attention forward" in shown
    assert ("on matrix tiles" in shown) == tiles


def test_a_layer_is_one_kernel_forward_and_one_back():
    """Gradients of slices are read where they come from."""
    shape = form((2, 3, 16, 8), float32)
    q, k, v, g = (leaf(i, shape) for i in range(4))
    y = tiled_attention.attention(q, k, v, None, True, 0.3)
    found = gradients([y], [g], [q, k, v])
    names = [n.op.name for n in order(simplify([y, *found]))]
    assert names.count("attention") == 2
    assert "update_slice" not in names
