"""What a tensor is to gradients: leaf or not, hooks, version."""

from __future__ import annotations

from collections.abc import Callable

from .backward import requires_grad
from .errors import TensorError
from .flush import flush
from .lens import Lens
from .read import read_all
from .storage import writes
from .tape import LOCAL
from .tensor import LEAF, Tensor
from .views import plain_storage


def set_requires_grad(t: Tensor, flag: bool = True) -> Tensor:
    """Make t an autograd leaf, or no longer one. Returns t. A view, or a detached tensor that
    shares a storage with a history, gets a storage of its own.

    TensorError for a tensor with a history (only leaves can be changed) and for element types
    that are no floating-point ones.
    """
    if flag and not t.form.dtype.is_smooth:
        raise TensorError(f"only floating-point tensors can require grad, not {t.form.dtype}")
    if not flag and not t.lrg and requires_grad(t):
        raise TensorError("only a leaf can stop requiring grad; use detach() for a computed value")
    if flag is t.lrg or (flag and requires_grad(t)):
        return t
    if flag:
        t.st = plain_storage(t)
        if LOCAL.tape.tracing is not None:
            t.made_in = LOCAL.tape.mark
    t.lrg = flag
    t.lens = LEAF if flag else None
    t.base = None
    t.cmark = None
    return t


def is_leaf(t: Tensor) -> bool:
    return t.lrg or not requires_grad(t)


def version(t: Tensor) -> int:
    """How often the storage was written (not through data())."""
    return writes(t.st)


def watch(t: Tensor) -> None:
    """Record what is computed from t from now on, so that its gradient can be asked for."""
    if not requires_grad(t):
        tape = LOCAL.tape
        recording = tape.tracing
        if recording is not None and recording.owns_no(tape, t.st):
            with recording.left(tape):  # it comes from outside, and so does its history
                watch(t)
            return
        if tape.tracing is None and t.st.mark is tape.mark:
            flush(tape)
        set_requires_grad(t)


def add_hook(t: Tensor, hook: Callable) -> Callable[[], None]:
    """Call hook(gradient) when the gradient of t is known; what it returns (if not None) takes its
    place. Returns a function that removes the hook."""
    if not requires_grad(t):
        raise TensorError("a hook needs a tensor that requires grad")
    hooks = _hooks_of(t)
    key = object()
    hooks[key] = hook
    return lambda: hooks.pop(key, None)


def _hooks_of(t: Tensor) -> dict:
    if t.lrg:
        if t.hooks is None:
            t.hooks = {}
        return t.hooks
    tape = LOCAL.tape
    st = t.st
    if type(t.lens) is not Lens and st.mark is not tape.mark and st.hist is not None:
        record, index = st.hist
        if record.hooked is None:
            record.hooked = {}
        return record.hooked.setdefault(index, {})
    index = read_all(tape, (t,))[0]
    if tape.hooked is None:
        tape.hooked = {}
    return tape.hooked.setdefault(index, {})


def add_after(t: Tensor, function: Callable) -> Callable[[], None]:
    """Call function(t) each time a gradient was added to the leaf's `.grad`."""
    if not t.lrg:
        raise TensorError("only an autograd leaf has a .grad that is filled")
    if t.after is None:
        t.after = {}
    after = t.after
    key = object()
    after[key] = function
    return lambda: after.pop(key, None)
