"""Calls that rewrite storages in one transition: optimizer steps, generators with a state."""

from __future__ import annotations

from gemel.runtime.builtins.gather import Classes, gatherer

from .errors import InPlaceShape
from .overflow import overflow
from .read import Divert, histories, leaf_state, read_raw
from .record import NUMBER, add_numbers, operand_indices, result
from .recorder import DRAWN
from .state import UPDATE, State, form_of
from .storage import Storage, pack_key
from .tape import LOCAL, SEVERAL, Tape
from .tensor import Tensor
from .write import put


class Pack:
    """Tensors that are only used together (an optimizer's state): one leaf for all of them.

    Where a member was read or written on its own in a piece, `update` binds them one by one.
    """

    __slots__ = ("storages", "key")

    def __init__(self, tensors):
        self.storages = [t.st for t in tensors]
        self.key = pack_key(tuple(st.form for st in self.storages))

    def bind(self, tape: Tape) -> list[int]:
        """Indices of the members in this piece."""
        mark = tape.mark
        storages = self.storages
        apart = SEVERAL or tape.tracing is not None
        if apart or [1 for st in storages if st.mark is mark or st.buf is None or st.exported]:
            return [read_raw(tape, st) for st in storages]
        first = leaf_state(tape, self.key).idx
        tape.leaves += storages
        return list(range(first, first + len(storages)))


class Counter:
    """served: how often storages were rewritten by a `Stepping`"""

    __slots__ = ("served",)

    def __init__(self):
        self.served = 0


class Stepping:
    """Targets and a pack that are rewritten together again and again, as the last thing in a piece:
    the caller flushes at once. As long as all is as usual, they are looked at by one built-in
    function, and nobody can see that they are not marked as pending.

    Give it up with `end()` where the targets step with others from now on."""

    __slots__ = ("targets", "places", "members", "key", "counter", "gather")

    def __init__(self, targets: list[Tensor], pack: Pack | None):
        self.targets = list(targets)
        self.members = pack.storages if pack is not None else []
        self.key = pack.key if pack is not None else None
        self.gather = None
        self._begin()

    def _begin(self) -> None:
        self.counter = Counter()
        self.places = places = [t.st for t in self.targets]
        if len(set(places)) == len(places):  # else a place would have to be written twice
            classes = Classes(Tensor, Storage)
            self.gather = gatherer(self.targets, places, self.members, classes)
            for st in places:
                st.turns += (self.counter,)

    def end(self) -> None:
        """The storages count for themselves what was counted here."""
        counter = self.counter
        for st in self.places:
            if counter in st.turns:
                st.turns = tuple(c for c in st.turns if c is not counter)
                st.ver += counter.served
        self.gather = None

    def look(self) -> tuple | None:
        """Which values the targets and their gradients are; None where anything is unusual."""
        tape = LOCAL.tape
        if self.gather is None or tape.tracing is not None or SEVERAL:
            return None
        found = self.gather(tape.mark)
        if found is None and any(map(_moved, self.targets, self.places)):
            self.end()
            self._begin()
        return found

    def update(self, found: tuple, call, scalars, attrs, pack: Pack | None) -> None:
        """`update` of the targets by their gradients; `found` is what `look` has just given."""
        tape = LOCAL.tape
        at = tape.state
        key = (call, attrs, found, self.key, *map(type, scalars))
        s = at.kids.get(key)
        if s is None:
            update(call, self.targets, [t.grad for t in self.targets], scalars, attrs, pack)
            at.kids[key] = tape.state
            return
        tape.leaves += self.members
        tape.scalars += scalars
        tape.state = s
        self.counter.served += 1


def _moved(t: Tensor, place: Storage) -> bool:
    return t.st is not place


class Replayed(list):
    """Numbers that a traced function asks for again at every call."""

    __slots__ = ("closure",)


def replayed(closure) -> list[float]:
    """`scalars` for `update`: closure() now, and again at every call of a traced function."""
    numbers = Replayed(closure())
    numbers.closure = closure
    return numbers


def update(call, targets, reads, scalars=(), attrs=None, pack: Pack | None = None) -> None:
    """An optimizer's step as one transition: all targets and the pack are rewritten.

    call.expand(attrs, *scalars, *targets, *reads, *pack) gives the new values of the targets, then
    of the pack, each of the old form. Call `flush()` when the step is complete.
    """
    tape = LOCAL.tape
    places = [t.st for t in targets]
    while True:
        mark = tape.mark
        args = [NUMBER[x.__class__] for x in scalars]
        args += [st.idx if st.mark is mark else read_raw(tape, st) for st in places]
        args += operand_indices(tape, reads)
        members = pack.bind(tape) if pack is not None else []
        tape.busy = True
        if tape.mark is mark:
            break
    key = (UPDATE, call, attrs, *args, *members)
    s = tape.state.kids.get(key)
    if s is None:
        written = (*args[len(scalars) : len(scalars) + len(places)], *members)
        s = _grow_update(tape, key, written)
    if scalars:
        if type(scalars) is Replayed and tape.tracing is not None:
            tape.tracing.replayed.append((len(tape.scalars), scalars.closure))
        tape.scalars += scalars
    tape.state = s
    index = s.idx
    for st in places:  # `put`, written out
        st.idx = index
        st.rg = False
        st.ver += 1
        st.dirty = mark
        index += 1
    if members:
        _put_members(tape, pack.storages, index)
    if SEVERAL:
        tape.bound.update((id(st), st.idx) for st in places)
    tape.busy = False


def _put_members(tape: Tape, storages: list[Storage], index: int) -> None:
    mark = tape.mark
    for st in storages:
        st.mark = mark
        st.idx = index
        if st.buf is not None:
            st.dirty = mark
        index += 1


def _grow_update(tape: Tape, key: tuple, written: tuple[int, ...]) -> State:
    _, call, attrs, *args = key
    at = tape.state
    try:
        forms = call.forms(attrs or (), *(form_of(at, a) for a in args))
        for index, made in zip(written, forms, strict=False):
            if form_of(at, index) is not made:
                raise InPlaceShape(form_of(at, index), made)
    except BaseException:
        tape.busy = False
        raise
    new = forms[len(written) :]
    rgs = (False,) * len(written) + histories(at, call, new, tuple(args))
    s = State(at, UPDATE, (call, attrs or (), written), tuple(args), forms, rgs)
    at.kids[key] = s
    return s


def record_state(call, state: Tensor, cls: type, operands=(), attrs=None) -> list[Tensor]:
    """Record a call that rewrites `state` (a whole, plain tensor; a generator's words):
    call.expand(attrs, state, *operands) gives (new state, *results). Returns the results."""
    tape = LOCAL.tape
    if DRAWN and cls.kin is cls:
        o = DRAWN[0](tape, call, attrs, cls, state, *operands)
        if o is not None:
            return [o]
    st = state.st
    try:
        while True:
            args = operand_indices(tape, operands)
            mark = tape.mark
            i = st.idx if st.mark is mark else read_raw(tape, st)
            tape.busy = True
            if tape.mark is mark:
                break
    except Divert as d:
        return d.tensor.divert(call, (state, *operands), attrs)
    key = (UPDATE, call, attrs, i, *args)
    s = tape.state.kids.get(key)
    if s is None:
        s = _grow_update(tape, key, (i,))
    if args and min(args) < 0:
        add_numbers(tape, operands, args)
    tape.state = s
    put(tape, st, s.idx, False, True)
    out = [
        result(tape, cls, s.idx + 1 + k, f, rg)
        for k, (f, rg) in enumerate(zip(s.forms[1:], s.rgs[1:], strict=True))
    ]
    tape.busy = False
    if s.load > tape.limit:
        overflow(tape)
    return out
