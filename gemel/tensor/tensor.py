"""`Tensor`: what a face's tensors are. Two slots, and class-level defaults for what is rare.

    st      the Storage it looks at
    form    its own shape and element type
    lens    None: the whole storage as it is; LEAF: the same, and gradients end here; SYMBOLIC: a
            graph-mode tensor; or a Lens: a view
    base    the autograd leaf of which this is a view
    kin     class of the results of calls on this tensor (set by faces)

Faces subclass it with `__slots__ = ()`; users may set attributes, which makes the instance dict.
"""

from __future__ import annotations

from .storage import Storage, pending_storage

LEAF = ("leaf",)  # compared by identity
SYMBOLIC = ("symbolic",)
PART = -2  # in place of an index: the view was read as a leaf of its own
new = object.__new__


class Tensor:
    __slots__ = ("st", "form", "__dict__", "__weakref__")
    kin: type
    lens = None
    base = None
    lrg = False  # is it an autograd leaf?
    brg = False  # a view of a leaf: made while gradients were recorded?
    in_transform = False  # is it the input of a transformed function?
    made_in = None  # of a leaf made while a function was recorded: the mark of that
    grad = None
    hooks = None  # of a leaf: id -> function
    after = None  # of a leaf: called with the tensor when its .grad was filled
    bump = True  # do writes raise the version? not through .data
    # the last index read through a lens: valid for the piece `cmark` and the storage's value `csrc`
    cmark = None
    csrc = -1
    cidx = -1


Tensor.kin = Tensor


NOWHERE = pending_storage(None, -1, None, False)  # of every graph-mode tensor


class Symbolic(Tensor):
    """Base of graph-mode tensors. Recording a call on one gives `divert(call, operands, attrs)`."""

    __slots__ = ()
    lens = SYMBOLIC

    @classmethod
    def of(cls, form) -> Symbolic:
        """A graph-mode tensor of this form (anything that the face's shape functions take)."""
        t = new(cls)
        t.st = NOWHERE
        t.form = form
        return t

    @classmethod
    def divert(cls, call, operands: tuple, attrs):
        raise NotImplementedError(f"{cls.__name__} does not say how {call} is recorded")


def over(st: Storage, cls: type) -> Tensor:
    """A plain tensor of class `cls` over a storage."""
    t = new(cls)
    t.st = st
    t.form = st.form
    return t
