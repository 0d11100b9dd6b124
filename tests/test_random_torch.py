"""PyTorch's random streams: every draw bit for bit, against recorded values and against PyTorch."""

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import random_cases as cases

from gemel.codegen.random import kernels as random_kernels
from gemel.graph.form import float32, float64, int64
from gemel.ops import random as words
from gemel.ops.random_fills import NORMAL_BLOCKS, UNIFORMS, words_for
from gemel.tensor import random as streams
from gemel.tensor.arrays import array_of, from_array
from gemel.tensor.errors import TraceBreak
from gemel.tensor.tensor import Tensor
from gemel.tensor.trace import trace
from gemel.tensor.views import look

RECORDED = Path(__file__).parent / "recorded" / "random_torch.npz"


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return dict(file)


def assert_same(ours, theirs, what):
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype, what
    different = np.flatnonzero(ours.ravel() != theirs.ravel())
    assert not len(different), f"{what}: {len(different)} of {ours.size} differ"


@pytest.mark.parametrize("seed", cases.SEEDS)
def test_all_draws_of_a_stream_are_pytorchs(seed, recorded):
    ours, state = cases.torch_ours(seed)
    for name, value in ours.items():
        assert_same(value, recorded[f"{seed}/{name}"], name)
    assert_same(state, recorded[f"{seed}/state"], "state")


@pytest.mark.oracle
@pytest.mark.parametrize("seed", (1, 20260101, 2**63 + 9))
def test_all_draws_of_a_stream_are_pytorchs_live(seed):
    torch = pytest.importorskip("torch")
    theirs, their_state = cases.torch_theirs(torch, seed)
    ours, state = cases.torch_ours(seed)
    for name, value in ours.items():
        assert_same(value, theirs[name], name)
    assert_same(state, their_state, "state")


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", (float32, float64), ids=str)
def test_large_fills_are_pytorchs(dtype):
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype.name)
    torch.manual_seed(8)
    g = streams.Generator(8)
    n = 300_007
    for theirs, ours in (
        (torch.randn(n, dtype=kind), streams.normal(g, Tensor, (n,), dtype)),
        (torch.rand(n, dtype=kind), streams.uniform(g, Tensor, (n,), dtype)),
        (torch.empty(n, dtype=kind).exponential_(), streams.exponential(g, Tensor, (n,), dtype)),
        (torch.randperm(n), streams.permutation(g, Tensor, n, int64)),
    ):
        assert_same(array_of(ours), theirs.numpy(), theirs.shape)


@pytest.mark.oracle
def test_views_are_filled_in_the_order_of_memory():
    torch = pytest.importorskip("torch")
    torch.manual_seed(4)
    g = streams.Generator(4)
    views = (
        (lambda t: t.permute(2, 0, 1), ("permute", (2, 0, 1))),
        (lambda t: t[:, ::2], ("slice", ((0, 4, 1), (0, 6, 2), (0, 8, 1)))),
    )
    for theirs, spec in views:
        there = theirs(torch.zeros(4, 6, 8))
        here = look(from_array(np.zeros((4, 6, 8), np.float32), Tensor), spec)
        drawn = streams.values_for(
            here, lambda shape, whole: streams.normal(g, Tensor, shape, float32, contiguous=whole)
        )
        assert_same(array_of(drawn), there.normal_().numpy(), spec)
        drawn = streams.values_for(
            here, lambda shape, whole: streams.uniform(g, Tensor, shape, float32)
        )
        assert_same(array_of(drawn), there.uniform_().numpy(), spec)


@pytest.mark.oracle
def test_states_go_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    g = streams.Generator(5)
    streams.normal(g, Tensor, (3,), float32)
    theirs = torch.Generator()
    theirs.set_state(torch.from_numpy(g.get_state()))
    ours = array_of(streams.normal(g, Tensor, (4,), float32))
    assert_same(ours, torch.randn(4, generator=theirs).numpy(), "after ours")
    torch.rand(1000, generator=theirs)
    g.set_state(theirs.get_state().numpy())
    ours = array_of(streams.uniform(g, Tensor, (9,), float32))
    assert_same(ours, torch.rand(9, generator=theirs).numpy(), "after theirs")


def test_a_state_brings_the_stream_back():
    g = streams.Generator(11)
    streams.normal(g, Tensor, (5,), float32)
    state = g.get_state()
    other = g.clone_state()
    first = array_of(streams.normal(g, Tensor, (40,), float64))
    assert_same(array_of(streams.normal(other, Tensor, (40,), float64)), first, "clone")
    g.set_state(state)
    assert_same(array_of(streams.normal(g, Tensor, (40,), float64)), first, "state")
    assert g.initial_seed() == 11


def test_a_seed_starts_again_between_pending_draws():
    g = streams.Generator(1)
    first = streams.uniform(g, Tensor, (4,), float32)
    streams.normal(g, Tensor, (1,), float32)
    g.manual_seed(1)
    again = streams.uniform(g, Tensor, (4,), float32)
    assert_same(array_of(again), array_of(first), "seeded again")
    assert g.cached is None


def test_words_drawn_at_once_advance_the_stream():
    g, other = streams.Generator(1), streams.Generator(1)
    taken = [g.next_words(n) for n in (1, 700, 3)]
    assert_same(np.concatenate(taken), other.next_words(704), "words")
    ours = streams.integers(g, Tensor, (9,), int64, 0, 2**28 - 1)
    assert_same(array_of(ours), other.next_words(9) % np.int64(2**28 - 1), "next")


def test_bad_states_and_seeds_are_refused():
    g = streams.Generator()
    blob = g.get_state()
    with pytest.raises(TypeError):
        g.set_state(blob.astype(np.int32))
    with pytest.raises(RuntimeError, match="wrong size"):
        g.set_state(blob[:-1])
    blob[16] = 9
    with pytest.raises(RuntimeError, match="invalid"):
        g.set_state(blob)
    with pytest.raises(ValueError):
        g.manual_seed(1 << 64)
    with pytest.raises(ValueError, match="range"):
        streams.integers(g, Tensor, (3,), int64, 5, 5)
    assert streams.DEFAULT_SEED == g.initial_seed()


def test_different_numbers_share_a_program():
    g = streams.Generator(3)
    for low in (0.0, -1.0):
        value = array_of(streams.uniform(g, Tensor, (64,), float32, low, 2.0))
        assert low <= value.min() < low + 0.5 and 1.5 < value.max() < 2.0


def test_fixed_numbers_draw_the_same():
    for draw in (streams.uniform, streams.normal):
        g, other = streams.Generator(3), streams.Generator(3)
        for bounds in ((-0.3, 0.7), (0.0, 1.0)):
            fixed = draw(g, Tensor, (33,), float32, *bounds, fixed=True)
            assert_same(
                array_of(fixed), array_of(draw(other, Tensor, (33,), float32, *bounds)), draw
            )


def test_draws_inside_a_trace_go_on_at_every_call():
    g, other = streams.Generator(3), streams.Generator(3)

    def draws(stream):
        return [
            streams.normal(stream, Tensor, (20,), float32),
            streams.dropout_mask(stream, Tensor, (5,), float32, 0.5),
        ]

    given = from_array(np.zeros(2, np.float32), Tensor)
    traced = trace(lambda inputs: draws(g), [given])
    for _ in range(3):
        for ours, theirs in zip(traced(given), draws(other), strict=True):
            assert_same(array_of(ours), array_of(theirs), "traced")
    g.manual_seed(3)
    other.manual_seed(3)
    assert_same(array_of(traced(given)[0]), array_of(draws(other)[0]), "seeded")


def test_a_trace_refuses_what_it_could_not_repeat():
    g = streams.Generator(3)

    def odd(inputs):
        return [streams.normal(g, Tensor, (3,), float32)]

    with pytest.raises(TraceBreak):
        trace(odd, [from_array(np.zeros(2, np.float32), Tensor)])


def test_threads_share_a_stream():
    g, other = streams.Generator(3), streams.Generator(3)
    drawn = []

    def work():
        for _ in range(20):
            drawn.append(array_of(streams.uniform(g, Tensor, (7,), float32)).tobytes())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = {array_of(streams.uniform(other, Tensor, (7,), float32)).tobytes() for _ in range(60)}
    assert set(drawn) == alone and len(drawn) == 60


def test_kernels_give_the_words_of_the_references(monkeypatch, run_kernel):
    for size in (16, 32, 64):
        narrow = type("Narrow", (), {"lanes": lambda self, item, size=size: size // item})
        monkeypatch.setattr(random_kernels, "machine", narrow)
        for n in (1, 5, 623, 624, 625, 2000):
            state = words.twist(words.seeded_words(n), n)[1]
            run_kernel(words.MT19937, (n,), state)
        for n in (1, 63, 64, 65, 1000):
            # the counter carries from its first half into the second
            state = np.array([1, 2, 0xFFFFFFF0, 0xFFFFFFFF, 0xFFFFFFFF, 7], np.uint32)
            run_kernel(words.PHILOX, (n,), state)
    for n, dtype in itertools.product((16, 17, 31, 32, 33, 1000), (float32, float64)):
        given = words.twist(words.seeded_words(2), words_for(n, dtype))[0]
        run_kernel(NORMAL_BLOCKS, (n, 0, dtype, 0.0, 1.0), given)
        run_kernel(NORMAL_BLOCKS, (n, 3, dtype, 0.3, 0.7), np.append(given[:3], given))
    for n in (1, 15, 16, 1000):
        given = words.twist(words.seeded_words(3), n + 2)[0]
        run_kernel(UNIFORMS, (n, 2, -0.3, 0.7), given)
    for n in (1, 2, 999):
        given = words.twist(words.seeded_words(1), n)[0]
        run_kernel(words.SHUFFLE, (n + 1, 0), given)
        run_kernel(words.SHUFFLE, (n, 1), given)
    run_kernel(words.PHILOX_SCRAMBLE, (), np.array([2**40 + 3, -5]))
    for name in words.LIBM:
        for kind in (np.float32, np.float64):
            run_kernel(words.CLIB, (name,), np.linspace(0.01, 3, 1001).astype(kind))
    for dtype in (float32, float64):
        for n in (1, 3, 4, 5, 1000):
            run_kernel(words.TRUNCATED_NORMAL, (n, dtype), state)


@pytest.fixture
def run_kernel():
    """Compiles a primitive's kernel alone and compares it with its reference."""
    import ctypes

    from gemel.codegen.llvm import Module
    from gemel.graph.form import dtype_of, form
    from gemel.runtime.buffer import Buffer
    from gemel.runtime.jit import load

    def run(primitive, attrs, argument):
        argument = np.asarray(argument)
        before = form(argument.shape, dtype_of(argument.dtype))
        after = primitive.infer(attrs, before)
        module = Module()
        random_kernels.EMITTERS[primitive.name](module, "draw", attrs, [before], after)
        library = load(module.text(), ["draw"])
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(library.address("draw"))
        given, made = Buffer.of(argument), Buffer(after.nbytes)
        function(given.address, made.address)
        assert_same(made.array(after), np.asarray(primitive.reference(attrs, argument)), attrs)

    return run
