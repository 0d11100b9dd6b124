"""Input gradients of strided convolutions: all phases at once, or one by one."""

import dataclasses
import random

import numpy as np
import pytest
from convolution_table import Case
from test_bounded_contractions import Array, Held, check, run
from test_convolutions import Operands, assert_near

from gemel.codegen.products.contraction import Access, Contraction
from gemel.codegen.products.contraction_spec import Bound
from gemel.codegen.strategy import choose
from gemel.codegen.windows.strided_gradient import StridedGradient
from gemel.ops import windows
from gemel.ops.contraction import Window
from gemel.passes.windows import parts
from gemel.runtime.machine import machine

IMAGE, ROW, DEPTH = 0, 1, 2  # axes of every contraction here; then phases, shifts, positions


def strided_spec(seed, dtype=np.float32):
    """A gradient in phases: 1 to 3 windows with any stride, some of them with stride 1."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    ranks = draw.choice([1, 2, 2, 2, 3])
    sizes = [draw.choice([1, 2, 3]), draw.choice([1, 3, 8, 17, 33]), draw.choice([1, 2, 16, 40])]
    names, cuts = "crk", []
    for i in range(ranks):
        stride = draw.choice([2, 2, 3, 4] if i == ranks - 1 else [1, 2, 2, 3])
        taps, pad = draw.choice([1, 2, 3, 4, 5, 7]), draw.choice([0, 0, 1, 2, 3])
        low, high = -((taps - 1 - pad) // stride), (stride - 1 + pad) // stride
        count = draw.choice([1, 2, 4, 7, 8, 11, 16, 19][: 9 - 2 * ranks])
        steps = draw.choice([count, count + 1, max(1, count - 1)])
        cuts.append((len(sizes), stride, taps, pad, high, steps))
        sizes += [stride, max(1, high - low + 1), count]
        names += "rkc"

    def form(steps):
        return [steps.get(axis, 0) for axis in range(len(sizes))]

    image = [(0, form({IMAGE: 1}), sizes[IMAGE], False)]
    image.append((0, form({DEPTH: 1}), sizes[DEPTH], False))
    weights = [image[1], (0, form({ROW: 1}), sizes[ROW], False)]
    result = [image[0], weights[1]]
    for at, stride, taps, pad, high, steps in cuts:
        image.append((high, form({at + 1: -1, at + 2: 1}), steps, True))
        weights.append((pad - stride * high, form({at: 1, at + 1: stride}), taps, True))
        result.append((0, form({at: 1, at + 2: stride}), stride * sizes[at + 2], False))
    y, w, x = (Array(dims, dtype, rng) for dims in (image, weights, result))
    if draw.random() < 0.5:
        return names, sizes, w, y, x, dtype
    return names.translate(str.maketrans("rc", "cr")), sizes, y, w, x, dtype


@pytest.mark.parametrize("seed", range(60))
def test_phases_together(seed):
    dtype = [np.float32, np.float32, np.float64, np.int32][seed % 4]
    check(*strided_spec(seed, dtype), lambda spec: choose(spec, machine()))


@pytest.mark.parametrize("vector_bytes,registers", [(16, 16), (32, 16), (64, 32)])
def test_other_machines(vector_bytes, registers):
    """Narrow vectors, and caches so small that everything is cut into blocks."""
    host = dataclasses.replace(
        machine(), vector_bytes=vector_bytes, vector_registers=registers, l1=2 << 10, l2=16 << 10
    )
    for seed in range(100, 112):
        check(*strided_spec(seed), lambda spec: choose(spec, host))


def gradient_spec(images, rows, depth, count, taps):
    """The gradient for an image of `2 count` places squared (stride 2, pad 1), y of `count`
    squared; the arrays, and the contraction with a result, a mask and a number per row."""
    high, low = 1, -((taps - 2) // 2)
    shifts, places = high - low + 1, 2 * count
    rng = np.random.default_rng(0)
    y, w, x, mask = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in (
            (images, depth, count, count),
            (depth, rows, taps, taps),
            (images, rows, places, places),
            (images, rows, places, places),
        )
    )
    bias = rng.standard_normal(rows).astype(np.float32)
    # image, row, channel, phase y, phase x, shift y, shift x, position y, position x
    sizes = (images, rows, depth, 2, 2, shifts, shifts, count, count)

    def bounds(size, start, *steps):
        return tuple(Bound(tuple(p.get(i, 0) for i in range(9)), start, size) for p in steps)

    area, kernel = count * count, taps * taps
    left = Access(
        "float",
        (depth * area, 0, area, 0, 0, -count, -1, count, 1),
        bounds=bounds(count, high, {7: 1, 5: -1}, {8: 1, 6: -1}),
    )
    right = Access(
        "float",
        (0, kernel, rows * kernel, taps, 1, 2 * taps, 2, 0, 0),
        bounds=bounds(taps, 1 - 2 * high, {3: 1, 5: 2}, {4: 1, 6: 2}),
    )
    whole = Access(
        "float",
        (rows * places**2, places**2, 0, places, 1, 0, 0, 2 * places, 2),
    )
    row = Access("float", (0, 1, 0, 0, 0, 0, 0, 0, 0))
    flags = tuple(i in (2, 5, 6) for i in range(9))
    spec = Contraction(sizes, flags, "float", (left,), (right,), (whole, whole, row))
    starts = high * (count + 1), (1 - 2 * high) * (taps + 1)
    held = [Held(y, starts[0]), Held(w, starts[1]), Held(x), Held(mask), Held(bias)]
    return spec, held, (y, w, x, mask, bias)


@pytest.mark.parametrize("count", [3, 4, 7, 8, 16, 20])
@pytest.mark.parametrize("taps,depth", [(1, 5), (3, 12), (3, 700), (4, 12)])
def test_each_result_meets_the_epilogue_once(count, taps, depth):
    """The epilogue adds to what is there, so a second call would show."""
    spec, held, (y, w, x, mask, bias) = gradient_spec(2, 21, depth, count, taps)

    def epilogue(tile, value):
        f = tile.function
        value = f.select(f.compare(">", tile.load(1), 0.0), value + tile.load(2), 0.0)
        tile.store(0, value + tile.load(0))

    want = np.zeros((2, 21, 2 * count + taps + 1, 2 * count + taps + 1))
    for ty in range(taps):
        for tx in range(taps):
            part = np.einsum("nkyx,kr->nryx", y.astype(float), w[:, :, ty, tx].astype(float))
            want[:, :, ty : ty + 2 * count : 2, tx : tx + 2 * count : 2] += part
    want = want[:, :, 1 : 2 * count + 1, 1 : 2 * count + 1] + bias[:, None, None]
    want = np.where(mask > 0, want, 0) + x
    strategy = choose(spec, machine())
    assert isinstance(strategy, StridedGradient)
    run(spec, strategy, held, epilogue)
    np.testing.assert_allclose(x, want, rtol=1e-4, atol=2e-5 * depth**0.5 * taps + 1e-5)


def _cases():
    draw = random.Random(5)
    made = []
    for _ in range(70):
        ranks = draw.choice([1, 2, 2, 2, 3])
        most = 4 if ranks == 3 else 7
        window = tuple(draw.randint(1, most) for _ in range(ranks))
        made.append(
            Case(
                draw.choice([1, 2, 3]),
                draw.choice([1, 1, 1, 2]),
                draw.choice([1, 7, 8, 20, 33]),
                draw.choice([1, 5, 16, 24]),
                tuple(draw.choice([4, 7, 8, 13, 16][: 7 - ranks]) + k for k in window),
                window,
                tuple(draw.choice([1, 2, 2, 3]) for _ in window),
                tuple(draw.choice([1, 1, 1, 2]) for _ in window),
                tuple((draw.randint(0, 3), draw.randint(0, 3)) for _ in window),
                channels_last=draw.random() < 0.2,
                lies=draw.choice(["plain", "plain", "permuted", "sliced"]),
            )
        )
    made += [  # windows side by side: each phase has one tap
        Case(2, 1, 20, 24, (s * 7 + extra,) * 2, (s, s), (s, s), (1, 1), ((0, 0), (0, 0)))
        for s in (2, 3, 4)
        for extra in (0, 1)
    ]
    return [case for case in made if min(case.steps) > 0]


@pytest.mark.parametrize("case", _cases(), ids=str)
def test_gradients_of_strided_convolutions(case):
    """Odd sizes, any padding and window, whatever lies beside: through the whole compiler."""
    operands = Operands(case.dtype, case.lies)
    g, g_value = operands.new(case.y_shape())
    w, w_value = operands.new(case.kernel_shape())
    how = windows.Convolution(
        case.strides, case.dilations, case.widths, case.groups, case.channels_last,
        case.kernel_last,
    )  # fmt: skip
    (got,) = operands.run([windows.transposed(g, w, case.sizes, how)])
    zeros = np.zeros(case.x_shape())
    want = case.expected(zeros, w_value, g_value)[1]
    terms = case.expected(zeros, np.abs(w_value), np.abs(g_value))[1]
    assert_near(got, want, terms)


def test_the_products_of_a_part():
    """Taps that do not exist are not counted; one channel per group goes phase by phase."""
    window = Window(place=0, step=1, tap=2, stride=2, dilation=1, pad=1, places=9, steps=5, taps=3)
    sizes = {**window.sizes(), 3: 16, 4: 32, 5: 2}  # channels of the result, of y, images
    found = parts(sizes, ((5, 4, 1), (4, 3, 2), (5, 3, 0)), (window,))
    assert [part.products for part in found] == [4 * 3 * 16 * 32 * 2, 1 * 16 * 32 * 2]
    alone = parts({**sizes, 3: 1}, ((5, 4, 1), (4, 3, 2), (5, 3, 0)), (window,))
    assert [part.products for part in alone] == [5 * 64, 4 * 2 * 64]
