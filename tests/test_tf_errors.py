"""Mistakes raise the class that TensorFlow raises, in eager mode and while a graph is built."""

from __future__ import annotations

import pytest
import tensorflow_rows as rows
from tensorflow_compare import error_of, graph_error_of, original, recorded

import gemel.tensorflow as tf

EARLY = ("nothing", "ValueError")
EAGER = [*rows.ERRORS, *rows.RUN_ERRORS]


@pytest.mark.parametrize("row", EAGER)
def test_eager(row):
    assert error_of(tf, row) == recorded("tensorflow_errors")[row]


@pytest.mark.parametrize("row", rows.ERRORS)
def test_graph(row):
    wanted = recorded("tensorflow_graph_errors")[row]
    # what TensorFlow finds only when a session runs may be found here already
    assert graph_error_of(tf, row) in ((wanted,) if wanted != "nothing" else EARLY)


@pytest.mark.oracle_tf
@pytest.mark.parametrize("row", EAGER)
def test_eager_live(row):
    assert error_of(tf, row) == error_of(original(), row)


@pytest.mark.oracle_tf
@pytest.mark.parametrize("row", rows.ERRORS)
def test_graph_live(row):
    wanted = graph_error_of(original(), row)
    assert graph_error_of(tf, row) in ((wanted,) if wanted != "nothing" else EARLY)


def test_messages_say_what_was_received():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2\] vs\. \[3\]"):
        tf.ones([2]) + tf.ones([3])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2,3\].*\[4,2\]"):
        tf.matmul(tf.ones([2, 3]), tf.ones([4, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="int32.*float.*tf.cast"):
        tf.constant([1]) + tf.constant([1.0])
    with tf.Graph().as_default(), pytest.raises(ValueError, match=r"'product'.*\[\?,3\], \[4,2\]"):
        tf.matmul(tf.placeholder(tf.float32, [None, 3]), tf.ones([4, 2]), name="product")


def test_a_label_out_of_range_names_the_users_line():
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[11, 0], logits=tf.ones([2, 10]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"11.*test_tf_errors\.py:\d+"):
        loss.numpy()


def test_error_classes():
    error = tf.errors.InvalidArgumentError(None, None, "text")
    assert error.message == str(error) == "text"
    assert error.error_code == 3
    assert isinstance(error, tf.errors.OpError)
    assert issubclass(tf.errors.OperatorNotAllowedInGraphError, TypeError)
