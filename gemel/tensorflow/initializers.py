"""`tf.initializers` of graph mode: functions from a shape to an initial value.

Role: TensorFlow 1's initialisers, on the same random streams. In: shape, element type. Out: a
tensor. Each is called with `(shape, dtype=None)`.
"""

from __future__ import annotations

import math as _math

import numpy as np

from . import random
from .array import constant as _constant
from .array import eye as _eye
from .array import ones as _ones
from .array import zeros as _zeros
from .dtypes import DType, as_dtype, float32


class Initializer:
    """A function from a shape to an initial value."""

    def __init__(self, dtype=float32):
        self.dtype = as_dtype(dtype)

    def _type(self, dtype) -> DType:
        return self.dtype if dtype is None else as_dtype(dtype)

    def __call__(self, shape, dtype=None, partition_info=None):
        raise NotImplementedError


class Zeros(Initializer):
    def __call__(self, shape, dtype=None, partition_info=None):
        return _zeros(shape, self._type(dtype))


class Ones(Initializer):
    def __call__(self, shape, dtype=None, partition_info=None):
        return _ones(shape, self._type(dtype))


class Constant(Initializer):
    """The given value, reshaped, or repeated where it is single."""

    def __init__(self, value=0, dtype=float32, verify_shape: bool = False):
        super().__init__(dtype)
        self.value = value

    def __call__(self, shape, dtype=None, partition_info=None, verify_shape=None):
        array = np.asarray(self.value, self._type(dtype).as_numpy_dtype)
        return _constant(array, shape=shape)


class Identity(Initializer):
    """`gain` on the diagonal of a matrix."""

    def __init__(self, gain: float = 1.0, dtype=float32):
        super().__init__(dtype)
        self.gain = gain

    def __call__(self, shape, dtype=None, partition_info=None):
        if len(shape) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        return _eye(*shape, dtype=self._type(dtype)) * self.gain


class RandomUniform(Initializer):
    def __init__(self, minval=0, maxval=None, seed=None, dtype=float32):
        super().__init__(dtype)
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape, dtype=None, partition_info=None):
        return random.uniform(shape, self.minval, self.maxval, self._type(dtype), self.seed)


class RandomNormal(Initializer):
    def __init__(self, mean=0.0, stddev=1.0, seed=None, dtype=float32):
        super().__init__(dtype)
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape, dtype=None, partition_info=None):
        return random.normal(shape, self.mean, self.stddev, self._type(dtype), self.seed)


class TruncatedNormal(RandomNormal):
    def __call__(self, shape, dtype=None, partition_info=None):
        return random.truncated_normal(shape, self.mean, self.stddev, self._type(dtype), self.seed)


class VarianceScaling(Initializer):
    """Random values whose variance is scale / n, with n the inputs, the outputs or their mean.

    mode          'fan_in', 'fan_out' or 'fan_avg'
    distribution  'truncated_normal' (or 'normal'), 'untruncated_normal', 'uniform'
    """

    _MODES = ("fan_in", "fan_out", "fan_avg")
    _DISTRIBUTIONS = ("normal", "truncated_normal", "untruncated_normal", "uniform")

    def __init__(
        self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None, dtype=float32
    ):
        super().__init__(dtype)
        if scale <= 0:
            raise ValueError(f"Argument `scale` must be a positive float. Received: {scale}")
        if mode not in self._MODES:
            raise ValueError(f"Argument `mode` should be one of {self._MODES}. Received: {mode}")
        if distribution.lower() not in self._DISTRIBUTIONS:
            raise ValueError(
                f"Argument `distribution` should be one of {self._DISTRIBUTIONS}. Received: "
                f"{distribution}"
            )
        self.scale, self.mode, self.seed = scale, mode, seed
        self.distribution = distribution.lower()

    def __call__(self, shape, dtype=None, partition_info=None):
        dtype = self._type(dtype)
        inputs, outputs = fans(shape)
        count = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2.0}
        scale = self.scale / max(1.0, count[self.mode])
        if self.distribution == "uniform":
            limit = _math.sqrt(3.0 * scale)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, _math.sqrt(scale), dtype, self.seed)
        # the deviation of a standard normal cut off at two
        spread = _math.sqrt(scale) / 0.87962566103423978
        return random.truncated_normal(shape, 0.0, spread, dtype, self.seed)


def fans(shape) -> tuple[int, int]:
    """(inputs, outputs) of a layer with weights of this shape."""
    sizes = [int(n) for n in shape]
    if not sizes:
        return 1, 1
    if len(sizes) == 1:
        return sizes[0], sizes[0]
    field = _math.prod(sizes[:-2])
    return sizes[-2] * field, sizes[-1] * field


class GlorotUniform(VarianceScaling):
    def __init__(self, seed=None, dtype=float32):
        super().__init__(1.0, "fan_avg", "uniform", seed, dtype)


class GlorotNormal(VarianceScaling):
    def __init__(self, seed=None, dtype=float32):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, dtype)


def he_normal(seed=None) -> VarianceScaling:
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed=None) -> VarianceScaling:
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed=None) -> VarianceScaling:
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed=None) -> VarianceScaling:
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


def default_initializer(dtype: DType) -> Initializer:
    """What get_variable takes where none is given."""
    return GlorotUniform(dtype=dtype) if dtype.is_floating else Zeros(dtype=dtype)


zeros = zeros_initializer = Zeros
ones = ones_initializer = Ones
constant = constant_initializer = Constant
identity = Identity
random_uniform = random_uniform_initializer = RandomUniform
random_normal = random_normal_initializer = RandomNormal
truncated_normal = truncated_normal_initializer = TruncatedNormal
variance_scaling = variance_scaling_initializer = VarianceScaling
glorot_uniform = glorot_uniform_initializer = GlorotUniform
glorot_normal = glorot_normal_initializer = GlorotNormal


def global_variables():
    """The operation that initialises all global variables."""
    from .initialization import global_variables_initializer

    return global_variables_initializer()
