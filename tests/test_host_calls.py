"""Programs that call NumPy functions: values everywhere, errors, threads, the cache on disk."""

import subprocess
import sys
import threading
from itertools import count

import numpy as np
import pytest

import gemel
import gemel.tensorflow as tf
import gemel.torch as torch
from gemel.graph.form import float32
from gemel.ops.contraction import matmul
from gemel.ops.host import Host, unpacked
from gemel.ops.linear_systems import solve_triangular
from gemel.ops.movement import zeros
from gemel.ops.record import Call
from gemel.passes.compile import device
from gemel.runtime.host_calls import FUNCTIONS
from gemel.tensor import record1, record2


def _solved(attrs, a, b):
    return solve_triangular(a * 2.0, b, is_upper=False) + 1.0


solved = Call("solved", _solved)


def system(n):
    rng = np.random.default_rng(n)
    a = np.tril(rng.standard_normal((n, n)) / n**0.5 + 2 * np.eye(n)).astype("f")
    b = rng.standard_normal((n, 3)).astype("f")
    return a, b, np.linalg.solve(2 * a, b) + 1


numbers = count()


@pytest.fixture
def python_call():
    """Makes a Call of a Python function that writes into its result."""
    names = []

    def make(function, gradient=None):
        name = f"testing.f{next(numbers)}"  # programs outlive a test
        names.append(name)
        FUNCTIONS[name] = function
        host = Host(name, gradient)
        return Call(name, lambda attrs, x: host(x.shape, x.dtype, x * 1.5) + 1.0)

    yield make
    for name in names:
        del FUNCTIONS[name]


@pytest.mark.parametrize("n", [1, 4, 100])
def test_values_eagerly_again_and_again_and_on_the_reference_device(n):
    a, b, want = system(n)
    for _ in range(6):
        got = record2(solved, torch.tensor(a), torch.tensor(b))
        np.testing.assert_allclose(got.numpy(), want, rtol=2e-4)
    with device("reference"):
        got = record2(solved, torch.tensor(a), torch.tensor(b)).numpy()
    np.testing.assert_allclose(got, want, rtol=2e-4)


def test_inside_of_compiled_functions():
    a, b, want = system(5)

    @torch.compile
    def compiled(x, y):
        return record2(solved, x, y) * 2

    @tf.function
    def traced(x, y):
        return record2(solved, x, y) * 2

    for _ in range(6):
        got = compiled(torch.tensor(a), torch.tensor(b)).numpy()
        np.testing.assert_allclose(got, 2 * want, rtol=2e-4)
        got = traced(tf.constant(a), tf.constant(b)).numpy()
        np.testing.assert_allclose(got, 2 * want, rtol=2e-4)


def test_between_kernels_of_the_thread_team(python_call):
    seen = []

    def note(settings, out, x):
        seen.append(threading.get_ident())
        out[...] = -x

    call = python_call(note)
    x = torch.randn(400, 400)
    for _ in range(5):
        got = record1(call, x @ x) @ x
        want = (1 - 1.5 * (x @ x).numpy().astype("d")) @ x.numpy()
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-3, atol=0.5)
    assert set(seen) == {threading.get_ident()}


def test_gradients_follow_the_rule(python_call):
    def triple(settings, out, x):
        out[...] = 3 * x

    call = python_call(triple, lambda g, y, x: [g * 3.0])
    x = torch.ones(4, requires_grad=True)
    record1(call, x * x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(4, 9.0))


def test_an_exception_reaches_the_user_and_the_next_call_works(python_call):
    broken = [True]

    def sometimes(settings, out, x):
        if broken[0]:
            raise ArithmeticError("the function's own words")
        out[...] = x

    call = python_call(sometimes)
    parameter = torch.tensor([1.0, 1.0, 1.0])
    for _ in range(3):
        broken[0] = True
        with pytest.raises(ArithmeticError, match="own words"):
            record1(call, parameter).numpy()
        broken[0] = False
        np.testing.assert_allclose(record1(call, parameter).numpy(), np.full(3, 2.5))


def test_an_interrupt_leaves_what_is_updated_as_it_was(python_call):
    def interrupted(settings, out, x):
        raise KeyboardInterrupt

    call = python_call(interrupted)
    for _ in range(4):
        x, other = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([2.0, 2.0, 2.0])
        x.add_(other)
        with pytest.raises(KeyboardInterrupt):
            record1(call, x).tolist()
        assert x.tolist() == [1.0, 1.0, 1.0] and other.tolist() == [2.0, 2.0, 2.0]


def test_threads_run_programs_with_calls_at_the_same_time():
    a, b, want = system(60)
    bad = []

    def work():
        for _ in range(20):
            got = record2(solved, torch.tensor(a), torch.tensor(b)).numpy()
            if not np.allclose(got, want, rtol=1e-3):
                bad.append(got)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not bad and not any(thread.is_alive() for thread in threads)


def test_complex_arguments_are_seen_and_results_unpacked():
    host = Host("testing.complex")

    def parts(settings, out, z):
        assert z.dtype == np.complex64
        out[:, 0], out[:, 1:] = z.real.sum(1), z.imag[:, :3]

    FUNCTIONS["testing.complex"] = parts

    def expand(attrs, x):
        row = host((2, 4), float32, x, paired=(True,))
        return tuple(unpacked(row, (), (3,)))

    pairs = np.arange(12, dtype="f").reshape(2, 3, 2)
    first = Call("first", lambda attrs, x: expand(attrs, x)[0])
    rest = Call("rest", lambda attrs, x: expand(attrs, x)[1])
    np.testing.assert_allclose(record1(first, torch.tensor(pairs)).numpy(), [6, 24])
    want = [[1, 3, 5], [7, 9, 11]]
    np.testing.assert_allclose(record1(rest, torch.tensor(pairs)).numpy(), want)


def test_explain_names_the_call():
    a, b, _ = system(6)
    told = gemel.explain(lambda: record2(solved, torch.tensor(a), torch.tensor(b)), calls=1)
    does = [kernel.does for kernel in told.kernels]
    assert any("host call triangular.solve_triangular" in text for text in does)
    assert all(kernel.seconds > 0 for kernel in told.kernels)


PROGRAM = """
import numpy as np
import gemel.torch as torch
from gemel.ops.linear_systems import solve_triangular
from gemel.ops.record import Call
from gemel.passes.pipeline import compiled_count
from gemel.tensor import record2

call = Call("s", lambda attrs, a, b: solve_triangular(a, b, is_upper=True) * 3.0)
a, b = torch.tensor([[2.0, 1.0], [0.0, 4.0]]), torch.tensor([[1.0], [8.0]])
print(record2(call, a, b).flatten().tolist(), compiled_count[0])
"""


def test_another_process_finds_the_program_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMEL_CACHE", str(tmp_path))
    said = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [one.stdout.strip() for one in said] == ["[-1.5, 6.0] 1", "[-1.5, 6.0] 0"]


def test_what_is_not_read_is_not_called(python_call):
    calls = []

    def note(settings, out, x):
        calls.append(1)
        out[...] = x

    call = python_call(note)
    x = torch.ones(3)
    record1(call, x)
    (x + 1).numpy()
    assert not calls


def test_products_around_the_call(python_call):
    def double(settings, out, x):
        out[...] = 2 * x

    host = Host("testing.double")
    FUNCTIONS["testing.double"] = double

    def expand(attrs, a, b):
        return matmul(host(a.shape, a.dtype, matmul(a, b)) + zeros(a.shape, a.dtype), b)

    call = Call("around", expand)
    a = np.random.default_rng(0).standard_normal((7, 7)).astype("f")
    got = record2(call, torch.tensor(a), torch.tensor(a)).numpy()
    np.testing.assert_allclose(got, 2 * a @ a @ a, rtol=1e-3, atol=1e-4)
