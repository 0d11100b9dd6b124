"""`Lens`: one way of looking at a storage; an interned chain of view steps.

A lens answers three questions from one description: which value a view has (on graph nodes), what
the storage becomes when the view is written, and where the view lies in memory (strides, offset).
"""

from __future__ import annotations

from math import prod

import numpy as np

from gemel.graph.errors import ShapeError
from gemel.graph.form import Form, complex64, complex128, float32, float64, form, int64
from gemel.graph.node import Node
from gemel.ops.bits import reinterpret
from gemel.ops.complex import PAIRS, as_complex, as_real
from gemel.ops.indexing import gather, scatter_set
from gemel.ops.movement import (
    expand,
    full,
    inverse,
    iota,
    permute,
    reshape,
    slice_,
    slice_shape,
    slice_size,
    update_slice,
)

KEPT_VIEWS = 1000  # views of one lens that are interned
INDEX_LIST = 64  # entries of a shuffled order of samples, from which batches are cut
KEPT_GROUPS = 16


class Lens:
    """base       form of the storage
    steps         elementary steps: slice, permute, reshape, expand, strided, as_real, as_complex
    form          form of the view
    strides       of the view in the storage's memory, in cells of the view's type; None where a
                  reshape had to copy
    offset        of its first cell
    detached      no gradient flows through
    overlapping   several cells are one place: cannot be written
    piece         (first byte, bytes) where it is a piece of the storage's memory, in order; or None
    listed        a part of what looks like a list of indices
    ordered       do the cells lie in the order of the view?
    starts        where its slices that are not whole begin
    groups        several views that are made together, by what names them
    moving        the same for slices that begin anywhere, or None"""

    __slots__ = (
        "base", "steps", "form", "strides", "offset", "detached", "overlapping", "kids", "groups",
        "piece", "listed", "ordered", "starts", "moving",
    )  # fmt: skip

    def __init__(self, base: Form, steps=(), view=None, strides=None, offset=0, detached=False):
        self.base = base
        self.steps = steps
        self.form = view or base
        self.strides = contiguous(base.shape) if view is None else strides
        self.offset = offset
        self.detached = detached
        self.overlapping = any(s[0] == "expand" for s in steps)
        self.kids: dict = {}
        self.groups: dict[tuple, tuple[Lens, ...]] = {}

    def __getattr__(self, name: str):
        """What few lenses are asked for is found out at the first question."""
        if name == "piece":
            nbytes = self.form.nbytes
            some = self.steps and 0 < nbytes < self.base.nbytes and self.is_contiguous
            self.piece = (self.offset * self.form.dtype.itemsize, nbytes) if some else None
            return self.piece
        if name == "listed":
            f = self.base
            whole = f.ndim == 1 and f.size >= INDEX_LIST and f.dtype.is_integer
            self.listed = whole and self.piece is not None
            return self.listed
        if name == "ordered":
            ordered = self.strides is not None and _same_layout(self.form.shape, self.strides)
            self.ordered = ordered
            return ordered
        if name not in ("starts", "moving"):
            raise AttributeError(name)
        self.starts, pattern = _pattern(self)
        self.moving = Moving.of(self, pattern) if self.starts else None
        return self.starts if name == "starts" else self.moving

    def then(self, spec: tuple) -> Lens:
        """This lens followed by one more view; checked, interned."""
        found = self.kids.get(spec)
        if found is None:
            if len(self.kids) >= KEPT_VIEWS:
                self.kids.clear()  # a loop over positions
            made = self._detach() if spec == DETACH else _STEPS[spec[0]](self, *spec[1:])
            found = self.kids.setdefault(spec, made)
        return found

    def then_each(self, key: tuple, specs: list[tuple]) -> tuple[Lens, ...]:
        """This lens followed by each of several views, remembered as `groups[key]`."""
        if len(self.groups) >= KEPT_GROUPS:
            self.groups.clear()
        found = tuple([self._followed(spec) for spec in specs])
        return self.groups.setdefault(key, found)

    def _followed(self, spec: tuple) -> Lens:
        found = self
        for step in spec:
            found = found.then(step)
        return found

    def _detach(self) -> Lens:
        made = Lens(self.base, self.steps, self.form, self.strides, self.offset, True)
        made.overlapping = self.overlapping
        return made

    def _and(self, step: tuple, shape, strides, offset=None, dtype=None) -> Lens:
        at = self.offset if offset is None else offset
        view = form(tuple(shape), dtype or self.form.dtype)
        return Lens(self.base, (*self.steps, step), view, strides, at, self.detached)

    def read(self, base: Node) -> Node:
        """The view's value, given the storage's."""
        for step in self.steps:
            base = _READ[step[0]](base, *step[1:])
        return base

    def written(self, base: Node, value: Node) -> Node:
        """The storage's value after the view was set to `value`."""
        if not self.steps:
            return value
        chain = [base]
        for step in self.steps[:-1]:
            chain.append(_READ[step[0]](chain[-1], *step[1:]))
        for step, under in zip(reversed(self.steps), reversed(chain), strict=True):
            value = _WRITE[step[0]](under, value, *step[1:])
        return value

    def array(self, whole: np.ndarray) -> np.ndarray:
        """The view of the storage's memory as a NumPy array (shares)."""
        kind = self.form.dtype.numpy
        size = kind.itemsize
        if not self.form.size:
            return np.empty(self.form.shape, kind)
        strides = tuple([s * size for s in self.strides])
        return np.ndarray(self.form.shape, kind, whole, self.offset * size, strides)

    @property
    def is_contiguous(self) -> bool:
        return self.ordered


def _pattern(lens: Lens) -> tuple[tuple[int, ...], tuple]:
    """The starts of slices, and the steps without them."""
    starts: list[int] = []
    steps = []
    f = lens.base
    if any(step[0] in ("strided", "bits") for step in lens.steps):
        return (), ()
    for step in lens.steps:
        if step[0] == "slice":
            rows = []
            for n, (start, stop, stride) in zip(f.shape, step[1], strict=True):
                size = slice_size(start, stop, stride)
                if size == n and stride == 1:
                    rows.append(None)
                else:
                    rows.append((size, stride))
                    starts.append(start)
            step = ("slice", tuple(rows))
        steps.append(step)
        f = _form_after(step, f)
    return tuple(starts), tuple(steps)


def _form_after(step: tuple, f: Form) -> Form:
    """What a step makes of a form."""
    kind, *what = step
    if kind in ("as_real", "as_complex"):
        return PAIRS.infer((), f)
    if kind == "slice":
        rows = zip(f.shape, what[0], strict=True)
        shape = tuple(n if row is None else row[0] for n, row in rows)
    else:
        shape = tuple(f.shape[a] for a in what[0]) if kind == "permute" else tuple(what[0])
    return form(shape, f.dtype)


class Moving:
    """A lens whose slices begin anywhere: where they begin are run-time numbers, so that a loop
    over positions is one program. Interned."""

    __slots__ = ("base", "steps", "form", "detached", "count")
    made: dict[tuple, Moving] = {}

    @classmethod
    def of(cls, lens: Lens, pattern: tuple) -> Moving:
        key = (lens.base, pattern, lens.detached)
        found = cls.made.get(key)
        if found is None:
            found = cls()
            found.base, found.steps, found.detached = key
            found.form = lens.form
            found.count = len(lens.starts)
            found = cls.made.setdefault(key, found)
        return found

    def read(self, base: Node, starts: list[Node]) -> Node:
        """The view's value; `starts` are int64 numbers."""
        return self._chain(base, iter(starts))[-1][0]

    def _chain(self, base: Node, starts) -> list[tuple[Node, list]]:
        """(value, cells of its slice) before each step, and the value after the last."""
        chain = []
        for kind, *what in self.steps:
            if kind == "slice":
                cells = _row_cells(what[0], starts)
                chain.append((base, cells))
                for axis, index in cells:
                    base = gather(base, index, axis)
            else:
                chain.append((base, []))
                base = _READ[kind](base, *what)
        return [*chain, (base, [])]

    def written(self, base: Node, value: Node, starts: list[Node]) -> Node:
        """The storage's value after the view was set to `value`."""
        chain = self._chain(base, iter(starts))[:-1]
        for (kind, *what), (under, cells) in zip(
            reversed(self.steps), reversed(chain), strict=True
        ):
            if kind == "slice":
                value = _put_cells(under, value, cells)
            else:
                value = _WRITE[kind](under, value, *what)
        return value


def _row_cells(rows: tuple, starts) -> list[tuple[int, Node]]:
    """(axis, index of its cells) of the axes that a slice cuts."""
    return [
        (axis, iota((row[0],), 0, int64) * row[1] + next(starts))
        for axis, row in enumerate(rows)
        if row is not None
    ]


def _put_cells(base: Node, value: Node, cells: list[tuple[int, Node]]) -> Node:
    """`base` with `value` at the crossing of the given cells of several axes."""
    if not cells:
        return value
    (axis, index), *rest = cells
    if rest:
        value = _put_cells(gather(base, index, axis), value, rest)
    return scatter_set(base, index, value, axis)


DETACH = ("detach",)
WHOLE: dict[Form, Lens] = {}


def whole(f: Form) -> Lens:
    """The lens that looks at a storage as it is."""
    found = WHOLE.get(f)
    return found or WHOLE.setdefault(f, Lens(f))


# ---------- layout ----------
def contiguous(shape) -> tuple[int, ...]:
    """Strides of a C-ordered array, in cells."""
    out = []
    step = 1
    for n in reversed(shape):
        out.append(step)
        step *= max(n, 1)
    return tuple(reversed(out))


def _same_layout(shape, strides) -> bool:
    if 0 in shape:
        return True
    rows = zip(shape, strides, contiguous(shape), strict=True)
    return all(n == 1 or s == c for n, s, c in rows)


def view_strides(shape, strides, target) -> tuple[int, ...] | None:
    """Strides with which memory laid out (shape, strides) reads as `target`, None if it cannot."""
    if strides is None:
        return None
    if 0 in shape or 0 in target:
        return contiguous(target)
    blocks = _blocks(shape, strides)
    out: list[int] = []
    sizes = list(target)
    for length, step in reversed(blocks):
        at = step
        left = length
        while left > 1 or (sizes and sizes[-1] == 1):
            if not sizes or left % sizes[-1]:
                return None
            n = sizes.pop()
            out.append(at)
            at *= n
            left //= n
    out += [1] * len(sizes)  # only sizes of 1 are left
    return tuple(reversed(out))


def _blocks(shape, strides) -> list[tuple[int, int]]:
    """Runs of axes that are contiguous among themselves: (cells, innermost stride)."""
    blocks: list[tuple[int, int]] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if blocks and blocks[-1][1] == n * s:
            blocks[-1] = (blocks[-1][0] * n, s)
        else:
            blocks.append((n, s))
    return blocks or [(1, 1)]


# ---------- making a step ----------
def _slice_step(lens: Lens, spec) -> Lens:
    strides = offset = None
    if lens.strides is not None:
        strides = tuple(s * step for s, (_, _, step) in zip(lens.strides, spec, strict=True))
        moved = zip(lens.strides, spec, slice_shape(spec), strict=True)
        offset = lens.offset + sum(s * a for s, (a, _, _), n in moved if n)
    return lens._and(("slice", spec), slice_shape(spec), strides, offset)


def _permute_step(lens: Lens, order) -> Lens:
    shape = tuple(lens.form.shape[a] for a in order)
    strides = lens.strides and tuple(lens.strides[a] for a in order)
    return lens._and(("permute", order), shape, strides)


def _reshape_step(lens: Lens, shape) -> Lens:
    if prod(shape) != lens.form.size:
        raise ShapeError("view", f"{lens.form.size} cells do not fill {list(shape)}", (lens.form,))
    strides = view_strides(lens.form.shape, lens.strides, shape)
    return lens._and(("reshape", shape), shape, strides)


def _expand_step(lens: Lens, shape) -> Lens:
    old = lens.form.shape
    lead = len(shape) - len(old)
    pairs = zip(old, shape[max(lead, 0) :], strict=True) if lead >= 0 else ()
    if lead < 0 or any(a != b and a != 1 for a, b in pairs):
        reason = f"{list(old)} does not expand to {list(shape)}"
        raise ShapeError("expand", reason, (lens.form,))
    if shape == old:
        return lens
    strides = None
    if lens.strides is not None:
        kept = zip(lens.strides, old, shape[lead:], strict=True)
        strides = (0,) * lead + tuple(s if a == b else 0 for s, a, b in kept)
    if prod(shape) == lens.form.size:  # nothing is repeated: still writable
        return _reshape_step(lens, shape)
    return lens._and(("expand", shape), shape, strides)


def _diagonal_step(lens: Lens, offset, d1, d2) -> Lens:
    """As permute, merge of the two axes, slice with the step of one row and one column."""
    rest = [a for a in range(lens.form.ndim) if a not in (d1, d2)]
    moved = lens.then(("permute", (*rest, d1, d2)))
    *lead, rows, columns = moved.form.shape
    size = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    start = (max(-offset, 0) * columns + max(offset, 0)) if size else 0
    merged = moved.then(("reshape", (*lead, rows * columns)))
    last = start + (size - 1) * (columns + 1) + 1 if size else start
    spec = tuple((0, n, 1) for n in lead) + ((start, last, columns + 1),)
    cut = merged.then(("slice", spec))
    if moved.strides is None:
        return cut
    step = moved.strides[-2] + moved.strides[-1]
    move = max(-offset, 0) * moved.strides[-2] + max(offset, 0) * moved.strides[-1]
    strides = (*moved.strides[:-2], step)
    at = moved.offset + (move if size else 0)
    return Lens(lens.base, cut.steps, cut.form, strides, at, lens.detached)


def _strided_step(lens: Lens, size, stride, offset) -> Lens:
    """Cells of the whole storage by strides, whatever was looked at before."""
    under = _in_type(lens.base, lens.form.dtype)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if offset < 0 or (0 not in size and last >= under.form.size):
        raise ShapeError("as_strided", f"cell {last} of {under.form.size}", (lens.base,))
    steps = (*under.steps, ("strided", size, stride, offset))
    view = form(tuple(size), lens.form.dtype)
    made = Lens(lens.base, steps, view, tuple(stride), offset, lens.detached)
    made.overlapping = any(s == 0 and n > 1 for n, s in zip(size, stride, strict=True))
    return made


def _in_type(f: Form, dtype) -> Lens:
    """The whole of a storage as cells of a type: its own, or that of its parts or pairs."""
    if f.dtype is dtype:
        return whole(f)
    if f.dtype.is_complex and dtype is _PARTS[f.dtype]:
        return whole(f).then(("as_real",))
    if dtype.is_complex and f.dtype is _PARTS[dtype]:
        return whole(f).then(("reshape", (f.size // 2, 2))).then(("as_complex",))
    return whole(f).then(("reshape", (f.size,))).then(("bits", dtype))


def _as_real_step(lens: Lens) -> Lens:
    """Complex cells as pairs of real ones."""
    f = PAIRS.infer((), lens.form)
    strides = lens.strides and (*(2 * s for s in lens.strides), 1)
    strides = (1,) if lens.strides == () else strides
    return lens._and(("as_real",), f.shape, strides, 2 * lens.offset, f.dtype)


def _as_complex_step(lens: Lens) -> Lens:
    """Pairs of real cells as complex ones; ShapeError where they do not lie so."""
    f = PAIRS.infer((), lens.form)
    strides = lens.strides
    if strides is not None:
        if lens.offset % 2 or strides[-1] != 1 or any(s % 2 for s in strides[:-1]):
            raise ShapeError("as_complex", "the pairs do not lie in the storage", (lens.form,))
        strides = tuple(s // 2 for s in strides[:-1])
    return lens._and(("as_complex",), f.shape, strides, lens.offset // 2, f.dtype)


def _bits_step(lens: Lens, dtype) -> Lens:
    """The same memory as cells of another type; ShapeError where they do not lie so."""
    f = lens.form
    have, want = f.dtype.itemsize, dtype.itemsize
    strides, offset, shape = lens.strides, lens.offset, f.shape
    if have != want:
        rest, last = shape[:-1], shape[-1] * have
        shape = (*rest, last // want)
        if last % want:
            raise ShapeError("bits", f"{last} bytes are no cells of {want}", (f,))
    if strides is not None and have != want:
        steps = [s * have for s in strides[:-1]]
        if strides[-1] != 1 or (offset * have) % want or any(s % want for s in steps):
            raise ShapeError("bits", "the cells do not lie in the storage", (f,))
        strides, offset = (*(s // want for s in steps), 1), offset * have // want
    return lens._and(("bits", dtype), shape, strides, offset, dtype)


_PARTS = {complex64: float32, complex128: float64}
_STEPS = {
    "as_real": _as_real_step,
    "as_complex": _as_complex_step,
    "bits": _bits_step,
    "slice": _slice_step,
    "permute": _permute_step,
    "reshape": _reshape_step,
    "expand": _expand_step,
    "diagonal": _diagonal_step,
    "as_strided": _strided_step,
}


# ---------- on nodes ----------
def _cells(size, stride, offset) -> Node:
    """The linear index of each cell of a strided view."""
    index = full(tuple(size), offset, int64)
    for axis, step in enumerate(stride):
        index = index + iota(tuple(size), axis, int64) * step
    return index


def _read_strided(base: Node, size, stride, offset) -> Node:
    return gather(reshape(base, (base.form.size,)), _cells(size, stride, offset), 0)


def _write_strided(base: Node, value: Node, size, stride, offset) -> Node:
    flat = reshape(base, (base.form.size,))
    return reshape(scatter_set(flat, _cells(size, stride, offset), value, 0), base.shape)


_READ = {
    "slice": slice_,
    "permute": permute,
    "reshape": reshape,
    "expand": expand,
    "strided": _read_strided,
    "as_real": as_real,
    "as_complex": as_complex,
    "bits": reinterpret,
}
_WRITE = {
    "slice": update_slice,
    "permute": lambda base, value, order: permute(value, inverse(order)),
    "reshape": lambda base, value, shape: reshape(value, base.shape),
    "strided": _write_strided,
    "as_real": lambda base, value: as_complex(value),
    "as_complex": lambda base, value: as_real(value),
    "bits": lambda base, value, dtype: reinterpret(value, base.dtype),
}
