"""`tf.TensorArray`: against TensorFlow's; what is refused."""

from __future__ import annotations

import pytest
import tensorflow_array_cases
from tensorflow_compare import TOLERANCE, difference, original, plain, recorded
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


def test_handles_are_refused():
    with pytest.raises(NotImplementedError, match="handle"):
        tf.TensorArray(tf.float32, flow=tf.zeros([]))
