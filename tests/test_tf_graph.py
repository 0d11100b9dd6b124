"""Graphs: the rows of values inside of one, and what does not go in or out."""

from __future__ import annotations

import pytest
import tensorflow_rows as rows
from tensorflow_compare import TOLERANCE, difference, graph_value_of, recorded

import gemel.tensorflow as tf

LOOKING = ("repr(", "str(", "tf.where(q)", "boolean_mask", "a[a > 0]", "while_loop", "set_seed")
ROWS = [row for row in rows.VALUES if not any(part in row for part in LOOKING)]


@pytest.mark.parametrize("row", ROWS)
def test_a_graph_gives_the_same_value(row):
    wanted = recorded("tensorflow_values")[row]
    assert difference(graph_value_of(tf, row), wanted, TOLERANCE) == ""


def test_constants_from_outside_are_taken_in():
    a = tf.constant([[1, 2], [3, 4]])
    other = tf.Graph()
    with other.as_default():
        b = tf.constant([[5, 6], [7, 8]])
    graph = tf.Graph()
    with graph.as_default():
        c = tf.matmul(a, b)
        again = tf.matmul(a, b)
    with tf.Session(graph=graph) as session:
        assert session.run(c).tolist() == [[19, 22], [43, 50]]
    assert again.op.inputs[0] is c.op.inputs[0]


def test_an_error_names_both_graphs():
    other = tf.Graph()
    with other.as_default():
        p = tf.placeholder(tf.float32, name="theirs")
    with tf.Graph().as_default(), pytest.raises(ValueError, match="theirs:0.*same graph"):
        tf.add(tf.constant(1.0), p)


def test_an_eager_variable_does_not_go_into_a_graph():
    v = tf.Variable(1.0)
    with tf.Graph().as_default(), pytest.raises(ValueError, match="made in eager mode"):
        tf.add(v, 1.0)


def test_a_symbolic_tensor_does_not_go_into_eager_mode():
    with tf.Graph().as_default():
        x = tf.constant(1.0)
    with pytest.raises(TypeError, match="symbolic"):
        tf.exp(x)


def test_the_mode_is_switched_and_back():
    tf.disable_eager_execution()
    try:
        assert not tf.executing_eagerly()
        assert tf.constant(1.0).graph is tf.get_default_graph()
    finally:
        tf.enable_eager_execution()
        tf.reset_default_graph()
    assert tf.executing_eagerly()
    assert tf.constant(1.0).numpy() == 1.0


def test_equality_is_identity_under_the_old_rule():
    x = tf.constant([1.0, 2.0])
    tf.disable_tensor_equality()
    try:
        assert (x == x) is True
        assert (x != x) is False
    finally:
        tf.enable_tensor_equality()
    assert (x == x).numpy().tolist() == [True, True]
