"""Handwritten digits with TensorFlow 1: a graph, a session, a 64-64-10 network, Adam, 20 epochs.

    python digits_tf1.py          under TensorFlow
    gemel run digits_tf1.py       under Gemel
"""

import digits
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()


def dense(inputs, units, seed):
    """A fully connected layer with weights drawn from a truncated normal."""
    size = int(inputs.shape[1])
    initial = tf.truncated_normal([size, units], stddev=size**-0.5, seed=seed)
    weights = tf.Variable(initial)
    biases = tf.Variable(tf.zeros([units]))
    return tf.matmul(inputs, weights) + biases


def main():
    record = digits.Record("TensorFlow 1")
    (train_images, train_labels), (test_images, test_labels) = digits.load()

    tf.set_random_seed(0)
    x = tf.placeholder(tf.float32, [None, 64])
    y = tf.placeholder(tf.int64, [None])
    hidden = tf.nn.relu(dense(x, 64, seed=1))
    logits = dense(hidden, 10, seed=2)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = tf.reduce_mean(losses)
    train = tf.train.AdamOptimizer(digits.LEARNING_RATE).minimize(loss)
    predicted = tf.argmax(logits, 1)

    order = np.random.RandomState(0)
    count = len(train_images)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        record.start()
        for _ in range(digits.EPOCHS):
            total = 0.0
            shuffled = order.permutation(count)
            for first in range(0, count, digits.BATCH):
                batch = shuffled[first : first + digits.BATCH]
                feed = {x: train_images[batch], y: train_labels[batch]}
                _, value = session.run([train, loss], feed)
                total += float(value) * len(batch)
                record.step()
            record.epoch(total / count)
        result = session.run(predicted, {x: test_images})
    record.finish(result, test_labels)


if __name__ == "__main__":
    main()
