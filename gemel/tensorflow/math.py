"""`tf.math`: elementwise operations, comparisons and reductions.

Role: names and defaults; what they compute stands in `calls_math`. In: tensors or what becomes
one. Out: tensors.
"""

from __future__ import annotations

import builtins
import functools
import inspect

from gemel.graph.form import int64 as engine_int64

from . import calls_math as calls
from . import calls_nn, context
from .convert import convert_to_tensor, dtype_of_operand
from .dispatch import apply, binary, operands_of_one_type, static
from .dtypes import as_dtype
from .dtypes import bool_ as bool_type
from .symbolic import SymbolicTensor


def _two(name: str, call, default: str | None = None):
    """A public function of two operands."""

    def function(x, y, name=None):
        return binary(call, x, y, name or default)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{call.name} of x and y, elementwise; shapes broadcast, types must agree."
    return function


def _one(name: str, call, default: str | None = None):
    """A public function of one operand."""

    def function(x, name=None):
        return apply(call, (x,), (), name or default)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{call.name} of x, elementwise."
    return function


add = _two("add", calls.ADD, "Add")
subtract = _two("subtract", calls.SUB, "Sub")
multiply = _two("multiply", calls.MUL, "Mul")
truediv = _two("truediv", calls.TRUE_DIVIDE, "truediv")
floordiv = _two("floordiv", calls.FLOOR_DIVIDE, "floordiv")
floormod = _two("floormod", calls.FLOOR_MOD, "FloorMod")
mod = floormod
divide_no_nan = _two("divide_no_nan", calls.DIVIDE_NO_NAN, "div_no_nan")
squared_difference = _two("squared_difference", calls.SQUARED_DIFFERENCE)
xlogy = _two("xlogy", calls.X_LOG_Y)
maximum = _two("maximum", calls.MAXIMUM)
minimum = _two("minimum", calls.MINIMUM)
less = _two("less", calls.LESS)
less_equal = _two("less_equal", calls.LESS_EQUAL)
greater = _two("greater", calls.GREATER)
greater_equal = _two("greater_equal", calls.GREATER_EQUAL)
equal = _two("equal", calls.EQUAL)
not_equal = _two("not_equal", calls.NOT_EQUAL)
logical_and = _two("logical_and", calls.LOGICAL_AND)
logical_or = _two("logical_or", calls.LOGICAL_OR)
logical_xor = _two("logical_xor", calls.LOGICAL_XOR)
bitwise_and = _two("bitwise_and", calls.BITWISE_AND)
bitwise_or = _two("bitwise_or", calls.BITWISE_OR)
bitwise_xor = _two("bitwise_xor", calls.BITWISE_XOR)
atan2 = _two("atan2", calls.ATAN2)

negative = _one("negative", calls.NEGATE)
abs = _one("abs", calls.ABSOLUTE)
sign = _one("sign", calls.SIGN)
square = _one("square", calls.SQUARE)
exp = _one("exp", calls.EXP)
log = _one("log", calls.LOG)
log1p = _one("log1p", calls.LOG1P)
expm1 = _one("expm1", calls.EXPM1)
sqrt = _one("sqrt", calls.SQRT)
rsqrt = _one("rsqrt", calls.RSQRT)
sin = _one("sin", calls.SIN)
cos = _one("cos", calls.COS)
tan = _one("tan", calls.TAN)
asin = _one("asin", calls.ASIN)
acos = _one("acos", calls.ACOS)
atan = _one("atan", calls.ATAN)
sinh = _one("sinh", calls.SINH)
cosh = _one("cosh", calls.COSH)
asinh = _one("asinh", calls.ASINH)
acosh = _one("acosh", calls.ACOSH)
atanh = _one("atanh", calls.ATANH)
tanh = _one("tanh", calls.TANH)
sigmoid = _one("sigmoid", calls.SIGMOID)
log_sigmoid = _one("log_sigmoid", calls.LOG_SIGMOID)
softplus = _one("softplus", calls.SOFT_PLUS)
softsign = _one("softsign", calls.SOFT_SIGN)
erf = _one("erf", calls.ERF)
erfc = _one("erfc", calls.ERFC)
erfinv = _one("erfinv", calls.ERF_INV)
reciprocal = _one("reciprocal", calls.RECIPROCAL)
floor = _one("floor", calls.FLOOR)
ceil = _one("ceil", calls.CEIL)
rint = _one("rint", calls.ROUND)
is_nan = _one("is_nan", calls.IS_NAN)
is_inf = _one("is_inf", calls.IS_INF)
is_finite = _one("is_finite", calls.IS_FINITE)
logical_not = _one("logical_not", calls.LOGICAL_NOT)


def round(x, name=None):
    """To the nearest whole number, halves to the even one."""
    return apply(calls.ROUND, (x,), (), name or "Round")


realdiv = truediv
div_no_nan = divide_no_nan


def div(x, y, name=None):
    """TensorFlow 1's division: integers give integers."""
    whole = [d.is_integer for d in map(dtype_of_operand, (x, y)) if d is not None]
    if all(whole) and (whole or isinstance(x, int)):
        return floordiv(x, y, name)
    return truediv(x, y, name)


def divide(x, y, name=None):
    """Python's true division."""
    return truediv(x, y, name)


def multiply_no_nan(x, y, name=None):
    """x * y, but 0 where y is 0."""
    from .array import where, zeros_like

    product = multiply(x, y)
    return where(equal(y, zeros_like(y)), zeros_like(product), product, name)


def pow(x, y, name=None):
    """x to the power y. A whole Python number as exponent becomes products."""
    if isinstance(y, int) and not isinstance(y, builtins.bool) and builtins.abs(y) <= 8:
        return apply(calls.WHOLE_POWER, (x,), (y,), name or "Pow")
    return binary(calls.POWER, x, y, name or "Pow")


def cast(x, dtype, name=None):
    """x as another element type: floats to integers towards zero, numbers to bool by != 0."""
    wanted = as_dtype(dtype)
    x = convert_to_tensor(x, name=name and name + "/x")
    if x.dtype is wanted:
        return x
    return apply(calls.CAST, (x,), (wanted.engine,), name or "Cast")


def to_float(x, name="ToFloat"):
    return cast(x, "float32", name)


def to_double(x, name="ToDouble"):
    return cast(x, "float64", name)


def to_int32(x, name="ToInt32"):
    return cast(x, "int32", name)


def to_int64(x, name="ToInt64"):
    return cast(x, "int64", name)


def saturate_cast(value, dtype, name=None):
    """A cast that keeps values within the new type's range."""
    wanted = as_dtype(dtype)
    value = convert_to_tensor(value)
    if wanted.is_floating or wanted.size > value.dtype.size:
        return cast(value, wanted, name)
    return cast(clip_by_value(value, wanted.min, wanted.max), wanted, name)


def add_n(inputs, name=None):
    """The sum of tensors of one form."""
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError("Inputs must be an iterable of at least one Tensor with the same dtype "
                         "and shape.")
    return apply(calls.ADD_N, inputs, (), name or "AddN")


accumulate_n = add_n


def clip_by_value(t, clip_value_min, clip_value_max, name=None):
    """t with its cells kept between the two bounds, which broadcast."""
    t = convert_to_tensor(t)
    low = convert_to_tensor(clip_value_min, dtype_hint=t.dtype)
    high = convert_to_tensor(clip_value_max, dtype_hint=t.dtype)
    return apply(calls.CLIP, (t, low, high), (), name or "clip_by_value")


def clip_by_norm(t, clip_norm, axes=None, name=None):
    """t scaled down where its norm over the axes is larger than clip_norm."""
    t = convert_to_tensor(t)
    limit = convert_to_tensor(clip_norm, dtype_hint=t.dtype)
    return apply(calls_nn.CLIP_BY_NORM, (t, limit), (static(axes),), name or "clip_by_norm")


def global_norm(t_list, name=None):
    """The norm of all the tensors' cells together."""
    halves = [apply(calls_nn.L2_LOSS, (t,)) for t in t_list if t is not None]
    if not halves:
        raise TypeError("`t_list` should be a sequence of tensors, got none")
    return sqrt(multiply(add_n(halves), 2.0), name or "global_norm")


def clip_by_global_norm(t_list, clip_norm, use_norm=None, name=None):
    """(the tensors, all scaled alike so that their global norm is at most clip_norm; the norm)"""
    norm = global_norm(t_list) if use_norm is None else use_norm
    limit = convert_to_tensor(clip_norm, dtype_hint=norm.dtype)
    scale = apply(calls_nn.GLOBAL_SCALE, (norm, limit))
    return [None if t is None else multiply(t, scale) for t in t_list], norm


# ---------- reductions ----------
def _reduction(public: str, call, default: str):
    def function(input_tensor, axis=None, keepdims=False, name=None):
        return apply(call, (input_tensor,), (static(axis), bool(keepdims)), name or default)

    function.__name__ = function.__qualname__ = public
    function.__doc__ = f"{default} over the axes (all where None). keepdims: leave them with size 1"
    return _old_names(function)


def _old_names(function):
    """Takes TensorFlow 1's argument names as well."""
    old = {"reduction_indices": "axis", "keep_dims": "keepdims"}

    @functools.wraps(function)
    def run(*args, **kwargs):
        if not old.keys().isdisjoint(kwargs):
            kwargs = {old.get(k, k): v for k, v in kwargs.items()}
        return function(*args, **kwargs)

    run.__signature__ = inspect.signature(function)
    return run


reduce_sum = _reduction("reduce_sum", calls.SUM, "Sum")
reduce_mean = _reduction("reduce_mean", calls.MEAN, "Mean")
reduce_prod = _reduction("reduce_prod", calls.PROD, "Prod")
reduce_max = _reduction("reduce_max", calls.MAX, "Max")
reduce_min = _reduction("reduce_min", calls.MIN, "Min")
reduce_any = _reduction("reduce_any", calls.ANY, "Any")
reduce_all = _reduction("reduce_all", calls.ALL, "All")
reduce_variance = _reduction("reduce_variance", calls.VARIANCE, "Variance")
reduce_std = _reduction("reduce_std", calls.DEVIATION, "Std")
reduce_logsumexp = _reduction("reduce_logsumexp", calls.LOG_SUM_EXP, "LogSumExp")


def count_nonzero(input, axis=None, keepdims=False, dtype="int64", name=None):
    """How many cells are not zero."""
    hit = cast(input, "bool")
    return reduce_sum(cast(hit, dtype), axis, keepdims, name or "count_nonzero")


def argmax(input, axis=None, output_type="int64", name=None, dimension=None):
    """The first position of the largest value along the axis (0 where None)."""
    axis = dimension if axis is None else axis
    attrs = (static(0 if axis is None else axis), as_dtype(output_type).engine)
    return apply(calls.ARG_MAX, (input,), attrs, name or "ArgMax")


def argmin(input, axis=None, output_type="int64", name=None, dimension=None):
    """The first position of the smallest value along the axis (0 where None)."""
    axis = dimension if axis is None else axis
    attrs = (static(0 if axis is None else axis), as_dtype(output_type).engine)
    return apply(calls.ARG_MIN, (input,), attrs, name or "ArgMin")


def cumsum(x, axis=0, exclusive=False, reverse=False, name=None):
    """Running sums along the axis."""
    attrs = (static(axis), bool(exclusive), bool(reverse))
    return apply(calls.RUNNING_SUM, (x,), attrs, name or "Cumsum")


def cumprod(x, axis=0, exclusive=False, reverse=False, name=None):
    """Running products along the axis."""
    attrs = (static(axis), bool(exclusive), bool(reverse))
    return apply(calls.RUNNING_PRODUCT, (x,), attrs, name or "Cumprod")


def in_top_k(targets, predictions, k, name=None):
    """Is each target among the k largest predictions of its row?"""
    return apply(calls_nn.IN_TOP_K, (predictions, targets), (static(k),), name or "in_top_k")


def top_k(input, k=1, sorted=True, index_type="int32", name=None):
    """(values, positions) of the k largest along the last axis, largest first."""
    from collections import namedtuple

    found = apply(calls_nn.TOP_K, (input,), (static(k),), name or "TopKV2", many=True)
    return namedtuple("TopKV2", "values indices")(found[0], cast(found[1], index_type))


def l2_normalize(x, axis=None, epsilon=1e-12, name=None, dim=None):
    """x divided by its norm over the axes."""
    axis = dim if axis is None else axis
    attrs = (static(axis), float(epsilon))
    return apply(calls_nn.L2_NORMALIZE, (x,), attrs, name or "l2_normalize")


def confusion_matrix(
    labels, predictions, num_classes=None, weights=None, dtype="int32", name=None
):
    """[classes, classes]: how often each label (row) was predicted as each class (column)."""
    from .array import one_hot, transpose
    from .linalg import matmul

    labels, predictions = convert_to_tensor(labels), convert_to_tensor(predictions)
    if num_classes is None:
        if context.building() is not None:
            raise ValueError("confusion_matrix in a graph needs num_classes: it is part of a shape")
        top = maximum(reduce_max(labels), reduce_max(cast(predictions, labels.dtype)))
        num_classes = int(top) + 1
    rows = one_hot(labels, num_classes, dtype="float64")
    if weights is not None:
        rows = multiply(rows, cast(weights, "float64")[:, None])
    columns = one_hot(predictions, num_classes, dtype="float64")
    return cast(matmul(transpose(rows), columns), dtype, name)


def scalar_mul(scalar, x, name=None):
    """A number times a tensor."""
    return multiply(scalar, x, name)


def reduce_euclidean_norm(input_tensor, axis=None, keepdims=False, name=None):
    """The root of the sum of squares over the axes."""
    return sqrt(reduce_sum(square(input_tensor), axis, keepdims), name)


def reciprocal_no_nan(x, name=None):
    """1 / x, but 0 where x is 0."""
    return divide_no_nan(1.0, x, name)


def polyval(coeffs, x, name=None):
    """The polynomial with these coefficients, the highest power first."""
    x = convert_to_tensor(x)
    total = convert_to_tensor(coeffs[0], dtype_hint=x.dtype)
    for c in coeffs[1:]:
        total = add(multiply(total, x), c)
    return total


def eq(x, y):
    """The operator ==: elementwise, or by identity under TensorFlow 1's rule."""
    if not context.tensor_equality():
        return x is y
    if y is None or isinstance(y, str):
        return False
    if not _comparable(x, y):
        return convert_to_tensor(False)
    return binary(calls.EQUAL, x, y, "Equal")


def ne(x, y):
    """The operator !=."""
    if not context.tensor_equality():
        return x is not y
    if y is None or isinstance(y, str):
        return True
    if not _comparable(x, y):
        return convert_to_tensor(True)
    return binary(calls.NOT_EQUAL, x, y, "NotEqual")


def _comparable(x, y) -> bool:
    """Shapes that do not broadcast are simply not equal."""
    from gemel.graph.errors import ShapeError
    from gemel.graph.form import form
    from gemel.ops.elementwise import broadcast_shapes

    a, b = operands_of_one_type(x, y)
    shapes = a.shape, b.shape
    if isinstance(a, SymbolicTensor) or not all(s.is_fully_defined() for s in shapes):
        return True
    try:
        broadcast_shapes("eq", *(form(tuple(s), engine_int64) for s in shapes))
    except ShapeError:
        return False
    return True


def bitwise_or_logical(x, y, whole, logical):
    """The operators & | ^: logical on truth values, bitwise on integers."""
    dtype = dtype_of_operand(x) or dtype_of_operand(y)
    return binary(logical if dtype is bool_type else whole, x, y, "and")


_ELSEWHERE = {
    "angle": "complex_numbers",
    "conj": "complex_numbers",
    "imag": "complex_numbers",
    "real": "complex_numbers",
    "softmax": "nn",
    "log_softmax": "nn",
    "zero_fraction": "nn",
    "bincount": "ordering",
    "segment_sum": "ordering",
    "unsorted_segment_sum": "ordering",
}


def __getattr__(name: str):
    """Names of `tf.math` that are at home in a module above this one."""
    import importlib

    from ._missing import missing

    if name in _ELSEWHERE:
        home = importlib.import_module(f"{__package__}.{_ELSEWHERE[name]}")
        return getattr(home, name)
    raise missing("math", name)
