"""Transformations of functions, over the samples of PyTorch's database of operations.

    vmap       an operation over many inputs at once equals the loop over them
    jacobians  reverse mode equals forward mode equals finite differences, in float64

Both sides are Gemel: what is compared is a transformation with what it stands for. PyTorch gives
the samples, and says which are worth asking: those that its own loop can do.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db

import gemel.torch as ours

from .comparison import equal
from .opinfo import Tally, _finish, _tally
from .translation import function_to_ours, to_ours, to_torch

CHECKS = ("vmap", "jacobians")
LANES = 2
SMALL = 40  # values of an input or result whose Jacobian is taken
# what draws differs from lane to lane, what is unset has no value; others look at values
_LEFT_OUT = {
    "bernoulli", "multinomial", "normal", "randn", "randint", "rand_like", "randn_like",
    "randint_like", "empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided",
    "empty_permuted", "uniform", "cauchy", "exponential", "geometric", "log_normal",
    "nn.functional.dropout", "nn.functional.dropout2d", "nn.functional.dropout3d",
    "nn.functional.alpha_dropout", "nn.functional.feature_alpha_dropout", "nn.functional.rrelu",
    "nn.functional.fractional_max_pool2d", "nn.functional.fractional_max_pool3d",
    "nn.functional.scaled_dot_product_attention", "svd_lowrank", "pca_lowrank", "bincount",
    "nonzero", "argwhere", "unique", "unique_consecutive", "masked_select", "combinations",
    "resize_", "resize_as_", "item", "tensor_split", "repeat_interleave", "histogramdd",
    "allclose", "equal", "is_floating_point",
}  # fmt: skip


def examine(number: int, checks: tuple[str, ...], most: int) -> dict[tuple[str, str], Tally]:
    """The asked checks of an entry of the database. most: samples at most."""
    warnings.simplefilter("ignore")
    op = op_db[number]
    found = {}
    for check in checks:
        tally = _tally(op, _RUNS[check](op), most)
        if tally.total:
            found[check, "float32" if check == "vmap" else "float64"] = tally
    return found


def _samples(op, dtype: torch.dtype) -> list:
    if op.name in _LEFT_OUT or dtype not in op.supported_dtypes("cpu"):
        return []
    torch.manual_seed(0)
    found = list(op.sample_inputs("cpu", dtype))
    return sorted(found, key=lambda s: sum(x.numel() for x in _tensors(s)))


def _tensors(sample) -> list[torch.Tensor]:
    return _flat((sample.input, sample.args, sample.kwargs))


def _flat(x: Any) -> list[torch.Tensor]:
    if isinstance(x, torch.Tensor):
        return [x]
    if isinstance(x, list | tuple):
        return [t for v in x for t in _flat(v)]
    if isinstance(x, dict):
        return [t for v in x.values() for t in _flat(v)]
    return []


def _replaced(x: Any, rest: Iterator, kind: type) -> Any:
    """The same structure with its tensors replaced in order."""
    if isinstance(x, kind):
        return next(rest)
    if isinstance(x, list | tuple) and not hasattr(x, "_fields"):
        return type(x)(_replaced(v, rest, kind) for v in x)
    if isinstance(x, dict):
        return {k: _replaced(v, rest, kind) for k, v in x.items()}
    return x


# ---------- vmap ----------
def _vmap(op) -> Iterator[Callable]:
    for sample in _samples(op, torch.float32):
        tensors = _tensors(sample)
        if not tensors or any(not _plain(x) for x in tensors):
            continue
        if _loop_of(op, sample) is None:
            continue
        for many in _patterns(tensors):
            yield lambda s=sample, m=many: _as_loop_or_refused(op, s, m)


def _plain(x: torch.Tensor) -> bool:
    return x.layout is torch.strided and not x.is_nested


def _patterns(tensors: list) -> list[list[bool]]:
    """Which tensors have lanes: all of them, or the first."""
    every = [True] * len(tensors)
    return [every] if len(tensors) == 1 else [every, [True] + [False] * (len(tensors) - 1)]


def _lanes(x: torch.Tensor) -> list[torch.Tensor]:
    """Several values of x's kind: itself, and turned around."""
    other = x.detach().flip(tuple(range(x.ndim))) if x.is_floating_point() else x.detach()
    return [x.detach(), other.clone()]


def _loop_of(op, sample) -> list | None:
    """PyTorch's result per lane; None where it has none, or forms that differ."""
    tensors = _tensors(sample)
    rows = []
    for k in range(LANES):
        rest = iter([_lanes(x)[k] for x in tensors])
        first, args, kwargs = _replaced(
            (sample.input, sample.args, sample.kwargs), rest, torch.Tensor
        )
        try:
            rows.append(_flat_result(op.op(first, *args, **kwargs)))
        except Exception:
            return None
    forms = [[(x.shape, x.dtype) for x in row] for row in rows]
    return rows if forms[0] and forms.count(forms[0]) == LANES else None


def _flat_result(x: Any) -> list[torch.Tensor]:
    if isinstance(x, torch.Tensor):
        return [x]
    if isinstance(x, list | tuple):
        return [t for v in x for t in _flat_result(v)]
    return []


def _own_results(x: Any) -> list:
    if isinstance(x, ours.Tensor):
        return [x]
    if isinstance(x, list | tuple):
        return [t for v in x for t in _own_results(v)]
    return []


def _as_loop_or_refused(op, sample, many: list[bool]) -> None:
    """What PyTorch's own vmap refuses (a shared tensor is written, say) may be refused."""
    try:
        _same_as_loop(op, sample, many)
    except RuntimeError:
        if not _refused(op, sample, many):
            raise


def _refused(op, sample, many: list[bool]) -> bool:
    def one(*tensors):
        first, args, kwargs = _replaced(
            (sample.input, sample.args, sample.kwargs), iter(tensors), torch.Tensor
        )
        return tuple(_flat_result(op.op(first, *args, **kwargs)))

    rows = zip(_tensors(sample), many, strict=True)
    given = [torch.stack(_lanes(x)) if m else x.detach() for x, m in rows]
    try:
        torch.vmap(one, tuple(0 if m else None for m in many))(*given)
    except Exception:
        return True
    return False


def _same_as_loop(op, sample, many: list[bool]) -> None:
    f = function_to_ours(op.op)
    lanes = [to_ours(_lanes(x)) for x in _tensors(sample)]
    rest = to_ours((sample.input, list(sample.args), sample.kwargs))

    def one(*tensors):
        first, args, kwargs = _replaced(rest, iter(tensors), ours.Tensor)
        return _own_results(f(first, *args, **kwargs))

    given = [ours.stack(x) if m else x[0] for x, m in zip(lanes, many, strict=True)]
    found = ours.vmap(one, tuple(0 if m else None for m in many))(*given)
    wanted = [
        one(*[x[k].clone() if m else x[0] for x, m in zip(lanes, many, strict=True)])
        for k in range(LANES)
    ]
    for place, wide in enumerate(found):
        row = torch.stack([to_torch(w[place]) for w in wanted])
        equal(op.name, to_torch(wide), row, (1e-4, 1e-5))


# ---------- Jacobians ----------
def _jacobians(op) -> Iterator[Callable]:
    if not op.supports_autograd or torch.float64 not in op.supported_backward_dtypes("cpu"):
        return
    for sample in _samples(op, torch.float64):
        if not all(map(_plain, _tensors(sample))):
            continue
        places = [k for k, x in enumerate(_tensors(sample)) if _smooth(x)]
        kept = _differentiable(op, sample, places[0]) if places else []
        if kept:
            yield lambda s=sample, k=places[0], kept=kept: _same_jacobians(op, s, k, kept)


def _differentiable(op, sample, place: int) -> list[int]:
    """Which of the results have a Jacobian by that tensor, as PyTorch says, and a small one."""
    tensors = [x.detach() for x in _tensors(sample)]
    tensors[place] = tensors[place].clone().requires_grad_()
    given = (sample.input, sample.args, sample.kwargs)
    first, args, kwargs = _replaced(given, iter(tensors), torch.Tensor)
    try:
        made = op.gradcheck_wrapper(op.op, first, *args, **kwargs)
    except RuntimeError:  # "not differentiable with respect to argument ..."
        return []
    results = _flat_result(sample.output_process_fn_grad(made))
    return [
        k
        for k, y in enumerate(results)
        if y.requires_grad and y.dtype is torch.float64 and y.numel() <= 4 * SMALL
    ]


def _smooth(x: torch.Tensor) -> bool:
    """May it be changed a little? Not if it is a part of something larger, or no number."""
    if x.dtype is not torch.float64 or not 0 < x.numel() <= SMALL:
        return False
    whole = x.untyped_storage().nbytes() == x.numel() * x.element_size()
    return whole and bool(x.isfinite().all())


def _same_jacobians(op, sample, place: int, kept: list[int]) -> None:
    # the database's wrapper keeps matrices symmetric, triangular, ... when they are changed
    f = functools.partial(function_to_ours(op.gradcheck_wrapper), function_to_ours(op.op))
    finish = _finish(sample.output_process_fn_grad)
    rest = to_ours((sample.input, list(sample.args), sample.kwargs))
    fixed = [to_ours(x) for x in _tensors(sample)]

    def of_one(x):
        tensors = [x if k == place else t for k, t in enumerate(fixed)]
        first, args, kwargs = _replaced(rest, iter(tensors), ours.Tensor)
        ours.manual_seed(1234)
        made = _own_results(finish(f(first, *args, **kwargs)))
        return tuple(made[k] for k in kept)

    x = fixed[place].detach()
    if not all(bool(y.isfinite().all()) for y in of_one(x)):
        return  # no place for differences
    back = ours.func.jacrev(of_one)(x)
    ahead = ours.func.jacfwd(of_one)(x)
    slopes = _differences(of_one, x)
    for k, rows in enumerate(zip(back, ahead, slopes, strict=True)):
        b, a, s = map(to_torch, rows)
        equal("", a, b, (1e-6, 1e-8))
        try:
            equal("", b, s, (1e-3, 1e-5))
        except AssertionError as error:
            raise AssertionError(f"differences of output {k}: {error}") from None


def _differences(f: Callable, x) -> list:
    """Central differences: for each output a tensor of its shape and then x's."""
    step = 1e-6
    columns = []
    for k in range(x.numel()):
        move = ours.zeros(x.numel(), dtype=x.dtype)
        move[k] = step
        move = move.reshape(x.shape)
        rows = zip(f(x + move), f(x - move), strict=True)
        columns.append([(high - low) / (2 * step) for high, low in rows])
    return [
        ours.stack([c[j] for c in columns], -1).reshape((*columns[0][j].shape, *x.shape))
        for j in range(len(columns[0]))
    ]


_RUNS = {"vmap": _vmap, "jacobians": _jacobians}
