"""`tf.random_normal_initializer` and `tf.random_uniform_initializer` of either TensorFlow.

TensorFlow 2's have other defaults than TensorFlow 1's, and one with a seed gives the same values at
each call. In graph mode the names mean TensorFlow 1's.
"""

from __future__ import annotations

from . import context, initializers, random
from .dtypes import as_dtype, float32


class _Seeded:
    """Values that belong to the seed [seed, 0]; without a seed, of the stateful stream."""

    def __init__(self, first: float, second: float, seed: int | None):
        self.numbers = first, second
        self.seed = seed

    def __call__(self, shape, dtype=float32, **options):
        dtype = as_dtype(dtype)
        if self.seed is None:
            return self.stateful(shape, *self.numbers, dtype)
        return self.stateless(shape, [self.seed, 0], *self.numbers, dtype)


class SeededNormal(_Seeded):
    stateful = staticmethod(random.normal)
    stateless = staticmethod(random.stateless_normal)


class SeededUniform(_Seeded):
    stateful = staticmethod(random.uniform)
    stateless = staticmethod(random.stateless_uniform)


def random_normal_initializer(mean=0.0, stddev=None, seed=None, dtype=float32):
    """Normal values; deviation 0.05 (in graph mode 1)."""
    if context.building() is not None:
        return initializers.RandomNormal(mean, 1.0 if stddev is None else stddev, seed, dtype)
    return SeededNormal(mean, 0.05 if stddev is None else stddev, seed)


def random_uniform_initializer(minval=None, maxval=None, seed=None, dtype=float32):
    """Uniform values of [-0.05, 0.05) (in graph mode of [0, 1))."""
    if context.building() is not None:
        low = 0 if minval is None else minval
        return initializers.RandomUniform(low, maxval, seed, dtype)
    return SeededUniform(
        -0.05 if minval is None else minval, 0.05 if maxval is None else maxval, seed
    )
