"""Layers by the names that PyTorch has for them inside: with their moments, or as a backward."""

from __future__ import annotations

from math import prod

from gemel.graph.form import bool_
from gemel.graph.node import Node
from gemel.ops import attention, statistics
from gemel.ops.elementwise import cast, rsqrt, where
from gemel.ops.movement import reshape
from gemel.ops.record import Call, const
from gemel.ops.reduction import sum_
from gemel.ops.unpooling import gathered_back
from gemel.tensor import no_grad, record1, record2, record3, record_many, write
from gemel.torch.checks import dimension
from gemel.torch.dtypes import engine_dtype
from gemel.torch.tensor import Tensor

from .operands import checked, present, split


# ---------- normalisation with its moments ----------
def _layer_norm(attrs, x: Node, *rest: Node):
    """(normalised, mean, 1 / deviation), the moments with axes of one cell."""
    count, epsilon, flags = attrs
    weight, bias = split(rest, flags)
    axes = tuple(range(x.ndim - count, x.ndim))
    center, variance = statistics.moments(x, axes)
    scale = rsqrt(variance + epsilon)
    y = (x - center) * scale
    y = y if weight is None else y * weight
    return y if bias is None else y + bias, center, scale


def _channels(v: Node, ndim: int) -> Node:
    return reshape(v, (v.form.size,) + (1,) * (ndim - 2))


def _group_norm(attrs, x: Node, *rest: Node):
    """(normalised, mean, 1 / deviation), the moments [N, groups]."""
    groups, epsilon, flags = attrs
    weight, bias = split(rest, flags)
    n = x.shape[0]
    grouped = reshape(x, (n, groups, prod(x.shape[1:]) // groups))
    center, variance = statistics.moments(grouped, (2,))
    scale = rsqrt(variance + epsilon)
    y = reshape((grouped - center) * scale, x.shape)
    y = y if weight is None else y * _channels(weight, x.ndim)
    y = y if bias is None else y + _channels(bias, x.ndim)
    return y, reshape(center, (n, groups)), reshape(scale, (n, groups))


def _batch_norm(attrs, x: Node, *rest: Node):
    """(normalised, mean, 1 / deviation, unbiased variance), the moments [C]."""
    epsilon, flags = attrs
    weight, bias = split(rest, flags)
    n = x.form.size // x.shape[1] if x.shape[1] else 0
    center, variance = statistics.moments(x, (0, *range(2, x.ndim)))
    scale = rsqrt(variance + epsilon)
    y = (x - center) * scale
    y = y if weight is None else y * _channels(weight, x.ndim)
    y = y if bias is None else y + _channels(bias, x.ndim)
    unbiased = variance * (n / max(n - 1, 1))
    return y, *(reshape(v, (x.shape[1],)) for v in (center, scale, unbiased))


LAYER_NORM = Call("native_layer_norm", _layer_norm)
GROUP_NORM = Call("native_group_norm", _group_norm)
BATCH_NORM = Call("native_batch_norm", _batch_norm)


def native_layer_norm(input: Tensor, normalized_shape, weight: Tensor | None,
                      bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
    """`layer_norm` with the mean and 1 / deviation that it used."""
    shape = tuple(normalized_shape)
    tail = tuple(checked("native_layer_norm", input).shape[input.ndim - len(shape) :])
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            f"one element, but got normalized_shape = {list(shape)}"
        )
    for what, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != shape:
            raise RuntimeError(
                f"Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{list(given.shape)} and normalized_shape = {list(shape)}"
            )
    if input.ndim < len(shape) or tail != shape:
        wanted = ", ".join(map(str, ("*", *shape)))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{wanted}], but got "
            f"input of size{list(input.shape)}"
        )
    given, flags = present(weight, bias)
    attrs = (len(shape), float(eps), flags)
    y, mean, scale = record_many(LAYER_NORM, Tensor, [input, *given], attrs)
    return y, mean.detach(), scale.detach()


def native_group_norm(input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int,
                      HxW: int, group: int, eps: float) -> tuple[Tensor, ...]:
    """`group_norm` with the mean and 1 / deviation that it used."""
    given, flags = present(weight, bias)
    attrs = (group, float(eps), flags)
    operands = [checked("native_group_norm", input), *given]
    return tuple(record_many(GROUP_NORM, Tensor, operands, attrs))


def _trained(input, weight, bias, running, momentum: float, eps: float):
    """(normalised, mean, 1 / deviation); running values move."""
    given, flags = present(weight, bias)
    attrs = (float(eps), flags)
    y, mean, scale, variance = record_many(BATCH_NORM, Tensor, [input, *given], attrs)
    with no_grad():
        for old, new in zip(running, (mean, variance), strict=True):
            if old is not None:
                write(old, old * (1.0 - momentum) + new.detach() * momentum)
    return y, mean.detach(), scale.detach()


def native_batch_norm(input: Tensor, weight: Tensor | None, bias: Tensor | None,
                      running_mean: Tensor | None, running_var: Tensor | None, training: bool,
                      momentum: float, eps: float) -> tuple[Tensor, ...]:
    """`batch_norm` with the mean and 1 / deviation of the batch (empty where not training)."""
    from .normalizing import batch_norm

    checked("native_batch_norm", input)
    if training:
        return _trained(input, weight, bias, (running_mean, running_var), momentum, eps)
    y = batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return y, input.new_empty((0,)), input.new_empty((0,))


def _native_batch_norm_legit(input: Tensor, weight: Tensor | None, bias: Tensor | None, *rest
                             ) -> tuple[Tensor, ...]:
    """`native_batch_norm`, also without running values (then three numbers follow)."""
    if len(rest) == 3:
        rest = (None, None, *rest)
    return native_batch_norm(input, weight, bias, *rest)


def _batch_norm_with_update(input: Tensor, weight: Tensor | None, bias: Tensor | None,
                            running_mean: Tensor, running_var: Tensor, momentum: float,
                            eps: float) -> tuple[Tensor, ...]:
    """`native_batch_norm` in training, and an empty tensor."""
    from gemel.torch.creation import empty
    from gemel.torch.dtypes import uint8

    running = (running_mean, running_var)
    return (*_trained(input, weight, bias, running, momentum, eps), empty(0, dtype=uint8))


# ---------- softmax ----------
def _softmax_backward(attrs, g: Node, y: Node) -> Node:
    axis, dtype = attrs
    if not y.ndim:
        return cast(y * (g - g), dtype)
    axis = dimension(axis, y.ndim)
    return cast(y * (g - sum_(g * y, axis, True)), dtype)


def _log_softmax_backward(attrs, g: Node, y: Node) -> Node:
    from gemel.ops.elementwise import EXP

    axis, dtype = attrs
    axis = dimension(axis, y.ndim)
    return cast(g - EXP(y) * sum_(g, axis, True), dtype)


def _safe(attrs, x: Node) -> Node:
    axis, dtype = attrs
    x = x if dtype is None else cast(x, dtype)
    if not x.ndim:
        return reshape(attention.safe_softmax(reshape(x, (1,)), 0), ())
    return attention.safe_softmax(x, dimension(axis, x.ndim))


SOFTMAX_BACKWARD = Call("softmax_backward_data", _softmax_backward)
LOG_SOFTMAX_BACKWARD = Call("log_softmax_backward_data", _log_softmax_backward)
SAFE_SOFTMAX = Call("safe_softmax", _safe)


def _softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype) -> Tensor:
    """The gradient of a softmax from its result."""
    attrs = (int(dim), engine_dtype(input_dtype))
    return record2(SOFTMAX_BACKWARD, grad_output, output, attrs)


def _log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int,
                               input_dtype) -> Tensor:
    """The gradient of a log-softmax from its result."""
    attrs = (int(dim), engine_dtype(input_dtype))
    return record2(LOG_SOFTMAX_BACKWARD, grad_output, output, attrs)


def _safe_softmax(input: Tensor, dim: int, dtype=None) -> Tensor:
    """softmax, but zeros where everything along `dim` is -inf."""
    held = None if dtype is None else engine_dtype(dtype)
    if held is None and input.form.dtype.kind != "f":
        raise NotImplementedError(
            f"\"softmax_kernel_impl\" not implemented for '{input.form.dtype.name}'"
        )
    return record1(SAFE_SOFTMAX, input, (int(dim), held))


# ---------- pooling ----------
def _max_pool_backward(attrs, g: Node, places: Node, x: Node) -> Node:
    back = gathered_back(g, places, attrs)
    return where(const(False, bool_), x, back)  # of the places' choice the gradient is zeros


MAX_POOL_BACKWARD = Call("max_pool_backward", _max_pool_backward)


def max_pool2d_with_indices_backward(grad_output: Tensor, self: Tensor, kernel_size, stride,
                                     padding, dilation, ceil_mode: bool,
                                     indices: Tensor) -> Tensor:
    """The gradient of `max_pool2d` from the places of its maxima."""
    size = tuple(self.shape[-2:])
    return record3(MAX_POOL_BACKWARD, grad_output, indices, self, size)
