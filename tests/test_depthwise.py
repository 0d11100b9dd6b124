"""Few channels per group against float64: depthwise in both layouts, one to four outputs."""

import dataclasses
import random
from math import prod

import numpy as np
import pytest
from window_specs import Case, Compiled, address, guarded, run_case

from gemel.codegen.depthwise.direct import few_outputs
from gemel.codegen.depthwise.folded_gradient import folded_gradient
from gemel.runtime.machine import machine

STRATEGIES = {"forward": few_outputs, "image": few_outputs, "weights": folded_gradient}


def chosen(way, host=None):
    def choose(spec):
        found = STRATEGIES[way](spec, host or machine(), False)
        assert found is not None, f"not recognised: {spec}"
        return found

    return choose


DEPTHWISE = [
    (2, (20,), (3,), (1,), (1,), (1,), 5),
    (2, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 20),
    (1, (57, 56), (3, 3), (1, 1), (1, 1), (1, 1), 18),
    (2, (15, 17), (3, 3), (2, 2), (1, 1), (1, 1), 20),
    (2, (15, 37), (5, 3), (1, 1), (2, 2), (3, 0), 3),
    (2, (19, 33), (5, 4), (3, 2), (1, 2), (2, 5), 9),
    (2, (6, 7, 9), (3, 2, 3), (1, 1, 1), (1, 1, 1), (1, 0, 1), 17),
    (3, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1), 33),
]


@pytest.mark.parametrize("way", ["forward", "image", "weights"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("sizes", DEPTHWISE)
def test_depthwise(sizes, last, way):
    images, *windows, groups = sizes
    for dtype in (np.float32, np.float64):
        run_case(Case(images, 1, 1, *windows, groups, last, dtype), way, chosen(way))


FEW = [
    (2, 1, 2, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 6),
    (2, 3, 3, (14, 34), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 4, 2, (9, 8, 20), (2, 2, 3), (1, 1, 1), (1, 1, 1), (0, 1, 1), 1),
    (2, 3, 4, (40, 40), (7, 7), (2, 2), (1, 1), (3, 3), 1),
    (3, 2, 1, (50,), (9,), (1,), (3,), (12,), 4),
]


@pytest.mark.parametrize("way", ["forward", "image", "weights"])
@pytest.mark.parametrize("sizes", FEW)
def test_one_to_four_channels(sizes, way):
    run_case(Case(*sizes), way, chosen(way))


GROUPED = [
    (2, 2, 2, (9, 11), (3, 3), (1, 1), (1, 1), (1, 1), 18),
    (1, 3, 4, (8, 20), (3, 2), (2, 1), (1, 2), (1, 1), 9),
    (2, 4, 1, (13,), (3,), (1,), (1,), (1,), 33),
]


@pytest.mark.parametrize("way", ["forward", "image", "weights"])
@pytest.mark.parametrize("sizes", GROUPED)
def test_many_small_groups_with_channels_last(sizes, way):
    for dtype in (np.float32, np.float64):
        run_case(Case(*sizes, last=True, dtype=dtype), way, chosen(way))


def test_image_of_three_channels_from_many():
    run_case(Case(2, 3, 64, (30, 40), (7, 7), (2, 2), (1, 1), (3, 3)), "image", chosen("image"))
    run_case(Case(2, 1, 32, (28, 28), (3, 3), (1, 1), (1, 1), (0, 0)), "image", chosen("image"))


def drawn(draw, seed):
    dims = draw.choice([1, 2, 2, 2, 3])
    most = {1: 60, 2: 24, 3: 9}[dims]
    return Case(
        draw.randint(1, 4),
        draw.choice([1, 1, 1, 2, 3]),
        draw.choice([1, 1, 1, 2, 3]),
        tuple(draw.randint(1, most) for _ in range(dims)),
        tuple(draw.randint(1, 4) for _ in range(dims)),
        tuple(draw.randint(1, 3) for _ in range(dims)),
        tuple(draw.randint(1, 3) for _ in range(dims)),
        tuple(draw.choice([0, 1, 2, 5]) for _ in range(dims)),
        draw.choice([1, 2, 3, 16, 21]),
        draw.random() < 0.5,
        draw.choice([np.float32, np.float64]),
        seed,
    )


@pytest.mark.parametrize("way", ["forward", "image", "weights"])
def test_random_cases(way):
    """Whatever is recognised must be right; about half of what is drawn is."""
    draw, seen = random.Random(way), 0
    for seed in range(80):
        case = drawn(draw, seed)
        specs = [call[0] for call in getattr(case, way)()] if prod(case.steps) else []
        if specs and all(STRATEGIES[way](spec, machine(), False) for spec in specs):
            run_case(case, way, chosen(way))
            seen += 1
    assert seen >= 20


@pytest.mark.parametrize("way", ["forward", "image", "weights"])
@pytest.mark.parametrize("last", [False, True])
def test_other_machines(last, way):
    for changes in ({"vector_bytes": 16, "vector_registers": 16}, {"l1": 2 << 10, "l2": 8 << 10}):
        host = dataclasses.replace(machine(), **changes)
        case = Case(2, 1, 1, (13, 37), (3, 3), (1, 1), (1, 1), (1, 1), 19, last)
        run_case(case, way, chosen(way, host))


@pytest.mark.parametrize("way", ["forward", "weights"])
def test_pieces_in_any_order_give_the_same_bits(way):
    case = Case(8, 1, 1, (40, 40), (3, 3), (1, 1), (1, 1), (1, 1), 16)
    spec, left, at, right, _, _ = getattr(case, way)()[0]
    strategy = chosen(way)(spec)
    assert strategy.stages[0] > 1
    results = []
    for reverse in (False, True):
        _, out = guarded(case.w if way == "weights" else case.y)
        where = [address(left, at)], [address(right, 0)], [address(out, 0)]
        Compiled(strategy, *where, reverse=reverse)()
        results.append(out.copy())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("way", ["forward", "weights"])
@pytest.mark.parametrize("last", [False, True])
def test_prologues_and_epilogues(last, way):
    """x + 1 in front of the border, the other operand doubled, an array added."""
    case = Case(2, 1, 1, (9, 21), (3, 3), (1, 1), (1, 1), (1, 1), 18, last)
    spec, left, at, right, _, _ = getattr(case, way)()[0]
    spec = dataclasses.replace(spec, tile=(*spec.tile, *spec.tile))
    result = case.w if way == "weights" else case.y
    whole, out = guarded(result)
    _, old = guarded(result)
    old[...] = np.random.default_rng(1).standard_normal(result.shape)

    def shifted(f, values):
        return values[0] + 1.0

    def doubled(f, values):
        return values[0] * 2.0

    def epilogue(tile, value):
        tile.store(0, value + tile.load(1))

    strategy = STRATEGIES[way](spec, machine(), True)
    where = [address(left, at)], [address(right, 0)], [address(out, 0), address(old, 0)]
    call = Compiled(strategy, *where, epilogue=epilogue, joins=(shifted, doubled))
    call()
    call.check()
    case.x = case.x + np.float32(1)
    expected = 2 * case.expected(way) + old
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-3)
    assert (whole[:64] == 77).all() and (whole[-64:] == 77).all()


def test_long_lines_of_many_channels_are_left_to_others():
    case = Case(1, 64, 1, (200_000,), (3,), (1,), (1,), (1,))
    for way, strategy in STRATEGIES.items():
        found = strategy(getattr(case, way)()[0][0], machine(), False)
        assert found is None or found.scratch_bytes < 5 * machine().l2
