"""Views of a face: a new tensor over the same storage. Nothing is recorded until it is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import ref

from gemel.graph.node import Node
from gemel.ops.movement import RESHAPE
from gemel.ops.record import Call

from .arrays import evaluated
from .lens import DETACH, KEPT_VIEWS, Lens, view_strides, whole
from .record import COPY, record1, record_n
from .recorder import LOOKED
from .storage import Storage, evaluated_storage
from .tape import LOCAL
from .tensor import LEAF, Tensor, over

new = object.__new__


def look(t: Tensor, *specs: tuple) -> Tensor:
    """A view of t, through one or more view specs, one after the other.

    Specs: ('slice', ((start, stop, step), ...)) for every axis, ('permute', order), ('reshape',
    shape), ('expand', shape), ('diagonal', offset, axis, axis), ('as_strided', size, stride,
    offset), ('as_real',), ('as_complex',). ShapeError where one does not fit.
    """
    lens = t.lens
    lens = lens if type(lens) is Lens else whole(t.form)
    for spec in specs:
        found = lens.kids.get(spec)
        lens = found if found is not None else lens.then(spec)
    st = t.st
    if st.first is None and t.lens is not lens:
        st.first = ref(t)
    o = new(t.kin)
    o.st = st
    o.form = lens.form
    _inherit(o, t, lens)
    return o


def look_often(t: Tensor, key: tuple, specs: Callable[[], list[tuple]]) -> tuple[Tensor, ...]:
    """Several views of t, through one view spec each. key: names them among all of t's views;
    specs: gives them when they are asked for the first time."""
    lens = t.lens
    lens = lens if type(lens) is Lens else whole(t.form)
    found = lens.groups.get(key)
    if found is None:
        found = lens.then_each(key, specs())
    st = t.st
    if st.first is None:
        st.first = ref(t)
    tracked = st.rg or st.hist is not None or t.lrg or t.base is not None
    plain = not tracked and t.bump is True
    made = []
    for each in found:
        o = new(t.kin)
        o.st = st
        o.form = each.form
        if plain:
            o.lens = each
        else:
            _inherit(o, t, each)
        made.append(o)
    return tuple(made)


def _inherit(o: Tensor, t: Tensor, lens: Lens) -> None:
    """What a view takes over from the tensor it was made of."""
    grad = LOCAL.tape.grad
    if t.lrg:
        o.base = t
        o.brg = grad
    elif t.base is not None:
        o.base = t.base
        o.brg = t.brg and grad
    elif not grad and not lens.detached and (t.st.rg or t.st.hist is not None):
        lens = lens.then(DETACH)
    o.lens = lens
    if t.bump is not True:
        o.bump = t.bump


def answers_again(method):
    """Decorator of a method that gives a view or a tuple of views. Asked again of a tensor that
    lies alike, with the same integers, it gives them without a line of Python: a lens keeps the
    lenses that answered it."""
    name = "." + method.__name__

    @wraps(method)
    def answer(t, *arguments, **options):
        if not LOOKED:
            return method(t, *arguments, **options)
        question, asked = name, arguments
        if options:
            question, asked = " ".join((name, *options)), (*arguments, *options.values())
        found = LOOKED[0](LOCAL.tape, t, question, asked)
        if found is None:
            found = method(t, *arguments, **options)
            keep_answer(t, question, asked, found)
        return found

    return answer


def answered(t: Tensor, question: str, asked: tuple):
    """The view, or the tuple of views, that `keep_answer` was given for this question; or None."""
    return LOOKED[0](LOCAL.tape, t, question, asked) if LOOKED else None


def keep_answer(t: Tensor, question: str, asked: tuple, found) -> None:
    """Remember the lenses of what was answered to a question about t."""
    if not LOOKED:
        return
    own = lens_of(t)
    views = found if type(found) is tuple else (found,)
    lenses = tuple([v.lens for v in views if v.st is t.st and type(v.lens) is Lens])
    cut = any([lens.detached is not own.detached for lens in lenses])
    if len(lenses) < len(views) or cut or len(own.kids) >= KEPT_VIEWS or not _is_whole(asked):
        return
    own.kids[question, asked] = lenses if type(found) is tuple else lenses[0]


def _is_whole(asked: tuple) -> bool:
    """Are the arguments integers, or tuples of them?"""
    rows = [x if type(x) is tuple else (x,) for x in asked]
    return all([type(n) is int for row in rows for n in row])


def detach(t: Tensor) -> Tensor:
    """The same storage, where no gradient flows."""
    o = new(t.kin)
    o.st = t.st
    o.form = t.form
    lens = t.lens
    if type(lens) is Lens:
        o.lens = lens.then(DETACH)
    elif lens is not LEAF and (t.st.rg or t.st.hist is not None):
        o.lens = whole(t.form).then(DETACH)
    if t.bump is not True:
        o.bump = t.bump
    return o


def data(t: Tensor) -> Tensor:
    """PyTorch's `.data`: detached, and writes through it do not raise the version."""
    o = detach(t)
    o.bump = False
    return o


def rebind(t: Tensor, other: Tensor) -> None:
    """t looks at other's storage from now on. An autograd leaf stays one: where `other` is a view
    or has a history, the leaf gets a storage of its own with other's value."""
    if t.st.cells:
        t.st.left = True
    t.form = other.form
    t.cmark = None
    if t.lrg:
        t.base = None
        t.lens = LEAF
        t.st = plain_storage(other)
    else:
        t.base = other.base
        t.lens = other.lens if type(other.lens) is Lens else None
        t.st = other.st
    if t.st.left:
        t.st.left = False


def plain_storage(t: Tensor) -> Storage:
    """t's storage if t is the whole of it and it has no history; else a new one with t's value."""
    st = t.st
    tracked = st.rg or st.hist is not None
    if t.lens is LEAF or (type(t.lens) is not Lens and t.base is None and not tracked):
        return st
    tape = LOCAL.tape
    pending = st.buf is None or st.mark is tape.mark or tape.tracing is not None
    if pending or st.exported or (type(t.lens) is Lens and t.lens.strides is None):
        return record1(COPY, t).st
    return evaluated_storage(evaluated(t), t.form)


def _present(attrs, x: Node) -> Node:
    return RESHAPE(x, attrs=(x.shape,))


PRESENT = Call("present", _present)


def present(t: Tensor, cls: type) -> Tensor:
    """t's present value as a tensor of another class, without a copy where it is known. Gradients
    flow through; what is written to either later is not seen by the other."""
    st = t.st
    tape = LOCAL.tape
    tracked = t.lrg or t.base is not None or st.rg or st.hist is not None
    pending = st.buf is None or st.mark is tape.mark or tape.tracing is not None
    if tracked or pending or st.exported:
        return record_n(PRESENT, cls, (t,))
    return over(evaluated_storage(evaluated(t), t.form), cls)


def base_of(t: Tensor) -> Tensor | None:
    """The tensor that t is a view of: the one that views of the storage were first made of, or
    where it is gone a new one over the whole storage. None for what is no view."""
    lens = t.lens
    if type(lens) is not Lens or not lens.steps:
        return None
    if t.base is not None:
        return t.base
    first = t.st.first and t.st.first()
    if first is None or first.st is not t.st:
        first = over(t.st, t.kin)
    return None if first is t else first


def same_storage(a: Tensor, b: Tensor) -> bool:
    return a.st is b.st


def lens_of(t: Tensor) -> Lens:
    return t.lens if type(t.lens) is Lens else whole(t.form)


def strides(t: Tensor) -> tuple[int, ...]:
    """Strides in cells, as the view lies in its storage."""
    return lens_of(t).strides


def offset(t: Tensor) -> int:
    """Position of the first cell in the storage."""
    return lens_of(t).offset


def is_contiguous(t: Tensor) -> bool:
    return lens_of(t).is_contiguous


def viewable(t: Tensor, shape: tuple[int, ...]) -> bool:
    """Can t be looked at as this shape without a copy?"""
    lens = lens_of(t)
    return view_strides(lens.form.shape, lens.strides, tuple(shape)) is not None


def storage_of(t: Tensor) -> Storage:
    return t.st
