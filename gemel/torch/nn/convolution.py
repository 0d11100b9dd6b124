"""`functional.conv1d` to `conv_transpose3d`: one call each, with PyTorch's checks and words."""

from __future__ import annotations

from collections.abc import Callable

from gemel.graph.node import Node
from gemel.ops import windows
from gemel.ops.movement import reshape
from gemel.ops.record import Call
from gemel.tensor import record2, record3
from gemel.torch.checks import wrong_argument
from gemel.torch.dtypes import short_name
from gemel.torch.tensor import Tensor

_AXES = (("width",), ("height", "width"), ("depth", "height", "width"))


def each(value, rank: int):
    """A setting per place: one number stands for all."""
    if value.__class__ is int:
        return (value,) * rank
    found = tuple(map(int, value))
    return found * rank if len(found) == 1 else found


def _check_settings(rank: int, stride, padding, dilation, groups: int) -> None:
    for name, given in (("stride", stride), ("padding", padding), ("dilation", dilation)):
        if not isinstance(given, str) and len(given) != rank:
            raise RuntimeError(
                f"expected {name} to be a single integer value or a list of {rank} values to "
                f"match the convolution dimensions, but got {name}={list(given)}"
            )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if not isinstance(padding, str) and min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")


def _check_types(name: str, rank: int, x: Node, weight: Node, bias: Node | None) -> None:
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got "
            f"input of size: {list(x.shape)}"
        )
    if weight.ndim < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if weight.ndim != rank + 2:
        raise RuntimeError(
            f"Expected {weight.ndim}-dimensional input for {weight.ndim}-dimensional weight"
            f"{list(weight.shape)}, but got {rank + 2}-dimensional input of size {list(x.shape)} "
            "instead"
        )
    for what, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype is not x.dtype:
            raise RuntimeError(
                f"Input type ({short_name(x.dtype).lower()}) and {what} type "
                f"({short_name(other.dtype).lower()}) should be the same"
            )


def _check_weight(x: Node, weight: Node, groups: int, transposed: bool) -> None:
    given = f"Given {'transposed=1' if transposed else f'groups={groups}'}"
    size = list(weight.shape)
    if weight.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {size} instead"
        )
    if weight.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{size}] instead"
        )
    wanted = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.shape[1] != wanted:
        raise RuntimeError(
            f"{given}, weight of size {size}, expected input{list(x.shape)} to have {wanted} "
            f"channels, but got {x.shape[1]} channels instead"
        )
    if 0 in weight.shape[2:]:
        sizes = zip(_AXES[weight.ndim - 3], weight.shape[2:], strict=True)
        listed = " ".join(f"kernel_{axis}: {n}" for axis, n in sizes)
        raise RuntimeError(f"kernel size should be greater than zero, but got {listed}")


def _check_bias(weight: Node, bias: Node | None, outputs: int, transposed: bool) -> None:
    if bias is not None and bias.shape != (outputs,):
        given = "Given transposed=1, weight" if transposed else "Given weight"
        raise RuntimeError(
            f"{given} of size {list(weight.shape)}, expected bias to be 1-dimensional with "
            f"{outputs} elements, but got bias of size {list(bias.shape)} instead"
        )


def _listed(sizes) -> str:
    return f"({' x '.join(map(str, sizes))})"


def _widths(padding, x: Node, window, stride, dilation) -> windows.Widths:
    """Padding (before, after) per place; 'same' keeps the size and puts the odd cell last."""
    if padding == "valid":
        return ((0, 0),) * len(window)
    if padding == "same":
        if set(stride) != {1}:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        totals = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if isinstance(padding, str):
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    return tuple((p, p) for p in padding)


def _batched(build: Callable[..., Node]) -> Callable[..., Node]:
    """An expansion that also takes an input without a batch axis."""

    def expand(attrs, x: Node, weight: Node, bias: Node | None = None) -> Node:
        name, rank = attrs[:2]
        _check_settings(rank, *attrs[2:6])
        _check_types(name, rank, x, weight, bias)
        if x.ndim == rank + 2:
            return build(attrs, x, weight, bias)
        y = build(attrs, reshape(x, (1, *x.shape)), weight, bias)
        return reshape(y, y.shape[1:])

    return expand


def _convolution(attrs, x: Node, weight: Node, bias: Node | None) -> Node:
    _, rank, stride, padding, dilation, groups = attrs
    _check_weight(x, weight, groups, False)
    _check_bias(weight, bias, weight.shape[0], False)
    window = weight.shape[2:]
    how = windows.Convolution(
        stride, dilation, _widths(padding, x, window, stride, dilation), groups
    )
    for n, k, d, (a, b) in zip(x.shape[2:], window, dilation, how.widths, strict=True):
        if n + a + b < (k - 1) * d + 1:
            have = [n + a + b for n, (a, b) in zip(x.shape[2:], how.widths, strict=True)]
            need = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
            raise RuntimeError(
                f"Calculated padded input size per channel: {_listed(have)}. Kernel size: "
                f"{_listed(need)}. Kernel size can't be greater than actual input size"
            )
    return windows.convolution(x, weight, how, bias)


def _transposed(attrs, y: Node, weight: Node, bias: Node | None) -> Node:
    _, rank, stride, padding, dilation, groups, extra = attrs
    _check_weight(y, weight, groups, True)
    _check_bias(weight, bias, weight.shape[1] * groups, True)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        listed = [
            f"{name}_{axis}: {n}"
            for name, given in (("output_padding", extra), ("stride", stride),
                                ("dilation", dilation))
            for axis, n in zip(_AXES[rank - 1], given, strict=True)
        ]  # fmt: skip
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            + " ".join(listed)
        )
    rows = zip(y.shape[2:], weight.shape[2:], stride, padding, dilation, extra, strict=True)
    places = [(n - 1) * s - 2 * p + (k - 1) * d + e + 1 for n, k, s, p, d, e in rows]
    if min(places) < 1:
        raise RuntimeError(
            f"Given input size per channel: {_listed(y.shape[2:])}. Calculated output size per "
            f"channel: {_listed(places)}. Output size is too small"
        )
    how = windows.Convolution(stride, dilation, tuple((p, p) for p in padding), groups)
    return windows.transposed(y, weight, places, how, bias)


CONVOLUTION = Call("convolution", _batched(_convolution))
TRANSPOSED = Call("conv_transpose", _batched(_transposed))


def _recorded(call: Call, name: str, input, weight, bias, attrs) -> Tensor:
    for place, (what, given) in enumerate((("input", input), ("weight", weight)), 1):
        if not isinstance(given, Tensor):
            raise wrong_argument(name, what, place, given)
    if bias is None:
        return record2(call, input, weight, attrs)
    return record3(call, input, weight, bias, attrs)


def _conv(rank: int):
    name = f"conv{rank}d"

    def function(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0,
                 dilation=1, groups: int = 1) -> Tensor:
        padding = padding if isinstance(padding, str) else each(padding, rank)
        attrs = (name, rank, each(stride, rank), padding, each(dilation, rank), groups)
        return _recorded(CONVOLUTION, name, input, weight, bias, attrs)

    return _named(function, name, f"""Convolution over {rank} dimension(s).

    input [N, C, ...] or [C, ...], weight [O, C / groups, ...], bias [O]; one floating or integer
    type. `padding` is a number, one per dimension, 'valid' or 'same'. Result [N, O, ...].
    RuntimeError where sizes do not fit.
    """)  # fmt: skip


def _conv_transpose(rank: int):
    name = f"conv_transpose{rank}d"

    def function(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0,
                 output_padding=0, groups: int = 1, dilation=1) -> Tensor:
        settings = (each(stride, rank), each(padding, rank), each(dilation, rank), groups)
        attrs = (name, rank, *settings, each(output_padding, rank))
        return _recorded(TRANSPOSED, name, input, weight, bias, attrs)

    return _named(function, name, f"""Transposed convolution over {rank} dimension(s): the gradient
    of a convolution for its input, as an operation of its own.

    input [N, C, ...] or [C, ...], weight [C, O / groups, ...], bias [O]. Result [N, O, ...].
    RuntimeError where sizes do not fit.
    """)  # fmt: skip


def _named(function, name: str, text: str):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


conv1d, conv2d, conv3d = (_conv(rank) for rank in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (_conv_transpose(r) for r in (1, 2, 3))
