"""Values that wait on the stack for a later pass over a row: how many places, and whose."""

from __future__ import annotations

import numpy as np
import pytest
from nest_runner import nests_of
from test_ops import run

from gemel.codegen.nest import Nest
from gemel.codegen.nests import spills
from gemel.codegen.nests.timing import Timing
from gemel.graph.form import float32, form
from gemel.ops import activations, elementwise
from gemel.ops.record import leaf
from gemel.passes import native

COLUMNS = 300


def chain(count: int) -> list:
    """Softmax over and over, and a value of the beginning at the end."""
    x = leaf(0, form((5, COLUMNS), float32))
    first = y = elementwise.EXP(x)
    for _ in range(count):
        y = activations.softmax(y * 5.0, 1)
    return [x, y * first]


def plan(count: int) -> tuple[Timing, list[spills.Spill]]:
    kernels, _ = nests_of(chain(count)[1:])
    (nest,) = [s for k in kernels for s in k.sections]
    assert isinstance(nest, Nest)
    timing = Timing(nest)
    return timing, spills.planned(timing, COLUMNS)


def values(count: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = chain(count)
    given = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    (found,) = run([x], [y], [given], "cpu")
    first = wanted = np.exp(given.astype(np.float64))
    for _ in range(count):
        powers = np.exp(wanted * 5 - (wanted * 5).max(1, keepdims=True))
        wanted = powers / powers.sum(1, keepdims=True)
    return found, wanted * first


@pytest.mark.parametrize("count", [3, 7, 12])
def test_a_chain_of_any_length_needs_few_places(count):
    timing, found = plan(count)
    assert len({x.place for x in found}) == 3
    waiting = {id(x.value): x.first for x in found}
    for p in range(timing.passes):
        known = {n for n, first in waiting.items() if first < p}
        again = [e for e in spills.used_in(timing, p, known) if id(e) not in known]
        assert len(again) <= 1  # each exponential is computed in one pass
    assert len(found) >= count - 1


def test_nobody_gets_a_place_that_is_needed():
    timing, found = plan(6)
    waiting = {id(x.value): x.first for x in found}
    last = dict(waiting)
    for p in range(timing.passes):
        known = {n for n, first in waiting.items() if first < p}
        last.update({id(e): p for e in spills.used_in(timing, p, known) if id(e) in waiting})
    for x in found:
        for y in found:
            together = x.first <= last[id(y.value)] and y.first <= last[id(x.value)]
            assert x is y or x.place != y.place or not together


@pytest.mark.parametrize("places", [0, 1, 9])
def test_values_are_right_with_room_for_none_some_or_all(places, monkeypatch):
    monkeypatch.setattr(spills, "ROOM", places * COLUMNS * 4)
    monkeypatch.setenv("GEMEL_CACHE", "off")  # no program of another room
    monkeypatch.setattr(native, "_structures", {})
    monkeypatch.setattr(native, "_loaded", {})
    assert len({x.place for x in plan(5)[1]}) == min(places, 3)
    np.testing.assert_allclose(*values(5), rtol=1e-4)
