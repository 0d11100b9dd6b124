"""`tf.random.Generator`: draws from a Philox state that its owner keeps.

The state is int64 [3]: the counter's two halves, then the key. A draw of n values moves the counter
on by 256 for each of them.
"""

from __future__ import annotations

from enum import Enum
from os import urandom

import numpy as np

from gemel import tensor as engine
from gemel.ops import random_tensorflow as samplers
from gemel.tensor import random_tensorflow as streams

from .array import stack
from .dispatch import static
from .dtypes import as_dtype, float32, int64, uint64
from .eager import EagerTensor


class Algorithm(Enum):
    """The word generators that TensorFlow names; Gemel has Philox."""

    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


def _check_algorithm(alg) -> None:
    """NotImplementedError for any but Philox."""
    number = alg.value if isinstance(alg, Algorithm) else alg
    if number not in (None, 1, 3, "philox", "auto_select"):
        raise NotImplementedError(f"tf.random.Generator: algorithm {alg!r}: only 'philox' is there")


def create_rng_state(seed, alg=None) -> np.ndarray:
    """A state [3] from a seed of up to three numbers; negative seeds are filled with -1."""
    _check_algorithm(alg)
    numbers = np.atleast_1d(np.asarray(seed, np.int64))
    if numbers.ndim != 1 or len(numbers) > 3:
        raise ValueError(f"seed must be a number or up to 3 of them, received {seed}")
    filled = np.full(3, -1 if numbers[-1] < 0 else 0, np.int64)
    filled[: len(numbers)] = numbers
    return filled


def _values(x) -> np.ndarray:
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


class Generator:
    """Draws from a Philox state that moves on: `tf.random.Generator.from_seed(7).normal([3])`."""

    def __init__(self, copy_from=None, state=None, alg=None):
        _check_algorithm(alg)
        given = copy_from.state if copy_from is not None else state
        if given is None:
            raise ValueError("One of `copy_from` and `state` must be given")
        held = _values(given).astype(np.int64)
        if held.shape != (3,):
            raise ValueError(f"The state of a Philox generator has shape [3], not {held.shape}")
        self._state = engine.from_array(held, EagerTensor)

    @classmethod
    def from_state(cls, state, alg) -> Generator:
        return cls(state=state, alg=alg)

    @classmethod
    def from_seed(cls, seed, alg=None) -> Generator:
        return cls(state=create_rng_state(_values(seed), alg), alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg=None) -> Generator:
        return cls(state=np.frombuffer(urandom(24), np.int64), alg=alg)

    @classmethod
    def from_key_counter(cls, key, counter, alg) -> Generator:
        return cls(state=np.append(_values(counter), _values(key)), alg=alg)

    # ---------- the state ----------
    @property
    def state(self):
        return self._state

    @property
    def key(self):
        """The key of Philox: the last number of the state."""
        return self._state[2]

    @property
    def algorithm(self) -> int:
        return Algorithm.PHILOX.value

    def reset(self, state) -> None:
        self._state = Generator(state=state)._state

    def reset_from_seed(self, seed) -> None:
        self.reset(create_rng_state(_values(seed)))

    def reset_from_key_counter(self, key, counter) -> None:
        self.reset(np.append(_values(counter), _values(key)))

    def skip(self, delta: int):
        """Move on as if `delta` values were drawn; returns the state before."""
        before = _values(self._state)
        halves = before.view(np.uint64)
        place = int(halves[0]) + (int(halves[1]) << 64) + int(delta) * samplers.RESERVED
        place %= 1 << 128
        moved = np.array([place % (1 << 64), place >> 64, halves[2]], np.uint64)
        self.reset(moved.view(np.int64))
        return engine.from_array(before, EagerTensor)

    # ---------- generators made of it ----------
    def make_seeds(self, count: int = 1):
        """[2, count] seeds for stateless functions."""
        keys = self.uniform_full_int([count], int64)
        return stack([keys, keys - keys])

    def split(self, count: int = 1) -> list[Generator]:
        """`count` generators of keys drawn from this one."""
        keys = _values(self.uniform_full_int([count], int64)).tolist()
        return [Generator(state=[0, 0, key]) for key in keys]

    # ---------- draws ----------
    def _draw(self, sampler, shape, dtype, numbers=()):
        found = static(shape)
        attrs = ((found,) if isinstance(found, int) else found, as_dtype(dtype).engine)
        source = streams.GeneratorState(self._state)
        return source.draw(sampler, EagerTensor, attrs, *numbers)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        return self._draw(samplers.NORMAL, shape, dtype, (float(mean), float(stddev)))

    def truncated_normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        return self._draw(samplers.TRUNCATED, shape, dtype, (float(mean), float(stddev)))

    def uniform(self, shape, minval=0, maxval=None, dtype=float32, name=None):
        if as_dtype(dtype).is_floating:
            bounds = (float(minval), 1.0 if maxval is None else float(maxval))
            return self._draw(samplers.UNIFORM, shape, dtype, bounds)
        if maxval is None:
            raise ValueError(f"Must specify maxval for integer dtype {as_dtype(dtype).name}")
        return self._draw(samplers.INTEGERS, shape, dtype, (minval, maxval))

    def uniform_full_int(self, shape, dtype=uint64, name=None):
        """Any values of an integer type of 32 or 64 bits."""
        return self._draw(samplers.BITS, shape, dtype)


_GLOBAL: list[Generator] = []


def get_global_generator() -> Generator:
    """The process's generator: of an unknown state until one is set."""
    if not _GLOBAL:
        _GLOBAL.append(Generator.from_non_deterministic_state())
    return _GLOBAL[0]


def set_global_generator(generator: Generator) -> None:
    _GLOBAL[:] = [generator]
