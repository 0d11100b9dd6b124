"""`tf.TensorArray` in eager mode and in tf.function, under the original and under Gemel's face.

A case takes tf and returns tensors, arrays and texts.
"""

from __future__ import annotations

import numpy as np

X = np.arange(6, dtype=np.float32).reshape(3, 2)
W = np.array([[0.5, -0.3], [0.1, 0.4]], np.float32)


def told(action) -> str:
    """The class of what it raises."""
    try:
        action()
    except Exception as error:
        return type(error).__name__
    return "nothing"


def case_grows(tf):
    x = tf.constant(X)
    ta = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(3):
        ta = ta.write(i, x[i] * 2)
    ta = ta.write(5, x[0])
    return [ta.size(), ta.stack(), ta.gather([5, 0, 3]), ta.concat(), str(ta.element_shape)]


def case_rows_and_pieces(tf):
    whole = tf.TensorArray(tf.float32, 3, clear_after_read=False).unstack(tf.constant(X))
    parts = tf.TensorArray(tf.float32, 3, infer_shape=False)
    parts = parts.split(tf.range(6.0), [1, 2, 3])
    some = tf.TensorArray(tf.int32, 4, element_shape=[2]).scatter([2, 0], [[1, 2], [3, 4]])
    return [whole.read(1), whole.read(1), parts.concat(), parts.read(2), some.stack(), some.size()]


def case_refused(tf):
    x = tf.constant(X)
    ta = tf.TensorArray(tf.float32, 3).write(0, x[0])
    ta.read(0)
    short = tf.TensorArray(tf.float32, 2)
    return [
        told(lambda: ta.read(0)),
        told(lambda: ta.read(7)),
        told(lambda: ta.write(3, x[0])),
        told(lambda: ta.write(1, tf.constant([1, 2]))),
        told(lambda: ta.write(1, tf.constant([1.0, 2.0, 3.0]))),
        told(lambda: short.unstack(x)),
    ]


def case_gradients(tf):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        ta = tf.TensorArray(tf.float32, 3).scatter([2, 0], x[:2]).write(1, x[2] ** 2)
        loss = tf.reduce_sum(ta.stack() * [[1.0], [2.0], [3.0]])
    return [loss, tape.gradient(loss, x)]


def case_carried_through_a_loop(tf):
    w = tf.Variable(W)

    @tf.function
    def run(x, n):
        def step(i, h, out):
            h = tf.tanh(tf.linalg.matvec(w, h) + x[i])
            return i + 1, h, out.write(i, h)

        start = [0, tf.zeros([2]), tf.TensorArray(tf.float32, size=3)]
        more = lambda i, h, out: i < n  # noqa: E731
        _, h, out = tf.while_loop(more, step, start, maximum_iterations=3)
        return out.stack(), h, out.size()

    found = []
    for n in (3, 2):
        with tf.GradientTape() as tape:
            rows, last, size = run(tf.constant(X), tf.constant(n))
            loss = tf.reduce_sum(rows * rows) + tf.reduce_sum(last)
        found += [rows, last, size, tape.gradient(loss, w)]
    return found


def case_read_in_a_loop(tf):
    @tf.function
    def run(x):
        rows = tf.TensorArray(tf.float32, 3).unstack(x)
        step = lambda i, total: (i + 1, total * 0.5 + rows.read(i))  # noqa: E731
        return tf.while_loop(lambda i, total: i < 3, step, (0, tf.zeros([2])))[1]

    return [run(tf.constant(X))]


def case_changes_are_new_arrays_in_a_function(tf):
    @tf.function
    def run(x):
        first = tf.TensorArray(tf.float32, 2, element_shape=[2])
        second = first.write(0, x[0]).write(1, x[1])
        third = second.write(0, x[2])
        return second.stack(), third.stack()

    return list(run(tf.constant(X)))
