"""TensorFlow's and Keras' random streams: bit for bit, against recorded values and TensorFlow."""

from pathlib import Path

import numpy as np
import pytest
import random_cases as cases

from gemel.graph.form import float32, int64
from gemel.tensor import random_tensorflow as philox
from gemel.tensor.arrays import array_of, from_array
from gemel.tensor.tensor import Tensor
from gemel.tensor.trace import trace

RECORDED = Path(__file__).parent / "recorded" / "random_tensorflow.npz"


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return dict(file)


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def assert_same(ours, theirs, what):
    assert ours.shape == theirs.shape, what
    different = np.flatnonzero(ours.ravel() != theirs.ravel())
    assert not len(different), f"{what}: {len(different)} of {ours.size} differ"


def same_as(found, recorded, seed):
    for name, value in found.items():
        assert_same(value, recorded[f"{seed}/{name}"], name)


@pytest.mark.parametrize("seed", cases.STATELESS_SEEDS)
def test_stateless_draws(seed, recorded):
    same_as(cases.stateless_ours(seed), recorded, seed)
    given = from_array(np.array(seed, np.int32), Tensor)
    for name, dtype in cases.BIT_TYPES.items():
        value = philox.bits(philox.Stateless(given), Tensor, (31,), dtype)
        assert_same(array_of(value), recorded[f"{seed}/bits {name}"], name)
    assert_same(array_of(philox.split(given, Tensor, 3)), recorded[f"{seed}/split"], "split")
    assert_same(array_of(philox.fold_in(given, Tensor, 9)), recorded[f"{seed}/fold_in"], "fold")


@pytest.mark.parametrize("seeds", cases.STATEFUL_SEEDS)
def test_operations_with_seeds_of_their_own(seeds, recorded):
    same_as(cases.stateful_ours(seeds), recorded, seeds)


def test_operations_without_seeds(recorded):
    eager = philox.EagerSeeds()
    eager.set_seed(99)
    for i in range(3):
        value = philox.normal(eager.source(None, "normal"), Tensor, (5,), float32)
        assert_same(array_of(value), recorded[f"eager/{i}"], i)
    graph = philox.GraphSeeds(99)
    kernels = [philox.Stream(*graph.seeds(None)) for _ in range(3)]
    for turn in (1, 2):
        for i, stream in enumerate(kernels):
            value = philox.normal(stream, Tensor, (5,), float32)
            assert_same(array_of(value), recorded[f"graph/{i} {turn}"], (i, turn))


def test_the_generator_object(recorded):
    state = from_array(recorded["generator/start"], Tensor)
    source = philox.GeneratorState(state)
    uniform = philox.uniform(source, Tensor, (5,), float32)
    normal = philox.normal(source, Tensor, (7,), float32)
    assert_same(array_of(uniform), recorded["generator/uniform"], "uniform")
    assert_same(array_of(normal), recorded["generator/normal"], "normal")
    assert_same(array_of(state), recorded["generator/end"], "state")


def test_a_traced_function_is_a_graph(recorded):
    eager = philox.EagerSeeds()
    eager.set_seed(99)

    def draws(inputs):
        sources = [eager.source(None, "normal") for _ in range(3)]
        return [philox.normal(source, Tensor, (5,), float32) for source in sources]

    given = from_array(np.zeros(2, np.float32), Tensor)
    traced = trace(draws, [given])
    for turn in (1, 2):
        for i, value in enumerate(traced(given)):
            assert_same(array_of(value), recorded[f"graph/{i} {turn}"], (i, turn))


def test_seeds_follow_tensorflows_rules():
    eager = philox.EagerSeeds()
    assert eager.seeds(None) == (0, 0)
    assert eager.seeds(5) == (philox.DEFAULT_GRAPH_SEED, 5)
    eager.set_seed(0)
    assert eager.seeds(0) == (0, philox.LARGEST)
    assert eager.seeds(-1) == (0, philox.LARGEST - 1)
    assert philox.GraphSeeds(7).seeds(None, 12) == (7, 12)
    graph = philox.GraphSeeds(7)
    assert [graph.seeds(s) for s in (None, 3, None)] == [(7, 0), (7, 3), (7, 1)]


def test_unseeded_operations_differ():
    eager = philox.EagerSeeds()
    a, b = (philox.bits(eager.source(None, "x"), Tensor, (4,), int64) for _ in range(2))
    assert (array_of(a) != array_of(b)).all()


def test_bad_sources_are_refused():
    with pytest.raises(ValueError, match="two integers"):
        philox.Stateless(from_array(np.zeros(3, np.int32), Tensor))
    with pytest.raises(ValueError, match="int64"):
        philox.GeneratorState(from_array(np.zeros(3, np.int32), Tensor))


def test_keras_seeds_are_brought_to_32_bits():
    given = np.array([2**31 - 2, -3], np.int64)
    ours = array_of(philox.keras_seed(from_array(given, Tensor)))
    assert ours.dtype == np.int32
    assert ours.tolist() == [0, 2**31 - 2 - 3]


@pytest.mark.oracle
@pytest.mark.parametrize("seed", ((1, 2), (-7, 2**31 - 1)))
def test_stateless_draws_live(tf, seed):
    theirs = cases.stateless_theirs(tf, seed)
    for name, value in cases.stateless_ours(seed).items():
        assert_same(value, theirs[name], name)


@pytest.mark.oracle
@pytest.mark.parametrize("seeds", ((3, 9), (None, 0)))
def test_operations_with_seeds_of_their_own_live(tf, seeds):
    theirs = cases.stateful_theirs(tf, seeds)
    for name, value in cases.stateful_ours(seeds).items():
        assert_same(value, theirs[name], name)


@pytest.mark.oracle
def test_large_normals_live(tf):
    seed = (3, 4)
    source = philox.Stateless(from_array(np.array(seed, np.int32), Tensor))
    for theirs, ours in (
        (tf.random.stateless_normal([400_003], seed), philox.normal),
        (tf.random.stateless_truncated_normal([40_003], seed), philox.truncated_normal),
    ):
        value = ours(source, Tensor, tuple(theirs.shape), float32)
        assert_same(array_of(value), theirs.numpy(), ours.__name__)
