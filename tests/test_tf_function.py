"""Gradient tapes, variables, tf.function, datasets and Keras models against TensorFlow's."""

from __future__ import annotations

import warnings

import pytest
import tensorflow_cases
from tensorflow_compare import TOLERANCE, case_of, difference, original, recorded
from torch_compare import cases_of

import gemel.tensorflow as tf

PARTS = ("tape", "function", "variable_methods", "keras", "data")
CASES = {n: c for n, c in cases_of(tensorflow_cases).items() if n.startswith(PARTS)}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    found = case_of(tf, CASES[name])
    assert difference(found, recorded("tensorflow_cases")[name], TOLERANCE) == ""


# Keras has one backend in a process, and here it is Gemel's: its cases have recorded values only.
@pytest.mark.oracle_tf
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("keras")])
def test_case_live(name):
    found = case_of(tf, CASES[name])
    assert difference(found, case_of(original(), CASES[name]), TOLERANCE) == ""


def test_every_case_is_run_somewhere():
    import test_tf_graph
    import test_tf_optimizers
    import test_tf_session

    parts = test_tf_graph.PARTS + test_tf_optimizers.PARTS + test_tf_session.PARTS + PARTS
    assert all(name.startswith(parts) for name in cases_of(tensorflow_cases))


def test_looking_at_a_value_inside_warns_once():
    @tf.function
    def f(x):
        return x if x > 0 else -x

    with pytest.warns(UserWarning, match=r"f looks at .*test_tf_function\.py:\d+.*tf\.where"):
        assert f(tf.constant(-1.0)).numpy() == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(tf.constant(2.0)).numpy() == 2.0
    with pytest.raises(ValueError, match="concrete function"):
        f.get_concrete_function(tf.constant(1.0))


def test_random_numbers_are_drawn_anew_at_each_call():
    @tf.function
    def draw():
        return tf.random.normal([4])

    assert draw().numpy().tolist() != draw().numpy().tolist()


def test_a_variable_assigned_under_a_living_tape_is_followed():
    v = tf.Variable(1.0)

    @tf.function
    def f():
        return v * 2.0

    assert f().numpy() == 2.0
    with tf.GradientTape(persistent=True) as tape:
        y = v * v
    v.assign(5.0)
    assert f().numpy() == 10.0
    assert tape.gradient(y, v).numpy() == 2.0


def test_a_recording_found_again_has_gradients():
    w = tf.Variable([1.0, 2.0])

    @tf.function
    def f(x):
        return tf.reduce_sum(w * w * x)

    x = tf.constant([3.0, 4.0])
    assert f(x).numpy() == 19.0
    for _ in range(2):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = f(x)
        assert tape.gradient(y, w).numpy().tolist() == [6.0, 16.0]
        assert tape.gradient(y, x).numpy().tolist() == [1.0, 4.0]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        y = f(x)
    assert tape.gradient(y, w) is None
