"""Products of bfloat16 that are read as they are stored: on matrix tiles, or widened."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import gemel.torch as torch
import gemel.torch.nn.functional as F
from gemel.codegen import sections
from gemel.codegen.dots.product import TileProduct
from gemel.codegen.products.contraction_spec import Access, Contraction
from gemel.codegen.strategy import choose
from gemel.passes import half_products, native
from gemel.runtime.machine import machine
from gemel.tensor.state import drop_trie

TILES = dataclasses.replace(machine(), matrix_tiles=True)
NO_TILES = dataclasses.replace(machine(), matrix_tiles=False)

CASES = {
    "product": (torch.mm, (128, 96), (96, 160)),
    "nothing fits": (torch.mm, (131, 75), (75, 117)),
    "long sum": (torch.mm, (40, 5000), (5000, 70)),
    "rows of few": (torch.mm, (9, 700), (700, 33)),
    "right turned": (lambda a, b: a @ b.t(), (97, 67), (130, 67)),
    "left turned": (lambda a, b: a.t() @ b, (97, 131), (97, 77)),
    "both turned": (lambda a, b: a.t() @ b.t(), (97, 131), (77, 97)),
    "parts": (lambda a, b: a[1:, ::2] @ b[3:, 1:], (70, 128), (67, 90)),
    "batches": (torch.bmm, (5, 33, 48), (5, 48, 81)),
    "shared batch": (torch.matmul, (5, 33, 48), (48, 81)),
    "epilogue": (lambda a, b: F.relu(F.linear(a, b, b[:, 0])), (65, 100), (90, 100)),
    "summed outside": (lambda a, b: torch.einsum("ijk,ljk->il", a, b), (31, 20, 9), (33, 20, 9)),
    "convolution": (lambda x, w: F.conv2d(x, w, padding=1), (3, 32, 16, 16), (48, 32, 3, 3)),
    "stride 2": (lambda x, w: F.conv2d(x, w, None, 2, 1), (3, 32, 15, 16), (48, 32, 3, 3)),
    "few channels": (lambda x, w: F.conv2d(x, w, None, 2, 3), (2, 3, 29, 31), (17, 3, 7, 7)),
    "1x1": (F.conv2d, (3, 32, 9, 9), (48, 32, 1, 1)),
    "small images": (lambda x, w: F.conv2d(x, w, padding=1), (5, 40, 4, 4), (64, 40, 3, 3)),
    "dilated": (lambda x, w: F.conv1d(x, w, dilation=3), (4, 24, 70), (32, 24, 5)),
    "groups": (lambda x, w: F.conv2d(x, w, groups=2), (3, 32, 12, 12), (48, 16, 3, 3)),
}


def values(*shapes):
    """bfloat16 values, the same ones each time."""
    rng = np.random.default_rng(3)
    return [torch.from_numpy(rng.standard_normal(s).astype(np.float32)).bfloat16() for s in shapes]


def results(function, operands) -> list[np.ndarray]:
    """The result and the operands' gradients."""
    given = [x.detach().clone().requires_grad_() for x in operands]
    y = function(*given)
    weights = torch.from_numpy(np.random.default_rng(4).standard_normal(tuple(y.shape)))
    y.backward(weights.to(torch.bfloat16).to(y.dtype))
    return [x.detach().float().numpy() for x in (y, *(g.grad for g in given))]


@pytest.fixture(params=["matrix tiles", "widened", "float32"])
def way(request, monkeypatch):
    """How products of bfloat16 are computed; nothing compiled in another way is found. Gives the
    spec of every product that came to the matrix tiles."""
    if request.param == "matrix tiles" and not machine().matrix_tiles:
        pytest.skip("no matrix tiles here")
    read = TILES if request.param != "float32" else NO_TILES
    used = TILES if request.param == "matrix tiles" else NO_TILES
    monkeypatch.setattr(half_products, "machine", lambda: read)
    monkeypatch.setattr(sections, "machine", lambda: used)
    monkeypatch.setenv("GEMEL_CACHE", "off")
    monkeypatch.setattr(native, "_loaded", {})
    seen = []
    make = TileProduct.__init__
    monkeypatch.setattr(
        TileProduct,
        "__init__",
        lambda self, spec, host: (seen.append(spec), make(self, spec, host))[1],
    )
    drop_trie()
    yield request.param, seen
    drop_trie()


@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients(name, way):
    function, *shapes = CASES[name]
    operands = values(*shapes)
    # values of their own: as casts of the others they would be read from those
    wide = [torch.from_numpy(x.float().numpy()) for x in operands]
    exact = results(function, wide)
    kind, seen = way
    assert not seen
    made = results(function, operands)
    assert bool(seen) == (kind == "matrix tiles")
    for found, wanted in zip(made, exact, strict=True):
        # one rounding of the result, whose neighbours are 2**-8 apart
        np.testing.assert_allclose(found, wanted, rtol=2**-7, atol=2**-7 * np.abs(wanted).max())


def plain(m: int, n: int, k: int, **more) -> Contraction:
    """A product of matrices of bfloat16 as a contraction."""
    arrays = ((k, 0, 1), (0, 1, n)), ((n, 1, 0),)
    left, right = (Access("i16", strides) for strides in arrays[0])
    (result,) = (Access("float", strides) for strides in arrays[1])
    sums = (False, False, True)
    return Contraction(
        (m, n, k), sums, "float", (left,), (right,), (result,), bfloat16=True, **more
    )


@pytest.mark.parametrize("sizes", [(0, 64, 64), (64, 0, 64)])
def test_nothing_to_do(sizes):
    assert choose(plain(*sizes), TILES).stages == ()


def test_pieces_and_memory_follow_from_sizes():
    way = choose(plain(256, 512, 4096), TILES)
    assert way.stages == (8, 16)
    assert way.shared_bytes == 256 * 4096 * 2
    assert way.describe() == ("32x32 matrix tiles of bfloat16, k in 8 blocks of 512, 8x16 panels")


@pytest.mark.parametrize("sizes", [(128, 128, 128), (784, 64, 512)])
def test_without_tiles_products_are_those_of_float32(sizes):
    assert not isinstance(choose(plain(*sizes), NO_TILES, joined=(True, True)), TileProduct)
