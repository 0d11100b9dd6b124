"""Convolutions whose lanes are images, against NumPy in float64: borders, types, epilogues."""

import numpy as np
import pytest
from window_specs import Case, Compiled, address, run_case

from gemel.codegen.products.contraction_spec import Access
from gemel.codegen.strategy import choose
from gemel.codegen.windows.convolution_images import ImageConvolution, image_convolution
from gemel.runtime.machine import machine

LANES = machine().lanes(4)

CASES = {
    "plain": Case(LANES, 5, 40, (6, 6), (3, 3), (1, 1), (1, 1), (1, 1)),
    "wide and odd": Case(3 * LANES, 7, 33, (5, 7), (3, 5), (1, 1), (1, 1), (1, 2)),
    "two panels of images": Case(4 * LANES, 3, 30, (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    "many channels": Case(2 * LANES, 70, 29, (4, 5), (3, 3), (1, 1), (1, 1), (1, 1)),
    "many positions": Case(LANES, 9, 120, (13, 11), (3, 7), (1, 1), (1, 1), (1, 3)),
    "groups": Case(LANES, 6, 40, (5, 5), (3, 3), (1, 1), (1, 1), (1, 1), groups=3),
    "one dimension": Case(LANES, 8, 100, (17,), (9,), (1,), (1,), (4,)),
    "three dimensions": Case(LANES, 4, 32, (3, 3, 4), (3, 3, 3), (1,) * 3, (1,) * 3, (1,) * 3),
    "apart outside": Case(LANES, 4, 70, (9, 6), (3, 3), (1, 1), (2, 1), (2, 1)),
    "doubles": Case(LANES, 6, 40, (5, 5), (3, 3), (1, 1), (1, 1), (1, 1), dtype=np.float64),
}


def _images(spec):
    strategy = image_convolution(spec, machine(), False)
    assert strategy is not None
    return strategy


@pytest.mark.parametrize("way", ["forward", "image"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_against_numpy(case, way):
    if way == "image":
        case = _mirrored(case)
    run_case(case, way, _images)
    run_case(case, way, _images, reverse=True)


def _mirrored(case):
    """The same sizes with inputs and outputs exchanged: the gradient has as many rows."""
    return Case(
        case.images, case.outputs, case.channels, case.places, case.taps, case.strides,
        case.dilations, case.pads, case.groups, dtype=case.dtype,
    )  # fmt: skip


@pytest.mark.parametrize("stride, pad", [(2, 1), (1, 3)])
def test_forward_alone(stride, pad):
    """Every second position; windows that lie beside the image."""
    case = Case(LANES, 6, 40, (8, 9), (3, 3), (stride,) * 2, (1, 1), (pad,) * 2)
    run_case(case, "forward", _images)


def test_small_images_take_it_and_others_do_not():
    def chosen(*sizes):
        images, places, taps, pad, last = sizes
        case = Case(
            images, 16, 32, (places,) * 2, (taps,) * 2, (1, 1), (1, 1), (pad,) * 2, last=last
        )
        return isinstance(choose(case.forward()[0][0], machine()), ImageConvolution)

    assert chosen(2 * LANES, 7, 3, 1, False)
    assert not chosen(2 * LANES + 1, 7, 3, 1, False)  # a vector would be part empty
    assert not chosen(2 * LANES, 30, 3, 1, False)  # nearly all taps meet the image
    assert not chosen(2 * LANES, 7, 3, 0, False)  # all do
    assert not chosen(2 * LANES, 7, 3, 1, True)  # channels are the vectors


def test_the_epilogue_reads_arrays_beside_the_results():
    case = Case(2 * LANES, 5, 40, (5, 7), (3, 3), (1, 1), (1, 1), (1, 1))
    spec, x, at, w, _, _ = case.forward()[0]
    rng = np.random.default_rng(1)
    bias = rng.standard_normal(40).astype(np.float32)
    rest = rng.standard_normal(case.y.shape).astype(np.float32)
    # `rest` is read and overwritten: every result is delivered once.
    zeros = [0] * len(spec.sizes)
    zeros[2] = 1
    spec = type(spec)(
        spec.sizes, spec.reduced, spec.elem, spec.left, spec.right,
        (*spec.tile, Access("float", tuple(zeros))),
    )  # fmt: skip
    want = case.expected("forward") + bias[:, None, None] + rest

    def epilogue(tile, value):
        tile.store(0, value + tile.load(0) + tile.load(1))

    tiles = [address(rest, 0), address(bias, 0)]
    call = Compiled(_images(spec), [address(x, at)], [address(w, 0)], tiles, epilogue)
    call()
    call.check()
    np.testing.assert_allclose(rest, want, rtol=1e-4, atol=1e-4)
