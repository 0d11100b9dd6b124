"""Many values that were looked at, put side by side: at once, in memory.

The losses of an episode's steps, put into one tensor, come from as many records. Recorded, they
would be a program for each number of them, with a leaf for each. They are known, so they are put
together at once; what is left behind is a record of its own, which hands a gradient on in parts.
The same for known values without a history: samples of a replay buffer are other ones each time.
"""

from __future__ import annotations

from math import prod

import numpy as np

from gemel.graph.form import form
from gemel.ops.record import Call
from gemel.runtime.buffer import Buffer

from .errors import FREED, FreedGraph
from .flush import flush
from .history import RELEASED, next_number
from .lens import Lens
from .storage import Storage, evaluated_storage
from .tape import LOCAL
from .tensor import Tensor, over
from .views import look

MANY = 16  # values that are worth it
LOOKED_AT = 8  # of which so many have a history


class Joint:
    """The record of values put side by side along an axis; it has one root, number 0.

    call    what was called
    hists   (record, value index) of each value, or None;  forms: of their storages
    axis    along which they lie;  size: how much of it each takes
    hooked  hooks of the root, as in a Record;  released: a pass has gone through"""

    __slots__ = (
        "call", "hists", "forms", "shape", "axis", "size", "hooked", "released", "seq",
    )  # fmt: skip

    def __init__(self, call: Call, values: list[Tensor], axis: int, shape: tuple[int, ...]):
        self.call = call
        self.hists = [t.st.hist for t in values]
        self.forms = [t.st.form for t in values]
        self.axis = axis
        self.shape = shape
        self.size = shape[axis]
        self.hooked = None
        self.released = False
        self.seq = next_number()

    def spread(self, g: Tensor, retain: bool, create: bool, lanes: int) -> list[tuple]:
        """[(record, value index, its gradient)], from the gradient of the root. lanes: how many
        gradients lie along an axis in front, 0 for a single one."""
        if self.released:
            raise FreedGraph(FREED)
        parts = self._recorded(g, lanes) if create or lanes else self._parts(g)
        found = [(*hist, g) for hist, g in zip(self.hists, parts, strict=True) if hist is not None]
        if not retain:
            self.released = True
            self.hists = [None] * len(self.hists)
        return found

    def _parts(self, g: Tensor) -> list[Tensor]:
        """The parts as values that are known; the whole is computed first."""
        flush(LOCAL.tape)
        whole = g.st.buf
        array = whole.array(g.st.form)
        if prod(g.form.shape[: self.axis]) == 1:
            width = self.forms[0].nbytes
            pieces = [whole.part(k * width, width) for k in range(len(self.forms))]
        else:
            rows = np.split(array, len(self.forms), self.axis)
            pieces = [Buffer.of(row) for row in rows]
        found = zip(pieces, self.forms, strict=True)
        return [over(evaluated_storage(piece, f), g.kin) for piece, f in found]

    def _recorded(self, g: Tensor, lanes: int) -> list[Tensor]:
        """The parts as views, through which further gradients flow."""
        found = []
        front = (lanes,) if lanes else ()
        for k, f in enumerate(self.forms):
            spec = [(0, n, 1) for n in g.form.shape]
            spec[self.axis + len(front)] = (k * self.size, (k + 1) * self.size, 1)
            found.append(look(g, ("slice", tuple(spec)), ("reshape", front + f.shape)))
        return found


def joined(call: Call, operands: tuple[Tensor, ...], axis: int, stacked: bool) -> Tensor | None:
    """The operands along an axis, a new one if stacked; None where recording it is as well."""
    if len(operands) < MANY or LOCAL.tape.tracing is not None:
        return None
    f = operands[0].form
    axis = axis + f.ndim + stacked if axis < 0 else axis
    if not 0 <= axis < f.ndim + stacked or not f.size or not all(map(is_whole, operands)):
        return None
    if any(t.form is not f for t in operands):
        return None
    places = [t.st for t in operands]
    looked_at = sum(st.hist is not None for st in places)
    if 0 < looked_at < LOOKED_AT:
        return None
    if looked_at:
        flush(LOCAL.tape)
    if not all(map(is_settled, places)):
        return None
    shape = (*f.shape[:axis], 1, *f.shape[axis:]) if stacked else f.shape
    return _together(call, operands, axis, shape, bool(looked_at))


def is_whole(t: Tensor) -> bool:
    """Has it the values of its storage, in their order, and no history that begins at it?"""
    lens = t.lens
    if lens is None:
        return True
    if type(lens) is not Lens or t.base is not None or lens.detached:
        return False
    return lens.is_contiguous and t.form.size == t.st.form.size


def is_settled(st: Storage) -> bool:
    """Is its value known, and the history of it still there?"""
    if st.buf is None or (st.mark is not None and st.mark.tape is not None):
        return False
    return st.hist is None or st.hist[0] is not RELEASED


def _together(call: Call, operands, axis: int, shape: tuple[int, ...], history: bool) -> Tensor:
    f = operands[0].form
    count = len(operands)
    whole = form((*shape[:axis], count * shape[axis], *shape[axis + 1 :]), f.dtype)
    buffer = Buffer(whole.nbytes)
    held = form(shape, f.dtype)
    arrays = [t.st.buf.array(held) for t in operands]
    np.concatenate(arrays, axis, out=buffer.array(whole))
    st: Storage = evaluated_storage(buffer, whole)
    if history and LOCAL.tape.grad:
        st.hist = (Joint(call, operands, axis, shape), 0)
    return over(st, operands[0].kin)
