"""What `torch.linalg` asks of its matrices, in PyTorch's words, and its errors about values."""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops.elementwise import NOT, cast, eq, where
from gemel.ops.linear_algebra import all_finite, guarded
from gemel.ops.movement import iota, reshape

from .checks import broadcast_shape
from .dtypes import short_name


class LinAlgError(RuntimeError):
    """A matrix that an algorithm fails for: singular, not positive definite, no convergence."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
_STEP = 1 << 24  # a fault's number holds the batch and what went wrong in it


class MatrixFault(Fault):
    """The error for one matrix of a stack. template: with `{info}`; named: does the text say which
    matrix it was?"""

    __slots__ = ("function", "named")

    def __init__(self, function: str, template: str, named: bool):
        super().__init__(LinAlgError, template)
        self.function = function
        self.named = named

    def error(self, value: int, where: tuple[str, int] | None) -> BaseException:
        batch, info = divmod(int(value), _STEP)
        which = f"(Batch element {batch}): " if self.named else ""
        text = f"{self.function}: {which}{self.template.format(info=info)}"
        if where is not None:
            text += f" (first recorded at {where[0]}:{where[1]})"
        return self.exception(text)

    def __repr__(self) -> str:
        return f"MatrixFault({self.function!r}, {self.template!r}, {self.named})"


SINGULAR_INVERSE = (
    "The diagonal element {info} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)
SINGULAR = "The solver failed because the input matrix is singular."
NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {info} is not positive-definite)."
)
ZERO_PIVOT = (
    "U[{info},{info}] is zero and using it on lu_solve would result in a division by zero. If you "
    "still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)"
)
NO_SINGULAR_VALUES = (
    "The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
    "repeated singular values (error code: {info})."
)
NO_EIGENVALUES = (
    "The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
    "repeated eigenvalues (error code: {info})."
)
ZERO_BLOCK = (
    "The diagonal element {info} is zero, using it on ldl_solve would result in a division by "
    "zero. If you still want to perform the factorization, consider calling linalg.ldl_factor_ex"
)


def well(info: Node, function: str, template: str, *values: Node) -> list[Node]:
    """The values; where an info is not 0, the program stops with an error about that matrix."""
    count = info.form.size
    flat = reshape(cast(info, int64), (count,))
    numbered = where(eq(flat, 0), flat, flat + iota((count,), 0, int64) * _STEP)
    fault = MatrixFault(function, template, info.ndim > 0)
    return guarded(reshape(numbered, info.shape), fault, *values)


def finite(x: Node, text: str) -> Node:
    """x, where all of it is finite; else the program stops with this error."""
    if not x.form.size:
        return x
    bad = cast(NOT(all_finite(x)), int64)
    return guarded(bad, Fault(RuntimeError, text.replace("{", "{{")), x)[0]


# ---------- forms ----------
def check_matrix(a: Node, function: str, name: str = "A") -> None:
    if a.ndim < 2:
        raise RuntimeError(f"{function}: The input tensor {name} must have at least 2 dimensions.")


def check_square(a: Node, function: str, name: str = "A") -> None:
    """RuntimeError unless the last two sizes are equal."""
    check_matrix(a, function, name)
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{function}: {name} must be batches of square matrices, but they are "
            f"{a.shape[-2]} by {a.shape[-1]} matrices"
        )


def check_float(a: Node, function: str, half: bool = False) -> None:
    """RuntimeError for other types than those that LAPACK has."""
    if a.dtype.kind not in "fc":
        raise RuntimeError(
            f"{function}: Expected a floating point or complex tensor as input. Got "
            f"{short_name(a.dtype)}"
        )
    if a.dtype.half and not half:
        raise RuntimeError(
            f"{function}: Low precision dtypes not supported. Got {short_name(a.dtype)}"
        )


def check_same_type(a: Node, b: Node, function: str) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{function}: Expected A and B to have the same dtype, but found A of type "
            f"{short_name(a.dtype)} and B of type {short_name(b.dtype)} instead"
        )


def check_system(a: Node, b: Node, left: bool, function: str) -> None:
    """Sizes of a x = b, or of x a = b."""
    rows = -2 if left else -1
    if a.shape[-2 if left else -1] != b.shape[rows]:
        raise RuntimeError(
            f"{function}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({a.shape[-2]}x{a.shape[-1]} and "
            f"{b.shape[-2]}x{b.shape[-1]})"
        )
    broadcast_shape(a.shape[:-2], b.shape[:-2])
