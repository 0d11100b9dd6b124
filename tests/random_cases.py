"""Draws that Gemel and the originals are both asked for: one row each, in one order.

Used by the tests and by `tools/record_random.py`. The originals are imported by whoever calls their
half of a row, so that the plain tests do not need them.
"""

import numpy as np

from gemel.graph.form import (
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint32,
    uint64,
)
from gemel.tensor import random as streams
from gemel.tensor import random_tensorflow as philox
from gemel.tensor.arrays import array_of, from_array
from gemel.tensor.tensor import Tensor

SEEDS = (0, 42, (1 << 40) + 3, -5)
WEIGHTS = (np.arange(1, 29).reshape(4, 7) % 5 + 0.25) / 8
LOGITS = (np.arange(21).reshape(3, 7) % 4) / 5
ALPHAS = np.array([0.3, 1.0, 4.0])


def _torch_rows():
    """(name, torch -> tensor, generator -> tensor); one stream runs through all of them."""
    g_rows = []

    def row(name, theirs, call, *args, **named):
        g_rows.append((name, theirs, lambda g: call(g, Tensor, *args, **named)))

    for name, d in (("float32", float32), ("float64", float64)):
        _float_rows(row, name, d)
    for name, d in (("int64", int64), ("int32", int32), ("uint8", uint8), ("float32", float32)):
        row(
            f"randint {name}",
            lambda t, name=name: t.randint(3, 200, (41,), dtype=getattr(t, name)),
            streams.integers,
            (41,),
            d,
            3,
            200,
        )
    return g_rows + _integer_rows() + _odd_rows()


def _float_rows(row, name, d):
    def empty(t, *shape):
        return t.empty(*shape, dtype=getattr(t, name))

    row(f"rand {name}", lambda t: t.rand(5, 7, dtype=getattr(t, name)), streams.uniform, (5, 7), d)
    row(
        f"uniform_ {name}",
        lambda t: empty(t, 700).uniform_(-0.164, 0.3),
        streams.uniform,
        (700,),
        d,
        -0.164,
        0.3,
    )
    for n in (1, 2, 3, 15, 16, 17, 32, 700):
        row(
            f"normal_ {n} {name}",
            lambda t, n=n: empty(t, n).normal_(0.3, 0.7),
            streams.normal,
            (n,),
            d,
            0.3,
            0.7,
        )
    row(
        f"normal_ of a view {name}",
        lambda t: empty(t, 6, 8)[:, ::2].normal_(),
        streams.normal,
        (6, 4),
        d,
        contiguous=False,
    )
    row(
        f"bernoulli_ {name}",
        lambda t: empty(t, 99).bernoulli_(0.3),
        streams.bernoulli,
        (99,),
        d,
        0.3,
    )
    row(
        f"dropout {name}",
        lambda t: t.nn.functional.dropout(t.ones(9, 11, dtype=getattr(t, name)), 0.3),
        streams.dropout_mask,
        (9, 11),
        d,
        0.3,
    )
    row(
        f"exponential_ {name}",
        lambda t: empty(t, 77).exponential_(1.7),
        streams.exponential,
        (77,),
        d,
        1.7,
    )
    row(
        f"geometric_ {name}",
        lambda t: empty(t, 77).geometric_(0.3),
        streams.geometric,
        (77,),
        d,
        0.3,
    )
    row(
        f"cauchy_ {name}",
        lambda t: empty(t, 77).cauchy_(0.3, 1.5),
        streams.cauchy,
        (77,),
        d,
        0.3,
        1.5,
    )
    for n in (7, 40):
        row(
            f"log_normal_ {n} {name}",
            lambda t, n=n: empty(t, n).log_normal_(),
            streams.log_normal,
            (n,),
            d,
        )


def _integer_rows():
    rows = []
    for name, d in (
        ("int64", int64),
        ("int32", int32),
        ("int16", int16),
        ("int8", int8),
        ("uint8", uint8),
        ("bool", bool_),
        ("float32", float32),
        ("float64", float64),
    ):
        rows.append(
            (
                f"random_ {name}",
                lambda t, name=name: t.empty(31, dtype=getattr(t, name)).random_(),
                lambda g, d=d: streams.natural(g, Tensor, (31,), d),
            )
        )
    for low, high in ((-5, 2**40), (-5, 2**28 - 5), (0, 2**28 - 1), (-(2**62), 2**62)):
        rows.append(
            (
                f"randint {low} {high}",
                lambda t, low=low, high=high: t.randint(low, high, (41,)),
                lambda g, low=low, high=high: streams.integers(g, Tensor, (41,), int64, low, high),
            )
        )
    for n in (0, 1, 2, 1000):
        rows.append(
            (
                f"randperm {n}",
                lambda t, n=n: t.randperm(n),
                lambda g, n=n: streams.permutation(g, Tensor, n, int64),
            )
        )
    return rows


def _odd_rows():
    return [
        (
            "random_ of all 64 bits",
            lambda t: t.empty(31, dtype=t.int64).random_(-(2**63), None),
            lambda g: streams.integers(g, Tensor, (31,), int64, -(2**63), 2**63),
        ),
        (
            "bernoulli of probabilities",
            lambda t: t.bernoulli(t.tensor(WEIGHTS, dtype=t.float32)),
            lambda g: streams.bernoulli_each(g, _weights(np.float32), float32),
        ),
        (
            "multinomial of one",
            lambda t: t.multinomial(t.tensor(WEIGHTS), 1),
            lambda g: streams.choice(g, _weights(np.float64)),
        ),
        (
            "multinomial without replacement",
            lambda t: t.multinomial(t.tensor(WEIGHTS, dtype=t.float32), 5),
            lambda g: streams.choice(g, _weights(np.float32), 5),
        ),
        (
            "multinomial with replacement",
            lambda t: t.multinomial(t.tensor(WEIGHTS, dtype=t.float32), 50, True),
            lambda g: streams.choice(g, _weights(np.float32), 50, True),
        ),
        (
            "empty",
            lambda t: t.randn(0, 3),
            lambda g: streams.normal(g, Tensor, (0, 3), float32),
        ),
        (
            "the next seed",
            lambda t: t.empty((), dtype=t.int64).random_(),
            lambda g: from_array(np.int64(g.random64()), Tensor),
        ),
    ]


def _weights(kind):
    return from_array(WEIGHTS.astype(kind), Tensor)


TORCH = _torch_rows()


def _tensorflow_rows():
    """(name, functions (`Stateful` or `Stateless`) and seed -> tensor, source -> tensor)."""
    for name, d in (("float32", float32), ("float64", float64)):
        yield (
            f"uniform {name}",
            lambda r, s, name=name: r.uniform([703], s, -0.3, 0.7, name),
            lambda source, d=d: philox.uniform(source, Tensor, (703,), d, -0.3, 0.7),
        )
        yield (
            f"normal {name}",
            lambda r, s, name=name: r.normal([7, 101], s, 0.3, 0.7, name),
            lambda source, d=d: philox.normal(source, Tensor, (7, 101), d, 0.3, 0.7),
        )
        yield (
            f"truncated_normal {name}",
            lambda r, s, name=name: r.truncated_normal([703], s, 0.3, 0.7, name),
            lambda source, d=d: philox.truncated_normal(source, Tensor, (703,), d, 0.3, 0.7),
        )
    for name, d in (("int32", int32), ("int64", int64)):
        yield (
            f"uniform {name}",
            lambda r, s, name=name: r.uniform([703], s, -3, 1000, name),
            lambda source, d=d: philox.integers(source, Tensor, (703,), d, -3, 1000),
        )
    yield (
        "categorical",
        lambda r, s: r.categorical(LOGITS, 51, s),
        lambda source: philox.categorical(source, from_array(LOGITS, Tensor), 51, int64),
    )
    yield (
        "gamma",
        lambda r, s: r.gamma([67, 3], s, ALPHAS),
        lambda source: philox.gamma(source, Tensor, (67, 3), float64, from_array(ALPHAS, Tensor)),
    )
    yield (
        "shuffle",
        lambda r, s: r.shuffle(np.arange(703), s),
        lambda source: philox.permutation(source, Tensor, 703),
    )
    yield (
        "dropout",
        lambda r, s: r.dropout(np.ones(703, np.float32), s, 0.3),
        lambda source: philox.dropout_mask(source, Tensor, (703,), float32, 0.3),
    )


TENSORFLOW = list(_tensorflow_rows())
# dropout draws with the operation that uniform draws with, so it goes on in its stream
SAME_KERNEL = {"dropout": "uniform float32"}
BIT_TYPES = {"int32": int32, "int64": int64, "uint32": uint32, "uint64": uint64}
STATELESS_SEEDS = ((3, -5), (0, 0), (123456789, 7))
STATEFUL_SEEDS = ((1234, 7), (None, 11))


class Stateful:
    """TensorFlow's functions with an op seed, as `TENSORFLOW` calls them."""

    def __init__(self, tf):
        self.tf = tf

    def uniform(self, shape, seed, low, high, dtype):
        return self.tf.random.uniform(shape, low, high, dtype, seed=seed)

    def normal(self, shape, seed, mean, deviation, dtype):
        return self.tf.random.normal(shape, mean, deviation, dtype, seed=seed)

    def truncated_normal(self, shape, seed, mean, deviation, dtype):
        return self.tf.random.truncated_normal(shape, mean, deviation, dtype, seed=seed)

    def categorical(self, logits, samples, seed):
        return self.tf.random.categorical(logits, samples, seed=seed)

    def gamma(self, shape, seed, alpha):
        return self.tf.random.gamma(shape[:1], alpha, dtype=alpha.dtype, seed=seed)

    def shuffle(self, values, seed):
        return self.tf.random.shuffle(values, seed=seed)

    def dropout(self, values, seed, rate):
        return self.tf.nn.dropout(values, rate, seed=seed)


class Stateless:
    """TensorFlow's stateless functions, as `TENSORFLOW` calls them."""

    def __init__(self, tf):
        self.tf = tf

    def uniform(self, shape, seed, low, high, dtype):
        return self.tf.random.stateless_uniform(shape, seed, low, high, dtype)

    def normal(self, shape, seed, mean, deviation, dtype):
        return self.tf.random.stateless_normal(shape, seed, mean, deviation, dtype)

    def truncated_normal(self, shape, seed, mean, deviation, dtype):
        return self.tf.random.stateless_truncated_normal(shape, seed, mean, deviation, dtype)

    def categorical(self, logits, samples, seed):
        return self.tf.random.stateless_categorical(logits, samples, seed)

    def gamma(self, shape, seed, alpha):
        return self.tf.random.stateless_gamma(shape, seed, alpha, dtype=alpha.dtype)

    def shuffle(self, values, seed):
        return self.tf.random.experimental.stateless_shuffle(values, seed)

    def dropout(self, values, seed, rate):
        return self.tf.nn.experimental.stateless_dropout(values, rate, seed)


def torch_theirs(torch, seed):
    """name -> array of every row under PyTorch, and its final state."""
    torch.manual_seed(seed)
    values = {name: theirs(torch).numpy() for name, theirs, _ in TORCH}
    return values, torch.get_rng_state().numpy()


def torch_ours(seed):
    g = streams.Generator(seed)
    # all are recorded before the first is looked at
    drawn = {name: ours(g) for name, _, ours in TORCH}
    return {name: array_of(t) for name, t in drawn.items()}, g.get_state()


def stateless_theirs(tf, seed):
    r = Stateless(tf)
    return {name: theirs(r, seed).numpy() for name, theirs, _ in TENSORFLOW}


def stateless_ours(seed):
    source = philox.Stateless(from_array(np.array(seed, np.int32), Tensor))
    return {name: array_of(ours(source)) for name, _, ours in TENSORFLOW}


def stateful_theirs(tf, seeds):
    """Every row twice: an operation with a seed of its own goes on where it was."""
    r = Stateful(tf)
    tf.random.set_seed(seeds[0])
    turns = [(name, theirs, turn) for name, theirs, _ in TENSORFLOW for turn in (1, 2)]
    return {f"{name} {turn}": theirs(r, seeds[1]).numpy() for name, theirs, turn in turns}


def stateful_ours(seeds):
    eager = philox.EagerSeeds()
    eager.set_seed(seeds[0])
    out = {}
    for name, _, ours in TENSORFLOW:
        for turn in (1, 2):
            kernel = SAME_KERNEL.get(name, name)
            out[f"{name} {turn}"] = array_of(ours(eager.source(seeds[1], kernel)))
    return out
