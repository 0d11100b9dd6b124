"""`copy`, `deepcopy` and pickling of tensors: what shares a storage shares the copied one.

Role: the protocol methods of `Tensor`. A storage is copied or pickled once, whole, and every tensor
over it becomes a view of the copy.
"""

from __future__ import annotations

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import DType
from gemel.tensor import array_of, from_array
from gemel.tensor.tensor import over

from .tensor import Tensor, attach


def _viewed(base: Tensor, shape, steps, start: int) -> Tensor:
    """The base itself where it is the whole of it, else a view."""
    whole = tuple(shape) == base.form.shape and start == 0 and lazy.strides(base) == tuple(steps)
    return base if whole else base.as_strided(tuple(shape), tuple(steps), start)


def _plain(t: Tensor) -> Tensor:
    """t without history; a copy where it is no strided view of its storage's cells."""
    plain = t.detach()
    fits = lazy.strides(plain) is not None and plain.form.dtype is plain.st.form.dtype
    return plain if fits else plain.clone()


def _attributes(t: Tensor) -> dict:
    """What users set on a tensor."""
    return {k: v for k, v in vars(t).items() if not hasattr(lazy.Tensor, k)}


# ---------- copy ----------
@attach()
def __copy__(self) -> Tensor:
    """Another tensor over the same storage."""
    copied = self.detach()
    copied.__class__ = type(self)
    if self.is_leaf:
        copied.requires_grad_(self.requires_grad)
    vars(copied).update(_attributes(self))
    return copied


@attach()
def __deepcopy__(self, memo) -> Tensor:
    """A leaf with values of its own; RuntimeError for a result of recorded operations."""
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment; use .detach().clone() for a copy of the values"
        )
    with lazy.no_grad():
        copied = _copied_view(_plain(self), memo)
    copied.__class__ = type(self)
    copied.requires_grad_(self.requires_grad)
    memo[id(self)] = copied
    _copy_rest(self, copied, memo)
    return copied


def _copied_view(plain: Tensor, memo) -> Tensor:
    """A tensor over the copy of the storage, which is made once for all that share it."""
    st = plain.st
    if id(st) not in memo:
        memo[id(st)] = over(st, Tensor).detach().clone(), st
    base = memo[id(st)][0]
    return _viewed(base.detach(), plain.form.shape, lazy.strides(plain), lazy.offset(plain))


def _copy_rest(t: Tensor, copied: Tensor, memo) -> None:
    from copy import deepcopy

    if t.grad is not None:
        copied.grad = deepcopy(t.grad, memo)
    for name, value in _attributes(t).items():
        setattr(copied, name, deepcopy(value, memo))


# ---------- pickling ----------
class _Stored:
    """Stands for a storage in a pickle: one object for all tensors over it."""

    def __init__(self, st):
        self.st = st

    def __reduce__(self):
        base = over(self.st, Tensor).detach()
        return _base, (array_of(base).tobytes(), base.form.shape, base.form.dtype)


def _base(data: bytes, shape: tuple[int, ...], dtype: DType) -> Tensor:
    return from_array(np.frombuffer(data, dtype.numpy).reshape(shape), Tensor)


def _stored(st) -> _Stored:
    found = vars(st).get("pickled")
    made = found() if found is not None else None
    if made is None:
        from weakref import ref

        made = _Stored(st)
        vars(st)["pickled"] = ref(made)
    return made


@attach()
def __reduce_ex__(self, protocol):
    plain = _plain(self)
    kind = None if type(self) is Tensor else type(self)
    more = _attributes(self) or None
    place = tuple(plain.form.shape), tuple(lazy.strides(plain)), lazy.offset(plain)
    return restored_view, (_stored(plain.st), *place, self.requires_grad, kind, more)


def restored_view(base, shape, steps, start, requires_grad, kind, more) -> Tensor:
    """A tensor of a pickle: a view of its unpickled storage."""
    made = _viewed(base.detach(), shape, steps, start)
    made.requires_grad_(requires_grad)
    if kind is not None:
        made.__class__ = kind
    vars(made).update(more or {})
    return made
