"""The order in which an epoch visits the samples: Keras on TensorFlow's, where a seed is set.

There the order comes from an operation without a seed of its own in a graph of its own, which is
made anew for every epoch. With a global seed all epochs therefore have one and the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from keras.src.utils.rng_utils import get_random_seed

from gemel import tensor as lazy
from gemel.tensor import random_tensorflow as streams

_global_seed: list[Callable[[], int | None]] = [get_random_seed]


def adopt_global_seed(source: Callable[[], int | None]) -> None:
    """Ask this function for the global seed (TensorFlow's face keeps it)."""
    _global_seed[0] = source


def epoch_order(size: int, shuffle, batch_size: int) -> np.ndarray | None:
    """Sample positions of one epoch, or None for the order they are in.

    shuffle  True: all samples; "batch": the batches as wholes
    """
    if not shuffle or size < 2:
        return None
    if shuffle != "batch":
        return _shuffled(size)
    full = size // batch_size * batch_size
    rows = np.arange(full).reshape(-1, batch_size)
    if len(rows) > 1:
        rows = rows[_shuffled(len(rows))]
    return np.concatenate([rows.reshape(-1), np.arange(full, size)])


def _shuffled(size: int) -> np.ndarray:
    seed = _global_seed[0]()
    return np.random.permutation(size) if seed is None else _seeded(size, seed)


@lru_cache(maxsize=16)
def _seeded(size: int, seed: int) -> np.ndarray:
    stream = streams.Stream(*streams.GraphSeeds(seed).seeds(None))
    return np.array(lazy.array_of(streams.permutation(stream, lazy.Tensor, size)))
