"""`tf.debugging`: checks of values and shapes. A failed one is InvalidArgumentError."""

from __future__ import annotations

from . import context, math
from .control import check
from .convert import convert_to_tensor, in_graph
from .dispatch import operands_of_one_type
from .dtypes import as_dtype
from .shape import TensorShape


def Assert(condition, data=None, summarize=None, name=None):
    """Stops where the condition is false; `data` is shown in eager mode."""
    shown = "" if data is None or context.building() is not None else f": {list(data)}"
    return check(condition, f"assertion failed{shown}", name or "Assert")


def _comparison(public: str, compare, sign: str):
    def function(x, y, message=None, summarize=None, name=None, data=None):
        x, y = operands_of_one_type(x, y)
        holds = math.reduce_all(compare(x, y))
        text = f"{message}\n" if message else ""
        text += f"Condition x {sign} y did not hold."
        if context.building() is None:
            x, y = convert_to_tensor(x), convert_to_tensor(y)
            text += f"\nx (shape={x.shape}): {x.numpy()}\ny (shape={y.shape}): {y.numpy()}"
        return check(holds, text, name or public)

    function.__name__ = function.__qualname__ = public
    function.__doc__ = f"InvalidArgumentError unless x {sign} y in all cells."
    return function


assert_equal = _comparison("assert_equal", math.equal, "==")
assert_none_equal = _comparison("assert_none_equal", math.not_equal, "!=")
assert_less = _comparison("assert_less", math.less, "<")
assert_less_equal = _comparison("assert_less_equal", math.less_equal, "<=")
assert_greater = _comparison("assert_greater", math.greater, ">")
assert_greater_equal = _comparison("assert_greater_equal", math.greater_equal, ">=")


def assert_positive(x, message=None, summarize=None, name=None):
    return assert_greater(x, 0, message, name=name or "assert_positive")


def assert_non_negative(x, message=None, summarize=None, name=None):
    return assert_greater_equal(x, 0, message, name=name or "assert_non_negative")


def assert_negative(x, message=None, summarize=None, name=None):
    return assert_less(x, 0, message, name=name or "assert_negative")


def assert_rank(x, rank, message=None, name=None):
    """ValueError where the number of axes is another one."""
    found = convert_to_tensor(x).shape.rank
    if found is not None and found != int(rank):
        raise ValueError(f"{message or ''} Tensor must have rank {rank}. Received rank {found}")


def assert_type(tensor, tf_type, message=None, name=None):
    """TypeError where the element type is another one."""
    found = convert_to_tensor(tensor).dtype
    if found is not as_dtype(tf_type):
        raise TypeError(f"{message or ''} tensor must be of type {as_dtype(tf_type)!r}; got "
                        f"{found!r}")


def assert_shapes(shapes, data=None, summarize=None, message=None, name=None):
    """ValueError where sizes differ: symbols stand for one size each, None for any."""
    sizes: dict = {}
    pairs = shapes.items() if hasattr(shapes, "items") else shapes
    for tensor, wanted in pairs:
        found = TensorShape(convert_to_tensor(tensor).shape)
        if found.rank != len(wanted):
            raise ValueError(f"{message or ''} {tensor} must have rank {len(wanted)}")
        for n, symbol in zip(found, wanted, strict=True):
            known = symbol if isinstance(symbol, int) else sizes.setdefault(symbol, n)
            if symbol is not None and known != n:
                raise ValueError(f"{message or ''} Specified dimension {symbol}: {known}, got {n}")


def check_numerics(tensor, message, name=None):
    """The tensor; InvalidArgumentError where a cell is not finite."""
    from .array import identity

    graph = context.building()
    tensor = convert_to_tensor(tensor)
    gate = check(math.reduce_all(math.is_finite(tensor)), f"{message} : Tensor had NaN or Inf",
                 name or "CheckNumerics")
    if graph is None:
        return tensor
    with graph.control_dependencies([gate]):
        return identity(in_graph(graph, tensor))


assert_all_finite = check_numerics


def __getattr__(name: str):
    from ._missing import missing

    raise missing("debugging", name)
