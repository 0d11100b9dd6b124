"""PyTorch's own database of operations, run over `gemel.torch`.

An entry of the database has sample inputs for each dtype, and samples that must raise. Each check
calls PyTorch and Gemel with the same sample and compares:

    forward   results
    gradient  gradients of the results, weighted with random numbers
    second    gradients of those gradients
    method, inplace, operator   the other forms of the call
    out       with `out=`, of the right form and of an empty one
    errors    the class of the exception
    words     whether its text has what the database looks for
"""

from __future__ import annotations

import functools
import re
import types
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.testing._internal.common_device_type import toleranceOverride
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import SampleInput

import gemel.torch as ours

from .comparison import WIDER, equal, no_worse
from .translation import Missing, function_to_ours, ours_at, to_ours, to_torch, together

CHECKS = (
    "forward", "gradient", "second", "method", "inplace", "operator", "out", "errors", "words",
)  # fmt: skip


class NoError(AssertionError):
    """Nothing was raised where something must be."""


class LeftOut(Exception):
    """PyTorch has no gradient for a sample."""


class Tally(NamedTuple):
    """Of one entry, check and dtype: samples right, all of them, and what went wrong, shortly."""

    passed: int
    total: int
    faults: tuple[str, ...]


def entries() -> list[tuple[int, str]]:
    """(number, name) of each entry; several may have one name."""
    return [(i, op.name) for i, op in enumerate(op_db)]


def examine(
    number: int, checks: tuple[str, ...], dtypes: tuple[str, ...], most: int
) -> dict[tuple[str, str], Tally]:
    """All asked checks of an entry. most: samples of a dtype at most, evenly taken; 0: all."""
    warnings.simplefilter("ignore")
    op = op_db[number]
    found = {}
    for name in dtypes:
        dtype = getattr(torch, name)
        if dtype not in op.supported_dtypes("cpu"):
            continue
        for check in checks:
            runs = _RUNS[check](op, dtype)
            tally = _tally(op, runs, most)
            if tally.total:
                found[check, name] = tally
    return found


def _tally(op, runs: Iterator[Callable[[], None]], most: int) -> Tally:
    """Run them; each raises what is wrong."""
    all_runs = list(runs)
    if most and len(all_runs) > most:
        all_runs = all_runs[:: -(-len(all_runs) // most)]
    missing = _missing(op)
    if missing:
        return Tally(0, len(all_runs), (missing,))
    faults = []
    left_out = 0
    for run in all_runs:
        try:
            run()
        except LeftOut:
            left_out += 1
        except Exception as error:
            faults.append(_short(error))
    total = len(all_runs) - left_out
    return Tally(total - len(faults), total, tuple(dict.fromkeys(faults)))


def _missing(op) -> str:
    """What Gemel has no name for, or nothing."""
    try:
        function_to_ours(op.op)
    except Missing as error:
        return f"missing: {error}"
    return ""


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' | '.join(lines)[:300]}"


# ---------- what the checks share ----------
def _samples(op, dtype: torch.dtype, grad: bool = False) -> list:
    torch.manual_seed(0)
    return list(op.sample_inputs("cpu", dtype, requires_grad=grad))


def _tolerance(op, dtype: torch.dtype) -> tuple[float, float] | None:
    """The widest that the database has for this entry."""
    widest = None
    for info in op.decorators:
        for one in getattr(info, "decorators", (info,)):
            if isinstance(one, toleranceOverride) and dtype in one.d:
                tol = one.d[dtype]
                old = widest or (0.0, 0.0)
                widest = max(old[0], tol.rtol), max(old[1], tol.atol)
    if widest is None:
        return None
    rtol, atol = torch.testing._comparison.default_tolerances(dtype)
    return max(widest[0], rtol), max(widest[1], atol)


def _call(f, seed, first, args, kwargs):
    seed(1234)
    return f(first, *args, **kwargs)


def _theirs(f, sample):
    return _call(f, torch.manual_seed, sample.input, sample.args, sample.kwargs)


def _own(f, sample, first=None):
    given = to_ours(sample.input) if first is None else first
    return _call(f, ours.manual_seed, given, to_ours(sample.args), to_ours(sample.kwargs))


def _copied(x):
    """The sample's tensors again, so that neither side sees what the other writes."""
    if isinstance(x, torch.Tensor):
        return x.detach().clone(memory_format=torch.preserve_format).requires_grad_(x.requires_grad)
    if isinstance(x, list | tuple) and not hasattr(x, "_fields"):
        return type(x)(map(_copied, x))
    return x


# ---------- results ----------
def _forward(op, dtype) -> Iterator[Callable]:
    for sample in _samples(op, dtype):
        yield lambda s=sample: _same_results(op, dtype, op.op, s)


def _same_results(op, dtype, theirs, sample, own=None) -> None:
    own = function_to_ours(theirs) if own is None else own
    given = to_ours(sample.input)
    wide = _widened(sample) if dtype in WIDER else None
    wanted = _theirs(theirs, sample)
    found = to_torch(_own(own, sample, given))
    try:
        equal(op.name, found, wanted, _tolerance(op, dtype))
    except AssertionError as error:
        if wide is None:
            raise
        _accept(found, wanted, lambda: _theirs(theirs, wide), error)


def _accept(found, wanted, exact: Callable, difference: AssertionError) -> None:
    """Right as well: no farther from the result in a wider type than PyTorch's own. Raises the
    difference where it is not."""
    try:
        no_worse(found, wanted, exact())
    except Exception as error:
        raise difference from error


def _widened(sample):
    """A sample in wider types."""
    kwargs = {k: _wide(v) for k, v in sample.kwargs.items()}
    return SampleInput(_wide(sample.input), args=_wide(sample.args), kwargs=kwargs)


def _wide(x):
    if isinstance(x, torch.Tensor) and x.dtype in WIDER:
        return x.detach().to(WIDER[x.dtype], copy=True).requires_grad_(x.requires_grad)
    if isinstance(x, list | tuple) and not hasattr(x, "_fields"):
        return type(x)(map(_wide, x))
    return x


# ---------- gradients ----------
def _gradient(op, dtype) -> Iterator[Callable]:
    return _derived(op, dtype, op.supports_autograd, False)


def _second(op, dtype) -> Iterator[Callable]:
    return _derived(op, dtype, op.supports_autograd and op.supports_gradgrad, True)


def _derived(op, dtype, supported: bool, again: bool) -> Iterator[Callable]:
    if not supported or not (dtype.is_floating_point or dtype.is_complex):
        return
    if dtype not in op.supported_backward_dtypes("cpu"):
        return
    for sample in _samples(op, dtype, True):
        if _tensors_of((sample.input, sample.args, sample.kwargs), torch):
            yield lambda s=sample: _same_gradients(op, dtype, s, again)


def _same_gradients(op, dtype, sample, again: bool) -> None:
    finish = sample.output_process_fn_grad
    theirs = (sample.input, list(sample.args), sample.kwargs)
    given = to_ours(theirs)
    if again and op.name in _ONCE_ONLY:
        theirs = (*theirs[:2], sample.kwargs | _ONCE_ONLY[op.name])
    try:
        wanted = _gradients(torch, op.op, finish, theirs, again)
    except (RuntimeError, TypeError) as error:
        raise LeftOut from error
    if wanted is None:
        raise LeftOut
    found = _gradients(ours, function_to_ours(op.op), _finish(finish), given, again)
    assert found is not None, "no result has a gradient"
    exact = cache(lambda: _gradients(torch, op.op, finish, _widened_call(theirs), again))
    for at, (f, w) in enumerate(zip(found, wanted, strict=True)):
        if w is None and f is None:
            continue
        w = torch.zeros_like(to_torch(f)) if w is None else w
        f = torch.zeros_like(w) if f is None else to_torch(f)
        try:
            equal("", f, w, _tolerance(op, dtype))
        except AssertionError as error:
            difference = AssertionError(f"gradient {at}: {error}")
            _accept(f, w, lambda at=at: exact()[at], difference)


# Arguments for which PyTorch's documentation says that gradients of gradients are not supported (it
# gives zeros): those that ask for the implementation that has them, for PyTorch alone.
_ONCE_ONLY: dict[str, dict[str, Any]] = {"nn.functional.linear_cross_entropy": {"options": None}}


def _widened_call(given: tuple) -> tuple:
    first, args, kwargs = given
    return _wide(first), _wide(args), {k: _wide(v) for k, v in kwargs.items()}


@cache
def _finish(f):
    return function_to_ours(f)


def _tensors_of(x: Any, face) -> list:
    """Tensors that want gradients, in order."""
    if isinstance(x, face.Tensor):
        return [x] if x.requires_grad else []
    if isinstance(x, list | tuple):
        return [t for v in x for t in _tensors_of(v, face)]
    if isinstance(x, dict):
        return [t for k in sorted(x) for t in _tensors_of(x[k], face)]
    return []


def _gradients(face, f, finish, given, again: bool) -> list | None:
    """First gradients, or those of their weighted sum; None where nothing has a gradient."""
    inputs = _tensors_of(given, face)
    first, args, kwargs = given
    results = _tensors_of(finish(_call(f, face.manual_seed, first, args, kwargs)), face)
    if not results:
        return None
    weights = [_weights(face, r) for r in results]
    found = face.autograd.grad(results, inputs, weights, create_graph=again, allow_unused=True)
    if not again:
        return list(found)
    second = [g for g in found if g is not None and g.requires_grad]
    if not second:
        return [None] * len(inputs)
    weights = [_weights(face, g) for g in second]
    return list(face.autograd.grad(second, inputs, weights, allow_unused=True))


def _weights(face, like):
    """Numbers between 0.5 and 1.5, the same for both."""
    name = str(like.dtype).removeprefix("torch.")
    dtype = getattr(torch, name)
    g = torch.Generator().manual_seed(7)
    made = torch.rand(tuple(like.shape), generator=g, dtype=torch.float64) + 0.5
    if dtype.is_complex:
        other = torch.rand(tuple(like.shape), generator=g, dtype=torch.float64)
        made = torch.complex(made, other)
    made = made.to(dtype)
    return made if face is torch else to_ours(made)


# ---------- other forms of the call ----------
def _method(op, dtype) -> Iterator[Callable]:
    yield from _variant(op, dtype, op.method_variant)


def _operator(op, dtype) -> Iterator[Callable]:
    yield from _variant(op, dtype, op.operator_variant)


def _variant(op, dtype, variant) -> Iterator[Callable]:
    for sample in _written(op, dtype, variant):
        yield lambda s=sample: _same_results(op, dtype, variant, s, _own_form(variant))


def _written(op, dtype, variant) -> Iterator:
    """The samples that can be written so: an operator has no keywords."""
    keywords = not _is_operator(variant)
    for sample in _samples(op, dtype) if variant is not None else ():
        if isinstance(sample.input, torch.Tensor) and (keywords or not sample.kwargs):
            yield sample


def _is_operator(variant) -> bool:
    return getattr(variant, "__module__", None) in ("_operator", "operator")


def _own_form(variant):
    """Gemel's method of that name; operators are Python's own."""
    if _is_operator(variant):
        return variant
    if isinstance(variant, types.FunctionType | functools.partial):
        return function_to_ours(variant)
    return ours_at(f"Tensor.{variant.__name__}")


def _inplace(op, dtype) -> Iterator[Callable]:
    for variant in (op.inplace_variant, op.inplace_operator_variant):
        for sample in _written(op, dtype, variant):
            if not sample.broadcasts_input:
                yield lambda v=variant, s=sample: _same_writes(op, dtype, v, s)


def _same_writes(op, dtype, variant, sample) -> None:
    given = to_ours(sample.input)
    own = _own_form(variant)
    target = _copied(sample.input)
    try:
        wanted = _call(variant, torch.manual_seed, target, sample.args, sample.kwargs)
    except Exception as error:
        _must_raise(lambda: _own(own, sample, given), type(error))
        return
    found = _own(own, sample, given)
    assert found is given, "another tensor came back"
    equal(op.name, to_torch(found), wanted, _tolerance(op, dtype))


def _out(op, dtype) -> Iterator[Callable]:
    if not op.supports_out:
        return
    for sample in _samples(op, dtype):
        for empty in (False, True):
            yield lambda s=sample, e=empty: _same_out(op, dtype, s, e)


def _same_out(op, dtype, sample, empty: bool) -> None:
    wanted = _theirs(op.op, sample)
    if not isinstance(wanted, torch.Tensor | tuple):
        return
    own = function_to_ours(op.op)
    targets = _targets(wanted, empty)
    sample.kwargs.pop("out", None)
    ours.manual_seed(1234)
    given = to_ours((sample.input, list(sample.args), sample.kwargs))
    found = own(given[0], *given[1], **given[2], out=targets)
    if found is None:
        assert _theirs_gives_nothing(op, sample, wanted), "nothing came back"
    elif isinstance(targets, ours.Tensor):
        assert found is targets, "another tensor came back"
    else:
        assert all(a is b for a, b in zip(found, targets, strict=True)), "other tensors came back"
    equal(op.name, to_torch(targets), wanted, _tolerance(op, dtype))


def _theirs_gives_nothing(op, sample, wanted) -> bool:
    """Some functions give None where `out` is given."""
    targets = tuple(map(torch.empty_like, wanted))
    return op.op(sample.input, *sample.args, **sample.kwargs, out=targets) is None


def _targets(wanted, empty: bool):
    if isinstance(wanted, tuple):
        return tuple(_targets(w, empty) for w in wanted)
    shape = (0,) if empty else tuple(wanted.shape)
    return to_ours(torch.zeros(shape, dtype=wanted.dtype))


# ---------- errors ----------
def _errors(op, dtype) -> Iterator[Callable]:
    yield from _raising(op, dtype, False)


def _words(op, dtype) -> Iterator[Callable]:
    yield from _raising(op, dtype, True)


def _raising(op, dtype, words: bool) -> Iterator[Callable]:
    if op.error_inputs_func is None or dtype is not torch.float32:
        return
    torch.manual_seed(0)
    for given in op.error_inputs("cpu"):
        pattern = given.error_regex if words else None
        yield lambda g=given, p=pattern: _raises(op, g, p)


def _raises(op, given, pattern: str | None) -> None:
    sample = given.sample_input
    own = function_to_ours(op.op)
    with together():
        first, args, kwargs = to_ours((sample.input, sample.args, sample.kwargs))
    run = functools.partial(_call, own, ours.manual_seed, first, args, kwargs)
    try:
        _must_raise(run, given.error_type, pattern)
    except NoError:
        _theirs_must_not_raise(op, sample)


def _theirs_must_not_raise(op, sample) -> None:
    """Some samples are errors for another implementation of an operation only."""
    try:
        _theirs(op.op, sample)
    except Exception as error:
        raise NoError(f"no error for {_short(error)}") from None


def _must_raise(run: Callable, kind, pattern: str | None = None) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    try:
        result = run()
        to_torch(result)
    except Missing:
        raise
    except Exception as error:
        names = {k.__name__ for k in type(error).__mro__}
        asked = [k.__name__ for k in kinds]
        assert names.intersection(asked), f"{_short(error)} for a {' or '.join(asked)}"
        assert pattern is None or re.search(pattern, str(error)), (
            f"text {_short(error)!r} has no {pattern!r}"
        )
        return
    raise NoError(f"no error for a {' or '.join(k.__name__ for k in kinds)}")


_RUNS = {
    "forward": _forward,
    "gradient": _gradient,
    "second": _second,
    "method": _method,
    "inplace": _inplace,
    "operator": _operator,
    "out": _out,
    "errors": _errors,
    "words": _words,
}
