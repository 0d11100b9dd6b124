"""`functional`'s normalisation: over features, groups, batches and neighbouring channels."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gemel.graph.form import float32
from gemel.graph.node import Node
from gemel.ops import norms, pooling, statistics
from gemel.ops.elementwise import cast, const, maximum, power, rsqrt
from gemel.ops.movement import reshape
from gemel.ops.record import Call
from gemel.tensor import no_grad, record1, record_again, record_many, record_n, write
from gemel.torch.checks import not_implemented
from gemel.torch.promotion import as_float
from gemel.torch.reductions import positions
from gemel.torch.tensor import Tensor

from .operands import checked, present, split


def _layer_norm(attrs, x, *rest):
    shape, epsilon, flags = attrs
    weight, bias = split(rest, flags)
    check_normalized(x, shape, weight, bias)
    if not x.dtype.is_smooth:
        raise not_implemented("LayerNormKernelImpl", x)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return statistics.layer_norm(x, axes, weight, bias, epsilon)


def check_normalized(x: Node, shape: tuple[int, ...], weight=None, bias=None) -> None:
    """PyTorch's checks of `normalized_shape` and of what has this shape."""
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            f"one element, but got normalized_shape = {list(shape)}"
        )
    for what, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != shape:
            raise RuntimeError(
                f"Expected {what} to be of same shape as normalized_shape, but got {what} of "
                f"shape {list(given.shape)} and normalized_shape = {list(shape)}"
            )
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        wanted = ", ".join(("*", *map(str, shape)))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{wanted}], but got "
            f"input of size{list(x.shape)}"
        )


def _rms_norm(attrs, x, weight=None):
    shape, epsilon = attrs
    check_normalized(x, shape, weight)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    y = x * rsqrt(statistics.mean(x * x, axes, True) + epsilon)
    return y if weight is None else y * weight


def _group_norm(attrs, x, *rest):
    groups, epsilon, flags = attrs
    weight, bias = split(rest, flags)
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    n, channels = x.shape[:2]
    for what, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != (channels,):
            raise RuntimeError(
                f"Expected {what} to be a vector of size equal to the number of channels in "
                f"input, but got {what} of shape {list(given.shape)} and input of shape "
                f"{list(x.shape)}"
            )
    if channels % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(x.shape)} and num_groups={groups}"
        )
    grouped = reshape(x, (n, groups, prod(x.shape[1:]) // groups))
    y = reshape(statistics.normalize(grouped, 2, epsilon), x.shape)
    return _scaled(y, weight, bias)


def _channel(v: Node | None, ndim: int) -> Node | None:
    """A value per channel beside a tensor with channels on axis 1."""
    return None if v is None else reshape(v, (v.form.size,) + (1,) * (ndim - 2))


def _scaled(y: Node, weight: Node | None, bias: Node | None) -> Node:
    """y times weight plus bias, per channel (axis 1)."""
    y = y if weight is None else y * _channel(weight, y.ndim)
    return y if bias is None else y + _channel(bias, y.ndim)


def _batch_norm_train(attrs, x, *rest):
    """Returns (normalised, mean, unbiased variance)."""
    epsilon, flags = attrs
    weight, bias = (_channel(v, x.ndim) for v in split(rest, flags))
    n = x.form.size // x.shape[1] if x.shape[1] else 0
    mean, variance = statistics.moments(x, (0, *range(2, x.ndim)))
    y = statistics.batch_norm(x, mean, variance, weight, bias, epsilon)
    unbiased = variance * (n / max(n - 1, 1))
    return y, reshape(mean, (x.shape[1],)), reshape(unbiased, (x.shape[1],))


def _batch_norm_eval(attrs, x, *rest):
    epsilon, flags = attrs
    mean, variance, *rest = (_channel(v, x.ndim) for v in rest)
    weight, bias = split(rest, flags)
    return statistics.batch_norm(x, mean, variance, weight, bias, epsilon)


def _instance_norm(attrs, x, *rest):
    """Each channel of each sample by its own moments: (normalised, and over all samples the mean
    and the unbiased variance)."""
    epsilon, flags = attrs
    weight, bias = (_channel(v, x.ndim) for v in split(rest, flags))
    n = x.form.size // max(x.shape[0] * x.shape[1], 1)
    mean, variance = statistics.moments(x, tuple(range(2, x.ndim)))
    y = statistics.batch_norm(x, mean, variance, weight, bias, epsilon)
    unbiased = variance * (n / max(n - 1, 1))
    rows = (x.shape[0], x.shape[1])
    return y, *(statistics.mean(reshape(v, rows), 0) for v in (mean, unbiased))


def _local_response_norm(attrs, x):
    size, alpha, beta, k = attrs
    row = (x.shape[1],)
    pool = pooling.Pool((1,), (size,), (1,), (1,), (size // 2,), row)
    mean = pooling.average_of_padded(x * x, pool, (size - 1 - size // 2,))
    x, mean = as_float(x, mean)
    return x / power(mean * alpha + k, beta)


def _mixed(expand: Callable) -> Callable:
    """Half inputs beside parameters in float32, as under autocast: computed in float32. The
    normalised values have the input's type, moments that of the parameters."""

    def apply(attrs, x: Node, *rest: Node):
        if not x.dtype.half or all(r.dtype is not float32 for r in rest):
            return expand(attrs, x, *rest)
        out = expand(attrs, cast(x, float32), *(cast(r, float32) for r in rest))
        if isinstance(out, tuple):
            return cast(out[0], x.dtype), *out[1:]
        return cast(out, x.dtype)

    return apply


LAYER_NORM = Call("layer_norm", _mixed(_layer_norm))
RMS_NORM = Call("rms_norm", _mixed(_rms_norm))
GROUP_NORM = Call("group_norm", _mixed(_group_norm))
BATCH_NORM_TRAIN = Call("batch_norm", _mixed(_batch_norm_train))
BATCH_NORM_EVAL = Call("batch_norm_eval", _mixed(_batch_norm_eval))
INSTANCE_NORM = Call("instance_norm", _mixed(_instance_norm))
LOCAL_RESPONSE_NORM = Call("local_response_norm", _local_response_norm)


def layer_norm(
    input: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """Zero mean and unit variance over the last dimensions, then weight and bias."""
    shape = tuple(normalized_shape)
    if weight is not None and bias is not None:
        operands, flags = (input, weight, bias), (True, True)
        found = record_again(LAYER_NORM, Tensor, operands, (shape, float(eps), flags))
        if found is not None:
            return found
    given, flags = present(weight, bias)
    operands = (checked("layer_norm", input), *given)
    return record_n(LAYER_NORM, Tensor, operands, (shape, float(eps), flags))


def rms_norm(
    input: Tensor, normalized_shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divided by the root of the mean square over the last dimensions, times weight."""
    given, _ = present(weight)
    if eps is None:
        from gemel.torch.dtypes import finfo

        eps = finfo(checked("rms_norm", input).dtype).eps
    attrs = (tuple(normalized_shape), float(eps))
    return record_n(RMS_NORM, Tensor, [checked("rms_norm", input), *given], attrs)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """Zero mean and unit variance over groups of channels, then weight and bias per channel."""
    given, flags = present(weight, bias)
    attrs = (num_groups, float(eps), flags)
    return record_n(GROUP_NORM, Tensor, [checked("group_norm", input), *given], attrs)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Normalise per channel (axis 1), by the batch's statistics in training, else by the running.

    In training the running statistics, where given, move towards the batch's by `momentum`.
    """
    given, flags = present(weight, bias)
    if not checked("batch_norm", input).numel():
        return _of_nothing(input, weight, bias)
    _check_running(input, running_mean, running_var, training)
    attrs = (float(eps), flags)
    if not training:
        operands = [input, running_mean, running_var, *given]
        return record_n(BATCH_NORM_EVAL, Tensor, operands, attrs)
    shape = input.form.shape
    if input.numel() == shape[1]:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    y, mean, variance = record_many(BATCH_NORM_TRAIN, Tensor, [input, *given], attrs)
    _move(((running_mean, mean), (running_var, variance)), momentum)
    return y


def _of_nothing(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """The result for an input without values, which weight and bias still get gradients of."""
    y = input.clone()
    y = y if weight is None else y * weight[0]
    return y if bias is None else y + bias[0]


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Normalise each channel of each sample; without `use_input_stats` by the running statistics.

    Running statistics, where given, move towards the mean over samples by `momentum`.
    """
    checked("instance_norm", input)
    given, flags = present(weight, bias)
    attrs = (float(eps), flags)
    if not use_input_stats:
        operands = [input, running_mean, running_var, *given]
        return record_n(BATCH_NORM_EVAL, Tensor, operands, attrs)
    if input.numel() == input.form.shape[0] * input.form.shape[1]:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    y, mean, variance = record_many(INSTANCE_NORM, Tensor, [input, *given], attrs)
    _move(((running_mean, mean), (running_var, variance)), momentum)
    return y


def _move(pairs, momentum: float) -> None:
    """Running values, where given, a step towards new ones, without history."""
    if all([running is None for running, _ in pairs]):
        return
    with no_grad():
        for running, new in pairs:
            if running is not None:
                write(running, running * (1.0 - momentum) + new.detach() * momentum)


def _check_running(input: Tensor, mean, variance, training: bool) -> None:
    if input.ndim < 2:
        raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")
    if not training and (mean is None or variance is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when training=False"
        )
    channels = input.form.shape[1]
    for name, running in (("running_mean", mean), ("running_var", variance)):
        if running is not None and running.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {running.numel()}")


def _normalize(attrs, x):
    order, dim, eps = attrs
    size = norms.vector_norm(x, float(order), positions(dim, x), True)
    return x / maximum(size, const(eps, size.dtype))


NORMALIZE = Call("normalize", _normalize)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along `dim`, which is kept above eps."""
    plain = isinstance(p, (int, float)) and isinstance(dim, int)
    if not plain or checked("normalize", input).form.dtype.kind != "f":
        return input / input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return record1(NORMALIZE, input, (repr(float(p)), dim, float(eps)))


def local_response_norm(
    input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of squares over `size` neighbouring channels) ** beta."""
    dim = checked("local_response_norm", input).ndim
    if dim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {dim} dimensions)")
    return record1(LOCAL_RESPONSE_NORM, input, (size, float(alpha), float(beta), float(k)))
