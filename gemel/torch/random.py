"""Random tensors: PyTorch's CPU streams, over the engine's generator.

`generator=None` is the process's default one; `manual_seed` seeds it.
"""

from __future__ import annotations

from gemel.graph.form import DType
from gemel.graph.form import int64 as _long
from gemel.tensor import from_array, random

from . import dtypes
from .creation import _finished, _sizes, _type
from .device import check_device
from .dtypes import engine_dtype
from .tensor import Tensor, attach
from .writing import write


class Generator(random.Generator):
    """A random stream of its own: `Generator().manual_seed(0)`."""

    def __init__(self, device="cpu"):
        check_device(device)
        super().__init__()

    @property
    def device(self):
        from .device import CPU

        return CPU

    def get_state(self) -> Tensor:
        return from_array(super().get_state(), Tensor)

    def set_state(self, state) -> None:
        super().set_state(state.numpy() if isinstance(state, Tensor) else state)


default_generator = random.default_generator


def _stream(generator):
    return default_generator if generator is None else generator


def manual_seed(seed: int):
    """Seed the default stream; returns it."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default stream from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default stream."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default stream's state as a tensor of bytes."""
    return from_array(default_generator.get_state(), Tensor)


def set_rng_state(state) -> None:
    """Put the default stream into a state from `get_rng_state`."""
    default_generator.set_state(state.numpy() if isinstance(state, Tensor) else state)


def _floating(name: str, dtype: DType) -> DType:
    if dtype.kind != "f":
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtypes.short_name(dtype)}'")
    return dtype


# ---------- new tensors ----------
def rand(*shape, size=None, generator=None, dtype=None, device=None, requires_grad=False,
         layout=None, out=None, pin_memory=False) -> Tensor:  # fmt: skip
    """Uniform values in [0, 1)."""
    held = _floating("check_uniform_bounds", _type(dtype, device))
    shape = _sizes("rand", shape if size is None else (size,))
    made = random.uniform(_stream(generator), Tensor, shape, held, 0.0, 1.0)
    return _finished(made, requires_grad)


def randn(*shape, size=None, generator=None, dtype=None, device=None, requires_grad=False,
          layout=None, out=None, pin_memory=False) -> Tensor:  # fmt: skip
    """Standard normal values."""
    held = _floating("normal_kernel_cpu", _type(dtype, device))
    shape = _sizes("randn", shape if size is None else (size,))
    made = random.normal(_stream(generator), Tensor, shape, held, 0.0, 1.0)
    return _finished(made, requires_grad)


def _bounds(low, high) -> tuple[int, int]:
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    return int(low), int(high)


def randint(low, high=None, size=None, *, generator=None, dtype=None, device=None,
            requires_grad=False, layout=None) -> Tensor:  # fmt: skip
    """Whole numbers in [low, high), of type int64 unless given: randint(high, size),
    randint(low, high, size)."""
    if size is None:
        low, high, size = 0, low, high
    check_device(device)
    held = _long if dtype is None else engine_dtype(dtype)
    low, high = _bounds(low, high)
    made = random.integers(_stream(generator), Tensor, _sizes("randint", (size,)), held, low, high)
    return _finished(made, requires_grad)


def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False, layout=None,
             pin_memory=False) -> Tensor:  # fmt: skip
    """The numbers 0 to n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    check_device(device)
    held = _long if dtype is None else engine_dtype(dtype)
    return random.permutation(_stream(generator), Tensor, n, held)


def _like(make):
    def function(input, *, dtype=None, layout=None, device=None, requires_grad=False,
                 generator=None, memory_format=None):  # fmt: skip
        return make(
            input.form.shape, dtype=dtype or input.dtype, device=device,
            requires_grad=requires_grad, generator=generator,
        )  # fmt: skip

    function.__name__ = function.__qualname__ = make.__name__ + "_like"
    return function


rand_like = _like(rand)
randn_like = _like(randn)


def randint_like(input, low, high=None, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Whole numbers in [low, high) with the input's shape and type."""
    if high is None:
        low, high = 0, low
    return randint(low, high, input.form.shape, dtype=dtype or input.dtype, device=device,
                   requires_grad=requires_grad)  # fmt: skip


def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, device=None, out=None):
    """Normal values of given mean and deviation, either of which may be a tensor."""
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not given:
        held = _floating("normal_kernel_cpu", _type(dtype, device))
        shape = _sizes("normal", (size,))
        moments = float(mean), float(std)
        return random.normal(_stream(generator), Tensor, shape, held, *moments)
    shape = given[0].form.shape if len(given) == 1 else (given[0] + given[1]).form.shape
    drawn = randn(shape, generator=generator, dtype=given[0].dtype)
    return drawn * std + mean


def bernoulli(input, *, generator=None, out=None) -> Tensor:
    """1 with the probability that the element says, else 0."""
    return random.bernoulli_each(_stream(generator), input, input.form.dtype)


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None) -> Tensor:
    """Indices drawn with the weights of each row."""
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input.form.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    _floating("multinomial", input.form.dtype)
    return random.choice(_stream(generator), input, num_samples, replacement)


# ---------- in place ----------
def _drawn(name: str, draw):
    """draw(generator, shape, dtype, ...) written into the tensor, in the order of its memory."""

    def method(self, *args, generator=None, **options):
        g = _stream(generator)
        dtype = self.form.dtype
        return write(
            self,
            random.values_for(self, lambda shape, _: draw(g, shape, dtype, *args, **options)),
        )

    method.__name__ = name
    setattr(Tensor, name, method)


def _uniform_(g, shape, dtype, from_=0, to=1, **options):
    low = options.pop("from", from_)
    if options:
        raise TypeError(f"uniform_() got an unexpected keyword argument '{next(iter(options))}'")
    return _uniform(g, shape, dtype, low, to)


def _uniform(g, shape, dtype, low, to, fixed=False):
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}"
        )
    _floating("check_uniform_bounds", dtype)
    return random.uniform(g, Tensor, shape, dtype, float(low), float(to), fixed)


def _random(g, shape, dtype, low=None, high=None, **options):
    low = options.pop("from", low)
    high = options.pop("to", high)
    if low is None:
        return random.natural(g, Tensor, shape, dtype)
    low, high = (0, low) if high is None else (low, high)
    return random.integers(g, Tensor, shape, dtype, *_bounds(low, high))


def _exponential(g, shape, dtype, lambd=1):
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return random.exponential(g, Tensor, shape, dtype, float(lambd))


def _geometric(g, shape, dtype, p):
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return random.geometric(g, Tensor, shape, dtype, float(p))


def _cauchy(g, shape, dtype, median=0, sigma=1):
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return random.cauchy(g, Tensor, shape, dtype, float(median), float(sigma))


def _log_normal(g, shape, dtype, mean=1, std=2):
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return random.log_normal(g, Tensor, shape, dtype, float(mean), float(std))


for _name, _draw in (
    ("uniform_", _uniform_),
    ("random_", _random),
    ("exponential_", _exponential),
    ("geometric_", _geometric),
    ("cauchy_", _cauchy),
    ("log_normal_", _log_normal),
):
    _drawn(_name, _draw)


@attach()
def normal_(self, mean=0, std=1, *, generator=None) -> Tensor:
    """Write normal values. A view that is not contiguous draws them one by one, as in PyTorch."""
    return _write_normal(self, mean, std, generator, False)


def _write_normal(t: Tensor, mean, std, generator, fixed: bool) -> Tensor:
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    g = _stream(generator)
    dtype = _floating("normal_kernel_cpu", t.form.dtype)
    moments = float(mean), float(std)

    def draw(shape, contiguous):
        return random.normal(g, Tensor, shape, dtype, *moments, contiguous=contiguous, fixed=fixed)

    return write(t, random.values_for(t, draw))


def normal_weights(t: Tensor, mean: float, std: float, generator=None) -> Tensor:
    """As `normal_`, for initial weights: mean and deviation are part of the program, and the fills
    of all layers compile as one function."""
    return _write_normal(t, mean, std, generator, True)


def uniform_weights(t: Tensor, low: float, high: float, generator=None) -> Tensor:
    """As `uniform_`, for initial weights: the bounds are part of the program."""
    g = _stream(generator)

    def draw(shape, _):
        return _uniform(g, shape, t.form.dtype, low, high, fixed=True)

    return write(t, random.values_for(t, draw))


@attach()
def bernoulli_(self, p=0.5, *, generator=None) -> Tensor:
    """Write 1 with probability p, else 0."""
    g = _stream(generator)
    if isinstance(p, Tensor):
        return write(self, random.bernoulli_each(g, p.expand(self.form.shape), self.form.dtype))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return write(self, random.bernoulli(g, Tensor, self.form.shape, self.form.dtype, float(p)))


@attach("bernoulli")
def _bernoulli_method(self, p=None, *, generator=None) -> Tensor:
    if p is None:
        return bernoulli(self, generator=generator)
    return self.clone().bernoulli_(p, generator=generator)


Tensor.multinomial = multinomial


class fork_rng:
    """A block after which the default stream is as it was before."""

    def __init__(self, devices=(), enabled=True):
        self.enabled = enabled

    def __enter__(self) -> None:
        self.before = default_generator.get_state() if self.enabled else None

    def __exit__(self, *error) -> None:
        if self.before is not None:
            default_generator.set_state(self.before)
