"""Depthwise windows walked straight from memory against float64: by rows, and channels last."""

import dataclasses
import random
from math import prod

import numpy as np
import pytest
from window_specs import Case, Compiled, address, close, guarded, run_case

from gemel.codegen.depthwise.by_columns import by_columns
from gemel.codegen.depthwise.by_rows import by_rows
from gemel.codegen.depthwise.gradient_by_columns import gradient_by_columns
from gemel.codegen.depthwise.gradient_by_rows import gradient_by_rows
from gemel.codegen.strategy import choose
from gemel.runtime.machine import machine

# wide enough for all that is asked here; its vectors run on narrower machines too
WIDE = dataclasses.replace(
    machine(), vector_bytes=64, vector_registers=32, l1=48 << 10, l2=2 << 20, l3=32 << 20
)
WAYS = {"forward": by_rows, "image": by_rows, "weights": gradient_by_rows}


def chosen(way, host=None):
    def choose(spec):
        found = WAYS[way](spec, host or WIDE, False)
        assert found is not None, f"not recognised: {spec}"
        return found

    return choose


def along_columns(spec, host=None):
    way = gradient_by_columns if spec.reduced[0] else by_columns
    found = way(spec, host or WIDE, False)
    assert found is not None, f"not recognised: {spec}"
    return found


def depthwise(images, places, taps, dilations, pads, groups, dtype=np.float32, seed=0):
    return Case(images, 1, 1, places, taps, (1, 1), dilations, pads, groups, False, dtype, seed)


CASES = [
    (2, (56, 56), (3, 3), (1, 1), (1, 1), 5),
    (2, (7, 7), (3, 3), (1, 1), (1, 1), 33),
    (1, (57, 58), (3, 3), (1, 1), (1, 1), 18),
    (2, (9, 33), (3, 3), (1, 1), (0, 0), 4),
    (2, (9, 33), (3, 3), (1, 1), (2, 2), 4),
    (3, (14, 37), (4, 3), (1, 2), (2, 0), 3),
    (1, (16, 120), (3, 3), (1, 3), (1, 2), 4),
    (2, (16, 28), (2, 5), (1, 1), (1, 0), 4),
    (4, (6, 20), (3, 2), (1, 1), (1, 1), 1),
]


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("sizes", CASES)
def test_both_elements(sizes, way):
    for dtype in (np.float32, np.float64):
        run_case(depthwise(*sizes, dtype=dtype), way, chosen(way))


@pytest.mark.parametrize("sizes", [(3, 1, 32, (28, 28)), (2, 1, 3, (9, 40), 5)])
def test_one_input_channel(sizes):
    images, channels, outputs, places, *groups = sizes
    windows = (3, 3), (1, 1), (1, 1), (0, 1)
    run_case(
        Case(images, channels, outputs, places, *windows, *groups), "forward", chosen("forward")
    )


@pytest.mark.parametrize("way", list(WAYS))
def test_these_are_chosen(way):
    spec = getattr(depthwise(2, (56, 56), (3, 3), (1, 1), (1, 1), 8), way)()[0][0]
    assert type(choose(spec, WIDE)) is type(chosen(way)(spec))


@pytest.mark.parametrize("way", list(WAYS))
def test_random_cases(way):
    """Whatever is recognised must be right."""
    draw, seen = random.Random(way), 0
    for seed in range(60):
        taps = draw.randint(1, 5), draw.randint(1, 5)
        places = draw.randint(taps[0], 20), draw.randint(taps[1], 70)
        pads = draw.randint(0, taps[0]), draw.randint(0, 6)
        dilations = draw.choice([1, 1, 1, 2]), draw.choice([1, 1, 2])
        groups, dtype = draw.choice([1, 2, 5]), draw.choice([np.float32, np.float64])
        case = depthwise(draw.randint(1, 3), places, taps, dilations, pads, groups, dtype, seed)
        specs = [call[0] for call in getattr(case, way)()] if prod(case.steps) > 0 else []
        if specs and all(WAYS[way](spec, WIDE, False) for spec in specs):
            run_case(case, way, chosen(way))
            seen += 1
    assert seen >= 15


@pytest.mark.parametrize("way", list(WAYS))
def test_narrow_vectors_and_few_registers(way):
    host = dataclasses.replace(WIDE, vector_bytes=16, vector_registers=16)
    run_case(depthwise(2, (13, 22), (3, 3), (1, 1), (1, 1), 19), way, chosen(way, host))


@pytest.mark.parametrize("way", list(WAYS))
def test_others_are_left_alone(way):
    wide = [(3, 3), (1, 1), (1, 1)]
    found = WAYS[way]
    for case in (
        Case(2, 1, 1, (20, 20), (3, 3), (2, 2), *wide[1:], 4),
        Case(2, 1, 1, (20, 20), (3, 3), (1, 1), (2, 2), (2, 2), 4),
        Case(2, 1, 1, (20, 20), *wide, (1, 1), 4, True),
        Case(2, 2, 2, (20, 20), *wide, (1, 1), 4),
        Case(2, 1, 1, (20, 20), (1, 3), (1, 1), (1, 1), (0, 1), 4),
        Case(2, 1, 1, (20, 2000), *wide, (1, 1), 4),
    ):
        assert any(found(call[0], WIDE, False) is None for call in getattr(case, way)())
    narrow = Case(2, 1, 16, (20, 5), (3, 3), (1, 1), (1, 1), (1, 1))
    if way != "image":
        assert found(getattr(narrow, way)()[0][0], WIDE, False) is None
    case = depthwise(2, (20, 20), *wide, 4)
    assert found(getattr(case, way)()[0][0], WIDE, True) is None


@pytest.mark.parametrize("way", ["forward", "weights"])
@pytest.mark.parametrize("long", [False, True])
def test_epilogues(long, way):
    """An array is added; a long epilogue runs in a loop."""
    case = depthwise(2, (9, 53), (3, 3), (1, 1), (1, 1), 18)
    spec, left, at, right, _, _ = getattr(case, way)()[0]
    spec = dataclasses.replace(spec, tile=(*spec.tile, *spec.tile))
    result = case.w if way == "weights" else case.y
    whole, out = guarded(result)
    _, old = guarded(result)
    old[...] = np.random.default_rng(1).standard_normal(result.shape)

    def epilogue(tile, value):
        for _ in range(20 * long):
            value = value * 2.0
        for _ in range(20 * long):
            value = value * 0.5
        tile.store(0, value + tile.load(1))

    where = [address(left, at)], [address(right, 0)], [address(out, 0), address(old, 0)]
    call = Compiled(chosen(way)(spec), *where, epilogue=epilogue)
    call()
    call.check()
    close(case, way, out - old)
    assert (whole[:64] == 77).all() and (whole[-64:] == 77).all()


@pytest.mark.parametrize("way", list(WAYS))
def test_pieces_in_any_order_give_the_same_bits(way):
    case = depthwise(8, (40, 40), (3, 3), (1, 1), (1, 1), 64)
    spec, left, at_left, right, at_right, at_out = getattr(case, way)()[0]
    strategy = chosen(way)(spec)
    assert strategy.stages[0] > 1
    results = []
    for reverse in (False, True):
        _, out = guarded({"forward": case.y, "weights": case.w, "image": case.x}[way])
        where = [address(left, at_left)], [address(right, at_right)], [address(out, at_out)]
        Compiled(strategy, *where, reverse=reverse)()
        results.append(out.copy())
    np.testing.assert_array_equal(*results)


def test_places_that_do_not_exist_meet_no_infinity():
    """A row above the image and lanes beside it are not multiplied."""
    case = depthwise(1, (5, 17), (3, 3), (1, 1), (1, 0), 1)
    case.x[..., 2, 3] = np.inf
    spec, left, at, right, _, _ = case.weights()[0]
    _, out = guarded(case.w)
    where = [address(left, at)], [address(right, 0)], [address(out, 0)]
    Compiled(chosen("weights")(spec), *where)()
    assert not np.isnan(out).any()


LAST = [
    (2, (14, 14), (3, 3), (1, 1), 20),
    (1, (57, 9), (3, 3), (1, 1), 32),
    (2, (13, 8), (3, 3), (1, 1), 3),
    (1, (7, 7), (3, 3), (1, 1), 40),
    (2, (9, 11), (3, 3), (0, 0), 4),
    (1, (20, 17), (5, 3), (2, 0), 16),
    (1, (12, 12), (5, 5), (2, 2), 33),
    (1, (16, 9), (1, 3), (0, 1), 16),
]


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("sizes", LAST)
def test_channels_last(sizes, way):
    images, places, taps, pads, groups = sizes
    for dtype in (np.float32, np.float64):
        case = Case(images, 1, 1, places, taps, (1, 1), (1, 1), pads, groups, True, dtype)
        run_case(case, way, along_columns)
        spec = getattr(case, way)()[0][0]
        assert type(choose(spec, WIDE)) is type(along_columns(spec))


@pytest.mark.parametrize("way", ["forward", "weights"])
def test_channels_last_of_much_memory_and_in_any_order(way):
    """More than the second cache holds; the same bits whatever the order of pieces."""
    groups = WIDE.l2 // 4 // (28 * 28) + 21
    case = Case(1, 1, 1, (28, 28), (3, 3), (1, 1), (1, 1), (1, 1), groups, True)
    spec, left, at, right, _, _ = getattr(case, way)()[0]
    strategy = along_columns(spec)
    assert strategy.ahead
    assert strategy.stages[0] > 1
    results = []
    for reverse in (False, True):
        _, out = guarded(case.w if way == "weights" else case.y)
        where = [address(left, at)], [address(right, 0)], [address(out, 0)]
        Compiled(strategy, *where, reverse=reverse)()
        results.append(out.copy())
    np.testing.assert_array_equal(*results)
    close(case, way, results[0])


@pytest.mark.parametrize("way", ["forward", "weights"])
def test_channels_last_on_narrow_machines(way):
    host = dataclasses.replace(WIDE, vector_bytes=16, vector_registers=16)
    case = Case(2, 1, 1, (12, 9), (3, 3), (1, 1), (1, 1), (1, 1), 19, True)
    run_case(case, way, lambda spec: along_columns(spec, host))


def test_channels_last_with_a_long_epilogue():
    case = Case(2, 1, 1, (14, 9), (3, 3), (1, 1), (1, 1), (1, 1), 18, True)
    spec, left, at, right, _, _ = case.forward()[0]
    spec = dataclasses.replace(spec, tile=(*spec.tile, *spec.tile))
    _, out = guarded(case.y)
    _, old = guarded(case.y)
    old[...] = np.random.default_rng(1).standard_normal(case.y.shape)

    def epilogue(tile, value):
        for factor in [2.0] * 20 + [0.5] * 20:
            value = value * factor
        tile.store(0, value + tile.load(1))

    where = [address(left, at)], [address(right, 0)], [address(out, 0), address(old, 0)]
    Compiled(along_columns(spec), *where, epilogue=epilogue)()
    close(case, "forward", out - old)


def test_channels_last_others_are_left_alone():
    for case in (
        Case(2, 1, 1, (20, 20), (3, 3), (2, 2), (1, 1), (1, 1), 16, True),
        Case(2, 1, 1, (20, 20), (3, 3), (1, 1), (1, 1), (1, 1), 16),
        Case(2, 2, 2, (20, 20), (3, 3), (1, 1), (1, 1), (1, 1), 16, True),
        Case(2, 1, 1, (20, 20), (3, 3), (1, 1), (2, 2), (1, 1), 16, True),
    ):
        assert by_columns(case.forward()[0][0], WIDE, False) is None
        assert gradient_by_columns(case.weights()[0][0], WIDE, False) is None
