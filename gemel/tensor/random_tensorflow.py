"""Random streams for the TensorFlow face and for Keras, bit for bit TensorFlow's on the CPU.

A draw takes a *source* of Philox words. There are four:
    Stream(seed, seed2)     the kernel of a stateful operation: draws move it on. Its state is a
                            tensor that recorded calls rewrite, so `trace` captures it
    Once(seed, seed2)       a stateful operation that runs only once (eager, no seed of its own)
    Stateless(seed)         a tensor [2], int32 or int64, as `tf.random.stateless_*` take it
    GeneratorState(tensor)  the int64 [3] variable of a `tf.random.Generator`; draws rewrite it

Draws: cls is the class of the result, dtypes are the engine's; numbers may be Python numbers
(run-time arguments) or tensors
    uniform(source, cls, shape, dtype, low=0.0, high=1.0)       float32, float64
    integers(source, cls, shape, dtype, low, high)              int32, int64, uint32, uint64
    bits(source, cls, shape, dtype)                             all values of an integer type
    normal / truncated_normal(source, cls, shape, dtype, mean=0.0, deviation=1.0)
    permutation(source, cls, n)                                 int64 [n]: tf.random.shuffle's order
    dropout_mask(source, cls, shape, dtype, rate)               0 or 1/(1-rate), for dropout
    categorical(source, logits, samples, dtype)                 logits [rows, k] -> [rows, samples]
    gamma(source, cls, shape, dtype, alpha)                     shape ends in alpha's; scale 1
    split(seed, cls, count)   fold_in(seed, cls, data)          tf.random.split, .fold_in

Which source an operation gets: `EagerSeeds.source(op_seed, kernel)` outside of functions, where
`kernel` is what TensorFlow caches kernels by (operation and element types); in a graph
`GraphSeeds(graph_seed).seeds(op_seed)` once per operation, and a `Stream` per session or function.
Keras: `keras_seed(seed)` brings a SeedGenerator's int64 [2] to what its TensorFlow backend uses.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from os import urandom
from weakref import WeakKeyDictionary

import numpy as np

from gemel.graph.form import DType, int32, int64
from gemel.ops import random_tensorflow as ops
from gemel.ops.elementwise import MOD, cast
from gemel.ops.movement import concat, reshape
from gemel.ops.record import Call, const

from .arrays import from_array
from .record import record1, record_n
from .tape import LOCAL, Tape
from .tensor import Tensor
from .update import record_state

DEFAULT_GRAPH_SEED = 87654321
LARGEST = 2**31 - 1


# ---------- sources ----------
def _state(seed: int, seed2: int) -> Tensor:
    """The state of an operation with these seeds; (0, 0) asks the operating system."""
    if seed == 0 and seed2 == 0:
        seed, seed2 = (int.from_bytes(urandom(8), "little") for _ in range(2))
    mask = 0xFFFFFFFF
    words = [seed & mask, seed >> 32 & mask, 0, 0, seed2 & mask, seed2 >> 32 & mask]
    return from_array(np.array(words, np.uint32), Tensor)


class Stream:
    """The state of one stateful operation's kernel."""

    def __init__(self, seed: int, seed2: int):
        self.state = _state(seed, seed2)

    def draw(self, sampler: ops.Sampler, cls: type, attrs: tuple, *numbers) -> Tensor:
        return record_state(sampler.stateful, self.state, cls, numbers, attrs)[0]


class Once:
    """A stateful operation's kernel that is thrown away after one draw."""

    def __init__(self, seed: int, seed2: int):
        self.state = _state(seed, seed2)

    def draw(self, sampler: ops.Sampler, cls: type, attrs: tuple, *numbers) -> Tensor:
        return record_n(sampler.once, cls, (self.state, *numbers), attrs)


class Stateless:
    """A seed [2] that is scrambled into a key and a counter."""

    def __init__(self, seed: Tensor):
        if seed.form.shape != (2,) or not seed.form.dtype.is_integer:
            raise ValueError(f"seed must be two integers, received {seed.form}")
        self.seed = seed

    def draw(self, sampler: ops.Sampler, cls: type, attrs: tuple, *numbers) -> Tensor:
        return record_n(sampler.stateless, cls, (self.seed, *numbers), attrs)


class GeneratorState:
    """The state of a `tf.random.Generator` with the Philox algorithm."""

    def __init__(self, state: Tensor):
        if state.form.shape != (3,) or state.form.dtype is not int64:
            raise ValueError(f"a Philox generator's state is int64[3], received {state.form}")
        self.state = state

    def draw(self, sampler: ops.Sampler, cls: type, attrs: tuple, *numbers) -> Tensor:
        return record_state(sampler.generator, self.state, cls, numbers, attrs)[0]


Source = Stream | Once | Stateless | GeneratorState


# ---------- seeds ----------
def _seeds(global_seed: int, op_seed: int) -> tuple[int, int]:
    pair = global_seed % LARGEST, op_seed % LARGEST
    return (0, LARGEST) if pair == (0, 0) else pair


class EagerSeeds:
    """What `tf.random.set_seed` sets, outside of functions."""

    def __init__(self) -> None:
        self.set_seed(None)

    def set_seed(self, seed: int | None) -> None:
        """Set the global seed and forget all kernels."""
        self.global_seed = seed
        self._drawn = random.Random(seed)
        self._kernels: dict[Hashable, Stream] = {}
        self._functions: WeakKeyDictionary[Tape, GraphSeeds] = WeakKeyDictionary()

    def seeds(self, op_seed: int | None) -> tuple[int, int]:
        """The two seeds of an operation; (0, 0) stands for none."""
        if self.global_seed is None:
            return (0, 0) if op_seed is None else _seeds(DEFAULT_GRAPH_SEED, op_seed)
        if op_seed is None:
            op_seed = self._drawn.randint(0, LARGEST)
        return _seeds(self.global_seed, op_seed)

    def source(self, op_seed: int | None, kernel: Hashable) -> Source:
        """The stream of an operation: one with a seed of its own goes on where it was.

        While a function is traced it is a graph, and each of its operations has a stream that goes
        on from call to call.
        """
        tape = LOCAL.tape
        if tape.tracing is not None:
            graph = self._functions.get(tape)
            if graph is None:
                graph = self._functions[tape] = GraphSeeds(self.global_seed)
            return Stream(*graph.seeds(op_seed))
        pair = self.seeds(op_seed)
        if op_seed is None:
            return Once(*pair)
        key = (kernel, pair)
        found = self._kernels.get(key)
        if found is None:
            found = self._kernels[key] = Stream(*pair)
        return found


class GraphSeeds:
    """The seeds of one graph's operations: unseeded ones count 0, 1, 2, ...

    With `number_of_operations` (TensorFlow 1.15's rule) they take how many the graph then has.
    """

    def __init__(self, graph_seed: int | None = None):
        self.graph_seed = graph_seed
        self._count = 0

    def seeds(
        self, op_seed: int | None, number_of_operations: int | None = None
    ) -> tuple[int, int]:
        """The two seeds of an operation; (0, 0) stands for none."""
        if self.graph_seed is None:
            return (0, 0) if op_seed is None else _seeds(DEFAULT_GRAPH_SEED, op_seed)
        if op_seed is None:
            op_seed = self._count if number_of_operations is None else number_of_operations
            self._count += 1
        return _seeds(self.graph_seed, op_seed)


# ---------- draws ----------
def uniform(
    source: Source, cls: type, shape: Sequence[int], dtype: DType, low=0.0, high=1.0
) -> Tensor:
    """Values of [low, high)."""
    return source.draw(ops.UNIFORM, cls, (tuple(shape), dtype), low, high)


def integers(source: Source, cls: type, shape: Sequence[int], dtype: DType, low, high) -> Tensor:
    """Whole values of [low, high). The element type is one of 32 or 64 bits."""
    return source.draw(ops.INTEGERS, cls, (tuple(shape), dtype), low, high)


def bits(source: Source, cls: type, shape: Sequence[int], dtype: DType) -> Tensor:
    """Any values of an integer type of 32 or 64 bits."""
    return source.draw(ops.BITS, cls, (tuple(shape), dtype))


def normal(
    source: Source, cls: type, shape: Sequence[int], dtype: DType, mean=0.0, deviation=1.0
) -> Tensor:
    """Normals."""
    return source.draw(ops.NORMAL, cls, (tuple(shape), dtype), mean, deviation)


def truncated_normal(
    source: Source, cls: type, shape: Sequence[int], dtype: DType, mean=0.0, deviation=1.0
) -> Tensor:
    """Normals within two deviations of the mean."""
    return source.draw(ops.TRUNCATED, cls, (tuple(shape), dtype), mean, deviation)


def permutation(source: Source, cls: type, n: int) -> Tensor:
    """int64 [n]: the rows that `tf.random.shuffle` takes, in order."""
    return source.draw(ops.PERMUTATION, cls, ((n,),))


def dropout_mask(source: Source, cls: type, shape: Sequence[int], dtype: DType, rate) -> Tensor:
    """Zero with probability rate, else 1 / (1 - rate)."""
    return source.draw(ops.DROPOUT_MASK, cls, (tuple(shape), dtype), rate)


def categorical(source: Source, logits: Tensor, samples: int, dtype: DType) -> Tensor:
    """Positions [rows, samples] in logits [rows, k], by the exponentials' share."""
    attrs = ((logits.form.shape[0], samples), dtype)
    return source.draw(ops.CATEGORICAL, logits.kin, attrs, logits)


def gamma(source: Source, cls: type, shape: Sequence[int], dtype: DType, alpha: Tensor) -> Tensor:
    """Gamma samples of scale 1. shape ends in alpha's shape."""
    shape = tuple(shape)
    if shape[len(shape) - alpha.form.ndim :] != alpha.form.shape:
        raise ValueError(f"shape {list(shape)} does not end in alpha's, {list(alpha.form.shape)}")
    return source.draw(ops.GAMMA, cls, (shape, dtype), alpha)


# ---------- seeds made of seeds ----------
def split(seed: Tensor, cls: type, count: int) -> Tensor:
    """`count` new seeds [count, 2] of the seed's own element type."""
    return bits(Stateless(seed), cls, (count, 2), seed.form.dtype)


def _fold(attrs, first, data):
    return concat([first, reshape(cast(data, first.dtype), (1,))], 0)


FOLD = Call("fold_in", _fold, False)


def fold_in(seed: Tensor, cls: type, data) -> Tensor:
    """A new seed [2] from a seed and a number (or a tensor of shape ())."""
    first = bits(Stateless(seed), cls, (1,), seed.form.dtype)
    return record_n(FOLD, cls, (first, data))


def _keras(attrs, seed):
    if seed.dtype is int32:
        return seed
    return cast(MOD(seed, const(LARGEST - 1, seed.dtype)), int32)


KERAS_SEED = Call("keras_seed", _keras, False)


def keras_seed(seed: Tensor) -> Tensor:
    """The seed [2] of Keras' TensorFlow backend: int32, floor modulo 2**31 - 2."""
    return record1(KERAS_SEED, seed)
