"""`tf.random`: TensorFlow's streams, bit for bit.

Role: names, defaults and the rules that give each operation its two seeds. In: shapes, bounds,
seeds. Out: tensors. What the words become stands in the engine's samplers.
"""

from __future__ import annotations

from gemel.ops import random_tensorflow as samplers
from gemel.tensor import random_tensorflow as streams

from . import context
from .array import gather
from .bodies import Random
from .convert import convert_to_tensor, in_graph
from .dispatch import apply, build, static
from .dtypes import as_dtype, float32
from .eager import EagerTensor
from .generator import Algorithm as Algorithm
from .generator import Generator as Generator
from .generator import create_rng_state as create_rng_state
from .generator import get_global_generator as get_global_generator
from .generator import set_global_generator as set_global_generator
from .shape import TensorShape

EAGER = streams.EagerSeeds()


def set_seed(seed: int | None) -> None:
    """The seed that all random operations take part in: of the default graph in graph mode."""
    if context.building() is not None:
        context.building().seed = seed
    else:
        EAGER.set_seed(seed)


set_random_seed = set_seed


def _graph_seeds(graph, seed: int | None) -> tuple[int, int]:
    if graph.seed is None:
        if seed is None:
            return 0, 0
        pair = streams.DEFAULT_GRAPH_SEED, seed % streams.LARGEST
    else:
        own = graph.next_seed() if seed is None else seed
        pair = graph.seed % streams.LARGEST, own % streams.LARGEST
    return (0, streams.LARGEST) if pair == (0, 0) else pair


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds that an operation with this seed has."""
    graph = context.building()
    return EAGER.seeds(op_seed) if graph is None else _graph_seeds(graph, op_seed)


def _shape(shape):
    found = static(shape)
    return (found,) if isinstance(found, int) else found


def _draw(type_: str, sampler, shape, dtype, seed, numbers, name: str):
    """A draw of the sampler with run-time numbers of the result's type."""
    dtype = as_dtype(dtype)
    attrs = (_shape(shape), dtype.engine)
    graph = context.building()
    if graph is not None:
        full = graph.unique_name(name)
        inputs = [in_graph(graph, v, hint=dtype, name=full + "/input") for v in numbers]
        body = Random(type_, sampler, attrs, _graph_seeds(graph, seed), len(inputs))
        return build(graph, full, body, inputs).outputs[0]
    source = EAGER.source(seed, (type_, dtype))
    operands = [v if isinstance(v, (int, float)) else convert_to_tensor(v) for v in numbers]
    return source.draw(sampler, EagerTensor, attrs, *operands)


def uniform(shape, minval=0, maxval=None, dtype=float32, seed=None, name=None):
    """Uniform values of [minval, maxval); integers need a maxval."""
    dtype = as_dtype(dtype)
    if not dtype.is_floating:
        if maxval is None:
            raise ValueError(f"Must specify maxval for integer dtype {dtype.name}")
        bounds = (minval, maxval)
        return _draw(
            "RandomUniformInt",
            samplers.INTEGERS,
            shape,
            dtype,
            seed,
            bounds,
            name or "random_uniform",
        )
    bounds = (_floating(minval), _floating(1.0 if maxval is None else maxval))
    return _draw(
        "RandomUniform", samplers.UNIFORM, shape, dtype, seed, bounds, name or "random_uniform"
    )


def _floating(value):
    return float(value) if isinstance(value, int) else value


def normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Normal values."""
    moments = (_floating(mean), _floating(stddev))
    name = name or "random_normal"
    return _draw("RandomStandardNormal", samplers.NORMAL, shape, dtype, seed, moments, name)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Normal values within two deviations of the mean."""
    moments = (_floating(mean), _floating(stddev))
    name = name or "truncated_normal"
    return _draw("TruncatedNormal", samplers.TRUNCATED, shape, dtype, seed, moments, name)


def shuffle(value, seed=None, name=None):
    """The rows in a random order."""
    value = convert_to_tensor(value)
    n = value.shape[0] if value.shape.rank else None
    if n is None:
        raise ValueError(f"The number of rows to shuffle must be known: {value}")
    order = _draw("RandomShuffle", samplers.PERMUTATION, [n], "int64", seed, (), "random_shuffle")
    return gather(value, order, axis=0, name=name)


def categorical(logits, num_samples, dtype="int64", seed=None, name=None):
    """[rows, num_samples] positions, drawn in proportion to exp(logits)."""
    logits = convert_to_tensor(logits)
    attrs = ((logits.shape[0], static(num_samples)), as_dtype(dtype).engine)
    graph = context.building()
    if graph is not None:
        body = Random("Multinomial", samplers.CATEGORICAL, attrs, _graph_seeds(graph, seed), 1)
        name = graph.unique_name(name or "categorical")
        return build(graph, name, body, [logits]).outputs[0]
    source = EAGER.source(seed, ("Multinomial", logits.dtype))
    return source.draw(samplers.CATEGORICAL, EagerTensor, attrs, logits)


multinomial = categorical


def _rates(alpha, beta, dtype):
    """alpha, in the shape that it has together with beta; and beta (or None)."""
    if beta is None:
        return convert_to_tensor(alpha, dtype=dtype), None
    alpha = convert_to_tensor(alpha, dtype_hint=dtype)
    beta = convert_to_tensor(beta, dtype=alpha.dtype)
    return alpha + (beta - beta), beta


def gamma(shape, alpha, beta=None, dtype=float32, seed=None, name=None):
    """shape + alpha's (and beta's): gamma samples of shape alpha and rate beta."""
    alpha, beta = _rates(alpha, beta, dtype)
    full = tuple(_shape(shape)) + tuple(alpha.shape.as_list())
    drawn = _draw("RandomGamma", samplers.GAMMA, full, alpha.dtype, seed, (alpha,), "random_gamma")
    return drawn if beta is None else drawn / beta


def stateless_gamma(shape, seed, alpha, beta=None, dtype=float32, name=None):
    """The gamma samples that belong to the seed [2]; shape ends in alpha's (and beta's)."""
    alpha, beta = _rates(alpha, beta, dtype)
    drawn = _stateless(samplers.GAMMA, shape, seed, alpha.dtype, (alpha,), name)
    return drawn if beta is None else drawn / beta


# ---------- stateless ----------
def _stateless(sampler, shape, seed, dtype, numbers, name):
    dtype = as_dtype(dtype)
    seed = convert_to_tensor(seed)
    if not seed.shape.is_compatible_with(TensorShape([2])):
        raise ValueError(f"seed must have shape [2], received {seed.shape}")
    operands = [seed, *(convert_to_tensor(v, dtype_hint=dtype) for v in numbers)]
    return apply(sampler.stateless, operands, (_shape(shape), dtype.engine), name)


def stateless_uniform(
    shape, seed, minval=0, maxval=None, dtype=float32, name=None, alg="auto_select"
):
    """The uniform values that belong to the seed [2]."""
    dtype = as_dtype(dtype)
    if not dtype.is_floating:
        if minval is None and maxval is None:
            return _stateless(samplers.BITS, shape, seed, dtype, (), name)
        return _stateless(samplers.INTEGERS, shape, seed, dtype, (minval, maxval), name)
    bounds = (minval, 1 if maxval is None else maxval)
    return _stateless(samplers.UNIFORM, shape, seed, dtype, bounds, name)


def stateless_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"
):
    """The normal values that belong to the seed [2]."""
    return _stateless(samplers.NORMAL, shape, seed, dtype, (mean, stddev), name)


def stateless_truncated_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"
):
    """The truncated normal values that belong to the seed [2]."""
    return _stateless(samplers.TRUNCATED, shape, seed, dtype, (mean, stddev), name)


def split(seed, num=2, alg="auto_select"):
    """`num` new seeds [num, 2]."""
    seed = convert_to_tensor(seed)
    return apply(samplers.BITS.stateless, (seed,), ((num, 2), seed.dtype.engine))


stateless_split = split


def fold_in(seed, data, alg="auto_select"):
    """A new seed [2] from a seed and a whole number."""
    seed = convert_to_tensor(seed)
    first = apply(samplers.BITS.stateless, (seed,), ((1,), seed.dtype.engine))
    return apply(streams.FOLD, (first, convert_to_tensor(data)))


stateless_fold_in = fold_in


def stateless_categorical(logits, num_samples, seed, dtype="int64", name=None):
    """[rows, num_samples] positions that belong to the seed [2]."""
    operands = [convert_to_tensor(seed), convert_to_tensor(logits)]
    attrs = ((operands[1].shape[0], static(num_samples)), as_dtype(dtype).engine)
    return apply(samplers.CATEGORICAL.stateless, operands, attrs, name)


def stateless_shuffle(value, seed, alg="auto_select", name=None):
    """The rows in the random order that belongs to the seed [2]."""
    value = convert_to_tensor(value)
    n = value.shape[0]
    if n is None:
        raise ValueError(f"The number of rows to shuffle must be known: {value}")
    order = apply(samplers.PERMUTATION.stateless, (convert_to_tensor(seed),), ((n,),))
    return gather(value, order, axis=0, name=name)


def dropout_noise(shape, dtype, seed, name: str):
    """The uniform values of a dropout."""
    return uniform(shape, dtype=dtype, seed=seed, name=name)


class experimental:
    """`tf.random.experimental`."""

    Generator = Generator
    Algorithm = Algorithm
    create_rng_state = staticmethod(create_rng_state)
    get_global_generator = staticmethod(get_global_generator)
    set_global_generator = staticmethod(set_global_generator)
    stateless_fold_in = staticmethod(fold_in)
    stateless_shuffle = staticmethod(stateless_shuffle)
    stateless_split = staticmethod(split)


def __getattr__(name: str):
    from ._missing import missing

    raise missing("random", name)
