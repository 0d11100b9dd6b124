"""Loops and choices in graphs of TensorFlow 1, run under the original and under Gemel's face.

A case takes (tf, session) and works in a fresh graph; it returns what sessions gave.
"""

from __future__ import annotations

import numpy as np

W = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [0.3, 0.2, 0.1]], np.float32)
X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 1.0, 0.125]], np.float32)
ROWS, FEW = X, X[:2]


def start(tf):
    w = tf.get_variable("w", initializer=tf.constant(W))
    return w, tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.int32, [])


def both(tf, s, y, w, x, n=None, counts=(0,), others=()):
    """Values, and gradients for w and x, for two numbers of rows."""
    slopes = [g for g in tf.gradients(tf.reduce_sum(y * y), [w, x]) if g is not None]
    s.run(tf.global_variables_initializer())
    found = []
    for rows in (ROWS, FEW):
        for count in counts:
            feed = {x: rows} if n is None else {x: rows, n: count}
            found += s.run([y, slopes, list(others)], feed)
    return found


def case_while_counts(tf, s):
    w, x, _ = start(tf)
    step = lambda i, a: [i + 1, tf.tanh(tf.matmul(a, w)) + a]  # noqa: E731
    i, y = tf.while_loop(lambda i, a: i < 4, step, [tf.constant(0), x])
    return both(tf, s, y, w, x, others=[i])


def case_while_over_rows(tf, s):
    w, x, _ = start(tf)
    step = lambda i, a: [i - 1, tf.tanh(tf.linalg.matvec(w, a)) + x[i - 1]]  # noqa: E731
    i, y = tf.while_loop(lambda i, a: i > 0, step, [tf.shape(x)[0], tf.zeros([3])])
    return both(tf, s, y, w, x, others=[i])


def case_while_fed_count(tf, s):
    w, x, n = start(tf)
    step = lambda i, a: [i + 1, tf.matmul(a, w) - a]  # noqa: E731
    y = tf.while_loop(lambda i, a: i < n, step, [0, x], maximum_iterations=10)[1]
    return both(tf, s, y, w, x, n, (0, 1, 3))


def case_while_values_decide(tf, s):
    w, x, _ = start(tf)
    y = tf.while_loop(
        lambda a: tf.reduce_sum(a * a) < 100.0, lambda a: a * 1.5 + 0.1, [x], maximum_iterations=20
    )
    return both(tf, s, y, w, x)


def case_while_structures(tf, s):
    w, x, _ = start(tf)
    step = lambda i, p: (i + 1, {"a": p["a"] * 2.0, "b": (p["b"][0] + p["a"],)})  # noqa: E731
    found = tf.while_loop(lambda i, p: i < 3, step, (0, {"a": x, "b": (x,)}))
    return both(tf, s, found[1]["b"][0], w, x)


def case_while_nested(tf, s):
    w, x, _ = start(tf)

    def step(i, a):
        inner = lambda j, b: [j + 1, b * 0.5 + tf.matmul(a, w)]  # noqa: E731
        b = tf.while_loop(lambda j, b: j < i + 1, inner, [0, a], maximum_iterations=6)[1]
        return [i + 1, tf.cond(tf.equal(i % 2, 0), lambda: b, lambda: b + 1.0)]

    y = tf.while_loop(lambda i, a: i < 3, step, [0, x])[1]
    return both(tf, s, y, w, x)


def case_while_descends(tf, s):
    w, x, _ = start(tf)

    def step(i, a):
        loss = tf.reduce_sum(tf.square(tf.matmul(a, w) - 1.0))
        return [i + 1, a - 0.1 * tf.gradients(loss, a)[0]]

    y = tf.while_loop(lambda i, a: i < 5, step, [0, x])[1]
    s.run(tf.global_variables_initializer())
    return s.run(y, {x: ROWS})


def case_scan_and_folds(tf, s):
    w, x, _ = start(tf)
    step = lambda a, e: tf.tanh(tf.linalg.matvec(w, a)) + e  # noqa: E731
    pair = lambda a, e: (step(a[0], e), a[1] + 1)  # noqa: E731
    first, count = tf.scan(pair, x, initializer=(tf.ones([3]), 0))
    made = [tf.scan(step, x), tf.scan(step, x, reverse=True), first]
    made += [tf.foldl(step, x)[None], tf.foldr(step, x, initializer=tf.zeros([3]))[None]]
    return both(tf, s, tf.concat(made, 0), w, x, others=[count])


def case_map_rows(tf, s):
    w, x, _ = start(tf)
    p = tf.map_fn(lambda e: tf.nn.softmax(tf.linalg.matvec(w, e)), x)
    q, r = tf.map_fn(
        lambda e: (e[0] * e[1], tf.argmax(e[0])), (x, x + 1.0), dtype=(tf.float32, tf.int64)
    )
    return both(tf, s, p - q, w, x, others=[r])


def case_rows_draw(tf, s):
    tf.set_random_seed(7)
    x = tf.placeholder(tf.float32, [None, 2])
    plain = tf.map_fn(lambda row: row + tf.random_normal([2]), x, parallel_iterations=1)
    seeded = tf.scan(lambda a, row: a + tf.random_uniform([2], seed=3), x, parallel_iterations=1)
    feed = {x: np.zeros((4, 2), np.float32)}
    return [s.run([plain, seeded], feed), s.run([plain, seeded], feed)]


def case_cond_chooses(tf, s):
    w, x, n = start(tf)
    y = tf.cond(n > 2, lambda: tf.matmul(x, w), lambda: x * 3.0)
    z = tf.case([(n > 3, lambda: y), (n > 1, lambda: y * 10.0)], default=lambda: -y)
    return both(tf, s, z, w, x, n, (0, 2, 3, 4))


def case_cond_computes_one_side(tf, s):
    w, x, _ = start(tf)
    total = tf.reduce_sum(x * x)
    y = tf.cond(total < 0, lambda: tf.sqrt(-total) * x, lambda: x * 2.0)
    return both(tf, s, y, w, x)


def case_cond_changes_variables(tf, s):
    n = tf.placeholder(tf.int32, [])
    training = tf.placeholder_with_default(False, [])
    v = tf.get_variable("v", initializer=1.0)
    up = tf.cond(n > 2, lambda: tf.assign_add(v, 10.0), lambda: tf.identity(v))
    op = tf.cond(training, lambda: tf.group(tf.assign(v, -v)), lambda: tf.no_op())
    with tf.control_dependencies([up, op]):
        after = tf.identity(v.read_value())
    s.run(v.initializer)
    found = [s.run(after, {n: 1}), s.run(after, {n: 3}), s.run(v)]
    s.run(op, {training: True})
    found.append(s.run(v))
    s.run(op)
    return [*found, s.run(v)]


def case_arrays_of_tensors(tf, s):
    w, x, _ = start(tf)
    n = tf.shape(x)[0]
    rows = tf.TensorArray(tf.float32, size=n, element_shape=[3]).unstack(x)

    def step(i, h, out):
        h = tf.tanh(tf.linalg.matvec(w, h) + rows.read(i))
        return [i + 1, h, out.write(i, h * 2.0)]

    state = [0, tf.zeros([3]), tf.TensorArray(tf.float32, size=n)]
    _, h, out = tf.while_loop(lambda i, h, out: i < n, step, state, maximum_iterations=3)
    return both(tf, s, out.stack(), w, x, others=[h, out.size(), out.gather([1, 0])])
