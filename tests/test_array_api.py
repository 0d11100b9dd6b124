"""gemel.array_api: complete, and equal to another implementation of the standard."""

import importlib

import numpy as np
import pytest
from array_api_cases import GROUPS

import gemel.array_api as xp

# The names of the standard, 2024.12.
NAMES = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh
bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
broadcast_arrays broadcast_to can_cast ceil clip concat conj copysign cos cosh count_nonzero
cumulative_prod cumulative_sum diff divide empty empty_like equal exp expand_dims expm1 eye finfo
flip floor floor_divide from_dlpack full full_like greater greater_equal hypot iinfo imag isdtype
isfinite isinf isnan less less_equal linspace log log10 log1p log2 logaddexp logical_and
logical_not logical_or logical_xor matmul matrix_transpose max maximum mean meshgrid min minimum
moveaxis multiply negative nextafter nonzero not_equal ones ones_like permute_dims positive pow
prod real reciprocal remainder repeat reshape result_type roll round searchsorted sign signbit sin
sinh sort sqrt square squeeze stack std subtract sum take take_along_axis tan tanh tensordot tile
tril triu trunc unique_all unique_counts unique_inverse unique_values unstack var vecdot where
zeros zeros_like __array_namespace_info__ __array_api_version__ e inf nan newaxis pi bool int8
int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128
linalg.cholesky linalg.cross linalg.det linalg.diagonal linalg.eigh linalg.eigvalsh linalg.inv
linalg.matmul linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.matrix_transpose
linalg.outer linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals
linalg.tensordot linalg.trace linalg.vecdot linalg.vector_norm fft.fft fft.ifft fft.fftn fft.ifftn
fft.rfft fft.irfft fft.rfftn fft.irfftn fft.hfft fft.ihfft fft.fftfreq fft.rfftfreq fft.fftshift
fft.ifftshift
""".split()


def test_every_name_is_there():
    for path in NAMES:
        holder = xp
        for name in path.split("."):
            assert hasattr(holder, name), path
            holder = getattr(holder, name)


def agree(group, other, seeds) -> None:
    """Both namespaces give the same for every case of the group."""
    for seed in seeds:
        for name, call, arrays in group(np.random.default_rng(seed)):
            wanted = call(other, *(other.asarray(a) for a in arrays))
            found = call(xp, *(xp.asarray(a) for a in arrays))
            several = isinstance(wanted, tuple)
            for f, w in zip(found, wanted, strict=True) if several else [(found, wanted)]:
                same(name, np.asarray(f), np.asarray(w), arrays)


def same(name: str, found: np.ndarray, wanted: np.ndarray, arrays) -> None:
    told = f"{name} of {arrays}: {found} for {wanted}"
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, told
    if found.dtype.kind in "biu":
        assert np.array_equal(found, wanted), told
        return
    single = found.dtype.name in ("float32", "complex64")
    rtol = 2e-3 if name.startswith("linalg") and single else 2e-5 if single else 1e-8
    assert np.allclose(found, wanted, rtol=rtol, atol=rtol * 0.1, equal_nan=True), told


# NumPy 2 follows the standard where its names are the standard's.
IN_NUMPY = {"elementwise", "products"}


@pytest.mark.parametrize("group", [g for g in GROUPS if g.__name__ in IN_NUMPY])
def test_as_numpy_has_it(group):
    if int(np.__version__.split(".")[0]) < 2:
        pytest.skip("NumPy 1 has other names")
    with np.errstate(all="ignore"):
        agree(group, np, range(1))


@pytest.mark.oracle
@pytest.mark.parametrize("group", GROUPS)
def test_as_the_strict_implementation_has_it(group):
    strict = importlib.import_module("array_api_strict")
    with np.errstate(all="ignore"):
        agree(group, strict, range(3))


# ---------- what the standard says about objects ----------
def test_inspection():
    info = xp.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] is xp.float64
    assert info.dtypes(kind="signed integer").keys() == {"int8", "int16", "int32", "int64"}
    assert info.devices() == [info.default_device()]
    assert info.capabilities()["boolean indexing"]


def test_types():
    assert xp.result_type(xp.int8, xp.uint8) is xp.int16
    assert xp.result_type(xp.float32, xp.complex64, 1.0) is xp.complex64
    assert xp.isdtype(xp.uint16, ("unsigned integer", xp.bool))
    assert not xp.can_cast(xp.float64, xp.float32)
    assert xp.finfo(xp.float32).eps == 2.0**-23 and xp.iinfo(xp.int8).min == -128
    with pytest.raises(TypeError, match="no type in common"):
        xp.asarray([1]) + xp.asarray([1.0])
    with pytest.raises(TypeError, match="Python float"):
        xp.asarray([1]) + 1.5


def test_numbers_and_errors():
    assert (
        float(xp.asarray(2.5)) == 2.5 and bool(xp.asarray(True)) and complex(xp.asarray(1j)) == 1j
    )
    assert [10, 20, 30][xp.asarray(1)] == 20
    for bad in (lambda: float(xp.asarray([1.0])), lambda: xp.asarray(1.5).__index__()):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(IndexError, match="out of bounds"):
        xp.zeros(3)[3]
    with pytest.raises(ValueError, match="do not fit"):
        xp.zeros((2, 3)) @ xp.zeros((2, 3))
    with pytest.raises(ValueError, match="singular"):
        np.asarray(xp.linalg.inv(xp.zeros((2, 2))))


def test_memory_is_shared_both_ways():
    a = np.arange(4.0)
    x = xp.asarray(a, copy=False)
    x[0] = 7.0
    assert a[0] == 7.0
    assert np.from_dlpack(xp.arange(3)).tolist() == [0, 1, 2]
    assert np.asarray(xp.from_dlpack(a)).tolist() == [7.0, 1.0, 2.0, 3.0]


def test_writing_in_place_keeps_type_and_shape():
    x = xp.arange(6)
    y = x
    y += 1
    assert x is y and np.asarray(x).tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(TypeError, match="no type in common"):
        x += xp.asarray(1.0)
    small = xp.zeros(2, dtype=xp.float32)
    with pytest.raises(TypeError, match="does not go into"):
        small += xp.ones(2)
    view = x[::2]
    view *= 10
    assert np.asarray(x).tolist() == [10, 2, 30, 4, 50, 6]
