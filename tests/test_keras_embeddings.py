"""Optimizers and embeddings: gradients of rows are squared row by row, as Keras does over
TensorFlow; a table that is read in another way too has one gradient like any other."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.keras as keras
from gemel import tensor as lazy
from gemel.keras_backend.gradient import GradientTape

layers, ops = keras.layers, keras.ops
random = np.random.RandomState(0)
WORDS = random.randint(0, 9, (32, 6)).astype("int32")
OTHERS = random.randint(0, 5, (32, 3)).astype("int32")
TARGETS = random.randn(32, 1).astype("float32")

# losses of three epochs, by Keras 3.15 over TensorFlow 2.21
RECORDED = {
    "Adam": [0.7589257, 0.2747935, 0.1183436],
    "RMSprop": [1.149419, 0.677232, 0.2601734],
    "clipped": [0.7713824, 0.2660226, 0.1345539],
}
OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(0.05),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.05, momentum=0.5),
    "clipped": lambda: keras.optimizers.Adam(0.05, global_clipnorm=0.1),
}


def model() -> keras.Model:
    """Two tables, one of which is read twice."""
    words, others = keras.Input((6,), dtype="int32"), keras.Input((3,), dtype="int32")
    first, second = layers.Embedding(9, 4), layers.Embedding(5, 4)
    joined = layers.Concatenate(axis=1)([first(words), first(others), second(others)])
    made = keras.Model([words, others], layers.Dense(1)(layers.Flatten()(ops.tanh(joined))))
    weights = np.random.RandomState(1)
    values = [weights.randn(*w.shape).astype("float32") * 0.3 for w in made.weights]
    made.set_weights(values)
    return made


@pytest.mark.parametrize("name", RECORDED)
def test_losses_are_those_over_tensorflow(name):
    made = model()
    made.compile(OPTIMIZERS[name](), "mse")
    found = made.fit([WORDS, OTHERS], TARGETS, batch_size=8, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(found.history["loss"], RECORDED[name], rtol=2e-5)


def gradient_of(read) -> tuple[lazy.Tensor, np.ndarray]:
    table = keras.Variable(np.arange(6.0, dtype="float32").reshape(3, 2))
    with GradientTape() as tape:
        loss = ops.sum(read(table))
    (found,) = tape.gradient(loss, [table])
    return found, np.asarray(ops.square(found))


def test_rows_are_squared_one_by_one():
    index = np.array([[0, 2], [0, 0]])
    found, squares = gradient_of(lambda table: ops.take(table, index, axis=0) * -2.0)
    assert np.asarray(found).tolist() == [[-6, -6], [0, 0], [-2, -2]]
    assert squares.tolist() == [[12, 12], [0, 0], [4, 4]]
    assert np.asarray(ops.abs(found)).tolist() == [[6, 6], [0, 0], [2, 2]]


def test_a_table_that_is_read_whole_has_a_gradient_like_others():
    index = np.array([0, 0])
    whole = lambda table: ops.sum(ops.take(table, index, axis=0)) + ops.sum(table)  # noqa: E731
    found, squares = gradient_of(whole)
    assert np.asarray(found).tolist() == [[3, 3], [1, 1], [1, 1]]
    assert squares.tolist() == [[9, 9], [1, 1], [1, 1]]
