"""TensorFlow 1: placeholders, variables by name, a session, summaries of accuracy by hand."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.set_random_seed(4)
rng = np.random.RandomState(4)
count, inputs, classes = 600, 20, 3
centres = rng.randn(classes, inputs)
labels = rng.randint(0, classes, count)
samples = (centres[labels] + 1.5 * rng.randn(count, inputs)).astype("float32")

x = tf.placeholder(tf.float32, [None, inputs], name="x")
y = tf.placeholder(tf.int64, [None], name="y")
rate = tf.placeholder_with_default(1.0, [], name="keep")


def dense(x, size, name, activation=None):
    with tf.variable_scope(name):
        first = int(x.get_shape()[1])
        start = tf.random_uniform_initializer(-0.2, 0.2, seed=len(name))
        w = tf.get_variable("w", [first, size], initializer=start)
        b = tf.get_variable("b", [size], initializer=tf.zeros_initializer())
        out = tf.nn.bias_add(tf.matmul(x, w), b)
        return out if activation is None else activation(out)


hidden = dense(x, 64, "one", tf.nn.relu)
hidden = dense(hidden, 32, "three", tf.tanh)
logits = dense(hidden, classes, "logits")
crossed = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
penalty = 1e-3 * tf.add_n([tf.nn.l2_loss(v) for v in tf.trainable_variables() if "/w" in v.name])
loss = tf.reduce_mean(crossed) + penalty
right = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))
step = tf.train.get_or_create_global_step()
decayed = tf.train.exponential_decay(0.01, step, 40, 0.5, staircase=True)
optimizer = tf.train.AdamOptimizer(decayed)
pairs = optimizer.compute_gradients(loss)
clipped = [(tf.clip_by_norm(g, 1.0), v) for g, v in pairs]
train = optimizer.apply_gradients(clipped, global_step=step)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for epoch in range(1, 9):
        order = rng.permutation(500)
        for at in range(0, 500, 25):
            rows = order[at : at + 25]
            session.run(train, feed_dict={x: samples[rows], y: labels[rows]})
        held = {x: samples[500:], y: labels[500:]}
        value, exact, lr = session.run([loss, right, decayed], feed_dict=held)
        print(f"epoch {epoch} lr {lr:.5f} accuracy {exact:.3f} loss {value:.5f}")
    print("steps", session.run(step))
