"""Weight gradients of windows against float64: layouts, strides, dilations, groups, borders."""

import dataclasses
import random
from math import prod

import numpy as np
import pytest
from window_specs import Case, Compiled, address, guarded, run_case

from gemel.codegen.weight_gradients.weight_gradient import weight_gradient
from gemel.runtime.machine import machine


def chosen(spec, host=None):
    found = weight_gradient(spec, host or machine(), False)
    assert found is not None, f"not recognised: {spec}"
    return found


CASES = [
    (2, 16, 32, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (5, 3, 16, (9,), (3,), (1,), (1,), (1,), 1),
    (3, 5, 20, (11, 9), (3, 2), (2, 1), (1, 2), (2, 1), 1),
    (2, 1, 32, (28, 28), (3, 3), (1, 1), (1, 1), (0, 0), 1),
    (2, 48, 64, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 20, 17, (7, 8), (3, 3), (1, 1), (1, 1), (1, 1), 3),
    (2, 3, 64, (40, 40), (7, 7), (2, 2), (1, 1), (3, 3), 1),
    (2, 4, 18, (6, 7, 8), (3, 2, 3), (1, 2, 1), (1, 1, 1), (1, 0, 2), 1),
    (1, 2, 30, (5, 6), (2, 2), (1, 1), (1, 1), (4, 5), 1),
    (1, 1, 16, (700,), (5,), (1,), (2,), (4,), 1),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("sizes", CASES)
def test_layouts_and_shapes(sizes, last, dtype):
    run_case(Case(*sizes, last, dtype), "weights", chosen)


def drawn(draw, seed):
    """A random case with enough positions to be a weight gradient."""
    while True:
        dims = draw.choice([1, 2, 2, 2, 3])
        most = {1: 60, 2: 20, 3: 8}[dims]
        places = tuple(draw.randint(1, most) for _ in range(dims))
        case = Case(
            draw.randint(1, 4),
            draw.choice([1, 2, 3, 7, 16, 18, 33]),
            draw.choice([8, 16, 19, 32, 50]),
            places,
            tuple(draw.randint(1, 4) for _ in range(dims)),
            tuple(draw.randint(1, 3) for _ in range(dims)),
            tuple(draw.randint(1, 3) for _ in range(dims)),
            tuple(draw.choice([0, 1, 2, 5]) for _ in range(dims)),
            draw.choice([1, 1, 2, 3]),
            draw.random() < 0.5,
            draw.choice([np.float32, np.float64]),
            seed,
        )
        if prod(case.steps) >= prod(case.taps) and case.images * prod(case.steps) >= 32:
            return case


def test_random_cases():
    draw = random.Random(11)
    for seed in range(60):
        case = drawn(draw, seed)
        spec = case.weights()[0][0]
        if weight_gradient(spec, machine(), False) is not None:
            run_case(case, "weights", chosen)


@pytest.mark.parametrize("last", [False, True])
def test_small_caches_cut_every_axis(last):
    host = dataclasses.replace(machine(), l1=4 << 10, l2=16 << 10)
    case = Case(3, 20, 24, (13, 17), (3, 3), (1, 2), (1, 1), (1, 2), 1, last)
    (used,) = run_case(case, "weights", lambda spec: chosen(spec, host))
    assert used.plan.positions.blocks > 3 and used.plan.pieces.channel_groups > 1


@pytest.mark.parametrize("vector_bytes,registers", [(16, 16), (32, 16), (64, 32)])
def test_narrow_machines(vector_bytes, registers):
    host = dataclasses.replace(machine(), vector_bytes=vector_bytes, vector_registers=registers)
    for last in (False, True):
        case = Case(2, 6, 40, (9, 11), (3, 3), (1, 1), (1, 1), (1, 1), 1, last)
        run_case(case, "weights", lambda spec: chosen(spec, host))


def test_pieces_in_any_order_give_the_same_bits():
    case = Case(16, 16, 48, (20, 20), (3, 3), (1, 1), (1, 1), (1, 1))
    spec, left, at, right, _, _ = case.weights()[0]
    strategy = chosen(spec)
    assert strategy.stages[0] > 1 and strategy.plan.pieces.splits > 1
    results = []
    for reverse in (False, True):
        _, out = guarded(case.w)
        where = [address(left, at)], [address(right, 0)], [address(out, 0)]
        Compiled(strategy, *where, reverse=reverse)()
        results.append(out.copy())
    np.testing.assert_array_equal(*results)


def test_prologues_and_epilogues():
    """relu(x) in front of the border, y scaled; the result is added to and doubled."""
    case = Case(3, 7, 24, (9, 10), (3, 3), (1, 1), (1, 1), (1, 1))
    spec, left, at, right, _, _ = case.weights()[0]
    spec = dataclasses.replace(spec, tile=(*spec.tile, *spec.tile))
    old = np.random.default_rng(1).standard_normal(case.w.shape).astype(np.float32)
    whole, out = guarded(case.w)

    def shifted(f, values):
        return values[0] + 1.0

    def doubled(f, values):
        return values[0] * 2.0

    def epilogue(tile, value):
        tile.store(0, value + tile.load(1))

    strategy = weight_gradient(spec, machine(), True)
    where = [address(left, at)], [address(right, 0)], [address(out, 0), address(old, 0)]
    call = Compiled(strategy, *where, epilogue=epilogue, joins=(shifted, doubled))
    call()
    call.check()
    case.x, case.y = case.x + np.float32(1), case.y * 2
    np.testing.assert_allclose(out, case.expected("weights") + old, rtol=1e-4, atol=1e-3)
    assert (whole[:64] == 77).all() and (whole[-64:] == 77).all()


def test_the_next_block_is_fetched():
    """Of both operands, where there are enough tiles to spread the lines over."""

    def fetches(case):
        spec = case.weights()[0][0]
        call = Compiled(
            chosen(spec), [address(case.x, 0)], [address(case.y, 0)], [address(case.w, 0)]
        )
        return call.module.text().count("call void @llvm.prefetch")

    windows = (3, 3), (1, 1), (1, 1), (1, 1)
    assert fetches(Case(2, 32, 32, (28, 28), *windows)) == 2
    assert fetches(Case(40, 32, 32, (5, 5), *windows)) == 2
    # One tile of one channel: 13 lines of the image, too many of 32 columns.
    assert fetches(Case(2, 1, 32, (28, 28), *windows)) == 1
