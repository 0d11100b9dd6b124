"""TensorFlow's exception classes, and the two that the face uses inside.

Role: what `tf.errors` holds. A call's expansion raises `ShapeMismatch` or `TypeMismatch`, because
TensorFlow reports the same mistake as InvalidArgumentError in eager mode and as ValueError or
TypeError while a graph is built; `translated` picks the class.
"""

from __future__ import annotations

from gemel.graph.errors import DTypeError, ShapeError


class OpError(Exception):
    """The root of TensorFlow's errors. `message` is the text, `op` the operation where known."""

    error_code = 2

    def __init__(self, node_def=None, op=None, message: str | None = None, *unused):
        # the engine raises with the text alone; TensorFlow's own form is (node_def, op, message)
        if message is None:
            message = "" if node_def is None else str(node_def)
            node_def = None
        self.node_def = node_def
        self.op = op
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class CancelledError(OpError):
    error_code = 1


class UnknownError(OpError):
    error_code = 2


class InvalidArgumentError(OpError):
    error_code = 3


class DeadlineExceededError(OpError):
    error_code = 4


class NotFoundError(OpError):
    error_code = 5


class AlreadyExistsError(OpError):
    error_code = 6


class PermissionDeniedError(OpError):
    error_code = 7


class ResourceExhaustedError(OpError):
    error_code = 8


class FailedPreconditionError(OpError):
    error_code = 9


class AbortedError(OpError):
    error_code = 10


class OutOfRangeError(OpError):
    error_code = 11


class UnimplementedError(OpError):
    error_code = 12


class InternalError(OpError):
    error_code = 13


class UnavailableError(OpError):
    error_code = 14


class DataLossError(OpError):
    error_code = 15


class OperatorNotAllowedInGraphError(TypeError):
    """A symbolic tensor was used where a value is needed."""


class ShapeMismatch(Exception):
    """Raised by an expansion: shapes or values of attributes do not fit."""


class TypeMismatch(Exception):
    """Raised by an expansion: element types do not fit. `symbolic` is the graph mode's text."""

    def __init__(self, message: str, symbolic: str | None = None):
        super().__init__(message)
        self.symbolic = symbolic or message


MISMATCHES = (ShapeMismatch, TypeMismatch, ShapeError, DTypeError)


def eager_error(error: Exception, name: str) -> OpError:
    """What eager mode raises for an expansion's error."""
    return InvalidArgumentError(None, None, f"{error} [Op:{name}]")


def graph_error(error: Exception, name: str, shapes: str) -> Exception:
    """What building a graph raises for an expansion's error."""
    if isinstance(error, TypeMismatch):
        return TypeError(error.symbolic)
    if isinstance(error, DTypeError):
        return TypeError(f"{error} for operation '{name}'")
    return ValueError(f"{error} for operation '{name}' with input shapes: {shapes}.")


def __getattr__(name: str):
    from ._missing import missing

    raise missing("errors", name)
