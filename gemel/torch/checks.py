"""The face's error texts: shapes, dimensions and arguments, in PyTorch's words and classes.

Functions here look at forms and sizes only; they return normalised values or raise.
"""

from __future__ import annotations

from gemel.graph.form import DType, Form
from gemel.graph.node import Node

from .dtypes import short_name
from .size import as_int


def wrong_argument(function: str, argument: str, place: int, given, wanted="Tensor") -> TypeError:
    """The error for an operand of the wrong class."""
    return TypeError(
        f"{function}(): argument '{argument}' (position {place}) must be {wanted}, "
        f"not {type(given).__name__}"
    )


def dimension(dim, ndim: int) -> int:
    """A dimension as a position from 0; IndexError where the tensor has no such one."""
    dim = dim if dim.__class__ is int else as_int(dim)
    reach = ndim or 1
    if -reach <= dim < reach:
        return dim + reach if dim < 0 else dim
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-reach}, {reach - 1}], but got "
        f"{dim})"
    )


def dimensions(dims, ndim: int) -> tuple[int, ...]:
    """Several dimensions as sorted positions; RuntimeError where one is given twice."""
    found = [dimension(d, ndim) for d in dims]
    for d in found:
        if found.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return tuple(sorted(found))


def broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that two shapes broadcast to; RuntimeError naming the dimension where not."""
    if a == b:
        return a
    width = max(len(a), len(b))
    left = (1,) * (width - len(a)) + a
    right = (1,) * (width - len(b)) + b
    for axis in reversed(range(width)):
        n, m = left[axis], right[axis]
        if n != m and n != 1 and m != 1:
            raise RuntimeError(
                f"The size of tensor a ({n}) must match the size of tensor b ({m}) at "
                f"non-singleton dimension {axis}"
            )
    return tuple(m if n == 1 else n for n, m in zip(left, right, strict=True))


def check_broadcast(*nodes: Node) -> tuple[int, ...]:
    """The common shape of all operands."""
    shape = nodes[0].shape
    for n in nodes[1:]:
        shape = broadcast_shape(shape, n.shape)
    return shape


def check_expands(have: tuple[int, ...], shape: tuple[int, ...], op: str = "expand") -> None:
    """RuntimeError unless a tensor of shape `have` can be expanded to `shape`."""
    lead = len(shape) - len(have)
    if lead < 0:
        raise RuntimeError(
            f"{op}: the requested shape has too few dimensions: tensor has {len(have)} "
            f"({list(have)}), requested {len(shape)} ({list(shape)})"
        )
    for axis in reversed(range(len(have))):
        n, m = have[axis], shape[lead + axis]
        if n not in (1, m):
            raise RuntimeError(
                f"The expanded size of the tensor ({m}) must match the existing size ({n}) at "
                f"non-singleton dimension {lead + axis}.  Target sizes: {list(shape)}.  "
                f"Tensor sizes: {list(have)}"
            )


def check_same_shape(target: Node | Form, value: Node | Form) -> None:
    """RuntimeError where an in-place result is larger than what it is stored in."""
    if value.shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(value.shape)}"
        )


def not_implemented(kernel: str, node: Node) -> NotImplementedError:
    """The error for an element type that an operation has no kernel for."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{short_name(node.dtype)}'")


_C_NAMES = {
    "float32": "float",
    "float64": "double",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def c_name(dtype: DType) -> str:
    """The element type as some error texts have it: float, double, long."""
    return _C_NAMES.get(dtype.name, dtype.name)


def times(shape: tuple[int, ...]) -> str:
    """Sizes as error texts have them: 2x3."""
    return "x".join(map(str, shape))


def inferred_shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """`shape` with its one -1 computed for `size` values; RuntimeError where it does not fit."""
    known = 1
    hole = -1
    for i, n in enumerate(shape):
        if n == -1:
            if hole >= 0:
                raise RuntimeError("only one dimension can be inferred")
            hole = i
        elif n < 0:
            raise RuntimeError(f"invalid shape dimension {n}")
        else:
            known *= n
    if hole < 0:
        if known != size:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        return shape
    if known == 0 and size == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified "
            "dimension size -1 can be any value and is ambiguous"
        )
    if known == 0 or size % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return shape[:hole] + (size // known,) + shape[hole + 1 :]
