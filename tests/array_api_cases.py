"""Calls of the array API standard on generated arrays: for each function, what it is called with.

A case is (name, function of a namespace and arrays of that namespace -> result, the arrays). The
same case runs on Gemel and on another implementation.
"""

from collections.abc import Callable, Iterator

import numpy as np

SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
REAL = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGERS = SIGNED + UNSIGNED
FLOATS = REAL + COMPLEX
NUMERIC = INTEGERS + FLOATS
EVERY = ("bool", *NUMERIC)
SHAPES = ((), (5,), (3, 4), (2, 1, 3), (0,), (2, 0, 3))
PAIRS = (((5,), (5,)), ((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (3,)))
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -2.5, 1e-30, -1e30)

ONE = {
    FLOATS: "acos acosh asin asinh atan atanh cos cosh exp expm1 log log10 log1p log2 reciprocal "
    "sin sinh sqrt tan tanh",
    NUMERIC: "abs conj isfinite isinf isnan negative positive real round sign square",
    INTEGERS + REAL: "ceil floor trunc",
    ("bool", *INTEGERS): "bitwise_invert",
    COMPLEX: "imag",
    REAL: "signbit",
    ("bool",): "logical_not",
}
TWO = {
    NUMERIC: "add multiply subtract",
    FLOATS: "divide",
    REAL: "atan2 copysign hypot logaddexp nextafter",
    EVERY: "equal not_equal",
    INTEGERS + REAL: "greater greater_equal less less_equal maximum minimum",
    ("bool", *INTEGERS): "bitwise_and bitwise_or bitwise_xor",
    ("bool",): "logical_and logical_or logical_xor",
}
DIVIDING = "floor_divide remainder"
REDUCING = {
    EVERY: "all any count_nonzero",
    NUMERIC: "sum prod",
    INTEGERS + REAL: "max min argmax argmin",
    FLOATS: "mean",
    REAL: "var std",
}
Case = tuple[str, Callable, tuple[np.ndarray, ...]]


def values(rng: np.random.Generator, dtype: str, shape, tame: bool = False) -> np.ndarray:
    """Numbers of a type: small and extreme ones, special ones unless tame."""
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        limits = np.iinfo(dtype)
        if tame or rng.random() < 0.4:
            return rng.integers(max(limits.min, -5), 6, shape).astype(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    x = rng.normal(size=shape) * (1 if tame else rng.choice([1, 10, 1e-3]))
    if dtype in COMPLEX:
        return (x + 1j * rng.normal(size=shape)).astype(dtype)
    special = rng.random(shape) < (0 if tame else 0.25)
    return np.where(special, rng.choice(SPECIAL, shape), x).astype(dtype)


def elementwise(rng: np.random.Generator) -> Iterator[Case]:
    for dtypes, names in ONE.items():
        for name in names.split():
            for dtype in dtypes:
                given = values(rng, dtype, SHAPES[rng.integers(len(SHAPES))])
                yield name, _call(name), (given,)
    for dtypes, names in TWO.items():
        for name in names.split():
            for dtype in dtypes:
                a, b = PAIRS[rng.integers(len(PAIRS))]
                yield name, _call(name), (values(rng, dtype, a), values(rng, dtype, b))
    for name in DIVIDING.split():
        for dtype in INTEGERS + REAL:
            a, b = values(rng, dtype, (3, 4)), values(rng, dtype, (4,))
            yield name, _call(name), (a, np.where(b == 0, np.ones((), dtype), b))
    for dtype in INTEGERS:
        a, b = values(rng, dtype, (7,)), rng.integers(0, 8, 7).astype(dtype)
        for name in ("bitwise_left_shift", "bitwise_right_shift"):
            yield name, _call(name), (a, b)
        yield "pow", _call("pow"), (a, np.minimum(b, 3).astype(dtype))
    for dtype in FLOATS:
        yield "pow", _call("pow"), (np.abs(values(rng, dtype, (6,), True)).astype(dtype),
                                    values(rng, dtype, (6,), True))  # fmt: skip


def reductions(rng: np.random.Generator) -> Iterator[Case]:
    for dtypes, names in REDUCING.items():
        for name in names.split():
            for dtype in dtypes:
                shape = SHAPES[rng.integers(1, 4)]
                axis = [None, 0, -1][rng.integers(3)]
                keep = bool(rng.integers(2))
                yield name, _call(name, axis=axis, keepdims=keep), (
                    values(rng, dtype, shape, True),
                )  # fmt: skip
    for dtype in NUMERIC:
        given = values(rng, dtype, (3, 4), True)
        for name in ("cumulative_sum", "cumulative_prod"):
            for more in (False, True):
                yield name, _call(name, axis=1, include_initial=more), (given,)
        yield "diff", _call("diff", n=2, axis=0), (values(rng, dtype, (4, 2), True),)


def shapes(rng: np.random.Generator) -> Iterator[Case]:
    calls = {
        "expand_dims": _call("expand_dims", axis=1), "flip": _call("flip"),
        "roll": lambda xp, x: xp.roll(x, (1, -1), axis=(0, 1)),
        "reshape": lambda xp, x: xp.reshape(x, (-1,)),
        "repeat": lambda xp, x: xp.repeat(x, 2, axis=1),
        "tile": lambda xp, x: xp.tile(x, (2, 1, 2)),
        "permute_dims": lambda xp, x: xp.permute_dims(x, (1, 0)),
        "moveaxis": lambda xp, x: xp.moveaxis(x, 0, -1),
        "tril": _call("tril", k=1), "triu": _call("triu"),
        "matrix_transpose": _call("matrix_transpose"), "unstack": _call("unstack"),
        "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, 3, 4)),
        "nonzero": _call("nonzero"), "take": lambda xp, x: xp.take(x, xp.asarray([2, 0]), axis=0),
        "concat": lambda xp, x: xp.concat([x, x], axis=1), "stack": lambda xp, x: xp.stack([x, x]),
        "step": lambda xp, x: x[::-1, 1:3], "new": lambda xp, x: x[None, ..., 0],
        "where": lambda xp, x: xp.where(xp.equal(x, x), x, xp.zeros_like(x)),
        "written": _written, "masked": lambda xp, x: x[xp.not_equal(x, xp.zeros_like(x))],
    }  # fmt: skip
    for name, call in calls.items():
        for dtype in EVERY:
            yield name, call, (values(rng, dtype, (3, 4), True),)


def _written(xp, x):
    x = xp.asarray(x, copy=True)
    x[1, ::2] = xp.zeros((), dtype=x.dtype)
    return x


def order(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in INTEGERS + REAL:
        given = values(rng, dtype, (4, 6))
        for down in (False, True):
            yield "sort", _call("sort", descending=down), (given,)
            yield "argsort", _call("argsort", descending=down, axis=0), (given,)
        flat = np.sort(given.reshape(-1))
        for side in ("left", "right"):
            yield "searchsorted", _call("searchsorted", side=side), (flat, given[0])
        for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
            yield name, _call(name), (values(rng, dtype, (3, 4), True),)
        yield "clip", _call("clip", min=0, max=2), (given,)


def products(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in NUMERIC:
        for a, b in (((3, 4), (4, 2)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((4,), (2, 4, 3))):
            pair = values(rng, dtype, a, True), values(rng, dtype, b, True)
            yield "matmul", _call("matmul"), pair
        pair = values(rng, dtype, (3, 4), True), values(rng, dtype, (3, 4), True)
        yield "tensordot", _call("tensordot", axes=((0, 1), (0, 1))), pair
        yield "vecdot", _call("vecdot"), pair


def extensions(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        a = values(rng, dtype, (2, 3, 3), True)
        h = (a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(3)).astype(dtype)
        for name in "cholesky det eigvalsh inv slogdet svdvals matrix_rank pinv trace".split():
            yield f"linalg.{name}", _call(f"linalg.{name}"), (h,)
        yield "linalg.solve", _call("linalg.solve"), (h, a)
        yield "linalg.qr", _call("linalg.qr"), (a,)
        for order_ in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
            yield "linalg.matrix_norm", _call("linalg.matrix_norm", ord=order_), (a,)
        for order_ in (0, 1, 2, 3, np.inf, -np.inf):
            yield "linalg.vector_norm", _call("linalg.vector_norm", ord=order_, axis=1), (a,)
        yield "linalg.cross", _call("linalg.cross"), (a, h)
        for norm in ("backward", "ortho", "forward"):
            names = "rfft ihfft" if dtype in REAL else "fft ifft irfft hfft"
            for name in names.split():
                yield f"fft.{name}", _call(f"fft.{name}", n=5, axis=1, norm=norm), (a,)
        names = ("rfftn",) if dtype in REAL else ("fftn", "ifftn", "irfftn")
        for name in names:
            yield f"fft.{name}", _call(f"fft.{name}"), (a,)
        yield "fft.fftshift", _call("fft.fftshift"), (a,)


GROUPS = (elementwise, reductions, shapes, order, products, extensions)


def _call(path: str, **options) -> Callable:
    def run(xp, *arrays):
        holder = xp
        for name in path.split("."):
            holder = getattr(holder, name)
        return holder(*arrays, **options)

    return run
