"""Loops and choices in graphs: against TensorFlow's; what runs, what is refused."""

from __future__ import annotations

import pytest
import tensorflow_loop_cases
from tensorflow_compare import TOLERANCE, case_of, difference, fresh_graph, original, recorded
from torch_compare import cases_of

import gemel.tensorflow as tf

CASES = cases_of(tensorflow_loop_cases)


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    found = case_of(tf, CASES[name])
    assert difference(found, recorded("tensorflow_loop_cases")[name], TOLERANCE) == ""


@pytest.mark.oracle_tf
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    found = case_of(tf, CASES[name])
    assert difference(found, case_of(original(), CASES[name]), TOLERANCE) == ""


@pytest.mark.parametrize("name", ["while_counts", "scan_and_folds", "cond_chooses"])
def test_case_on_the_reference(name, monkeypatch):
    monkeypatch.setenv("GEMEL_DEVICE", "reference")
    found = case_of(tf, CASES[name])
    assert difference(found, recorded("tensorflow_loop_cases")[name], TOLERANCE) == ""


def test_a_fed_truth_value_leaves_one_side():
    with fresh_graph(tf) as (v1, session):
        training = v1.placeholder(v1.bool, [])
        y = v1.cond(training, lambda: v1.random_normal([3]), lambda: v1.zeros([3]))
        assert session.run(y, {training: False}).tolist() == [0.0, 0.0, 0.0]
        assert session.run(y, {training: True}).all()


def test_variables_change_step_by_step():
    with fresh_graph(tf) as (v1, session):
        n = v1.placeholder(v1.int32, [])
        v = v1.get_variable("v", initializer=0.0)

        def step(i, a):
            with v1.control_dependencies([v1.assign_add(v, v1.cast(i, v1.float32))]):
                return [i + 1, a + v.read_value()]

        found = v1.while_loop(lambda i, a: i < n, step, [0, 0.0])
        session.run(v.initializer)
        assert session.run(found, {n: 4}) == [4, 0 + 1 + 3 + 6]
        assert session.run(v) == 6
        assert session.run(found, {n: 2}) == [2, 6 + 7]
        assert session.run(v) == 7


def test_an_assertion_in_a_step_stops_the_run():
    with fresh_graph(tf) as (v1, session):
        n = v1.placeholder(v1.int32, [])

        def step(i):
            with v1.control_dependencies([v1.Assert(i < 3, [i])]):
                return [i + 1]

        i = v1.while_loop(lambda i: i < n, step, [0])
        assert session.run(i, {n: 3}) == 3
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(i, {n: 4})


def test_steps_of_while_do_not_draw():
    with fresh_graph(tf) as (v1, session):
        with pytest.raises(NotImplementedError, match="draw them outside"):
            v1.while_loop(lambda a: True, lambda a: a + v1.random_normal([2]), [v1.zeros([2])])


def test_state_must_keep_its_form():
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(v1.float32, [None])
        with pytest.raises(ValueError, match="shape"):
            v1.while_loop(lambda a: True, lambda a: v1.concat([a, a], 0), [v1.zeros([2])])
        with pytest.raises(TypeError, match="type"):
            v1.while_loop(lambda a: True, lambda a: v1.cast(a, v1.int32), [x])
        grown = v1.while_loop(
            lambda a: v1.size(a) < 9, lambda a: v1.concat([a, a], 0), [x],
            shape_invariants=[v1.TensorShape([None])],
        )  # fmt: skip
        with pytest.raises(tf.errors.InvalidArgumentError, match="Keep its shape"):
            session.run(grown, {x: [1.0, 2.0]})


def test_what_belongs_to_a_step_is_not_fetched():
    seen = []
    with fresh_graph(tf) as (v1, session):
        step = lambda i: (seen.append(i * 2), i + 1)[1]  # noqa: E731
        i = v1.while_loop(lambda i: i < 3, step, [0])
        assert session.run(i) == 3
        with pytest.raises(ValueError, match="carry what is wanted"):
            session.run(seen[0])


def test_a_gradient_needs_a_bound():
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(v1.float32, [2])
        y = v1.while_loop(lambda a: v1.reduce_sum(a) < 9.0, lambda a: a * a + 1.0, [x])
        slope = v1.gradients(y, x)[0]
        with pytest.raises(NotImplementedError, match="maximum_iterations"):
            session.run(slope, {x: [1.0, 2.0]})
