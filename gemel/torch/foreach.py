"""`torch._foreach_*`: an operation on every tensor of a list, as optimizers of users are written.

In: a list of tensors, and for each further operand a list of tensors or numbers of the same length,
or one for all. Out: a tuple of tensors; the forms that end in `_` write to the list's tensors and
give the list back. What one operation does is the tensors' own method: there is nothing to gain
here from computing lists together, since what is recorded runs as one program anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .checks import wrong_argument
from .define import NUMBERS
from .reductions import norm
from .tensor import Tensor

_UNARY = """
abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg
reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc
""".split()
_BINARY = "add sub mul div pow maximum minimum clamp_max clamp_min".split()
_LIMITS = {"maximum": "clamp_min", "minimum": "clamp_max", "clamp_max": "clamp_max",
           "clamp_min": "clamp_min"}  # fmt: skip


def _listed(name: str, tensors) -> Sequence[Tensor]:
    """The tensors that are worked on; TypeError and RuntimeError as PyTorch raises them."""
    if not isinstance(tensors, list | tuple):
        raise wrong_argument(f"_foreach_{name}", "self", 1, tensors)
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return tensors


def _along(name: str, tensors: Sequence, other) -> Iterable:
    """The operand of each of the tensors."""
    if isinstance(other, list | tuple):
        if len(other) == len(tensors):
            return other
        if other and isinstance(other[0], Tensor):
            raise RuntimeError(
                "Tensor lists must have the same number of tensors, got "
                f"{len(tensors)} and {len(other)}"
            )
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")
    if isinstance(other, Tensor):
        if other.form.shape:
            raise RuntimeError(
                f"scalar tensor expected to be 0 dim but it has {other.form.ndim} dimensions and "
                f"{other.form.size} elements."
            )
    elif not isinstance(other, NUMBERS):
        raise wrong_argument(f"_foreach_{name}", "other", 2, other)
    return [other] * len(tensors)


def _named(function: Callable, name: str, text: str | None) -> Callable:
    function.__name__ = function.__qualname__ = f"_foreach_{name}"
    function.__doc__ = text
    return function


def _forms(name: str, apply: Callable, write: Callable) -> dict[str, Callable]:
    """Both forms of an operation on a tensor and operands of its own."""

    def made(self, *operands, **options):
        rows = _rows(name, self, operands)
        return tuple([apply(*row, **options) for row in rows])

    def written(self, *operands, **options):
        for row in list(_rows(name, self, operands)):
            write(*row, **options)
        return self

    text = f"{name} of each tensor of the list"
    return {
        f"_foreach_{name}": _named(made, name, f"{text}: a tuple."),
        f"_foreach_{name}_": _named(written, f"{name}_", f"{text}, in place."),
    }


def _rows(name: str, tensors, operands: tuple) -> Iterable[tuple]:
    tensors = _listed(name, tensors)
    return zip(tensors, *(_along(name, tensors, other) for other in operands), strict=True)


def _limited(name: str) -> tuple[Callable, Callable]:
    """The larger or smaller of a tensor's values and an operand's."""
    method, in_place = getattr(Tensor, _LIMITS[name]), getattr(Tensor, f"{_LIMITS[name]}_")
    return method, in_place


def _combined(name: str) -> tuple[Callable, Callable]:
    """addcmul and addcdiv: their last operand is called `value`."""
    method, in_place = getattr(Tensor, name), getattr(Tensor, f"{name}_")
    return (
        lambda base, a, b, value: method(base, a, b, value=value),
        lambda base, a, b, value: in_place(base, a, b, value=value),
    )


def _with_values(form: Callable) -> Callable:
    """The same with the values left out, or as one tensor of them."""

    def function(self, tensor1, tensor2, value: Any = 1):
        if isinstance(value, Tensor):
            value = value.tolist()
        return form(self, tensor1, tensor2, value)

    return _named(function, form.__name__.removeprefix("_foreach_"), form.__doc__)


def _pow(usual: Callable) -> Callable:
    def function(self, exponent):
        if isinstance(self, NUMBERS):
            return tuple([self**x for x in _listed("pow", exponent)])
        return usual(self, exponent)

    return _named(function, "pow", usual.__doc__)


def _copy_(self, src, non_blocking=False):
    """The values of the tensors of another list, written to those of this one."""
    for row in list(_rows("copy_", self, (src,))):
        Tensor.copy_(*row)
    return self


def _zero_(self):
    """0 everywhere in each tensor of the list."""
    for t in _listed("zero_", self):
        t.zero_()
    return self


def _clone(self, *, memory_format=None):
    """A copy of each tensor of the list: a tuple."""
    return tuple([t.clone() for t in _listed("clone", self)])


def _norm(self, ord=2, dtype=None):
    """The norm of each tensor of the list: a tuple."""
    return tuple([norm(t, float(ord), dtype=dtype) for t in _listed("norm", self)])


def _powsum(self, ord=2, dtype=None):
    """The sum of the powers of each tensor's absolute values: a tuple."""
    return tuple([t.abs().pow(ord).sum(dtype=dtype) for t in _listed("powsum", self)])


def _max(self):
    """The largest value of each tensor of the list: a tuple."""
    return tuple([t.max() for t in _listed("max", self)])


def _mm(self, mat2):
    """The product of each pair of matrices: a tuple."""
    return tuple([a.mm(b) for a, b in _rows("mm", self, (mat2,))])


_OTHERS = {"copy_": _copy_, "zero_": _zero_, "clone": _clone, "norm": _norm, "powsum": _powsum,
           "max": _max, "mm": _mm}  # fmt: skip


def _table() -> dict[str, Callable]:
    found: dict[str, Callable] = {}
    for name in _UNARY:
        found |= _forms(name, getattr(Tensor, name), getattr(Tensor, f"{name}_"))
    for name in _BINARY:
        pair = getattr(Tensor, name), getattr(Tensor, f"{name}_", None)
        found |= _forms(name, *(_limited(name) if name in _LIMITS else pair))
    found |= _forms("lerp", Tensor.lerp, Tensor.lerp_)
    for name in ("addcmul", "addcdiv"):
        forms = _forms(name, *_combined(name))
        found |= {key: _with_values(form) for key, form in forms.items()}
    found["_foreach_pow"] = _pow(found["_foreach_pow"])
    return found | {f"_foreach_{name}": _named(f, name, f.__doc__) for name, f in _OTHERS.items()}


FUNCTIONS = _table()
