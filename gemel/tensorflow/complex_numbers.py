"""`tf.complex` and the functions of complex tensors that `tf.math` has.

Role: names and checks; the mathematics is in `gemel.ops.complex*`. In: tensors or what becomes
one. Out: tensors.
"""

from __future__ import annotations

from gemel.ops import complex as parts
from gemel.ops import complex_arithmetic as arithmetic

from .calls_math import FaceCall, require, same_type
from .convert import convert_to_tensor
from .dispatch import apply, operands_of_one_type


def _joined(attrs, x, y):
    require("Complex", x, "f", "real")
    same_type("Complex", x, y, "imag", "real")
    return parts.from_parts(x, y)


def _function(name: str, build) -> FaceCall:
    def expand(attrs, x):
        require(name, x, "fc", "input")
        return build(x)

    return FaceCall(name, expand)


_COMPLEX = FaceCall("Complex", _joined)
_REAL = _function("Real", parts.real)
_IMAG = _function("Imag", parts.imaginary)
_CONJ = FaceCall("Conj", lambda attrs, x: parts.conjugate(x))
_ANGLE = _function("Angle", arithmetic.angle)


def complex_(real, imag, name=None):
    """real + i imag, of two tensors of one floating-point type."""
    real, imag = operands_of_one_type(real, imag, name)
    return apply(_COMPLEX, (real, imag), (), name or "Complex")


def real(input, name=None):
    """The real part; a real tensor itself."""
    input = convert_to_tensor(input)
    return apply(_REAL, (input,), (), name or "Real") if input.dtype.is_complex else input


def imag(input, name=None):
    """The imaginary part; zeros of a real tensor."""
    return apply(_IMAG, (input,), (), name or "Imag")


def conj(x, name=None):
    """The complex conjugate; a real tensor itself."""
    x = convert_to_tensor(x)
    return apply(_CONJ, (x,), (), name or "Conj") if x.dtype.is_complex else x


def angle(input, name=None):
    """The argument, from -pi to pi; of real numbers 0 or pi."""
    return apply(_ANGLE, (input,), (), name or "Angle")
