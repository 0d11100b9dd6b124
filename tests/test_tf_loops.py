"""Loops and choices inside of tf.function: values and gradients are those of the same function in
eager mode, where Python loops over its steps; the recorded loop is entered, not written out."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.tensorflow as tf

random = np.random.default_rng(0)
X = random.standard_normal((5, 3)).astype("f4")
W = (random.standard_normal((3, 3)) * 0.5).astype("f4")
H = random.standard_normal(3).astype("f4")


def turn(w, a, e=0.0):
    return tf.tanh(tf.linalg.matvec(w, a) + e)


def counted(w, x, h):
    found = tf.while_loop(
        lambda i, a: i < 4, lambda i, a: (i + 1, turn(w, a) + a), (tf.constant(0), h),
        maximum_iterations=10,
    )  # fmt: skip
    return found[1]


def data_dependent(w, x, h):
    found = tf.while_loop(
        lambda i, a: tf.reduce_sum(a * a) < 50.0,
        lambda i, a: (i + 1, tf.linalg.matvec(w, a) + 1.5 * a),
        [tf.constant(0), h],
        maximum_iterations=40,
    )
    return found[1] + tf.cast(found[0], tf.float32)


def bounded(w, x, h):
    return tf.while_loop(lambda a: True, lambda a: turn(w, a), (h,), maximum_iterations=3)[0]


def scanned(w, x, h):
    return tf.scan(lambda a, e: turn(w, a, e), x, initializer=h)


def scanned_backwards(w, x, h):
    return tf.scan(lambda a, e: turn(w, a, e), x, reverse=True) * tf.reshape(tf.range(15.0), (5, 3))


def scanned_pairs(w, x, h):
    first, second = tf.scan(
        lambda a, e: (turn(w, a[0], e[0]), a[1] + e[1]), (x, x * 2), initializer=(h, h)
    )
    return first * second


def mapped(w, x, h):
    return tf.map_fn(lambda row: tf.nn.softmax(tf.linalg.matvec(w, row)) * h, x)


def mapped_pairs(w, x, h):
    found = tf.map_fn(lambda a: {"p": a[0] * a[1], "q": turn(w, a[0])}, (x, x + h))
    return found["p"] - found["q"]


def folded(w, x, h):
    return tf.foldl(lambda a, e: turn(w, a, e), x)


def folded_backwards(w, x, h):
    return tf.foldr(lambda a, e: turn(w, a, e), x, initializer=h)


def chosen_first(w, x, h):
    return tf.cond(tf.reduce_sum(h * h) > 0, lambda: turn(w, h), lambda: tf.exp(h))


def chosen_second(w, x, h):
    return tf.cond(tf.reduce_sum(h * h) < 0, lambda: turn(w, h), lambda: tf.exp(h))


def choice_in_a_loop(w, x, h):
    def step(i, a):
        return i + 1, tf.cond(i % 2 == 0, lambda: turn(w, a), lambda: a * 2.0)

    return tf.while_loop(lambda i, a: i < 5, step, (tf.constant(0), h), maximum_iterations=8)[1]


def loop_in_a_loop(w, x, h):
    return tf.map_fn(lambda row: tf.scan(lambda a, e: a * e + h, tf.stack([row, row + 1.0])), x)


CASES = [counted, data_dependent, bounded, scanned, scanned_backwards, scanned_pairs, mapped,
         mapped_pairs, folded, folded_backwards, chosen_first, chosen_second, choice_in_a_loop,
         loop_in_a_loop]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_values_and_gradients(case):
    variable = tf.Variable(W)

    def both(x, h):
        with tf.GradientTape() as tape:
            tape.watch([x, h])
            y = case(variable, x, h)
            total = tf.reduce_sum(y * y)
        zero = tf.UnconnectedGradients.ZERO
        return y, tape.gradient(total, [variable, x, h], unconnected_gradients=zero)

    recorded, expected = tf.function(both), both(tf.constant(X), tf.constant(H))
    for _ in range(2):
        y, slopes = recorded(tf.constant(X), tf.constant(H))
        np.testing.assert_allclose(y.numpy(), expected[0].numpy(), rtol=2e-5, atol=2e-6)
        for a, b in zip(slopes, expected[1], strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


def test_how_often_is_known_when_it_runs():
    @tf.function
    def total(n):
        x = tf.constant(X)
        step = lambda i, a: (i + 1, a + tf.gather(x, i % 5))  # noqa: E731
        return tf.while_loop(lambda i, a: i < n, step, (tf.constant(0), tf.zeros(3)))[1]

    for n in (0, 1, 3, 11):
        expected = sum((X[i % 5] for i in range(n)), np.zeros(3, "f4"))
        np.testing.assert_allclose(total(tf.constant(n)).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_loop_without_bound_has_no_gradient():
    @tf.function
    def slope(h):
        with tf.GradientTape() as tape:
            tape.watch(h)
            (y,) = tf.while_loop(lambda a: tf.reduce_sum(a) < 9.0, lambda a: (a * a + 1.0,), (h,))
        return tape.gradient(y, h)

    with pytest.raises(NotImplementedError, match="maximum_iterations"):
        slope(tf.constant(H))


def test_state_must_keep_its_form():
    def grow(h):
        step = lambda a: (tf.concat([a, a], 0),)  # noqa: E731
        return tf.while_loop(lambda a: True, step, (h,), maximum_iterations=2)

    with pytest.raises(ValueError, match="shape"):
        tf.function(grow)(tf.constant(H))

    def retype(h):
        step = lambda a: (tf.cast(a, tf.int32),)  # noqa: E731
        return tf.while_loop(lambda a: True, step, (h,), maximum_iterations=2)

    with pytest.raises(TypeError, match="type"):
        tf.function(retype)(tf.constant(H))


def test_variables_are_assigned_behind_a_loop():
    variable = tf.Variable(0.0)

    @tf.function
    def count(h):
        return tf.map_fn(lambda a: variable.assign_add(a), h)

    with pytest.raises(NotImplementedError, match="assign"):
        count(tf.constant(H))
    assert variable.numpy() == 0.0
