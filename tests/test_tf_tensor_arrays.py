"""`tf.TensorArray`: against TensorFlow's; what is refused."""

from __future__ import annotations

import pytest
import tensorflow_array_cases
from tensorflow_compare import TOLERANCE, difference, fresh_graph, original, plain, recorded
from torch_compare import cases_of

import gemel.tensorflow as tf

CASES = cases_of(tensorflow_array_cases)


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    found = plain(CASES[name](tf))
    assert difference(found, recorded("tensorflow_array_cases")[name], TOLERANCE) == ""


@pytest.mark.oracle_tf
@pytest.mark.parametrize("name", CASES)
def test_case_live(name):
    found = plain(CASES[name](tf))
    assert difference(found, plain(CASES[name](original())), TOLERANCE) == ""


def test_an_array_in_a_loop_needs_a_shape():
    @tf.function
    def run():
        ta = tf.TensorArray(tf.float32, 3)
        return tf.while_loop(lambda i, ta: i < 3, lambda i, ta: (i + 1, ta), [0, ta])[1].stack()

    with pytest.raises(ValueError, match="element_shape"):
        run()


def test_rows_that_are_known_in_an_array_whose_size_is_not():
    rows = [[1.0, 2.0], [3.0, 4.0]]
    with fresh_graph(tf) as (v1, session):
        n = v1.placeholder(v1.int32, [])
        ta = v1.TensorArray(v1.float32, size=n).unstack(v1.constant(rows))
        found = session.run([ta.stack(), ta.read(1), ta.size(), ta.concat()], {n: 2})
        empty = v1.TensorArray(v1.float32, size=n, element_shape=[2])
        zeros = session.run([empty.concat(), empty.size()], {n: 2})
    assert [x.tolist() for x in found] == [rows, rows[1], 2, [1.0, 2.0, 3.0, 4.0]]
    assert [x.tolist() for x in zeros] == [[0.0] * 4, 2]


def test_handles_are_refused():
    with pytest.raises(NotImplementedError, match="handle"):
        tf.TensorArray(tf.float32, flow=tf.zeros([]))
