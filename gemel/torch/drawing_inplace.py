"""Random values written in place: `uniform_`, `normal_`, `random_` and the others.

A tensor is filled in the order of its memory, as in PyTorch; what is not dense in logical order.
"""

from __future__ import annotations

import math

from gemel.graph.form import DType
from gemel.tensor import random

from . import dtypes
from .random import stream
from .tensor import Tensor, attach
from .writing import write


def needs_floats(kernel: str, dtype: DType) -> DType:
    """The element type; NotImplementedError, which names the kernel, for whole numbers."""
    if dtype.kind not in "fc":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.short_name(dtype)}'")
    return dtype


def check_deviation(std) -> None:
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")


def _filled(t: Tensor, draw) -> Tensor:
    """draw(shape, contiguous) written into t, in the order of its memory."""
    return write(t, random.values_for(t, draw))


def _parts(t: Tensor) -> Tensor:
    """The real and imaginary parts of a complex tensor, as a view [..., 2]."""
    from . import view_as_real

    return view_as_real(t)


# ---------- uniform, normal ----------
def _check_range(low, high) -> None:
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )


@attach()
def uniform_(self, low=0, high=1, *, generator=None, **named) -> Tensor:
    """Uniform values in [low, high); PyTorch's names are `from` and `to`."""
    low, high = named.pop("from", low), named.pop("to", high)
    _no_more("uniform_", named)
    if self.form.dtype.kind == "c":
        uniform_(_parts(self), low, high, generator=generator)
        return self
    return _write_uniform(self, low, high, generator, False)


def _no_more(name: str, named: dict) -> None:
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")


def _write_uniform(t: Tensor, low, high, generator, fixed: bool) -> Tensor:
    g = stream(generator)
    dtype = needs_floats("check_uniform_bounds", t.form.dtype)
    _check_range(low, high)

    def draw(shape, _):
        return random.uniform(g, Tensor, shape, dtype, float(low), float(high), fixed)

    return _filled(t, draw)


@attach()
def normal_(self, mean=0, std=1, *, generator=None) -> Tensor:
    """Normal values. A view that is not contiguous draws them one by one, as in PyTorch."""
    if self.form.dtype.kind == "c":
        check_deviation(std)
        normal_(_parts(self), mean, std / math.sqrt(2), generator=generator)
        return self
    return _write_normal(self, mean, std, generator, False)


def _write_normal(t: Tensor, mean, std, generator, fixed: bool) -> Tensor:
    check_deviation(std)
    g = stream(generator)
    dtype = needs_floats("normal_kernel_cpu", t.form.dtype)
    moments = float(mean), float(std)

    def draw(shape, contiguous):
        return random.normal(g, Tensor, shape, dtype, *moments, contiguous=contiguous, fixed=fixed)

    return _filled(t, draw)


def normal_weights(t: Tensor, mean: float, std: float, generator=None) -> Tensor:
    """As `normal_`, for initial weights: mean and deviation are part of the program, and the fills
    of all layers compile as one function."""
    return _write_normal(t, mean, std, generator, True)


def uniform_weights(t: Tensor, low: float, high: float, generator=None) -> Tensor:
    """As `uniform_`, for initial weights: the bounds are part of the program."""
    return _write_uniform(t, low, high, generator, True)


# ---------- whole numbers ----------
_C_NAMES = {"bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short",
            "int32": "int", "int64": "long", "uint16": "unsigned short",
            "uint32": "unsigned int", "uint64": "unsigned long"}  # fmt: skip
_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def _limits(dtype: DType) -> tuple[int, int]:
    """The smallest and largest whole number that `random_` gives in this type."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "u":
        return 0, (1 << dtype.bits) - 1
    return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1


def _representable(dtype: DType, low: int, high: int) -> tuple[int, int]:
    """Bounds moved to where floats hold every whole number, low up and high down."""
    exact = 1 << _DIGITS[dtype.name]
    if abs(low) > exact:
        step = 1 << max(abs(low).bit_length() - _DIGITS[dtype.name], 0)
        low = -(-low // step) * step
    if abs(high) > exact:
        step = 1 << max(abs(high).bit_length() - _DIGITS[dtype.name], 0)
        high = high // step * step
    return low, high


def bounds_for(dtype: DType, low, high) -> tuple[int, int]:
    """[low, high) as ints. RuntimeError where it is empty or outside of the element type."""
    low, high = int(low), int(high)
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if dtype.kind == "c":
        raise NotImplementedError(
            f"\"check_random_bounds\" not implemented for '{dtypes.short_name(dtype)}'"
        )
    if dtype.kind == "f":
        return _representable(dtype, low, high)
    smallest, largest = _limits(dtype)
    name = _C_NAMES[dtype.name]
    if not smallest <= low <= largest:
        raise RuntimeError(f"from is out of bounds for {name}")
    if not smallest <= high - 1 <= largest:
        raise RuntimeError(f"to - 1 is out of bounds for {name}")
    return low, high


@attach()
def random_(self, low=None, high=None, *, generator=None, **named) -> Tensor:
    """Whole numbers: random_() up to the largest one, random_(to), random_(from, to)."""
    alone = high is None and "to" not in named and "from" not in named and low is not None
    given = low is not None or named
    low, high = named.pop("from", low), named.pop("to", high)
    _no_more("random_", named)
    g = stream(generator)
    dtype = self.form.dtype
    if not given:
        return _filled(self, lambda shape, _: random.natural(g, Tensor, shape, dtype))
    if alone:
        low, high = 0, low
    low = 0 if low is None else low
    if high is None:
        high = (1 << _DIGITS[dtype.name] if dtype.kind == "f" else _limits(dtype)[1]) + 1
    bounds = bounds_for(dtype, low, high)
    return _filled(self, lambda shape, _: random.integers(g, Tensor, shape, dtype, *bounds))


# ---------- other distributions ----------
@attach()
def exponential_(self, lambd=1, *, generator=None) -> Tensor:
    """Waiting times of events with the rate lambd."""
    dtype = self.form.dtype
    if dtype.kind != "f":
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {dtypes.short_name(dtype)}"
        )
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    g = stream(generator)
    return _filled(self, lambda shape, _: random.exponential(g, Tensor, shape, dtype, float(lambd)))


@attach()
def geometric_(self, p, *, generator=None) -> Tensor:
    """The number of trials up to and with the first success of probability p."""
    dtype = self.form.dtype
    if dtype.kind in "bc":
        short = dtypes.short_name(dtype)
        raise NotImplementedError(f"\"geometric_cpu\" not implemented for '{short}'")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    g = stream(generator)
    return _filled(self, lambda shape, _: random.geometric(g, Tensor, shape, dtype, float(p)))


@attach()
def cauchy_(self, median=0, sigma=1, *, generator=None) -> Tensor:
    """Cauchy's distribution."""
    dtype = self.form.dtype
    if dtype.kind != "f":
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {dtypes.short_name(dtype)}"
        )
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    g = stream(generator)
    moments = float(median), float(sigma)
    return _filled(self, lambda shape, _: random.cauchy(g, Tensor, shape, dtype, *moments))


@attach()
def log_normal_(self, mean=1, std=2, *, generator=None) -> Tensor:
    """exp of normal values."""
    dtype = needs_floats("log_normal_cpu", self.form.dtype)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    g = stream(generator)
    moments = float(mean), float(std)
    return _filled(self, lambda shape, _: random.log_normal(g, Tensor, shape, dtype, *moments))


@attach()
def bernoulli_(self, p=0.5, *, generator=None) -> Tensor:
    """Write 1 with probability p, else 0."""
    g = stream(generator)
    dtype = self.form.dtype
    if isinstance(p, Tensor):
        from .drawing import checked_probabilities

        p = checked_probabilities(p.detach()).expand(self.form.shape)
        return write(self, random.bernoulli_each(g, p, dtype))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _filled(self, lambda shape, _: random.bernoulli(g, Tensor, shape, dtype, float(p)))
