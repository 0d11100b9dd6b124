"""Complex tensors: their parts, modulus and angle, conjugates, and views of them as pairs.

The mathematics is in `ops.complex*`. `real`, `imag`, `view_as_real` and `view_as_complex` are views
of one storage. A conjugate is computed (as a pending value) and not a bit on a view, so
`resolve_conj` has nothing to compute; what PyTorch says of the bit, `is_conj` says here.
"""

from __future__ import annotations

from gemel.graph.form import bool_, float32, float64
from gemel.graph.node import Node
from gemel.ops import complex_arithmetic as arithmetic
from gemel.ops import contraction, elementwise, predicates
from gemel.ops.complex import conjugate, from_parts, imaginary
from gemel.ops.declared import flat
from gemel.ops.movement import full
from gemel.ops.record import Call
from gemel.tensor import look, record1, record2

from . import dtypes
from .checks import check_broadcast, wrong_argument
from .define import unary
from .linear import check_dot
from .out import into
from .promotion import as_float
from .tensor import Tensor, attach


def is_complex(input) -> bool:
    """Is the element type complex?"""
    return input.form.dtype.is_complex


attach()(is_complex)


# ---------- views ----------
def _pairs(t: Tensor) -> Tensor:
    return look(t, ("as_real",))


def view_as_real(input) -> Tensor:
    """The real and the imaginary parts as last dimension of size 2; shares the memory."""
    if not input.form.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input.is_conj():
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    return _pairs(input)


def view_as_complex(input) -> Tensor:
    """Pairs along the last dimension (of size 2) as complex numbers; shares the memory."""
    f = input.form
    if f.dtype not in (float32, float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {dtypes.short_name(f.dtype)}"
        )
    if not f.shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if f.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    *outer, last = input.stride()
    if last != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s in outer):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if input.storage_offset() % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return look(input, ("as_complex",))


def _half(t: Tensor, which: int) -> Tensor:
    shape = t.form.shape
    spec = (*((0, n, 1) for n in shape), (which, which + 1, 1))
    return look(t, ("as_real",), ("slice", spec), ("reshape", shape))


def real(input) -> Tensor:
    """The real part, a view; a real tensor itself."""
    return _half(input, 0) if input.form.dtype.is_complex else input


def imag(input) -> Tensor:
    """The imaginary part, a view. RuntimeError for real tensors."""
    if not input.form.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    found = _half(input, 1)
    if input.is_conj():
        found._negated = True
    return found


Tensor.real = property(real, lambda self, value: real(self).copy_(_as_tensor(value, self)))
Tensor.imag = property(imag, lambda self, value: imag(self).copy_(_as_tensor(value, self)))


def _as_tensor(value, like: Tensor) -> Tensor:
    from .creation import tensor

    return value if isinstance(value, Tensor) else tensor(value, dtype=like.dtype.to_real())


# ---------- conjugates ----------
_CONJUGATE = Call("conj", lambda attrs, x: conjugate(x))
Tensor._conjugated = False  # what PyTorch's bits would say
Tensor._negated = False


def conj_physical(input) -> Tensor:
    """The complex conjugate; a real tensor itself."""
    return record1(_CONJUGATE, input) if input.form.dtype.is_complex else input


def conj(input) -> Tensor:
    """The complex conjugate; a real tensor itself."""
    if not input.form.dtype.is_complex:
        return input
    found = conj_physical(input)
    if not input._conjugated:
        found._conjugated = True
    return found


def is_conj(input) -> bool:
    return input._conjugated


def is_neg(input) -> bool:
    return input._negated


def resolve_conj(input) -> Tensor:
    """The tensor without the mark of a conjugate."""
    return input.clone() if input._conjugated else input


def resolve_neg(input) -> Tensor:
    """The tensor without the mark of a negated imaginary part."""
    return input.clone() if input._negated else input


for _function in (conj, conj_physical, is_conj, is_neg, resolve_conj, resolve_neg):
    attach()(_function)


def adjoint(input) -> Tensor:
    """The conjugate with its last two dimensions exchanged."""
    if input.form.ndim < 2:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got "
            f"{input.form.ndim}-D tensor."
        )
    return conj(input.transpose(-2, -1))


def _adjoint_of_batches(self) -> Tensor:
    if self.form.ndim == 1:
        raise RuntimeError(
            "tensor.mH is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return adjoint(self) if self.form.ndim else self


def _adjoint_of_matrix(self) -> Tensor:
    if self.form.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.form.ndim}-D tensor. "
            "For batches of matrices, consider using tensor.mH"
        )
    return adjoint(self) if self.form.ndim else self


attach()(adjoint)
Tensor.mH = property(_adjoint_of_batches)
Tensor.H = property(_adjoint_of_matrix)


# ---------- from two real tensors ----------
def _check_halves(name: str, a: Node, b: Node) -> None:
    for x in (a, b):
        if x.dtype not in (float32, float64):
            raise RuntimeError(
                "Expected both inputs to be Half, Float or Double tensors but got "
                f"{dtypes.short_name(a.dtype)} and {dtypes.short_name(b.dtype)}"
            )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {dtypes.short_name(a.dtype)} but got scalar type "
            f"{dtypes.short_name(b.dtype)} for second argument"
        )
    check_broadcast(a, b)


def _joined(name: str, build) -> Call:
    def expand(attrs, a, b):
        _check_halves(name, a, b)
        return build(a, b)

    return Call(name, expand)


_COMPLEX = _joined("complex", from_parts)
_POLAR = _joined("polar", arithmetic.polar)


def _from_two(name: str, call: Call, a, b, out) -> Tensor:
    for place, x in enumerate((a, b), 1):
        if not isinstance(x, Tensor):
            raise wrong_argument(name, ("real", "imag")[place - 1], place, x)
    made = record2(call, a, b)
    if isinstance(out, Tensor) and out.form.dtype is not made.form.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {dtypes.short_name(made.form.dtype)} but got scalar "
            f"type {dtypes.short_name(out.form.dtype)} for argument 'out'"
        )
    return into(out, made, a, b)


def complex(real, imag, *, out=None) -> Tensor:
    """real + i imag, of two tensors of one floating-point type."""
    return _from_two("complex", _COMPLEX, real, imag, out)


def polar(abs, angle, *, out=None) -> Tensor:
    """The complex numbers of these moduli and angles."""
    return _from_two("polar", _POLAR, abs, angle, out)


# ---------- functions ----------
_real_abs_ = Tensor.abs_


@attach("abs_", "absolute_")
def _abs_in_place(self) -> Tensor:
    if self.form.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return _real_abs_(self)


angle = unary("angle", arithmetic.angle, as_float, in_place=False)


def _sign(x: Node) -> Node:
    if x.dtype.is_complex:
        return arithmetic.direction(x)
    return flat("sgn", predicates.sign)(x)


sgn = unary("sgn", _sign, lambda x: (x,))


def _is_real(x: Node) -> Node:
    if not x.dtype.is_complex:
        return full(x.shape, True, bool_)
    return elementwise.eq(imaginary(x), 0.0)


isreal = unary("isreal", _is_real, lambda x: (x,), in_place=False)


def _vdot(attrs, a, b):
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    check_dot(a, b)
    return contraction.matmul(conjugate(a), b)


_VDOT = Call("vdot", _vdot)


@attach()
def vdot(input, other) -> Tensor:
    """The dot product of the conjugate of a vector with another one."""
    for place, (name, x) in enumerate((("input", input), ("other", other)), 1):
        if not isinstance(x, Tensor):
            raise wrong_argument("vdot", name, place, x)
    return record2(_VDOT, input, other)
