"""Random streams for the PyTorch face: generators and draws, bit for bit PyTorch's on the CPU.

A `Generator` holds MT19937's state in a tensor. A draw is a recorded call that rewrites this
tensor, so draws happen in program order, run inside the program they belong to, and are captured
by `trace` like any other state. (TensorFlow's and Keras' streams are in `random_tensorflow`.)

How a face uses it
    g = random.default_generator            one for the process; `Generator()` makes private ones
    g.manual_seed(7)  g.initial_seed()  g.seed()  g.get_state()  g.set_state(blob)
    random.uniform(g, cls, shape, float32, low, high)             rand, uniform_
    random.normal(g, cls, shape, float32, mean, deviation)        randn, normal_
    random.integers(g, cls, shape, int64, low, high)              randint, random_(low, high)
    random.natural(g, cls, shape, int64)                          random_()
    random.permutation(g, cls, n, int64)                          randperm
    random.bernoulli(g, cls, shape, float32, p)                   bernoulli_(p)
    random.bernoulli_each(g, p, dtype)                            bernoulli(p), a tensor of p
    random.dropout_mask(g, cls, shape, dtype, p)                  0 or 1/(1-p); x * mask is dropout
    random.exponential  geometric  cauchy  log_normal             the in-place methods' names
    random.choice(g, weights, count, again)                       multinomial
    random.poisson(g, rates)  random.binomial(g, counts, p)       the functions' names
    random.gamma(g, alphas)                                       _standard_gamma
    g.random64()                                                  int64.random_() as a Python int

`cls` is the class of the result (a face's Tensor), dtypes are the engine's. Every function returns
a new tensor; for `t.normal_()` and its like a face writes `values_for(t, draw)` into t: PyTorch
fills views in the order of their memory, and normals one by one where t is not contiguous. Sizes
of 0 draw nothing; dropout with p of 0 or 1 draws nothing in PyTorch either: do not call here then.
Numbers (bounds, p, moments) are run-time arguments: new values compile nothing.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from math import prod
from os import urandom

import numpy as np

from gemel.graph.form import DType, float32
from gemel.ops import random_rejection as rejection
from gemel.ops import random_torch as ops
from gemel.ops.movement import inverse
from gemel.ops.random import STATE_WORDS, seeded_words, twist
from gemel.runtime.buffer import Buffer

from .arrays import array_of, from_array
from .errors import TraceBreak
from .random_lanes import fed, ordered, shaped
from .record import fill
from .tape import LOCAL
from .tensor import Tensor
from .update import record_state
from .views import is_contiguous, look, strides
from .write import write

DEFAULT_SEED = 67280421310721
BLOB_BYTES = 5056
_HEAD = struct.Struct("<QiiQ")  # seed, words left, seeded, next word
_TAIL = struct.Struct("<dddifB3x")  # normal x, y, rho, y valid, float normal, its flag
_INT64 = 1 << 63


class Generator:
    """A stream of PyTorch's CPU generator.

    state   uint32 tensor of 625 words (`ops.random`)
    cached  the float64 normal left over from an odd number of one-by-one normals, or None
    """

    def __init__(self, seed: int = DEFAULT_SEED):
        self.lock = threading.Lock()
        self._seed = _normal_seed(seed)
        self.state = from_array(seeded_words(self._seed), Tensor)
        self.cached: Tensor | None = None

    def manual_seed(self, seed: int) -> Generator:
        """Start again from a seed of [-2**63, 2**64); only its low 32 bits make the stream."""
        seed = _normal_seed(seed)
        with self.lock:
            self._seed = seed
            self._replace(seeded_words(seed))
            self.cached = None
        return self

    def seed(self) -> int:
        """Start again from a seed of the operating system; returns it."""
        seed = int.from_bytes(urandom(8), "little") >> 11  # 53 bits, as PyTorch takes them
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> np.ndarray:
        """The state as PyTorch lays it out: 5056 bytes (uint8)."""
        with self.lock:
            words = array_of(self.state)
            cached = None if self.cached is None else float(array_of(self.cached))
        used = int(words[-1])
        # a fresh state says "one left"; a used-up one the same, with all 624 behind it
        left = 1 if used == 0 else STATE_WORDS - used
        head = _HEAD.pack(self._seed, left, 1, used)
        tail = _TAIL.pack(0.0, cached or 0.0, 0.0, cached is not None, 0.0, 0)
        blob = head + words[:-1].astype("<u8").tobytes() + tail
        return np.frombuffer(blob.ljust(BLOB_BYTES, b"\0"), np.uint8).copy()

    def set_state(self, blob: np.ndarray) -> None:
        """Take over a state that `get_state` or PyTorch gave.

        Raises TypeError for another element type, RuntimeError for another size or content.
        """
        blob = np.asarray(blob)
        if blob.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if blob.size != BLOB_BYTES:
            raise RuntimeError(f"RNG state is wrong size: {blob.size} bytes, not {BLOB_BYTES}")
        data = blob.tobytes()
        seed, left, _, used = _HEAD.unpack_from(data)
        end = _HEAD.size + 8 * (STATE_WORDS - 1)
        words = np.frombuffer(data, "<u8", STATE_WORDS - 1, _HEAD.size)
        if not (left == 1 and used == 0 or left == STATE_WORDS - used and 0 < used < STATE_WORDS):
            raise RuntimeError(f"RNG state is invalid: {used} words used and {left} left")
        _, normal, _, valid, _, _ = _TAIL.unpack_from(data, end)
        with self.lock:
            self._seed = seed
            self._replace(np.append(words, used).astype(np.uint32))
            self.cached = from_array(np.float64(normal), Tensor) if valid else None

    def clone_state(self) -> Generator:
        """Another generator that goes on from the same place."""
        new = Generator.__new__(type(self))
        new.lock = threading.Lock()
        new._seed = self._seed
        with self.lock:
            new.state = from_array(array_of(self.state), Tensor)
            new.cached = self.cached
        return new

    def next_words(self, count: int) -> np.ndarray:
        """The next words at once, as NumPy uint32; runs what is pending."""
        with self.lock:
            words, after = twist(array_of(self.state), count)
            self._replace(after)
        return words

    def random64(self) -> int:
        """What `torch.empty((), dtype=torch.int64).random_()` gives."""
        high, low = self.next_words(2).tolist()
        return (high << 32 | low) & (_INT64 - 1)

    def _replace(self, words: np.ndarray) -> None:
        st = self.state.st
        if st.mark is not None and st.mark.tape is not None or LOCAL.tape.tracing:
            write(self.state, from_array(words, Tensor))
        else:
            # nothing pending reads an evaluated state: every draw rewrites it
            st.buf = Buffer.of(words)

    def draw(self, call, cls: type, attrs: tuple | None, *operands) -> Tensor:
        """Record a call of `ops.random_torch` and advance."""
        with self.lock:
            return record_state(call, self.state, cls, operands, attrs)[0]

    def draw_singly(self, call, cls: type, attrs: tuple, *operands) -> Tensor:
        """Record a call that takes normals one by one: the cached one first, a last one stays."""
        with self.lock:
            cached = self.cached
            odd = (prod(attrs[0]) - (cached is not None)) % 2
            if LOCAL.tape.tracing and (odd or cached is not None):
                raise TraceBreak("an odd number of single normals was drawn")
            if cached is not None:
                operands = (*operands, cached)
            value, *left = record_state(call, self.state, cls, operands, attrs)
            self.cached = left[0] if left else None
        return value

    def draw_gamma(self, alphas: Tensor) -> Tensor:
        """Gamma samples. Runs at once: whether a normal is left over depends on the values."""
        with self.lock:
            if LOCAL.tape.tracing:
                raise TraceBreak("gamma samples were drawn")
            left = () if self.cached is None else (self.cached,)
            attrs = (alphas.form.dtype,)
            made = record_state(rejection.gamma, self.state, alphas.kin, (alphas, *left), attrs)
            valid, normal = array_of(made[1]).tolist()
            self.cached = from_array(np.float64(normal), Tensor) if valid else None
        return made[0]


def _normal_seed(seed: int) -> int:
    """The seed as a number of [0, 2**64). ValueError beyond what PyTorch takes."""
    if not -(1 << 63) <= seed < 1 << 64:
        raise ValueError(f"Overflow when unpacking long long: {seed} is no seed of 64 bits")
    return seed % (1 << 64)


default_generator = Generator()
default_generator.seed()  # PyTorch's own differs from process to process too, until it is seeded


def _values(g: Generator, call, cls: type, shape, dtype: DType, *numbers: float) -> Tensor:
    """A draw of some shape; an empty one takes no words."""
    shape = tuple(shape)
    if 0 in shape:
        return fill(shape, 0, dtype, cls)
    return g.draw(call, cls, (shape, dtype), *map(float, numbers))


@shaped
def uniform(
    g: Generator,
    cls: type,
    shape: Sequence[int],
    dtype: DType,
    low: float = 0.0,
    high: float = 1.0,
    fixed: bool = False,
) -> Tensor:
    """Values of [low, high) in float32 or float64.

    fixed: the bounds are part of the program, as suits initial weights; other bounds compile anew,
    but many fills of one program compile as one function.
    """
    if fixed and dtype is float32 and 0 not in shape:
        return g.draw(ops.uniform_fill, cls, (tuple(shape), float(low), float(high)))
    return _values(g, ops.uniform, cls, shape, dtype, low, high)


@shaped
def normal(
    g: Generator,
    cls: type,
    shape: Sequence[int],
    dtype: DType,
    mean: float = 0.0,
    deviation: float = 1.0,
    contiguous: bool = True,
    fixed: bool = False,
) -> Tensor:
    """Normals in float32 or float64. fixed: as in `uniform`."""
    if not contiguous or prod(shape) < ops.BLOCK:
        return _singly(g, ops.normal_each, cls, shape, dtype, mean, deviation)
    if fixed or mean == 0 and deviation == 1:
        attrs = (tuple(shape), dtype, float(mean), float(deviation))
        return g.draw(ops.normal_fill, cls, attrs)
    return _values(g, ops.normal_fill, cls, shape, dtype, mean, deviation)


@shaped
def log_normal(
    g: Generator,
    cls: type,
    shape: Sequence[int],
    dtype: DType,
    mean: float = 1.0,
    deviation: float = 2.0,
) -> Tensor:
    """exp of normals with this mean and deviation."""
    return _singly(g, ops.log_normal, cls, shape, dtype, mean, deviation)


def _singly(g: Generator, call, cls: type, shape, dtype: DType, *numbers: float) -> Tensor:
    shape = tuple(shape)
    if 0 in shape:
        return fill(shape, 0, dtype, cls)
    return g.draw_singly(call, cls, (shape, dtype), *map(float, numbers))


@shaped
def integers(
    g: Generator, cls: type, shape: Sequence[int], dtype: DType, low: int, high: int
) -> Tensor:
    """Whole values of [low, high), in any element type. high - low may be up to 2**64."""
    shape = tuple(shape)
    span = high - low
    if not 0 < span <= 1 << 64:
        raise ValueError(f"a range of {span} values from {low} to {high}")
    if 0 in shape:
        return fill(shape, 0, dtype, cls)
    attrs = (shape, dtype, span >= ops.WIDE_RANGE)
    if span == 1 << 64:  # the words as they are
        return g.draw(ops.integers, cls, attrs, 0, 0)
    return g.draw(ops.integers, cls, attrs, low, span - (1 << 64) * (span >= _INT64))


@shaped
def natural(g: Generator, cls: type, shape: Sequence[int], dtype: DType) -> Tensor:
    """Whole values from 0 to the largest one (floats: the largest that all smaller ones have)."""
    return _values(g, ops.natural, cls, shape, dtype)


@ordered
def permutation(g: Generator, cls: type, n: int, dtype: DType) -> Tensor:
    """The numbers 0..n-1 in random order."""
    if n == 0:
        return fill((0,), 0, dtype, cls)
    return g.draw(ops.permutation, cls, (n, dtype))


@shaped
def bernoulli(g: Generator, cls: type, shape: Sequence[int], dtype: DType, p: float) -> Tensor:
    """One with probability p, else zero."""
    return _values(g, ops.bernoulli, cls, shape, dtype, p)


@fed
def bernoulli_each(g: Generator, p: Tensor, dtype: DType) -> Tensor:
    """One with the probability that p (floats) holds in the same place, else zero."""
    if 0 in p.form.shape:
        return fill(p.form.shape, 0, dtype, p.kin)
    return g.draw(ops.bernoulli_each, p.kin, (dtype,), p)


@shaped
def dropout_mask(g: Generator, cls: type, shape: Sequence[int], dtype: DType, p: float) -> Tensor:
    """Zero with probability p, else 1 / (1 - p), for 0 < p < 1."""
    return _values(g, ops.dropout_mask, cls, shape, dtype, 1.0 - p)


@shaped
def exponential(
    g: Generator, cls: type, shape: Sequence[int], dtype: DType, rate: float = 1.0
) -> Tensor:
    """Waiting times of events with this rate."""
    return _values(g, ops.exponential, cls, shape, dtype, rate)


@shaped
def geometric(g: Generator, cls: type, shape: Sequence[int], dtype: DType, p: float) -> Tensor:
    """The number of trials up to and with the first success."""
    return _values(g, ops.geometric, cls, shape, dtype, p)


@shaped
def cauchy(
    g: Generator,
    cls: type,
    shape: Sequence[int],
    dtype: DType,
    median: float = 0.0,
    width: float = 1.0,
) -> Tensor:
    """Cauchy's distribution."""
    return _values(g, ops.cauchy, cls, shape, dtype, median, width)


@fed
def choice(g: Generator, weights: Tensor, count: int = 1, again: bool = False) -> Tensor:
    """int64 [..., count]: positions in each row of weights [..., k] (floats), by their share.

    again: a position may come several times. Otherwise count is at most k.
    """
    call = ops.choice_again if again and count > 1 else ops.choice
    return g.draw(call, weights.kin, (count,), weights)


@fed
def one_choice(g: Generator, weights: Tensor) -> Tensor:
    """int64 [...]: one position in each row of weights [..., k] (floats), by their share."""
    return g.draw(ops.one_choice, weights.kin, None, weights)


@fed
def poisson(g: Generator, rates: Tensor) -> Tensor:
    """Numbers of events, in the shape and element type of the rates (floats)."""
    if 0 in rates.form.shape:
        return rates
    return g.draw(rejection.poisson, rates.kin, (rates.form.dtype,), rates)


@fed
def binomial(g: Generator, counts: Tensor, p: Tensor) -> Tensor:
    """Numbers of successes in counts (floats) trials of probability p, of one shape."""
    if 0 in counts.form.shape:
        return counts
    return g.draw(rejection.binomial, counts.kin, (counts.form.dtype,), counts, p)


@fed
def gamma(g: Generator, alphas: Tensor) -> Tensor:
    """Gamma samples of scale 1, in the shape and element type of alphas (floats)."""
    return alphas if 0 in alphas.form.shape else g.draw_gamma(alphas)


def memory_order(t: Tensor) -> tuple[int, ...]:
    """Axes of t from the outermost in memory to the innermost: the order PyTorch fills t in."""
    steps = strides(t)
    return tuple(sorted(range(t.form.ndim), key=lambda axis: -steps[axis]))


def values_for(t: Tensor, draw: Callable[[tuple[int, ...], bool], Tensor]) -> Tensor:
    """What `draw(shape, contiguous)` gives for a fill of t in place, in t's own order of axes."""
    if is_contiguous(t):
        return draw(t.form.shape, True)
    axes = memory_order(t)
    made = draw(tuple(t.form.shape[a] for a in axes), False)
    return look(made, ("permute", inverse(axes)))
