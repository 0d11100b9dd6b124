"""Convolution and pooling of the TensorFlow face: live against TensorFlow, and among themselves."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.tensorflow as gemel_tf

ROWS = {
    "conv2d(a, k, [1, 2, 2, 1], 'SAME')": ((2, 7, 6, 3), (3, 2, 3, 4)),
    "conv2d(a, k, 1, 'VALID', dilations=2)": ((2, 7, 6, 3), (3, 2, 3, 4)),
    "conv2d(a, k, 2, [[0, 0], [1, 2], [0, 1], [0, 0]])": ((2, 7, 6, 3), (3, 2, 3, 4)),
    "conv1d(a, k, 2, 'SAME')": ((2, 7, 3), (3, 3, 4)),
    "conv3d(a, k, [1, 1, 1, 1, 1], 'SAME')": ((1, 3, 4, 5, 2), (2, 2, 2, 2, 3)),
    "convolution(a, k, padding='SAME')": ((2, 7, 3), (3, 3, 4)),
    "depthwise_conv2d(a, k, [1, 1, 1, 1], 'SAME')": ((2, 7, 6, 3), (3, 2, 3, 2)),
    "conv2d_transpose(a, k, [2, 8, 6, 3], 2, 'SAME')": ((2, 4, 3, 4), (3, 2, 3, 4)),
    "conv2d_transpose(a, k, [2, 9, 6, 3], 2, 'VALID')": ((2, 4, 3, 4), (3, 2, 3, 4)),
    "conv1d_transpose(a, k, [2, 8, 3], 2, 'SAME')": ((2, 4, 4), (3, 3, 4)),
    "conv3d_transpose(a, k, [1, 4, 4, 2, 3], 2, 'SAME')": ((1, 2, 2, 1, 4), (3, 2, 2, 3, 4)),
    "max_pool2d(a, 2, 2, 'VALID')": ((2, 7, 6, 3),),
    "max_pool2d(a, [1, 2, 3, 1], [1, 2, 1, 1], 'SAME')": ((2, 7, 6, 3),),
    "max_pool3d(a, 2, 2, 'SAME')": ((1, 5, 4, 3, 2),),
    "avg_pool2d(a, 3, 2, 'SAME')": ((2, 7, 6, 3),),
    "avg_pool1d(a, 2, 2, 'SAME')": ((2, 5, 3),),
}


def value_and_gradients(tf, row: str) -> list[np.ndarray]:
    """The row's value and the gradients of a sum weighted unevenly."""
    random = np.random.default_rng(0)
    values = [random.permutation(np.prod(s)).reshape(s) % 23 - 9.5 for s in ROWS[row]]
    tensors = [tf.constant(v, "float32") for v in values]
    with tf.GradientTape() as tape:
        for t in tensors:
            tape.watch(t)
        y = eval(f"nn.{row}", {"nn": tf.nn, **dict(zip("ak", tensors, strict=False))})
        weights = np.arange(np.prod(y.shape)).reshape(y.shape) % 5 + 1
        total = tf.reduce_sum(y * tf.constant(weights, "float32"))
    return [np.array(v) for v in (y, *tape.gradient(total, tensors))]


def of_the_original(tf, row):
    """Its kernels are not the same on all CPUs: some have no gradients of dilated windows."""
    try:
        return value_and_gradients(tf, row)
    except tf.errors.InvalidArgumentError as error:
        if "do not yet support" not in str(error):
            raise
        pytest.skip(f"TensorFlow on this CPU: {error.message}")


@pytest.mark.oracle_tf
@pytest.mark.parametrize("row", [r for r in ROWS if not r.startswith("max_pool")])
def test_live(row):
    original = pytest.importorskip("tensorflow")
    found, wanted = value_and_gradients(gemel_tf, row), of_the_original(original, row)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-3)


@pytest.mark.oracle_tf
@pytest.mark.parametrize("row", [r for r in ROWS if r.startswith("max_pool")])
def test_largest_live(row):
    """Values only: of equal cells the two may choose another one for the gradient."""
    original = pytest.importorskip("tensorflow")
    found, wanted = (value_and_gradients(tf, row)[0] for tf in (gemel_tf, original))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("row", ["conv2d(a, k, 2, 'SAME')", "max_pool2d(a, 3, 2, 'SAME')"])
def test_channels_first_is_channels_last_turned(row):
    tf = gemel_tf
    random = np.random.default_rng(0)
    first = tf.constant(random.uniform(size=(2, 3, 7, 6)), "float32")
    names = {"nn": tf.nn, "k": tf.constant(random.uniform(size=(3, 2, 3, 4)), "float32")}
    last = eval(f"nn.{row}", {**names, "a": tf.transpose(first, [0, 2, 3, 1])})
    turned = eval(f"nn.{row[:-1]}, data_format='NCHW')", {**names, "a": first})
    np.testing.assert_allclose(turned, tf.transpose(last, [0, 3, 1, 2]), rtol=1e-6)


def test_a_result_that_does_not_come_from_the_input():
    tf = gemel_tf
    x, kernel = tf.zeros([1, 4, 4, 2]), tf.zeros([3, 3, 5, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not come from"):
        tf.nn.conv2d_transpose(x, kernel, [1, 12, 12, 5], 2, "SAME")


def test_a_small_network_learns():
    tf = gemel_tf
    random = np.random.default_rng(0)
    x = tf.constant(random.uniform(size=(8, 8, 8, 1)), "float32")
    labels = tf.constant([0, 1] * 4)
    kernel = tf.Variable(random.normal(0, 0.3, (3, 3, 1, 6)).astype("float32"))
    weight = tf.Variable(random.normal(0, 0.3, (96, 2)).astype("float32"))
    losses = []
    for _ in range(30):
        with tf.GradientTape() as tape:
            y = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME")), 2, 2, "SAME")
            scores = tf.matmul(tf.reshape(y, [8, 96]), weight)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)
            loss = tf.reduce_mean(each)
        for v, g in zip((kernel, weight), tape.gradient(loss, [kernel, weight]), strict=True):
            v.assign_sub(0.2 * g)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
