"""Eager mode: values, element types, texts and gradients against TensorFlow's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow_rows as rows
from tensorflow_compare import TOLERANCE, difference, gradient_of, original, recorded, value_of

import gemel.tensorflow as tf


@pytest.mark.parametrize("row", rows.VALUES)
def test_value(row):
    assert difference(value_of(tf, row), recorded("tensorflow_values")[row], TOLERANCE) == ""


@pytest.mark.parametrize("row", rows.GRADIENTS)
def test_gradient(row):
    wanted = recorded("tensorflow_gradients")[row]
    assert difference(gradient_of(tf, row), wanted, TOLERANCE) == ""


@pytest.mark.oracle_tf
@pytest.mark.parametrize("row", rows.VALUES)
def test_value_live(row):
    assert difference(value_of(tf, row), value_of(original(), row), TOLERANCE) == ""


@pytest.mark.oracle_tf
@pytest.mark.parametrize("row", rows.GRADIENTS)
def test_gradient_live(row):
    assert difference(gradient_of(tf, row), gradient_of(original(), row), TOLERANCE) == ""


def test_random_streams_are_the_same_bit_for_bit():
    wanted = recorded("tensorflow_values")
    for row in rows.VALUES:
        if "tf.random" in row:
            assert value_of(tf, row) == wanted[row], row


def test_an_array_that_was_handed_out_does_not_change_the_tensor():
    x = tf.constant([1.0, 2.0])
    x.numpy()[:] = 9.0
    assert x.numpy().tolist() == [1.0, 2.0]
    given = np.ones(2, np.float32)
    y = tf.constant(given)
    given[:] = 5.0
    assert y.numpy().tolist() == [1.0, 1.0]


def test_a_tensor_of_the_other_face_is_taken_by_value():
    import gemel.torch as torch

    q = torch.tensor([1.0, 2.0])
    x = tf.convert_to_tensor(q)
    q.add_(5.0)
    assert (x + 1.0).numpy().tolist() == [2.0, 3.0]
    assert tf.reduce_sum(q).numpy() == 13.0


def test_rows_of_data_are_cut_without_a_program(monkeypatch):
    from gemel.tensorflow import indexing

    def fail(*given):
        raise AssertionError("recorded")

    x = tf.constant(np.arange(12.0).reshape(4, 3))
    wanted = x.numpy()
    monkeypatch.setattr(indexing, "apply", fail)
    assert [row.numpy().tolist() for row in x] == wanted.tolist()
    assert x[1:3, ::-1].numpy().tolist() == wanted[1:3, ::-1].tolist()
    with pytest.raises(AssertionError, match="recorded"), tf.GradientTape() as tape:
        tape.watch(x)
        x[0]  # noqa: B018


def test_a_missing_name_says_where_to_look():
    with pytest.raises(AttributeError, match="gemel coverage tensorflow"):
        tf.no_such_name  # noqa: B018
    with pytest.raises(AttributeError, match=r"tensorflow\.train"):
        tf.train.no_such_name  # noqa: B018
    assert not hasattr(tf, "no_such_name")


def test_importing_the_face_loads_no_compiler():
    import subprocess
    import sys

    code = "import gemel.tensorflow, sys; print('llvmlite' in sys.modules, 'keras' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
