"""`keras.random` over Gemel: TensorFlow's stateless streams, bit for bit Keras on TensorFlow.

A seed is Keras's: an int, a SeedGenerator or None. Its state [seed, counter] is a variable, so a
draw inside a compiled step moves it on at every call.
"""

from __future__ import annotations

import numpy as np
from keras.src.backend.config import floatx
from keras.src.random.seed_generator import SeedGenerator, draw_seed, make_default_seed

from gemel import tensor as lazy
from gemel.graph.form import int32, int64
from gemel.tensor import random_tensorflow as streams

from .creation import broadcast_to, sizes, zeros_like
from .shaping import reshape
from .tensors import convert_to_tensor, dtype_of, tensor, tensor_class, to_dtype


def _source(seed) -> streams.Stateless:
    return streams.Stateless(streams.keras_seed(draw_seed(seed)))


def _number(x, dtype):
    """A bound or moment: Python numbers stay run-time numbers."""
    return x if type(x) in (bool, int, float) else to_dtype(tensor(x), dtype)


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None) -> lazy.Tensor:
    dtype = dtype_of(dtype or floatx())
    low, high = _number(minval, dtype), _number(maxval, dtype)
    return streams.uniform(_source(seed), tensor_class(), sizes(shape), dtype, low, high)


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None) -> lazy.Tensor:
    dtype = dtype_of(dtype or floatx())
    mean, stddev = _number(mean, dtype), _number(stddev, dtype)
    return streams.normal(_source(seed), tensor_class(), sizes(shape), dtype, mean, stddev)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None) -> lazy.Tensor:
    dtype = dtype_of(dtype or floatx())
    mean, stddev = _number(mean, dtype), _number(stddev, dtype)
    return streams.truncated_normal(
        _source(seed), tensor_class(), sizes(shape), dtype, mean, stddev
    )


def randint(shape, minval, maxval, dtype="int32", seed=None) -> lazy.Tensor:
    wanted = dtype_of(dtype)
    drawn = wanted if wanted in (int32, int64) else int64
    low, high = (_number(v, drawn) for v in (minval, maxval))
    found = streams.integers(_source(seed), tensor_class(), sizes(shape), drawn, low, high)
    return to_dtype(found, wanted)


def categorical(logits, num_samples, dtype="int64", seed=None) -> lazy.Tensor:
    logits = tensor(logits)
    return streams.categorical(_source(seed), logits, int(num_samples), dtype_of(dtype))


def dropout(inputs, rate, noise_shape=None, seed=None) -> lazy.Tensor:
    """Zero with probability rate; what is kept is scaled by 1 / (1 - rate)."""
    x = tensor(inputs)
    if rate == 0.0:
        return x
    if rate == 1.0:
        return zeros_like(x)
    shape = x.form.shape
    if noise_shape is not None:
        shape = tuple(
            n if given is None else int(given)
            for n, given in zip(shape, noise_shape, strict=True)
        )
    mask = streams.dropout_mask(_source(seed), tensor_class(), shape, x.form.dtype, float(rate))
    return x * mask


def shuffle(x, axis=0, seed=None) -> lazy.Tensor:
    """Rows in the order of sorted uniforms."""
    from .indexing import take
    from .ordered import argsort

    x = tensor(x)
    keys = uniform((x.form.shape[axis],), dtype="float32", seed=seed)
    return take(x, argsort(keys), axis)


def binomial(shape, counts, probabilities, dtype=None, seed=None) -> lazy.Tensor:
    """As many draws as the largest count, of which each cell counts its own."""
    from .reductions import REDUCTIONS

    dtype = dtype_of(dtype or floatx())
    shape = sizes(shape)
    counts = broadcast_to(convert_to_tensor(counts, "float32"), shape)
    chance = broadcast_to(convert_to_tensor(probabilities, "float32"), shape)
    most = int(np.max(lazy.array_of(counts), initial=0))
    draws = uniform((most, *shape), dtype="float32", seed=seed)
    place = convert_to_tensor(np.arange(most, dtype="float32"))
    place = reshape(place, (most,) + (1,) * len(shape))
    hits = (draws < chance) & (place < counts)
    return to_dtype(REDUCTIONS["sum"](hits, 0), dtype)


def _gamma(shape: tuple[int, ...], alpha, dtype, seed: lazy.Tensor) -> lazy.Tensor:
    alpha = convert_to_tensor(alpha, dtype)
    return streams.gamma(streams.Stateless(seed), tensor_class(), shape, dtype, alpha)


def gamma(shape, alpha, dtype=None, seed=None) -> lazy.Tensor:
    """Gamma samples of scale 1; the shape ends in alpha's."""
    seed = streams.keras_seed(draw_seed(seed))
    return _gamma(sizes(shape), alpha, dtype_of(dtype or floatx()), seed)


def beta(shape, alpha, beta, dtype=None, seed=None) -> lazy.Tensor:
    """Beta samples: a gamma sample's share of two, whose seeds differ by 12."""
    shape, dtype = sizes(shape), dtype_of(dtype or floatx())
    first = streams.keras_seed(draw_seed(seed))
    seeds = first, first + 12
    moments = (broadcast_to(convert_to_tensor(x, dtype), shape) for x in (alpha, beta))
    a, b = (_gamma(shape, x, dtype, s) for x, s in zip(moments, seeds, strict=True))
    return a / (a + b)


__all__ = ["SeedGenerator", "draw_seed", "make_default_seed"]
