"""`keras.ops.nn`: activations, softmax, cross entropies, normalisation, attention, one-hot.

What softmax and sigmoid are made from stays with their result, so that a cross entropy that is
given the result works from the logits, as it does on TensorFlow.
"""

from __future__ import annotations

import math
import warnings

from keras.src import backend

from gemel import tensor as lazy
from gemel.graph.errors import Fault
from gemel.graph.form import int64
from gemel.ops import activations as A
from gemel.ops import elementwise as E
from gemel.ops import losses as L
from gemel.ops import movement as M
from gemel.ops import ordering as O
from gemel.ops import rearrange as P
from gemel.ops import reduction as R
from gemel.ops import statistics, tiled_attention
from gemel.ops.elementwise import cast as cast_node
from gemel.ops.record import Call, const

from .convolution import (  # noqa: F401
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    conv,
    conv_transpose,
    depthwise_conv,
    fold,
    max_pool,
    separable_conv,
    unfold,
)
from .errors import invalid_argument
from .missing import refuse
from .reductions import REDUCTIONS
from .shaping import position, positions, reshape, split, transpose
from .tensors import (
    apply_many,
    cast,
    dtype_of,
    float_dtype,
    kind_of,
    result_dtype,
    tensor,
    to_dtype,
)


def _activation(name: str, build):
    call = Call(name, lambda attrs, x: build(x, *attrs[0]))

    def op(x, *settings) -> lazy.Tensor:
        x = tensor(x)
        return lazy.record1(call, to_dtype(x, float_dtype(x)), (settings,))

    op.__name__ = op.__qualname__ = name
    return op


_relu = _activation("relu", A.relu)
_sigmoid = _activation("sigmoid", E.SIGMOID)
_softplus = _activation("softplus", lambda x: E.maximum(x, 0.0) + E.LOG1P(E.EXP(-E.ABS(x))))
relu6 = _activation("relu6", A.relu6)
tanh = _activation("tanh", E.TANH)
tanh_shrink = _activation("tanh_shrink", lambda x: x - E.TANH(x))
softsign = _activation("softsign", A.softsign)
sparse_plus = _activation("sparse_plus", A.sparse_plus)
sparse_sigmoid = _activation("sparse_sigmoid", A.sparse_sigmoid)
silu = _activation("silu", A.silu)
log_sigmoid = _activation("log_sigmoid", A.log_sigmoid)
hard_sigmoid = _activation("hard_sigmoid", A.hard_sigmoid)
hard_silu = _activation("hard_silu", A.hard_swish)
selu = _activation("selu", A.selu)
hard_tanh = _activation("hard_tanh", lambda x: A.hard_tanh(x, -1.0, 1.0))
_elu = _activation("elu", A.elu)
_celu = _activation(
    "celu", lambda x, a: E.maximum(x, 0.0) + E.EXPM1(E.minimum(x, 0.0) * (1.0 / a)) * a
)
_gelu = _activation("gelu", A.gelu)
_leaky_relu = _activation("leaky_relu", A.leaky_relu)
_soft_shrink = _activation("soft_shrink", A.soft_shrink)
_hard_shrink = _activation("hard_shrink", A.hard_shrink)
_square_plus = _activation("squareplus", A.square_plus)
_threshold = _activation(
    "threshold", lambda x, low, other: E.where(E.gt(x, low), x, const(other, x.dtype))
)


def relu(x) -> lazy.Tensor:
    """max(x, 0), of integers too."""
    x = tensor(x)
    return _relu(x) if x.form.dtype.is_float else lazy.record1(_RELU, x)


_RELU = Call("relu", lambda attrs, x: A.relu(x))


def softplus(x) -> lazy.Tensor:
    return _softplus(x)


def elu(x, alpha=1.0) -> lazy.Tensor:
    return _elu(x, float(alpha))


def celu(x, alpha=1.0) -> lazy.Tensor:
    return _celu(x, float(alpha))


def gelu(x, approximate=True) -> lazy.Tensor:
    return _gelu(x, bool(approximate))


def leaky_relu(x, negative_slope=0.2) -> lazy.Tensor:
    return _leaky_relu(x, float(negative_slope))


def soft_shrink(x, threshold=0.5) -> lazy.Tensor:
    return _soft_shrink(x, float(threshold))


def hard_shrink(x, threshold=0.5) -> lazy.Tensor:
    return _hard_shrink(x, float(threshold))


def squareplus(x, b=4) -> lazy.Tensor:
    return _square_plus(x, float(b))


def threshold(x, threshold, default_value) -> lazy.Tensor:
    return _threshold(x, float(threshold), float(default_value))


def glu(x, axis=-1) -> lazy.Tensor:
    x = tensor(x)
    if x.form.shape[axis] % 2:
        raise ValueError(
            f"axis size must be divisible by 2. Received: x.shape={x.form.shape} with axis={axis}"
        )
    a, b = split(x, 2, axis)
    return a * _sigmoid(b)


def _remember(output: lazy.Tensor, logits: lazy.Tensor) -> lazy.Tensor:
    output._keras_logits = logits
    return output


def sigmoid(x) -> lazy.Tensor:
    x = tensor(x)
    return _remember(_sigmoid(x), x)


_SOFTMAX = Call("softmax", lambda attrs, x: A.softmax(x, attrs[0]))
_LOG_SOFTMAX = Call("log_softmax", lambda attrs, x: A.log_softmax(x, attrs[0]))


def _along(call, x, axis):
    if axis is None:
        flat = reshape(x, (-1,))
        return reshape(lazy.record1(call, flat, (0,)), x.form.shape)
    if isinstance(axis, (tuple, list)):
        return lazy.record1(call, x, (positions(axis, x.form.ndim),))
    return lazy.record1(call, x, (position(axis, x.form.ndim),))


def softmax(x, axis=-1) -> lazy.Tensor:
    x = tensor(x)
    x = to_dtype(x, float_dtype(x))
    return _remember(_along(_SOFTMAX, x, axis), x)


def log_softmax(x, axis=-1) -> lazy.Tensor:
    x = tensor(x)
    return _along(_LOG_SOFTMAX, to_dtype(x, float_dtype(x)), axis)


def _sparsemax(attrs, x):
    """Martins and Astudillo 2016: the Euclidean projection onto the simplex."""
    axis = attrs[0]
    ranked, _ = P.sort(x, axis, True)
    total = O.running_sum(ranked, axis)
    count = cast_node(M.iota(x.shape, axis, int64) + 1, x.dtype)
    inside = E.gt(ranked - (total - 1.0) / count, 0.0)
    size = R.sum_(cast_node(inside, x.dtype), axis, True)
    cut = (R.sum_(E.where(inside, ranked, 0.0), axis, True) - 1.0) / size
    return E.maximum(x - cut, 0.0)


_SPARSEMAX = Call("sparsemax", _sparsemax)


def sparsemax(x, axis=-1) -> lazy.Tensor:
    x = tensor(x)
    return lazy.record1(_SPARSEMAX, x, (position(axis, x.form.ndim),))


# ---------- one-hot ----------
_ONE_HOT = Call(
    "one_hot",
    lambda attrs, x: cast_node(L.one_hot(x, attrs[0], attrs[1]), attrs[2]),
    differentiable=False,
)


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False) -> lazy.Tensor:
    """Classes out of range (-1 among them) give a row of zeros."""
    if sparse:
        raise ValueError("Unsupported value `sparse=True` with the gemel backend")
    x = to_dtype(tensor(x), int64)
    axis = position(axis, x.form.ndim + 1)
    return lazy.record1(_ONE_HOT, x, (int(num_classes), axis, dtype_of(dtype or "float32")))


def multi_hot(x, num_classes, axis=-1, dtype=None, sparse=False) -> lazy.Tensor:
    x = tensor(x)
    rows = one_hot(x, num_classes, axis, dtype, sparse)
    return REDUCTIONS["max"](rows, 1 if x.form.ndim > 1 else 0)


# ---------- cross entropies ----------
def _from_logits(output, from_logits: bool, function: str, maker: str):
    """(values, are they logits): the remembered logits of a softmax or sigmoid are preferred."""
    logits = output.__dict__.get("_keras_logits") if isinstance(output, lazy.Tensor) else None
    if logits is None:
        return tensor(output), from_logits
    if from_logits:
        warnings.warn(
            f'"`{function}` received `from_logits=True`, but the `output` argument was produced '
            f"by a {maker} activation and thus does not represent logits. Was this intended?",
            stacklevel=3,
        )
    return logits, True


def _check_alike(target, output) -> None:
    a, b = target.form.shape, output.form.shape
    received = f"Received: target.shape={a}, output.shape={b}"
    if len(a) != len(b):
        raise ValueError(
            f"Arguments `target` and `output` must have the same rank (ndim). {received}"
        )
    if a != b:
        raise ValueError(f"Arguments `target` and `output` must have the same shape. {received}")


def _clipped(p, epsilon: float):
    """Probabilities kept away from 0 and 1, where logarithms end."""
    return E.minimum(E.maximum(p, epsilon), 1.0 - epsilon)


def _categorical(attrs, target, output):
    axis, logits, epsilon = attrs
    target = cast_node(target, output.dtype)
    if logits:
        return L.soft_cross_entropy(output, target, axis)
    output = output / R.sum_(output, axis, True)
    return -R.sum_(target * E.LOG(_clipped(output, epsilon)), axis)


_CATEGORICAL = Call("categorical_crossentropy", _categorical)


def categorical_crossentropy(target, output, from_logits=False, axis=-1) -> lazy.Tensor:
    target = tensor(target)
    output, from_logits = _from_logits(
        output, from_logits, "categorical_crossentropy", "softmax"
    )
    if not target.form.ndim:
        raise ValueError(
            "Arguments `target` and `output` must be at least rank 1. Received: "
            f"target.shape={target.form.shape}, output.shape={output.form.shape}"
        )
    _check_alike(target, output)
    attrs = (position(axis, output.form.ndim), bool(from_logits), backend.epsilon())
    return lazy.record2(_CATEGORICAL, target, output, attrs)


def _sparse_categorical(attrs, target, output):
    logits, epsilon = attrs
    n = output.shape[-1]
    fault = Fault(
        invalid_argument(),
        f"a label value of {{value}} is outside the valid range of [0, {n})",
    )
    labels = E.check_range(cast_node(target, int64), 0, n, fault)
    if not logits:
        output = E.LOG(_clipped(output, epsilon))
    return L.cross_entropy(output, labels, output.ndim - 1)


_SPARSE_CATEGORICAL = Call("sparse_categorical_crossentropy", _sparse_categorical)


def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1) -> lazy.Tensor:
    output, from_logits = _from_logits(
        output, from_logits, "sparse_categorical_crossentropy", "softmax"
    )
    target = tensor(target)
    shape = output.form.shape
    if axis != -1 and axis != len(shape) - 1:
        raise ValueError(f"Only axis=-1 is currently supported. Received: axis={axis}")
    if not shape:
        raise ValueError(
            f"Argument `output` must be at least rank 1. Received: output.shape={shape}"
        )
    if len(target.form.shape) == len(shape) and target.form.shape[-1] == 1:
        target = reshape(target, target.form.shape[:-1])
    received = f"Received: target.shape={target.form.shape}, output.shape={shape}"
    if len(target.form.shape) != len(shape) - 1:
        raise ValueError(f"Argument `output` must have rank (ndim) `target.ndim - 1`. {received}")
    if target.form.shape != shape[:-1]:
        raise ValueError(
            "Arguments `target` and `output` must have the same shape up until the last "
            f"dimension: {received}"
        )
    return lazy.record2(
        _SPARSE_CATEGORICAL, target, output, (bool(from_logits), backend.epsilon())
    )


def _binary(attrs, target, output):
    logits, epsilon = attrs
    target = cast_node(target, output.dtype)
    if logits:
        return L.binary_cross_entropy_logits(output, target)
    p = _clipped(output, epsilon)
    return -(target * E.LOG(p) + (1.0 - target) * E.LOG(1.0 - p))


_BINARY = Call("binary_crossentropy", _binary)


def binary_crossentropy(target, output, from_logits=False) -> lazy.Tensor:
    target = tensor(target)
    output, from_logits = _from_logits(output, from_logits, "binary_crossentropy", "sigmoid")
    _check_alike(target, output)
    return lazy.record2(_BINARY, target, output, (bool(from_logits), backend.epsilon()))


# ---------- normalisation ----------
def _moments(attrs, x):
    axes, keepdims = attrs
    return statistics.mean(x, axes, keepdims), statistics.variance(x, axes, keepdims)


_MOMENTS = Call("moments", _moments)


def moments(x, axes, keepdims=False, synchronized=False) -> tuple:
    if synchronized:
        raise NotImplementedError("Argument synchronized=True is not supported with Gemel.")
    x = tensor(x)
    return tuple(apply_many(_MOMENTS, x, attrs=(positions(axes, x.form.ndim), bool(keepdims))))


def _normalized(attrs, x, mean, variance, *rest):
    axis, epsilon, has_offset, has_scale = attrs
    thin = [1] * x.ndim
    thin[axis] = mean.shape[0]
    mean, variance, *rest = (M.reshape(v, thin) for v in (mean, variance, *rest))
    offset = rest[0] if has_offset else None
    scale = rest[-1] if has_scale else None
    return statistics.batch_norm(x, mean, variance, scale, offset, epsilon)


_BATCH_NORM = Call("batch_normalization", _normalized)


def batch_normalization(
    x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3
) -> lazy.Tensor:
    x = tensor(x)
    given = [tensor(v) for v in (mean, variance, offset, scale) if v is not None]
    operands = (x, *(to_dtype(v, x.form.dtype) for v in given))
    attrs = (position(axis, x.form.ndim), float(epsilon), offset is not None, scale is not None)
    return lazy.record_n(_BATCH_NORM, x.kin, operands, attrs)


# ---------- attention ----------
def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
) -> lazy.Tensor:
    if flash_attention:
        raise ValueError("Flash attention is not supported with the gemel backend.")
    query, key, value = (tensor(v) for v in (query, key, value))
    if query.form.ndim != 4:
        raise ValueError(
            "`dot_product_attention` only supports 4D inputs. Received: "
            f"query.shape={query.form.shape}, key.shape={key.form.shape}, "
            f"value.shape={value.form.shape}."
        )
    dtype = result_dtype(*(kind_of(v) for v in (query, key, value)))
    query, key, value = (to_dtype(v, dtype) for v in (query, key, value))
    if query.form.shape[2] % key.form.shape[2]:
        raise ValueError(
            "The heads of `query` must be a multiple of those of `key` and `value`. Received: "
            f"query.shape={query.form.shape}, key.shape={key.form.shape}"
        )
    scale = 1.0 / math.sqrt(key.form.shape[-1]) if scale is None else scale
    hidden = _hidden(query, key, mask, is_causal and mask is not None, dtype)
    added = None if bias is None else to_dtype(tensor(bias), dtype)
    if hidden is not None:
        added = hidden if added is None else added + hidden
    attrs = (bool(is_causal and mask is None), float(scale), tiled_attention.enabled[0])
    operands = [query, key, value, *([] if added is None else [added])]
    return lazy.record_n(_ATTENTION, query.kin, operands, attrs)


def _attended(attrs, query, key, value, added=None):
    """[B, T, N, H], as are key and value; grouped heads share one of theirs."""
    q, k, v = (M.permute(x, (0, 2, 1, 3)) for x in (query, key, value))
    causal, scale, tiled = attrs
    found = tiled_attention.attention(q, k, v, added, causal, scale, tiled)
    return M.permute(found, (0, 2, 1, 3))


_ATTENTION = Call("dot_product_attention", _attended)


def _hidden(query, key, mask, is_causal: bool, dtype):
    """What makes logits that must not count a large negative number; None where all count."""
    from .arithmetic import OPS, where
    from .creation import ones, tril

    found = None if mask is None else cast(mask, "bool")
    if is_causal:
        causal = tril(ones((query.form.shape[1], key.form.shape[1]), "bool"))
        found = OPS["logical_and"](found, causal)
    if found is None:
        return None
    return to_dtype(where(found, 0.0, -0.7 * 3.38953e38), dtype)


# ---------- pixels ----------
def depth_to_space(x, block_size, data_format="channels_last") -> lazy.Tensor:
    x = tensor(x)
    b = block_size
    if data_format == "channels_last":
        n, h, w, c = x.form.shape
        x = reshape(x, (n, h, w, b, b, c // b**2))
        return reshape(transpose(x, (0, 1, 3, 2, 4, 5)), (n, h * b, w * b, c // b**2))
    n, c, h, w = x.form.shape
    x = reshape(x, (n, c // b**2, b, b, h, w))
    return reshape(transpose(x, (0, 1, 4, 2, 5, 3)), (n, c // b**2, h * b, w * b))


def space_to_depth(x, block_size, data_format="channels_last") -> lazy.Tensor:
    x = tensor(x)
    b = block_size
    if data_format == "channels_last":
        n, h, w, c = x.form.shape
        x = reshape(x, (n, h // b, b, w // b, b, c))
        return reshape(transpose(x, (0, 1, 3, 2, 4, 5)), (n, h // b, w // b, c * b**2))
    n, c, h, w = x.form.shape
    x = reshape(x, (n, c, h // b, b, w // b, b))
    return reshape(transpose(x, (0, 1, 3, 5, 2, 4)), (n, c * b**2, h // b, w // b))


def psnr(x1, x2, max_val) -> lazy.Tensor:
    from .arithmetic import OPS

    a, b = tensor(x1), tensor(x2)
    if a.form.shape != b.form.shape:
        raise ValueError(
            f"Input shapes {a.form.shape} and {b.form.shape} must match for PSNR calculation. "
        )
    error = REDUCTIONS["mean"](OPS["square"](a - b))
    return (2.0 * math.log(max_val) - OPS["log"](error)) * (10.0 / math.log(10.0))



__getattr__ = refuse("nn", ("ctc_loss", "ctc_decode"))
