"""Complex tensors and `tf.signal` of the TensorFlow face against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.tensorflow as tf

Z = np.array([1 + 0.5j, 2 - 1j, -3 + 2j])
X = np.arange(12.0).reshape(3, 4) % 5


def test_complex_numbers():
    z = tf.complex(tf.constant(Z.real), tf.constant(Z.imag))
    assert z.dtype == tf.complex128 and tf.constant(1j).dtype == tf.complex128
    for got, want in (
        (z * z, Z * Z), (z / 2, Z / 2), (z + 1j, Z + 1j), (tf.math.conj(z), Z.conj()),
        (tf.abs(z), abs(Z)), (tf.math.angle(z), np.angle(Z)), (tf.exp(z), np.exp(Z)),
        (tf.math.real(z), Z.real), (tf.math.imag(z), Z.imag), (tf.reduce_sum(z), Z.sum()),
        (tf.sign(z), Z / abs(Z)), (tf.sqrt(z), np.sqrt(Z)), (tf.asin(z), np.arcsin(Z)),
        (z**2, Z**2), (tf.reshape(z, [3, 1]) @ tf.reshape(z, [1, 3]), np.outer(Z, Z)),
    ):  # fmt: skip
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-13)
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError)):
        tf.maximum(z, z)


def test_signal():
    c = tf.cast(tf.constant(X), tf.complex128)
    for got, want in (
        (tf.signal.fft(c), np.fft.fft(X)),
        (tf.signal.ifft2d(c), np.fft.ifft2(X)),
        (tf.signal.rfft(X), np.fft.rfft(X)),
        (tf.signal.rfft(X, [6]), np.fft.rfft(X, 6)),
        (tf.signal.irfft(c, [5]), np.fft.irfft(X, 5)),
        (tf.signal.rfft2d(X), np.fft.rfft2(X)),
        (tf.signal.irfft2d(tf.signal.rfft2d(X)), X),
        (tf.signal.fftshift(X), np.fft.fftshift(X)),
        (tf.signal.ifftshift(X, 1), np.fft.ifftshift(X, 1)),
    ):
        np.testing.assert_allclose(got.numpy(), want, atol=1e-12)


def test_gradients():
    v = tf.Variable(Z)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.abs(v * v))
    np.testing.assert_allclose(tape.gradient(y, v).numpy(), 2 * Z, rtol=1e-13)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.abs(tf.signal.fft(tf.cast(x, tf.complex128))) ** 2)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), 8 * X, rtol=1e-12, atol=1e-12)


def test_in_functions():
    @tf.function
    def twice(z):
        return tf.signal.ifft(tf.signal.fft(z) * 2)

    np.testing.assert_allclose(twice(tf.constant(Z)).numpy(), 2 * Z, rtol=1e-13)
