"""Elementary functions: error in units of the last place, special values, lane counts."""

import ctypes
import math
from functools import cache

import numpy as np
import pytest

from gemel.codegen import vector_math
from gemel.codegen.llvm import Module
from gemel.runtime.jit import load

POINTS = 120_000
UNARY = ["exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos"]
ELEMS = {np.float32: "float", np.float64: "double"}
SPECIALS = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0]


@cache
def library(lanes):
    """Every function for both types, as `name_elem(x, y, out, count)`."""
    module = Module()
    names = []
    for elem in ELEMS.values():
        for name in [*UNARY, "pow", "exp_nonpositive"]:
            names.append(f"{name}_{elem}")
            parameters = [("ptr", "x"), ("ptr", "y"), ("ptr", "out"), ("i64", "count")]
            f = module.function(names[-1], parameters)
            x, y, out, count = f.arguments
            with f.loop(0, count, lanes) as loop:
                live = f.lanes_below(count - loop.index, lanes)
                places = [f.gep(p, loop.index, elem) for p in (x, y, out)]
                a, b = (f.load(p, elem, lanes, mask=live) for p in places[:2])
                operands = (a, b) if name == "pow" else (a,)
                f.store(getattr(vector_math, name)(f, *operands), places[2], mask=live)
            f.ret()
    return load(module.text(), names)


def run(name, x, y=None, lanes=None):
    elem = ELEMS[x.dtype.type]
    lanes = lanes or 64 // x.itemsize
    call = library(lanes).function(f"{name}_{elem}", None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
    x = np.ascontiguousarray(x)
    y = x if y is None else np.ascontiguousarray(y)
    out = np.empty_like(x)
    call(x.ctypes.data, y.ctypes.data, out.ctypes.data, x.size)
    return out


def reference(name, *x):
    wide = [v.astype(np.longdouble) for v in x]
    with np.errstate(all="ignore"):
        if name == "sigmoid":
            e = np.exp(-np.abs(wide[0]))
            return np.where(wide[0] >= 0, 1 / (1 + e), e / (1 + e))
        if name == "erf":
            return erf_reference(x[0])
        if name == "pow":
            return np.power(*wide)
        if name in ("sin", "cos"):
            # The C library's long double reduction is exact.
            return getattr(np, name)(wide[0])
        return getattr(np, name)(wide[0])


def erf_reference(x):
    if x.dtype == np.float32:
        return np.array([math.erf(v) for v in x.astype(np.float64)], np.longdouble)
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(30):
        values = np.array([np.longdouble(str(mpmath.erf(float(v)))) for v in x])
        return np.copysign(values, x)


def ulps(got, wanted, dtype):
    """Distance in units of the last place of the wanted value; equal specials are 0."""
    with np.errstate(all="ignore"):
        nearest = wanted.astype(dtype)
        top = float(np.finfo(dtype).max)
        unit = np.spacing(np.minimum(np.abs(nearest), dtype(top))).astype(np.longdouble)
        distance = np.abs(got.astype(np.longdouble) - wanted) / unit
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance)).astype(float)


def arguments(name, dtype, count=POINTS):
    """Where the function is interesting, every exponent, specials, denormals."""
    rng = np.random.default_rng(3)
    info = np.finfo(dtype)
    edge = {np.float32: (-104.5, 89.5), np.float64: (-746.5, 710.5)}[dtype]
    third = count // 3
    spread = np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, third))
    spread *= rng.choice([-1.0, 1.0], third)
    near = rng.normal(0, 2, third)
    wide = rng.uniform(*edge, third)
    if name == "log":
        wide, near, spread = np.exp(wide / 2), 1 + near / 50, np.abs(spread)
    if name == "log1p":
        wide = np.expm1(np.minimum(wide, 80))
    if name in ("sin", "cos"):
        wide = rng.uniform(-1e9, 1e9, third)
        near *= 10
        wide[:1000] = np.round(wide[:1000] / 1e6) * (math.pi / 2)
    tiny = float(info.smallest_subnormal)
    specials = [*SPECIALS, tiny, -tiny, float(info.tiny), float(info.max), -float(info.max)]
    with np.errstate(over="ignore"):
        return np.concatenate([specials, near, wide, spread]).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNARY)
def test_error_is_below_two_ulp(name, dtype):
    count = 12_000 if name == "erf" and dtype == np.float64 else POINTS
    x = arguments(name, dtype, count)
    error = ulps(run(name, x), reference(name, x), dtype)
    worst = int(np.argmax(error))
    assert error[worst] <= 2.0, f"{name}({x[worst]!r}) is off by {error[worst]:.2f} ulp"


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_of_zero_and_nan(name, dtype):
    zeros = np.array([0.0, -0.0], dtype)
    with np.errstate(all="ignore"):
        wanted = reference(name, zeros).astype(dtype)
    np.testing.assert_array_equal(np.signbit(run(name, zeros)), np.signbit(wanted))
    assert np.isnan(run(name, np.array([math.nan], dtype)))[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow(dtype):
    rng = np.random.default_rng(5)
    info = np.finfo(dtype)
    count = POINTS // 2
    x = np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, count))
    y = rng.uniform(-1.05, 1.05, count) * info.maxexp / np.log2(x)
    x[: count // 4] = 1 + rng.normal(0, 0.2, count // 4)
    y[: count // 4] = rng.uniform(-300, 300, count // 4)
    x[-1000:] = -rng.uniform(0, 10, 1000)
    y[-1000:] = rng.integers(-20, 20, 1000)
    x, y = x.astype(dtype), y.astype(dtype)
    error = ulps(run("pow", x, y), reference("pow", x, y), dtype)
    worst = int(np.argmax(error))
    assert error[worst] <= 2.0, f"pow({x[worst]!r}, {y[worst]!r}) off by {error[worst]:.2f} ulp"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow_specials(dtype):
    values = [*SPECIALS, 3.0, -3.0, 1e-40, -1e30, 1e30, 2.5, -2.5, 16777216.0, 16777217.0]
    x, y = (v.ravel().astype(dtype) for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.longdouble), y.astype(np.longdouble)).astype(dtype)
    got = run("pow", x, y)
    error = ulps(got, wanted.astype(np.longdouble), dtype)
    for i in np.flatnonzero(error > 1.5):
        raise AssertionError(f"pow({x[i]!r}, {y[i]!r}) = {got[i]!r}, not {wanted[i]!r}")
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(wanted)[numbers])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_do_not_change_the_bits(dtype):
    for name in [*UNARY, "exp_nonpositive"]:
        x = arguments(name, dtype, 900)
        x = -np.abs(x) if name == "exp_nonpositive" else x
        wide, narrow = run(name, x), run(name, x, lanes=1)
        np.testing.assert_array_equal(wide, narrow, err_msg=name)
        np.testing.assert_array_equal(wide, run(name, x, lanes=4), err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_nonpositive(dtype):
    floor = -87.3 if dtype == np.float32 else -708.3
    x = np.linspace(floor * 0.9999, 0, POINTS).astype(dtype)
    assert ulps(run("exp_nonpositive", x), reference("exp", x), dtype).max() <= 2.0
    edges = run("exp_nonpositive", np.array([-math.inf, floor * 2, math.nan], dtype))
    assert edges[0] == 0 and edges[1] == 0 and np.isnan(edges[2])
