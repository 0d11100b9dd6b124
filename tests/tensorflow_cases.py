"""Small programs in TensorFlow, run under the original and under Gemel's face.

A case takes (tf, session) and works in a fresh graph of TensorFlow 1, or takes tf alone and works
in eager mode. It returns numbers, texts, arrays and structures of them.
"""

from __future__ import annotations

import numpy as np

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 1.0, 0.125]], np.float32)
Y = np.array([0, 1, 1])


def kind(function) -> str:
    try:
        function()
    except Exception as error:
        return type(error).__name__
    return "nothing"


# ---------- graphs ----------
def case_graph_names(tf, s):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.Variable(tf.ones([3, 2]), name="w")
    made = [x, tf.matmul(x, w), x + 1, 1 - x, x * x, x / 2.0, x @ w, tf.reduce_mean(x), x[0]]
    made += [-x, x**2, x > 1, tf.argmax(x, 1), tf.cast(x, tf.int32), tf.nn.relu(x)]
    made += [tf.concat([x, x], 1), tf.transpose(x), tf.reshape(x, [-1]), tf.constant(1, name="one")]
    made += [tf.zeros([2]), tf.equal(x, x), tf.square(x), tf.nn.softmax(x), tf.stack([x, x])]
    with tf.name_scope("block"):
        made += [tf.add(x, x), tf.constant(2.0, name="two")]
        with tf.name_scope("inner"):
            made.append(tf.exp(x))
    with tf.name_scope("block"):
        made.append(tf.exp(x))
    return [[t.name, t.dtype.name, str(t.shape)] for t in made] + [str(x), repr(made[1]), w.name]


def case_graph_static_shapes(tf, s):
    x = tf.placeholder(tf.float32, [None, 4])
    k = tf.placeholder(tf.float32)
    n = tf.shape(x)[0]
    made = [
        tf.matmul(x, tf.ones([4, 2])),
        tf.reshape(x, [-1, 2, 2]),
        tf.reshape(x, [n, 2, 2]),
        tf.reduce_sum(x, 0),
        tf.reduce_sum(x, 1),
        tf.concat([x, x], 1),
        tf.concat([x, x], 0),
        x + tf.ones([4]),
        tf.expand_dims(x, 0),
        tf.one_hot(tf.argmax(x, 1), 4),
        tf.transpose(x),
        x[:, 1:3],
        x[0],
        tf.zeros([n, 3]),
        tf.tile(x, [1, 3]),
        k,
        k * 2.0,
        tf.reduce_mean(k),
        x * k,
        tf.matmul(x, tf.placeholder(tf.float32, [None, None])),
        tf.stack([x, x]),
        tf.shape(x),
        tf.nn.softmax(x),
    ]
    return [str(t.shape) for t in made]


def case_graph_lookup(tf, s):
    x = tf.placeholder(tf.float32, name="x")
    y = tf.identity(x, name="y")
    g = tf.get_default_graph()
    tf.add_to_collection("mine", y)
    found = [
        g.get_tensor_by_name("y:0") is y,
        g.get_operation_by_name("y") is y.op,
        tf.get_collection("mine")[0] is y,
        [op.name for op in g.get_operations()],
        [op.type for op in g.get_operations()],
        y.op.inputs[0] is x,
        kind(lambda: g.get_tensor_by_name("z:0")),
        kind(lambda: g.get_tensor_by_name("y")),
        kind(lambda: g.get_operation_by_name("z")),
        kind(lambda: g.get_tensor_by_name("y:1")),
    ]
    g.finalize()
    return [*found, kind(lambda: tf.constant(1))]


def case_graph_constants_from_elsewhere(tf, s):
    other = tf.Graph()
    with other.as_default():
        p = tf.placeholder(tf.float32)
        w = tf.Variable(1.0)
    x = tf.constant(1.0)
    return [kind(lambda: x + p), kind(lambda: x + w), kind(lambda: tf.matmul([x], p))]


def case_graph_errors_of_symbols(tf, s):
    x = tf.placeholder(tf.float32, [None])
    return [
        kind(lambda: bool(x)),
        kind(lambda: list(x)),
        kind(lambda: len(x)),
        kind(lambda: x.numpy()),
        kind(lambda: np.array(x)),
        kind(lambda: tf.placeholder(tf.float32, [2]).set_shape([3])),
    ]


# ---------- sessions ----------
def case_session_fetches(tf, s):
    a, b = tf.constant([1, 2]), tf.constant(3.5)
    w = tf.Variable([1.0, 2.0], name="w")
    s.run(tf.global_variables_initializer())
    found = s.run({"a": a, "more": [b, (a, w)], "again": a})
    return [
        found,
        s.run(a.op),
        s.run([a, a.op]),
        s.run(w),
        s.run("w/Read/ReadVariableOp:0"),
        s.run(()),
        s.run([]),
        type(s.run(b)).__name__,
        b.eval(session=s),
        tf.reduce_sum(w).eval(),
    ]


def case_session_feeds(tf, s):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    n = tf.placeholder(tf.int64, [None])
    d = tf.placeholder_with_default(tf.constant(2.0), [])
    y = x * d
    z = y + 1.0
    return [
        s.run(y, {x: X}),
        s.run(y, {x: X.tolist(), d: 3}),
        s.run(y, {x: X.astype(np.float64)}),
        s.run(y, {"x:0": X[:1]}),
        s.run(z, {y: X}),
        s.run(n + 1, {n: [1.5, 2]}),
        s.run(n + 1, {n: np.array([1, 2], np.int32)}),
        s.run(x, {x: X}),
        s.run([x, y], {x: X[:0]}),
    ]


def case_session_errors(tf, s):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    y = x + 1.0
    w = tf.Variable(tf.ones([3]))
    other = tf.Graph()
    with other.as_default():
        p, c = tf.placeholder(tf.float32), tf.constant(1.0)
    empty = tf.Session(graph=tf.Graph())
    labels = tf.placeholder(tf.int32, [None])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
    rows = tf.placeholder_with_default(tf.ones([4, 3]), [None, 3])
    closed = tf.Session()
    closed.close()
    return [
        kind(lambda: s.run(y)),
        kind(lambda: s.run(y * w, {x: X})),
        kind(lambda: s.run(y, {x: X[:, :2]})),
        kind(lambda: s.run(y, {x: X[0]})),
        kind(lambda: s.run(y, {x: "abc"})),
        kind(lambda: s.run(y, {x: [[1, 2, 3], [1]]})),
        kind(lambda: s.run(y, {x: None})),
        kind(lambda: s.run(y, {x: tf.ones([2, 3])})),
        kind(lambda: s.run(y, {"zz:0": X})),
        kind(lambda: s.run(y, {"x": X})),
        kind(lambda: s.run(y, {3: X})),
        kind(lambda: s.run(y, {p: 1.0})),
        kind(lambda: s.run(c)),
        kind(lambda: s.run(None)),
        kind(lambda: s.run(3)),
        kind(lambda: s.run("nope:0")),
        kind(lambda: s.run(np.ones(2))),
        kind(lambda: s.run([c, None])),
        kind(lambda: empty.run(c)),
        kind(lambda: closed.run(y, {x: X})),
        kind(lambda: s.run(loss, {x: X, labels: [0, 1, 7]})),
        kind(lambda: s.run(tf.gather(tf.ones([3]), [5]))),
        kind(lambda: s.run(x + rows, {x: X})),
        kind(lambda: other.get_operations()[0].run()),
    ]


def case_session_no_default(tf, s):
    with tf.Graph().as_default():
        c = tf.constant(1.0)
        found = [kind(lambda: tf.Session(graph=s.graph).run(c))]
    return found


def case_session_values_are_the_sessions_own(tf, s):
    w = tf.Variable(1.0)
    one, two = tf.Session(), tf.Session()
    one.run(w.initializer)
    one.run(w.assign_add(5.0))
    two.run(w.initializer)
    kept = one.run(w)
    one.run(w.assign(0.0))
    return [kept, one.run(w), two.run(w), kind(lambda: tf.Session().run(w))]


def case_session_fetched_arrays_stay(tf, s):
    w = tf.Variable(np.ones(4, np.float32))
    s.run(w.initializer)
    before = s.run(w)
    s.run(w.assign_add(np.ones(4, np.float32)))
    after = s.run(w)
    after[:] = 9.0
    return [before, s.run(w)]


def case_control_dependencies(tf, s):
    v = tf.Variable(0)
    inc = v.assign_add(1)
    with tf.control_dependencies([inc]):
        after = tf.identity(v)
        late = v.read_value()
    both = tf.group(inc, name="both")
    s.run(v.initializer)
    return [s.run(after), s.run(late), s.run(both), s.run(v), s.run([after, late]), s.run(v)]


def case_assignments(tf, s):
    v = tf.Variable([1.0, 2.0])
    s.run(tf.global_variables_initializer())
    return [
        s.run(v.assign([3.0, 4.0])),
        s.run(tf.assign_add(v, [1.0, 1.0])),
        s.run(tf.assign_sub(v, [0.5, 0.5])),
        s.run(v),
        kind(lambda: v.assign([1.0])),
        kind(lambda: v.assign(tf.constant([1, 2]))),
    ]


def case_cond(tf, s):
    x = tf.placeholder(tf.float32, [])
    y = tf.cond(x > 0, lambda: x * 2.0, lambda: -x)
    training = tf.placeholder(tf.bool, [])
    z = tf.cond(training, lambda: x + 1.0, lambda: x)
    return [s.run(y, {x: 3.0}), s.run(y, {x: -3.0}), s.run(z, {x: 1.0, training: True})]


def case_shapes_from_values(tf, s):
    n = tf.placeholder(tf.int32, [])
    x = tf.placeholder(tf.float32, [None, 4])
    return [
        s.run(tf.zeros([n, 2]), {n: 3}),
        s.run(tf.zeros([n, 2]), {n: 1}),
        s.run(tf.range(n), {n: 4}),
        s.run(tf.reshape(x, [tf.shape(x)[0] * 2, -1]), {x: np.ones((3, 4), np.float32)}),
        s.run(tf.tile([1.0], [tf.size(x)]), {x: np.ones((1, 4), np.float32)}),
        s.run(tf.ones_like(x), {x: np.ones((2, 4), np.float32)}),
    ]


# ---------- variables ----------
def case_variable_scopes(tf, s):
    with tf.variable_scope("outer"):
        a = tf.get_variable("a", [2], initializer=tf.zeros_initializer())
        with tf.variable_scope("inner"):
            b = tf.get_variable("b", initializer=tf.constant([1.0]))
    with tf.variable_scope("outer", reuse=True):
        same = tf.get_variable("a", [2])
    with tf.variable_scope("outer", reuse=tf.AUTO_REUSE):
        again = tf.get_variable("a", [2])
        fresh = tf.get_variable("c", [1], tf.float64, trainable=False)
    with tf.variable_scope(None, default_name="auto"):
        d = tf.get_variable("d", [1])
    return [
        [v.name for v in (a, b, fresh, d)],
        same is a,
        again is a,
        [v.name for v in tf.global_variables()],
        [v.name for v in tf.trainable_variables()],
        repr(a),
        kind(lambda: tf.get_variable("v")),
        [kind(lambda: tf.get_variable("e", [1])) for _ in range(2)],
    ]


def case_variable_reuse_errors(tf, s):
    def get(scope, reuse, *args):
        with tf.variable_scope(scope, reuse=reuse):
            return tf.get_variable("v", *args)

    get("s", False, [1])
    return [
        kind(lambda: get("t", True, [1])),
        kind(lambda: get("s", False, [1])),
        kind(lambda: get("s", True, [2])),
        kind(lambda: get("s", True, [1], tf.float64)),
    ]


def case_initial_values(tf, s):
    tf.set_random_seed(7)
    made = [
        tf.get_variable("glorot", [3, 4]),
        tf.get_variable("normal", [4], initializer=tf.random_normal_initializer(stddev=0.5)),
        tf.get_variable("uniform", [4], initializer=tf.random_uniform_initializer(-1, 1, seed=3)),
        tf.get_variable("cut", [4], initializer=tf.truncated_normal_initializer(seed=2)),
        tf.Variable(tf.random_normal([3])),
        tf.Variable(tf.random_uniform([3], seed=4)),
        tf.Variable(tf.truncated_normal([3], stddev=0.1)),
        tf.get_variable("scaled", [2, 3], initializer=tf.variance_scaling_initializer(seed=1)),
    ]
    s.run(tf.global_variables_initializer())
    return s.run(made)


def case_random_operations_move_on(tf, s):
    tf.set_random_seed(3)
    a, b = tf.random_normal([3]), tf.random_uniform([2], seed=5)
    c = tf.random_uniform([3], maxval=100, dtype=tf.int32)
    d = tf.random_shuffle(tf.range(6), seed=2)
    first = [s.run([a, b]), s.run(a), s.run(b), s.run(c), s.run(c), s.run(d)]
    return [*first, tf.Session().run(a)]


def case_dropout(tf, s):
    tf.set_random_seed(1)
    x = tf.ones([8])
    return s.run(tf.nn.dropout(x, rate=0.5, seed=3))


# ---------- gradients and optimizers ----------
def _network(tf):
    x = tf.placeholder(tf.float32, [None, 3])
    y = tf.placeholder(tf.int64, [None])
    w = tf.Variable(np.linspace(-1, 1, 12).reshape(3, 4).astype(np.float32), name="w")
    b = tf.Variable(tf.zeros([4]), name="b")
    v = tf.Variable(np.linspace(1, -1, 8).reshape(4, 2).astype(np.float32), name="v")
    logits = tf.matmul(tf.nn.relu(tf.matmul(x, w) + b), v)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    return {x: X, y: Y}, tf.reduce_mean(each), [w, b, v]


def case_gradients(tf, s):
    feed, loss, variables = _network(tf)
    x = list(feed)[0]
    found = tf.gradients(loss, [*variables, x])
    hidden = tf.placeholder(tf.float32, [2])
    product = hidden * tf.constant([2.0, 3.0])
    s.run(tf.global_variables_initializer())
    return [
        s.run(found, feed),
        [str(g.shape) for g in found],
        [g is None for g in tf.gradients(loss, [hidden, x])],
        s.run(tf.gradients(product, hidden, grad_ys=[tf.constant([1.0, 10.0])]), {hidden: [1, 1]}),
        s.run(tf.gradients(tf.gradients(hidden**3, hidden)[0], hidden), {hidden: [1.0, 2.0]}),
        tf.gradients(tf.cast(hidden, tf.int32), hidden),
        s.run(tf.gradients(tf.stop_gradient(hidden) * hidden, hidden), {hidden: [1.0, 2.0]}),
    ]


def _trained(tf, s, optimizer, **options):
    feed, loss, variables = _network(tf)
    step = optimizer.minimize(loss, **options)
    s.run(tf.global_variables_initializer())
    losses = [s.run([step, loss], feed)[1] for _ in range(6)]
    return [losses, s.run(variables), step.name, [v.name for v in tf.global_variables()]]


def case_optimizer_descent(tf, s):
    return _trained(tf, s, tf.train.GradientDescentOptimizer(0.2))


def case_optimizer_momentum(tf, s):
    return _trained(tf, s, tf.train.MomentumOptimizer(0.1, 0.9))


def case_optimizer_nesterov(tf, s):
    return _trained(tf, s, tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True))


def case_optimizer_adam(tf, s):
    return _trained(tf, s, tf.train.AdamOptimizer(0.05))


def case_optimizer_adagrad(tf, s):
    return _trained(tf, s, tf.train.AdagradOptimizer(0.1))[:3]


def case_optimizer_adadelta(tf, s):
    return _trained(tf, s, tf.train.AdadeltaOptimizer(1.0))[:2]


def case_optimizer_rmsprop(tf, s):
    return _trained(tf, s, tf.train.RMSPropOptimizer(0.01, momentum=0.5))[:2]


def case_optimizer_centred_rmsprop(tf, s):
    return _trained(tf, s, tf.train.RMSPropOptimizer(0.01, centered=True))[:2]


def case_optimizer_global_step(tf, s):
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.3, step, 2, 0.5)
    found = _trained(tf, s, tf.train.GradientDescentOptimizer(rate), global_step=step)
    return [found[:2], s.run([step, rate]), step.name, step.dtype.name]


def case_optimizer_pieces(tf, s):
    feed, loss, variables = _network(tf)
    optimizer = tf.train.AdamOptimizer(0.1)
    pairs = optimizer.compute_gradients(loss, variables[:2])
    clipped = [(tf.clip_by_norm(g, 0.1), v) for g, v in pairs]
    step = optimizer.apply_gradients(clipped)
    s.run(tf.global_variables_initializer())
    for _ in range(3):
        s.run(step, feed)
    slot = optimizer.get_slot(variables[0], "m")
    return [s.run(variables), s.run(slot), slot.name, optimizer.get_slot_names()]


def case_optimizer_errors(tf, s):
    w = tf.Variable(1.0)
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    return [
        kind(lambda: optimizer.minimize(tf.constant(1.0), var_list=[w])),
        kind(lambda: optimizer.minimize(w * w, var_list=[])),
        kind(lambda: optimizer.apply_gradients([])),
        kind(lambda: optimizer.apply_gradients([(None, w)])),
    ]


def case_optimizer_averages(tf, s):
    w, n = tf.Variable([1.0, 2.0], name="w"), tf.Variable(0)
    averages = tf.train.ExponentialMovingAverage(0.9, num_updates=n)
    with tf.control_dependencies([w.assign_add([1.0, -1.0])]):
        step = averages.apply([w])
    s.run(tf.global_variables_initializer())
    for _ in range(3):
        s.run(step)
        s.run(n.assign_add(1))
    shadow = averages.average(w)
    return [s.run([w, n]), shadow.name, averages.average_name(w), np.round(s.run(shadow), 3)]


def case_schedules(tf, s):
    step = tf.constant(7)
    return s.run(
        [
            tf.train.exponential_decay(0.1, step, 10, 0.5),
            tf.train.exponential_decay(0.1, step, 5, 0.5, staircase=True),
            tf.train.inverse_time_decay(0.1, step, 10, 0.5),
            tf.train.polynomial_decay(0.1, step, 10, 0.01, power=2.0),
            tf.train.cosine_decay(0.1, step, 10),
            tf.train.natural_exp_decay(0.1, step, 10, 0.5),
            tf.train.piecewise_constant(step, [5, 10], [1.0, 0.5, 0.1]),
        ]
    )


def case_losses(tf, s):
    logits = tf.constant([[1.0, -2.0, 0.5], [0.1, 0.2, 3.0]])
    onehot = tf.constant([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = [
        tf.losses.mean_squared_error(onehot, logits),
        tf.losses.absolute_difference(onehot, logits, weights=2.0),
        tf.losses.softmax_cross_entropy(onehot, logits, label_smoothing=0.1),
        tf.losses.sparse_softmax_cross_entropy([1, 0], logits, weights=[1.0, 0.0]),
        tf.losses.sigmoid_cross_entropy(onehot, logits),
        tf.losses.huber_loss(onehot, logits),
        tf.losses.hinge_loss(onehot, logits),
        tf.losses.log_loss(onehot, tf.nn.sigmoid(logits)),
    ]
    return [s.run(found), s.run(tf.losses.get_total_loss()), len(tf.losses.get_losses())]


# ---------- eager: tapes ----------
def case_tape_orders(tf):
    x = tf.Variable(3.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x**3 + tf.sin(x)
        first = inner.gradient(y, x)
    return [first, outer.gradient(first, x)]


def case_tape_persistent(tf):
    c = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(c)
        y = c * c
        z = tf.reduce_sum(y * y)
    return [tape.gradient(z, c), tape.gradient(y, c), tape.gradient(z, y), tape.jacobian(y, c)]


def case_tape_structures(tf):
    x, w, unused = tf.Variable([1.0, 2.0]), tf.Variable(3.0), tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = {"s": tf.reduce_sum(x * w), "t": w * w}
    found = tape.gradient(y, {"x": x, "rest": [w, unused]})
    return [found["x"], found["rest"][0], found["rest"][1] is None]


def case_tape_unconnected(tf):
    x, w = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        y = w * 2.0
    zero = tf.UnconnectedGradients.ZERO
    return [tape.gradient(y, x), tape.gradient(y, [x, w], unconnected_gradients=zero)]


def case_tape_watching(tf):
    x = tf.Variable(2.0)
    c = tf.constant(3.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(c)
        y = x * c
    one = tape.gradient(y, [x, c])
    fixed = tf.Variable(2.0, trainable=False)
    with tf.GradientTape() as tape:
        y = x * fixed
        names = [v.name for v in tape.watched_variables()]
    two = tape.gradient(y, [x, fixed])
    with tf.GradientTape() as tape:
        with tape.stop_recording():
            y = x * x
    return [one, names, two, tape.gradient(y, x)]


def case_tape_output_gradients(tf):
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    return tape.gradient(y, x, output_gradients=tf.constant([1.0, 10.0]))


def case_tape_values_stay(tf):
    x, state = tf.Variable(3.0), tf.Variable(2.0, trainable=False)
    with tf.GradientTape() as tape:
        y = x * x * x
    x.assign(10.0)
    one = tape.gradient(y, x)
    with tf.GradientTape() as tape:
        y = x * state
        state.assign(5.0)
        y = y + x * state
    two = tape.gradient(y, x)
    kept = x.value()
    x.assign(1.0)
    with tf.GradientTape() as tape:
        y = x * 2.0
        seen = y.numpy()
        z = y * y
    x.assign(50.0)
    return [one, two, kept, seen, tape.gradient(z, x), x]


def case_tape_errors(tf):
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with tf.GradientTape() as again:
        entered = kind(again.__enter__)
    return [kind(lambda: tape.gradient(y, x)), entered]


def case_variable_methods(tf):
    v = tf.Variable([1.0, 2.0, 3.0], name="v")
    found = [v.numpy(), v + 1.0, v[1], v.shape.as_list(), v.dtype.name, v.trainable, v.name]
    v.assign_add([1.0, 1.0, 1.0])
    v.assign_sub([0.5, 0.5, 0.5])
    found += [v.read_value(), -v, v * v, 2.0 / v, v @ tf.ones([3, 1]) if False else v > 2.0]
    w = tf.Variable(lambda: tf.zeros([2]))
    return [*found, w, tf.Variable(2, dtype=tf.float64), float(v[0])]


def case_training_by_hand(tf):
    w = tf.Variable(np.linspace(-1, 1, 6).reshape(3, 2).astype(np.float32))
    b = tf.Variable(tf.zeros([2]))
    losses = []
    for _ in range(5):
        with tf.GradientTape() as tape:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=Y, logits=X @ w + b)
            loss = tf.reduce_mean(each)
        for v, g in zip([w, b], tape.gradient(loss, [w, b]), strict=True):
            v.assign_sub(0.5 * g)
        losses.append(float(loss))
    return [losses, w, b]


def case_training_with_an_optimizer(tf):
    w = tf.Variable([[1.0, -1.0]])
    optimizer = tf.compat.v1.train.AdamOptimizer(0.1)
    for _ in range(4):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(w * w)
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
    return [w, loss]


# ---------- tf.function ----------
def case_function_retraces(tf):
    traced = []

    @tf.function
    def f(x, n):
        traced.append(n)
        return x * n

    found = [f(tf.constant(2.0), 3), f(tf.constant(5.0), 3), f(tf.constant(2.0), 4)]
    found += [f(tf.constant([1.0, 2.0]), 3), f(tf.constant(2), 3), f(x=tf.constant(1.0), n=3)]
    return [found, len(traced)]


def case_function_variables(tf):
    v = tf.Variable(1.0)

    @tf.function
    def add(x):
        v.assign_add(x)
        return v * 10.0

    found = [add(tf.constant(2.0)), add(tf.constant(3.0)), v]
    v.assign(0.0)
    return [*found, add(tf.constant(1.0)), v]


def case_function_training(tf):
    w = tf.Variable(np.linspace(-1, 1, 6).reshape(3, 2).astype(np.float32))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=Y, logits=x @ w)
            loss = tf.reduce_mean(each)
        w.assign_sub(0.5 * tape.gradient(loss, w))
        return loss

    return [[step(tf.constant(X)) for _ in range(4)], w]


def case_function_structures(tf):
    @tf.function
    def f(pair, *, scale):
        return {"sum": pair[0] + pair[1], "all": (pair[0] * scale, [pair[1], None, "text"])}

    found = f((tf.constant(1.0), tf.constant([2.0])), scale=3.0)
    return [found["sum"], found["all"][0], found["all"][1][0], found["all"][1][1]]


def case_function_signature(tf):
    traced = []

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
    def f(x):
        traced.append(1)
        return x + 1.0

    return [
        f(tf.constant([1.0, 2.0])),
        f([3.0, 4.0]),
        len(traced),
        kind(lambda: f(tf.constant([1, 2]))),
        kind(lambda: f(tf.constant([1.0, 2.0, 3.0]))),
    ]


def case_function_methods(tf):
    class Model:
        def __init__(self, start):
            self.v = tf.Variable(start)

        @tf.function
        def __call__(self, x):
            return self.v * x

    one, two = Model(2.0), Model(3.0)
    return [one(tf.constant(4.0)), two(tf.constant(4.0)), one(tf.constant(1.0))]


def case_function_gradient_outside(tf):
    w = tf.Variable([1.0, 2.0])

    @tf.function
    def f(x):
        return tf.reduce_sum(w * w * x)

    with tf.GradientTape() as tape:
        y = f(tf.constant(3.0)) * 2.0
    return [y, tape.gradient(y, w)]


def case_function_cond(tf):
    @tf.function
    def f(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: -x)

    return [f(tf.constant([1.0, 2.0])), f(tf.constant([-1.0, -2.0]))]


def case_function_python_control(tf):
    v = tf.Variable(0.0)

    @tf.function
    def f(x):
        if tf.reduce_sum(x) > 0:
            v.assign_add(1.0)
            return x * 2.0
        return -x

    @tf.function
    def g(n):
        total = tf.constant(0)
        for i in tf.range(n):
            total += i
        while total < 100:
            total *= 2
        return total

    return [f(tf.constant([1.0])), f(tf.constant([-1.0])), v, g(tf.constant(5)), g(tf.constant(9))]


def case_function_makes_its_variable(tf):
    class Model:
        w = None

        @tf.function
        def __call__(self, x):
            if self.w is None:
                self.w = tf.Variable(tf.ones([3, 2]))
            return x @ self.w

    model = Model()
    found = [model(tf.ones([1, 3])), model(tf.ones([1, 3]))]
    model.w.assign(tf.zeros([3, 2]))
    return [*found, model(tf.ones([1, 3]))]


def case_function_errors(tf):
    @tf.function
    def f(x):
        return tf.matmul(x, x)

    return kind(lambda: f(tf.ones([2, 3])))


# ---------- datasets ----------
def _listed(dataset):
    return [np.asarray(x).tolist() for x in dataset]


def case_data_shuffles(tf):
    data = tf.data.Dataset
    tf.random.set_seed(4)
    anew = data.range(10).shuffle(4, seed=3)
    same = data.range(10).shuffle(100, seed=3, reshuffle_each_iteration=False)
    unseeded = data.range(10).shuffle(10)
    batched = data.range(7).shuffle(3, seed=1).repeat(2).batch(4)
    found = [anew, anew, same, same, unseeded, unseeded, batched]
    return [[_listed(d) for d in found], _listed(data.range(600).shuffle(300, seed=2))]


def case_data_pipelines(tf):
    data = tf.data.Dataset
    rows = data.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2.0, y))
    named = data.from_tensor_slices({"x": X, "y": Y})
    counted = data.from_generator(lambda: iter([1, 2, 3]), output_types=tf.int32)
    return [
        [(x, y) for x, y in rows.batch(2)],
        [x for x, _ in rows.batch(2, drop_remainder=True)],
        str(named.element_spec),
        [len(data.range(10).batch(3)), len(rows), data.range(3).repeat().cardinality()],
        _listed(data.range(6).filter(lambda v: v % 2 == 0)),
        data.range(5).reduce(np.int64(0), lambda a, b: a + b),
        _listed(data.range(3).concatenate(data.range(2))),
        _listed(data.zip((data.range(3), data.range(2))).map(lambda a, b: a + b)),
        _listed(data.range(9).skip(2).take(3)),
        _listed(counted),
        [(i, v) for i, v in data.range(2, 4).enumerate()],
        _listed(data.from_tensor_slices(X).batch(2).unbatch()),
        list(data.range(3).as_numpy_iterator()),
        _listed(data.range(4).cache().repeat(2).prefetch(tf.data.AUTOTUNE)),
    ]


# ---------- Keras inside of TensorFlow ----------
def _model(tf):
    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]
    )


def case_keras_loop(tf):
    """A training loop of one's own: tape, Keras model, Keras loss and optimizer."""
    model = _model(tf)
    optimizer = tf.keras.optimizers.Adam(0.05)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            loss = loss_of(Y, model(X, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        losses.append(float(loss))
    return [losses, [np.array(v) for v in model.trainable_variables]]


def case_keras_function(tf):
    """The same as a tf.function."""
    model = _model(tf)
    optimizer = tf.keras.optimizers.SGD(0.1)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x))
            loss = tf.reduce_mean(each)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    losses = [step(tf.constant(X), tf.constant(Y)) for _ in range(4)]
    return [losses, [np.array(v) for v in model.trainable_variables]]


def case_keras_fit_on_a_dataset(tf):
    model = _model(tf)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(0.1), loss_of)
    rows = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
    return model.fit(rows, epochs=3, verbose=0).history["loss"]


def case_keras_tensors(tf):
    """What Keras gives is a tensor here, and takes part in operations."""
    model = _model(tf)
    y = model(tf.constant(X))
    v = tf.Variable([1.0, 2.0])
    tf.keras.optimizers.SGD(0.5).apply_gradients([(tf.constant([1.0, 1.0]), v)])
    return [isinstance(y, tf.Tensor), tf.reduce_sum(y * 2.0), y[:, 0] + 1.0, v]


def case_text_listing(tf):
    """Constants made before the graph, used inside of it."""
    graph = tf.Graph()
    with graph.as_default():
        a = tf.constant([[1, 2], [3, 4]])
        b = tf.constant([[5, 6], [7, 8]])
        c = tf.matmul(a, b)
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(c)


