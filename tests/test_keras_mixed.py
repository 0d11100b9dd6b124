"""Keras's policies of mixed precision over Gemel, and random numbers of half types."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.keras as keras
import gemel.tensorflow as tf

POLICIES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


@pytest.fixture(params=POLICIES)
def policy(request):
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def network():
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(16, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(2),
            layers.Activation("softmax", dtype="float32"),
        ]
    )


def data():
    images = np.random.default_rng(0).standard_normal((64, 8, 8, 3)).astype("f4")
    return images, (images.mean((1, 2, 3)) > 0).astype("int32")


def test_a_network_trains(policy):
    keras.utils.set_random_seed(1)
    model = network()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    images, labels = data()
    losses = model.fit(images, labels, epochs=4, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    layer = model.layers[0]
    assert (layer.compute_dtype, layer.variable_dtype) == (POLICIES[policy], "float32")
    assert layer(images[:2]).dtype == POLICIES[policy]
    assert model.predict(images[:4], verbose=0).dtype == np.float32


def test_float16_scales_its_loss():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = network()
        model.compile("sgd", "sparse_categorical_crossentropy")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    images, labels = data()
    before = model.get_weights()[0]
    model.optimizer.build(model.trainable_variables)
    # a scale that no gradient survives in float16: nothing moves, the scale is halved
    model.optimizer.dynamic_scale.assign(2.0**40)
    model.train_on_batch(images, labels)
    assert float(model.optimizer.dynamic_scale) == 2.0**39
    np.testing.assert_array_equal(model.get_weights()[0], before)
    model.optimizer.dynamic_scale.assign(64.0)
    model.train_on_batch(images, labels)
    assert np.abs(model.get_weights()[0] - before).max() > 0


def test_tensorflow_names_the_same_policies():
    assert tf.keras.mixed_precision.Policy is keras.mixed_precision.Policy


# the first values of tf.random.stateless_uniform([12], [1, 2], dtype)
UNIFORMS = {
    "float16": [556, 241, 62, 915, 147, 453, 91, 830, 171, 431, 338, 404],
    "bfloat16": [44, 113, 62, 19, 19, 69, 91, 62, 43, 47, 82, 20],
}


@pytest.mark.parametrize("name", UNIFORMS)
def test_uniforms_of_half_types_are_tensorflow_s(name):
    steps = 1024 if name == "float16" else 128
    found = tf.random.stateless_uniform([12], [1, 2], dtype=getattr(tf, name))
    values = np.asarray(tf.cast(found, tf.float32)) * steps
    np.testing.assert_array_equal(values, UNIFORMS[name])
