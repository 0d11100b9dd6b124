"""New random tensors: PyTorch's names, checks and orders of filling over the engine's draws."""

from __future__ import annotations

from gemel.graph.form import int64 as _long
from gemel.graph.node import Node
from gemel.ops.declared import with_gradient
from gemel.ops.movement import inverse, zeros
from gemel.ops.record import Call
from gemel.tensor import fill as constant
from gemel.tensor import random, record2, strides, tracing

from . import dtypes
from .creation import _finished, _sizes, _type, empty_like
from .device import check_device
from .drawing_inplace import bounds_for, check_deviation, needs_floats, normal_, random_, uniform_
from .dtypes import engine_dtype
from .memory_format import preserve_format
from .out import into
from .random import stream
from .requirements import require
from .tensor import Tensor, attach


def _seen(fault: Tensor) -> bool:
    """Is there something wrong with values? They are not known while a function is recorded."""
    return not tracing() and bool(fault)


def _shape(name: str, shape: tuple, size) -> tuple[int, ...]:
    if not shape and size is None:
        raise TypeError(f"{name}() received an invalid combination of arguments - got ()")
    return _sizes(name, shape if size is None else (size,))


def _filler(name: str, fill, draw, kernel: str):
    """A function of sizes. fill(out, generator) writes in place, draw(generator, shape, dtype)
    makes new values."""

    def function(*shape, size=None, generator=None, dtype=None, device=None, requires_grad=False,
                 layout=None, out=None, pin_memory=False) -> Tensor:  # fmt: skip
        sizes = _shape(name, shape, size)
        if out is not None:
            return fill(out.resize_(sizes), generator=generator)
        held = needs_floats(kernel, _type(dtype, device))
        if held.kind == "c":
            made = constant(sizes, 0, held, Tensor)
            return _finished(fill(made, generator=generator), requires_grad)
        return _finished(draw(stream(generator), sizes, held), requires_grad)

    function.__name__ = function.__qualname__ = name
    return function


rand = _filler(
    "rand", uniform_, lambda g, shape, held: random.uniform(g, Tensor, shape, held),
    "check_uniform_bounds",
)  # fmt: skip
rand.__doc__ = "Uniform values in [0, 1)."
randn = _filler(
    "randn", normal_, lambda g, shape, held: random.normal(g, Tensor, shape, held),
    "normal_kernel_cpu",
)  # fmt: skip
randn.__doc__ = "Standard normal values."


def _range(low, high, size) -> tuple[int, int, tuple]:
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    return (0 if low is None else low), high, size


def randint(low=None, high=None, size=None, *, generator=None, dtype=None, device=None,
            requires_grad=False, layout=None, out=None, pin_memory=False) -> Tensor:  # fmt: skip
    """Whole numbers in [low, high), of type int64 unless given: randint(high, size),
    randint(low, high, size)."""
    if low is None and size is not None:
        low = 0
    low, high, size = _range(low, high, size)
    check_device(device)
    shape = _sizes("randint", (size,))
    if out is not None:
        return random_(out.resize_(shape), low, high, generator=generator)
    held = _long if dtype is None else engine_dtype(dtype)
    low, high = bounds_for(held, low, high)
    made = random.integers(stream(generator), Tensor, shape, held, low, high)
    return _finished(made, requires_grad)


def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False, layout=None,
             out=None, pin_memory=False) -> Tensor:  # fmt: skip
    """The numbers 0 to n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    check_device(device)
    held = _long if dtype is None else engine_dtype(dtype)
    if out is not None:
        held = out.form.dtype
    return into(out, random.permutation(stream(generator), Tensor, n, held))


# ---------- like another tensor ----------
def _laid_out_as(input: Tensor, held, memory_format) -> Tensor:
    """Memory for values in the order of the input's, where that leaves no gaps."""
    shape = input.form.shape
    axes = random.memory_order(input)
    steps, dense = strides(input), 1
    for axis in reversed(axes):
        if shape[axis] != 1 and steps[axis] != dense:
            return constant(shape, 0, held, Tensor)
        dense *= shape[axis]
    if axes == tuple(range(len(shape))) or memory_format not in (None, preserve_format):
        return constant(shape, 0, held, Tensor)
    made = constant(tuple(shape[a] for a in axes), 0, held, Tensor)
    return made.permute(inverse(axes))


def _like(name: str, fill):
    def function(input, *args, dtype=None, layout=None, device=None, requires_grad=False,
                 generator=None, memory_format=None, pin_memory=False, **named):  # fmt: skip
        held = input.form.dtype if dtype is None else engine_dtype(dtype)
        check_device(device)
        made = _laid_out_as(input, held, memory_format)
        return _finished(fill(made, *args, generator=generator, **named), requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"See `{name[:-5]}`; shape, type and order in memory of the input."
    return function


def _random_within(made, low=0, high=None, generator=None):
    low, high = (0, low) if high is None else (low, high)
    return random_(made, low, high, generator=generator)


rand_like = _like("rand_like", uniform_)
randn_like = _like("randn_like", normal_)
randint_like = _like("randint_like", _random_within)


# ---------- with parameters in tensors ----------
def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, device=None, out=None,
           requires_grad=False, layout=None, pin_memory=False):  # fmt: skip
    """Normal values of given mean and deviation, either of which may be a tensor."""
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not isinstance(std, Tensor):
        check_deviation(std)
    elif std.form.size and _seen((std < 0).any()):
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not given:
        if size is None:
            raise TypeError("normal() received an invalid combination of arguments")
        return _numbered_normal(mean, std, size, generator, dtype, device, out, requires_grad)
    both = given[0] if len(given) == 1 else given[0] + given[1]
    drawn = randn(both.form.shape, generator=generator, dtype=both.dtype)
    made = drawn * _held(std) + _held(mean)
    for x in given:
        if x.requires_grad:
            made = no_gradient_of(made, x)
    return into(out, made, *given)


def _held(x):
    return x.detach() if isinstance(x, Tensor) else x


def no_gradient_of(made: Tensor, x: Tensor) -> Tensor:
    """The same values; they count as made of x, whose gradient is 0."""
    from .arithmetic import where
    from .creation import zeros

    return where(zeros(made.form.shape, dtype=dtypes.bool), x, made)


def _numbered_normal(mean, std, size, generator, dtype, device, out, requires_grad):
    if out is not None:
        return normal_(out.resize_(size), mean, std, generator=generator)
    held = needs_floats("normal_kernel_cpu", _type(dtype, device))
    made = constant(_sizes("normal", (size,)), 0, held, Tensor)
    made = normal_(made, mean, std, generator=generator)
    return _finished(made, requires_grad)


def bernoulli(input, p=None, *, generator=None, out=None) -> Tensor:
    """1 with the probability that the element (or p) says, else 0."""
    if p is not None:
        return into(out, empty_like(input).bernoulli_(p, generator=generator), input)
    if input.form.dtype.kind != "f":
        short = dtypes.short_name(input.form.dtype)
        raise NotImplementedError(f"\"bernoulli_tensor_cpu_p_\" not implemented for '{short}'")
    probabilities = checked_probabilities(input.detach())
    drawn = random.bernoulli_each(stream(generator), probabilities, input.form.dtype)
    if out is None and input.requires_grad:
        return record2(_FLAT, drawn, input)
    return into(out, drawn)


# the first value, as a function of the second that does not change with it
_FLAT = Call("bernoulli", lambda attrs, value, x: with_gradient("bernoulli", value, (x,), _zero))


def _zero(g: Node, y: Node, x: Node) -> Node:
    return zeros(x.shape, x.dtype)


def checked_probabilities(p: Tensor) -> Tensor:
    """p; RuntimeError when the program runs and an element is no probability."""
    if not p.form.size:
        return p
    what = "Expected p_in >= 0 && p_in <= 1 to be true, but got false."
    return require(p, (p >= 0) & (p <= 1), what)


def _check_choice(input: Tensor, count: int, replacement: bool) -> None:
    if input.form.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if input.form.dtype.kind != "f":
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{dtypes.short_name(input.form.dtype)}"
        )
    if count <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and count > input.form.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if input.form.shape[-1] > 1 << 24:
        raise RuntimeError("number of categories cannot exceed 2^24")


def _checked_weights(weights: Tensor, replacement: bool) -> Tensor:
    """The weights; RuntimeError when the program runs and they are none."""
    if not weights.form.size:
        return weights
    what = "probability tensor contains either `inf`, `nan` or element < 0"
    if replacement:
        what = (
            "invalid multinomial distribution (encountering probability entry < 0, infinity or NaN)"
        )
    weights = require(weights, (weights >= 0) & (weights < float("inf")), what)
    nothing = "invalid multinomial distribution (sum of probabilities <= 0)"
    return require(weights, (weights != 0).any(-1), nothing)


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None) -> Tensor:
    """Indices drawn with the weights of each row."""
    if out is not None and out.form.dtype is not _long:
        short = dtypes.short_name(out.form.dtype)
        raise RuntimeError(f"multinomial expects Long tensor out, got: {short}")
    _check_choice(input, num_samples, replacement)
    weights = _checked_weights(input.detach(), replacement)
    drawn = random.choice(stream(generator), weights, num_samples, replacement)
    return into(out, drawn)


# ---------- by rejection ----------
def poisson(input, generator=None) -> Tensor:
    """Numbers of events where the input's elements are the rates."""
    needs_floats("poisson_cpu", input.form.dtype)
    rates = input.detach()
    if rates.form.size:
        what = "invalid Poisson rate, expected rate to be non-negative"
        rates = require(rates, ~(rates < 0), what)
    return random.poisson(stream(generator), rates)


def binomial(count, prob, generator=None) -> Tensor:
    """Numbers of successes in `count` trials of probability `prob`; one shape."""
    needs_floats("binomial_cpu", count.form.dtype)
    if count.form.dtype is not prob.form.dtype:
        raise RuntimeError(f"expected scalar type {dtypes.short_name(count.form.dtype)} but found "
                           f"{dtypes.short_name(prob.form.dtype)}")  # fmt: skip
    return random.binomial(stream(generator), count.detach(), prob.detach())


def _standard_gamma(self, generator=None) -> Tensor:
    """Gamma samples of scale 1. NotImplementedError where a gradient would be needed."""
    needs_floats("gamma", self.form.dtype)
    if self.requires_grad:
        raise NotImplementedError("_standard_gamma has no gradient")
    return random.gamma(stream(generator), self).clamp_min(_smallest(self))


def _smallest(t: Tensor) -> float:
    return dtypes.finfo(t.dtype).tiny


def _sample_dirichlet(self, generator=None) -> Tensor:
    """Shares along the last axis, in which gamma samples stand to each other."""
    needs_floats("dirichlet", self.form.dtype)
    drawn = random.gamma(stream(generator), self.detach().double())
    shares = drawn / drawn.sum(-1, keepdim=True)
    return shares.to(self.dtype).clamp_min(_smallest(self))


@attach("bernoulli")
def _bernoulli_method(self, p=None, *, generator=None) -> Tensor:
    return bernoulli(self, p, generator=generator)


Tensor.multinomial = multinomial
