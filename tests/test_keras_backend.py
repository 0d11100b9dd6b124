"""The ops of Keras over Gemel against NumPy, the bridge, variables, tensors."""

import subprocess
import sys

import numpy as np
import pytest
from keras_alone import keras_alone  # noqa: F401

import gemel.keras as keras

ops = keras.ops
spec_of = keras.src.backend.compute_output_spec
RNG = np.random.RandomState(0)
A = RNG.randn(3, 4).astype("float32")
B = RNG.randn(3, 4).astype("float32")
P = np.abs(A) + 0.1
M = RNG.randn(4, 5).astype("float32")
I = RNG.randint(0, 9, (3, 4)).astype("int32")  # noqa: E741

UNARY = {
    "exp": A, "expm1": A, "exp2": A, "log": P, "log1p": P, "log2": P, "log10": P, "sqrt": P,
    "square": A, "absolute": A, "negative": A, "sign": A, "floor": A * 3, "ceil": A * 3,
    "round": A * 3, "trunc": A * 3, "sin": A, "cos": A, "tan": A, "sinh": A, "cosh": A, "tanh": A,
    "arcsin": A / 4, "arccos": A / 4, "arctan": A, "arcsinh": A, "arccosh": P + 1,
    "arctanh": A / 4, "reciprocal": P, "isnan": A, "isinf": A, "isfinite": A, "logical_not": I > 4,
    "bitwise_not": I, "deg2rad": A, "rad2deg": A, "cbrt": A, "sinc": A, "signbit": A,
    "cumsum": A, "cumprod": A, "sort": A, "argsort": A, "argmax": A, "argmin": A, "sum": A,
    "prod": A, "max": A, "min": A, "mean": A, "std": A, "var": A, "median": A, "all": I > 0,
    "any": I > 8, "count_nonzero": I, "ravel": A, "transpose": A, "flip": A, "fliplr": A,
    "flipud": A, "tril": A, "triu": A, "diagonal": A, "trace": A, "diff": A, "nan_to_num": A,
    "squeeze": A[:1], "ptp": A, "zeros_like": A, "ones_like": I, "nansum": A, "nanmax": A,
    "nanmean": A,
}  # fmt: skip
BINARY = {
    "add": (A, B), "subtract": (A, B), "multiply": (A, B), "divide": (A, P), "maximum": (A, B),
    "minimum": (A, B), "power": (P, B), "mod": (A, P), "fmod": (A, P), "floor_divide": (A, P),
    "arctan2": (A, B), "hypot": (A, B), "logaddexp": (A, B), "less": (A, B), "equal": (I, I % 5),
    "greater_equal": (A, B), "not_equal": (I, I % 5), "logical_and": (I > 2, I < 7),
    "logical_xor": (I > 2, I < 7), "bitwise_and": (I, I // 2), "bitwise_or": (I, I // 2),
    "left_shift": (I, I % 3), "matmul": (A, M), "dot": (A, M), "outer": (A, B), "kron": (A, B),
    "vdot": (A, B), "inner": (A, B), "cross": (A[:, :3], B[:, :3]), "isclose": (A, A + 1e-9),
    "append": (A, B), "heaviside": (A, B), "take_along_axis": (A, I % 3),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    x = UNARY[name]
    want = getattr(np, name)(x)
    found = getattr(ops, name)(x)
    np.testing.assert_allclose(np.array(found), want, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    a, b = BINARY[name]
    options = {"axis": 0} if name == "take_along_axis" else {}
    want = getattr(np, name)(a, b, **options)
    found = getattr(ops, name)(a, b, **options)
    np.testing.assert_allclose(np.array(found), want, rtol=2e-5, atol=1e-6)


CALLS = {
    "reductions over axes": (lambda o: o.sum(A, axis=(0, 1), keepdims=True), None),
    "max initial": (lambda o: o.max(A, axis=0, initial=0.5), None),
    "average": (lambda o: o.average(A, axis=1, weights=P[0]), None),
    "quantile": (lambda o: o.quantile(A, [0.1, 0.5], axis=1), None),
    "concatenate": (lambda o: o.concatenate([A, B], axis=1), None),
    "stack": (lambda o: o.stack([A, B], axis=1), None),
    "vstack": (lambda o: o.vstack([A, B]), None),
    "split": (lambda o: o.split(A, 2, axis=1)[1], None),
    "pad": (lambda o: o.pad(A, ((1, 2), (0, 1))), None),
    "pad reflect": (lambda o: o.pad(A, ((1, 2), (2, 1)), mode="reflect"), None),
    "pad symmetric": (lambda o: o.pad(A, ((1, 2), (2, 1)), mode="symmetric"), None),
    "tile": (lambda o: o.tile(A, (2, 3)), None),
    "repeat": (lambda o: o.repeat(A, 3, axis=1), None),
    "repeat each": (lambda o: o.repeat(A, [1, 0, 2], axis=0), None),
    "roll": (lambda o: o.roll(A, 2, axis=1), None),
    "rot90": (lambda o: o.rot90(A), None),
    "moveaxis": (lambda o: o.moveaxis(A[None], 0, -1), None),
    "expand_dims": (lambda o: o.expand_dims(A, 1), None),
    "take": (lambda o: o.take(A, np.array([2, -1]), axis=0), None),
    "where": (lambda o: o.where(A > 0, A, 0.0), None),
    "clip": (lambda o: o.clip(A, -0.5, 0.5), None),
    "einsum": (lambda o: o.einsum("ij,jk->ki", A, M), None),
    "einsum diagonal": (lambda o: o.einsum("ii->i", A[:, :3]), None),
    "einsum batches": (lambda o: o.einsum("...i,...i->...", A, B), None),
    "tensordot": (lambda o: o.tensordot(A, M, axes=1), None),
    "linspace": (lambda o: o.linspace(0.0, 2.0, 7), None),
    "arange": (lambda o: o.arange(2, 11, 3), None),
    "eye": (lambda o: o.eye(3, 4, 1), None),
    "meshgrid": (lambda o: o.meshgrid(A[0], M[0])[1], None),
    "searchsorted": (lambda o: o.searchsorted(np.sort(A[0]), B[0]), None),
    "bincount": (lambda o: o.bincount(I.ravel()), None),
    "diag": (lambda o: o.diag(A[0], 1), None),
    "vander": (lambda o: o.vander(A[0], 3), None),
    "correlate": (lambda o: o.correlate(A[0], B[0][:2], mode="same"), None),
    "trapezoid": (lambda o: o.trapezoid(A, dx=0.5), None),
    "corrcoef": (lambda o: o.corrcoef(A), None),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    call, _ = CALLS[name]
    found, want = np.array(call(ops)), np.asarray(call(np))
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, rtol=2e-5, atol=1e-6)


X = RNG.randn(5, 6)
INDEX = (
    0, -1, slice(1, 4), slice(None, None, -2), (slice(None), 2), (..., -1), (None, 1),
    (slice(1, 3), slice(None, None, 3)), np.array([0, 2, -1]), (np.array([1, 2]), np.array([3, 0])),
    (slice(None), np.array([[1, 2], [0, 5]])), X > 0, X[:, 0] > 0, (1, np.array([2, 4])),
    ([0, 1], slice(2, 5)),
)  # fmt: skip


@pytest.mark.parametrize("index", INDEX, ids=repr)
def test_indexing(index):
    np.testing.assert_array_equal(np.array(ops.convert_to_tensor(X)[index]), X[index])


def test_indexing_errors():
    x = ops.convert_to_tensor(X)
    with pytest.raises(IndexError, match="too many indices"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="out of bounds"):
        x[7]
    with pytest.raises(ValueError, match=r"\[0, 5\)"):
        np.array(ops.take(x, np.array([9]), axis=0))


def test_promotion_is_that_of_keras_on_tensorflow():
    types = ("bool", "uint8", "int8", "int32", "int64", "float32", "float64")
    for a in types:
        for b in types:
            found = ops.add(ops.ones((2,), a), ops.ones((2,), b)).dtype
            assert found == keras.backend.result_type(a, b)
    assert ops.add(ops.ones((2,), "int64"), 1.5).dtype == "float32"
    assert ops.add(ops.ones((2,), "float64"), 1.5).dtype == "float64"
    assert ops.divide(ops.ones((2,), "int32"), 2).dtype == "float32"
    assert ops.convert_to_tensor([1, 2]).dtype == "int32"
    assert ops.convert_to_tensor([1.0]).dtype == "float32"
    assert ops.convert_to_tensor(np.ones(2)).dtype == "float64"


def test_scatter_and_slices():
    x = np.zeros((4, 3), "float32")
    at = np.array([[0, 1], [3, 2], [0, 1]])
    found = np.array(ops.scatter(at, np.array([1.0, 2.0, 3.0], "float32"), (4, 3)))
    want = x.copy()
    np.add.at(want, tuple(at.T), [1, 2, 3])
    np.testing.assert_array_equal(found, want)
    updated = ops.scatter_update(x, at[:2], np.array([5.0, 6.0], "float32"))
    assert np.array(updated)[3, 2] == 6
    assert np.array(ops.slice(X, (1, 2), (2, 3))).tolist() == X[1:3, 2:5].tolist()
    put = np.array(ops.slice_update(X, (1, 2), np.zeros((2, 2))))
    assert not put[1:3, 2:4].any() and put[0, 0] == X[0, 0]


def test_control_flow():
    assert float(ops.cond(ops.convert_to_tensor(True), lambda: 1.0, lambda: 2.0)) == 1
    total = ops.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (0, 0))
    assert [int(v) for v in total] == [5, 10]
    carry, ys = ops.scan(lambda c, x: (c + x, c * x), 0.0, np.arange(5.0, dtype="float32"))
    assert float(carry) == 10 and np.array(ys).tolist() == [0, 0, 2, 9, 24]
    found = ops.associative_scan(lambda a, b: a + b, np.arange(7.0))
    assert np.array(found).tolist() == np.cumsum(np.arange(7.0)).tolist()
    assert np.array(ops.vectorized_map(lambda x: x * 2, A)).tolist() == (A * 2).tolist()


def test_variables_keep_what_was_read():
    v = keras.Variable(np.ones((2, 2)), dtype="float32")
    before = v.value
    v.assign_add(np.full((2, 2), 2.0))
    assert np.array(before).tolist() == [[1, 1], [1, 1]]
    assert v.numpy().tolist() == [[3, 3], [3, 3]]
    with pytest.raises(ValueError, match="shape"):
        v.assign(np.ones(3))


def test_unknown_sizes():
    spec = keras.KerasTensor((None, 4), "float32")
    found = spec_of(lambda x: ops.reshape(x, (-1, 2, 2)), spec)
    assert found.shape == (None, 2, 2)
    dense = keras.layers.Dense(7)
    assert dense(keras.Input((None, 4))).shape == (None, None, 7)


def test_values_are_read_as_python_wants_them():
    x = ops.convert_to_tensor([1.5])
    assert float(x) == 1.5 and bool(x) and len(x) == 1 and f"{ops.sum(x):.2f}" == "1.50"
    assert [float(v) for v in ops.convert_to_tensor([1.0, 2.0])] == [1, 2]
    assert (2.0 - x).numpy().tolist() == [0.5] and (np.ones(1) + x).shape == (1,)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(ops.ones((2,)))


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        ops.matmul(A, B)
    with pytest.raises(ValueError, match="reshape"):
        ops.reshape(A, (5, 5))
    with pytest.raises(NotImplementedError, match="lu_factor"):
        ops.lu_factor(ops.convert_to_tensor(A))
    with pytest.raises(TypeError, match="float8"):
        ops.ones((2,), "float8_e4m3fn")


def test_an_index_outside_an_embedding():
    layer = keras.layers.Embedding(5, 2)
    with pytest.raises(ValueError, match=r"index 9 is not in \[0, 5\)"):
        np.array(layer(np.array([[1, 9]])))


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_keras_missing_is_said():
    done = run(
        "import importlib.metadata as m\n"
        "def none(name): raise m.PackageNotFoundError(name)\n"
        "m.version = none\n"
        "import gemel.keras"
    )
    assert "ImportError" in done.stderr and "gemel[keras]" in done.stderr


def test_another_release_of_keras_is_said():
    done = run("import importlib.metadata as m; m.version = lambda n: '2.0'; import gemel.keras")
    assert "ImportError" in done.stderr and "keras 2.0" in done.stderr


def test_keras_over_another_backend_is_said():
    done = run("import sys, types; sys.modules['keras'] = types.ModuleType('keras')\n"
               "import gemel.keras_backend")  # fmt: skip
    assert "RuntimeError" in done.stderr and "imported before" in done.stderr


def test_importing_brings_no_other_engine():
    done = run(
        "import sys, gemel.keras as keras, numpy as np\n"
        "keras.utils.set_random_seed(1)\n"
        "keras.layers.Dense(2)(np.ones((1, 3)))\n"
        "print([m for m in ('tensorflow', 'torch') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_fourier_transforms():
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((2, 64)) for _ in range(2))
    for got, want in (
        (ops.fft((x, y)), np.fft.fft(x + 1j * y)),
        (ops.fft2((x, y)), np.fft.fft2(x + 1j * y)),
        (ops.ifft2((x, y)), np.fft.ifft2(x + 1j * y)),
        (ops.rfft(x, 50), np.fft.rfft(x, 50)),
    ):
        np.testing.assert_allclose(got[0], want.real, atol=1e-12)
        np.testing.assert_allclose(got[1], want.imag, atol=1e-12)
    np.testing.assert_allclose(ops.irfft(ops.rfft(x)), x, atol=1e-12)
    stretches = ops.stft(x, 16, 8, 20)
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16), 2)
    third = np.fft.rfft(np.pad(x, ((0, 0), (10, 10)), "reflect")[:, 16:36] * window)
    np.testing.assert_allclose(stretches[0][:, 2], third.real, atol=1e-12)
    np.testing.assert_allclose(ops.istft(stretches, 16, 8, 20, length=60), x[:, :60], atol=1e-9)
    with pytest.raises(ValueError, match="tuple of two tensors"):
        ops.fft((x, y[:1]))
