"""A step of a TensorFlow 1 session (Adam, and the loss fetched) against TensorFlow's own.

Each framework has a process of its own; they take turns.
"""

import statistics
import sys
import time

from network import BATCHES, data
from timing import in_processes, pin, ratio_row

BOUND = 0.25
ROUNDS = 3
EPOCHS = 15


def main() -> None:
    """Print the figure; with an argument, measure one framework in this process."""
    pin()
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
        return
    seconds = in_processes(__file__, ["gemel", "TensorFlow"], ROUNDS)
    ratio_row("session.run, a training step", seconds, "TensorFlow", BOUND)


def measure(name: str) -> float:
    """Median seconds per step over some epochs, after one that warms up."""
    if name == "gemel":
        import gemel.tensorflow.compat.v1 as tf
    else:
        import tensorflow.compat.v1 as tf
    tf.disable_eager_execution()
    x, y, step, loss = network(tf)
    images, labels = data()
    batches = list(zip(images, labels, strict=True))
    times = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(EPOCHS + 1):
            started = time.perf_counter()
            for image, label in batches:
                session.run([step, loss], {x: image, y: label})
            times.append((time.perf_counter() - started) / BATCHES)
    return statistics.median(times[1:])


def network(tf):
    """(images, labels, training step, loss) of the 64-64-10 network."""
    x = tf.placeholder(tf.float32, [None, 64])
    y = tf.placeholder(tf.int64, [None])
    layer = x
    for units in (64, 10):
        layer = layer if units == 64 else tf.nn.relu(layer)
        start = tf.truncated_normal([64, units], stddev=0.1, seed=units)
        layer = tf.matmul(layer, tf.Variable(start)) + tf.Variable(tf.zeros([units]))
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=layer)
    loss = tf.reduce_mean(each)
    return x, y, tf.train.AdamOptimizer().minimize(loss), loss


if __name__ == "__main__":
    main()
