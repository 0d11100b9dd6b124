"""tf.function: what warns, what is drawn anew, what a recording follows."""

from __future__ import annotations

import warnings

import pytest

import gemel.tensorflow as tf


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
