"""A function of one lane, run for many lanes at once: what `vmap` is made of.

The function is recorded once, on a tape of its own, with tensors that have the form of one lane.
What it recorded is batched as a graph, and becomes one call on the caller's tape. So everything
works inside that can be recorded: writing in place, gradients, another function in lanes. Tensors
from outside are shared by all lanes; their values may still be pending.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from gemel.autodiff.batching import Lane, batch
from gemel.graph.form import Form, form
from gemel.graph.node import Node
from gemel.ops.record import LEAF, SCALAR, placeholder
from gemel.runtime.buffer import Buffer

from .arrays import evaluated
from .errors import LaneWrite, RandomInLanes, TraceBreak
from .plan import canonical, structure
from .read import bind, leaf_state, read_all, read_raw
from .record import result
from .replay import replay_of
from .state import NUMBER, UPDATE, State, form_of, has_history
from .storage import DATA, HIST, Storage, pending_storage
from .tape import LOCAL, Tape
from .tensor import Tensor, over
from .trace import Recording, new_tape, recording_on
from .views import look
from .write import put, write

OUTSIDE = ("outside",)  # in place of a history: it belongs to the caller's tape
CALLS_KEPT = 1000


class LaneCall:
    """The batched graph as a Call: over `sources`, of which some have lanes in front, it gives the
    new values of written storages, then the results."""

    __slots__ = ("sources", "flags", "ends", "written", "lanes", "many", "_forms")
    name = "vmap"
    differentiable = True

    def __init__(self, sources: list[Node], flags: list[bool], ends: list[Node], written, lanes):
        self.sources = sources
        self.flags = flags
        self.ends = ends
        self.written: int = written
        self.lanes = lanes
        self.many: tuple[bool, ...] = ()
        self._forms: dict = {}

    def expand(self, attrs: tuple, *nodes: Node) -> tuple[Node, ...]:
        rows = zip(self.sources, nodes, self.flags, strict=True)
        found = batch(self.ends, {s: Lane(n, many) for s, n, many in rows}, self.lanes)
        for lane, end in zip(found[: self.written], self.ends, strict=False):
            if lane.many:
                raise LaneWrite(end.form)
        self.many = tuple(lane.many for lane in found)
        return tuple(lane.node for lane in found)

    def forms(self, attrs: tuple, *forms: Form) -> tuple[Form, ...]:
        found = self._forms.get(forms)
        if found is None:
            out = self.expand(attrs, *(placeholder(i, f) for i, f in enumerate(forms)))
            found = self._forms[forms] = tuple(n.form for n in out)
        return found


_calls: dict[tuple, Any] = {}


def interned(make: Callable[[], Any], sources, flags, ends, *more) -> Any:
    """The one call of this graph, so that a function that is recorded again is known: `make()`
    where it is new. more: what else tells calls apart."""
    nodes = canonical([*ends, *sources])
    at = {n.attrs[0]: k for k, n in enumerate(n for n in nodes if n.op is LEAF)}
    number = {n.attrs[0]: k for k, n in enumerate(n for n in nodes if n.op is SCALAR)}
    shape = structure(nodes, [*ends, *sources], {}, at, number)
    key = (shape, tuple(flags), *more)
    found = _calls.get(key)
    if found is None:
        if len(_calls) >= CALLS_KEPT:
            _calls.clear()
        found = _calls[key] = make()
    return found


class Lanes(Recording):
    """What is known of a function in lanes while it is recorded.

    size         number of lanes;  randomness: 'error', 'same' or 'different'
    inputs       leaf position -> (tensor of the caller, has it lanes in front?)
    lent         id -> (storage, mark, idx, rg): how the caller's tapes hold it"""

    __slots__ = ("size", "randomness", "inputs", "lent")

    def __init__(self, outer: Tape, size: int, randomness: str):
        super().__init__(outer)
        self.size = size
        self.randomness = randomness
        self.inputs: dict[int, tuple[Tensor, bool]] = {}
        self.lent: dict[int, tuple] = {}

    # ---------- values from outside ----------
    def lends(self, other: Tape | None) -> bool:
        """Is this one of the tapes around?"""
        tape: Tape | None = self.outer
        while tape is not None:
            if tape is other:
                return True
            tape = tape.tracing.outer if tape.tracing is not None else None
        return False

    def owns_no(self, tape: Tape, st: Storage) -> bool:
        return st.mark is not tape.mark or id(st) in self.lent

    def borrow(self, tape: Tape, st: Storage) -> int:
        """A value that is pending, or bound, on a tape around becomes a leaf here."""
        self.lent[id(st)] = (st, st.mark, st.idx, st.rg)
        st.mark, st.idx, st.rg = tape.mark, -1, st.rg or st.hist is not None
        tape.leaves.append(st)
        st.idx = _leaf(tape, st.form, st.rg)
        return st.idx

    def add_input(self, tape: Tape, t: Tensor, many: bool) -> Tensor:
        """One lane of a tensor of the caller."""
        f = form(t.form.shape[1:], t.form.dtype) if many else t.form
        tracked = t.lrg or t.st.rg or t.st.hist is not None
        self.inputs[len(tape.leaves)] = (t, many)
        st = pending_storage(tape.mark, -1, f, tracked)
        tape.leaves.append(st)
        st.idx = _leaf(tape, f, tracked)
        return over(st, t.kin)

    # ---------- back to the caller ----------
    def give_back(self, tape: Tape) -> None:
        """Storages of the caller are as they were."""
        for st in tape.leaves:
            st.mark = None
            st.rg = st.hist is not None
        for st, mark, idx, rg in self.lent.values():
            st.mark, st.idx, st.rg = mark, idx, rg

    @contextmanager
    def left(self, tape: Tape):
        """Record on the caller's tape for a while."""
        inside = [(st, st.mark, st.idx, st.rg) for st in tape.leaves]
        self.give_back(tape)
        LOCAL.tape = self.outer
        try:
            yield
        finally:
            LOCAL.tape = tape
            for st, mark, idx, rg in inside:
                if st.mark is not None:
                    self.lent[id(st)] = (st, st.mark, st.idx, st.rg)
                st.mark, st.idx, st.rg = mark, idx, rg

    def lowered(self, t: Tensor) -> tuple[Tensor, bool]:
        """A value of this recording on the caller's tape: (tensor, has it lanes in front?)."""
        tape = LOCAL.tape
        graph = Recorded(tape, read_all(tape, [t]), [], t.kin)
        with self.left(tape):
            return graph.record(self.outer)[0]

    def looked_at(self, t: Tensor) -> Buffer:
        """A value that all lanes share can be looked at."""
        tape = LOCAL.tape
        found, many = self.lowered(t)
        if many:
            raise TraceBreak()
        with self.left(tape):
            return evaluated(found)

    def shown(self, t: Tensor, show: Callable[[Tensor], str]) -> str:
        """What somebody sees who prints a tensor: all lanes."""
        tape = LOCAL.tape
        found, many = self.lowered(t)
        with self.left(tape):
            text = show(found)
        if not many:
            return text
        level, around = 1, self.outer.tracing
        while around is not None:
            level, around = level + (around.size > 0), around.outer.tracing
        inside = text.replace("\n", "\n    ")
        return f"BatchedTensor(lvl={level}, bdim=0, value=\n    {inside}\n)"

    def shares_draws(self) -> bool:
        """Have all lanes the same random numbers? RandomInLanes where that was not said."""
        if self.randomness == "error":
            raise RandomInLanes()
        return self.randomness == "same"

    def drawn_from(self, draw: Callable, args: tuple) -> Tensor:
        """draw(*args) for each lane, from tensors of this recording among the arguments."""
        tape = LOCAL.tape
        given = [self.lowered(a) if isinstance(a, Tensor) else (a, True) for a in args]
        with self.left(tape):
            made = draw(*[a if many else self._repeated(a) for a, many in given])
        return self.add_input(tape, made, True)

    def _repeated(self, t: Tensor) -> Tensor:
        wide = (self.size, *t.form.shape)
        return look(t, ("reshape", (1, *t.form.shape)), ("expand", wide))

    def drawn(self, draw: Callable, shape: tuple[int, ...]) -> Tensor:
        """draw(shape) where each lane has random numbers of its own."""
        many = not self.shares_draws()
        tape = LOCAL.tape
        with self.left(tape):
            made = draw((self.size, *shape) if many else shape)
        return self.add_input(tape, made, many)


def _leaf(tape: Tape, f: Form, tracked: bool) -> int:
    if tracked:
        tape.hist_leaves.append(OUTSIDE)
    return leaf_state(tape, (HIST if tracked else DATA)[f]).idx


class Recorded:
    """What a function in lanes has recorded, to be recorded as one call of the caller.

    written    storages of the caller that get a new value; replaced: the inputs that do"""

    def __init__(self, tape: Tape, indices: list[int], classes: list[type], kin: type):
        lanes = tape.tracing
        replay = replay_of(tape)
        self.lanes = lanes
        self.kin = kin
        self.classes = classes or [kin] * len(indices)
        changed = {k: p for k, p in enumerate(replay.bound) if p.node is not replay.leaves[k]}
        inner = [k for k in changed if k not in lanes.inputs]
        self.replaced = [lanes.inputs[k] for k in changed if k in lanes.inputs]
        self.written = [tape.leaves[k] for k in inner]
        self.bumps = [changed[k].version for k in inner]
        ends = [changed[k].node for k in inner]
        ends += [changed[k].node for k in changed if k in lanes.inputs]
        ends += [replay.nodes[i] for i in indices]
        rgs = [replay.tracked[changed[k].index] for k in changed if k in lanes.inputs]
        self.rgs = [False] * len(inner) + rgs + [replay.tracked[i] for i in indices]
        self._sources(tape, replay, ends, inner)

    def _sources(self, tape: Tape, replay, ends: list[Node], inner: list[int]) -> None:
        """What the graph reads: autograd leaves, storages, run-time numbers."""
        grad_leaves = {
            node: k
            for k, node in enumerate(replay.grad_leaves)
            if tape.grad_leaves[k].made_in is not tape.mark
        }
        reached = _reached(ends, grad_leaves)
        used = sorted(grad_leaves[n] for n in reached if n in grad_leaves)
        read = {n.attrs[0] for n in reached if n.op is LEAF}
        leaves = sorted(read | set(inner) | self.always())
        numbers = sorted(n.attrs[0] for n in reached if n.op is SCALAR)
        self.tensors = [tape.grad_leaves[k] for k in used]
        self.places = [self.lanes.inputs.get(k, tape.leaves[k]) for k in leaves]
        self.numbers = [tape.scalars[k] for k in numbers]
        sources = [replay.grad_leaves[k] for k in used]
        sources += [replay.leaves[k] for k in leaves] + [replay.scalars[k] for k in numbers]
        many = [k in self.lanes.inputs and self.lanes.inputs[k][1] for k in leaves]
        flags = [False] * len(used) + many + [False] * len(numbers)
        self.call = self.called(sources, flags, ends, len(inner))

    def always(self) -> set[int]:
        """Leaves that are operands even where nothing reads them."""
        return set()

    def called(self, sources: list[Node], flags: list[bool], ends: list[Node], written: int):
        """The call that gives the ends from the sources."""
        lanes = self.lanes.size

        def make() -> LaneCall:
            return LaneCall(sources, flags, ends, written, lanes)

        return interned(make, sources, flags, ends, written, lanes)

    def record(self, tape: Tape) -> list[tuple[Tensor, bool]]:
        """Record on the caller's tape: the results, and whether they have lanes in front."""
        while True:
            mark = tape.mark
            args = read_all(tape, self.tensors)
            args += [self._index(tape, place) for place in self.places]
            if tape.mark is mark:
                break
        first = len(self.tensors)
        at = {id(p): args[first + k] for k, p in enumerate(self.places)}
        written = tuple(at[id(st)] for st in self.written)
        args += [NUMBER[x.__class__] for x in self.numbers]
        s = self._state(tape, tuple(args), written)
        tape.scalars += self.numbers
        tape.state = s
        return self._results(tape, s)

    def _index(self, tape: Tape, place) -> int:
        if type(place) is tuple:
            return read_all(tape, place[:1])[0]
        if place.mark is tape.mark:
            return place.idx
        return read_raw(tape, place) if place in self.written else bind(tape, place)

    def _state(self, tape: Tape, args: tuple, written: tuple) -> State:
        key = (UPDATE, self.call, *args)
        at = tape.state
        s = at.kids.get(key)
        if s is None:
            forms = self.call.forms((), *(form_of(at, a) for a in args))
            tracked = not at.ng and any(has_history(at, a) for a in args)
            rgs = [tracked and r and f.dtype.is_float for r, f in zip(self.rgs, forms, strict=True)]
            s = State(at, UPDATE, (self.call, (), written), args, forms, tuple(rgs))
            at.kids[key] = s
        return s

    def _results(self, tape: Tape, s: State) -> list[tuple[Tensor, bool]]:
        many = self.call.many
        index = s.idx
        for st, bumps in zip(self.written, self.bumps, strict=True):
            st.ver -= bumps
            put(tape, st, index, False, True)
            index += 1
        made = []
        lead = len(self.written)
        classes = [self.kin] * len(self.replaced) + self.classes
        rows = zip(classes, s.forms[lead:], s.rgs[lead:], many[lead:], strict=True)
        for cls, f, rg, lanes in rows:
            made.append((result(tape, cls, index, f, rg), lanes))
            index += 1
        for (t, wide), (value, lanes) in zip(self.replaced, made, strict=False):
            if lanes and not wide:
                raise LaneWrite(t.form)
            write(t, value)
        return made[len(self.replaced) :]


def _reached(ends: list[Node], stops) -> set[Node]:
    """The nodes that the ends reach, up to and with the stops."""
    found: set[Node] = set()
    stack = list(ends)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(() if node in stops else node.args)
    return found


def run_in_lanes(
    fn: Callable, operands, many, lanes: int, randomness: str = "error"
) -> list[tuple[Tensor, bool]]:
    """fn(tensors of one lane) -> list of tensors, for all lanes: (tensor, has it lanes in front?).

    operands  tensors, with lanes in front where `many` says so
    Raises TraceBreak where fn looks at a value, LaneWrite where it writes what differs from lane
    to lane to a tensor that all share, RandomInLanes.
    """
    outer = LOCAL.tape
    recording = Lanes(outer, lanes, randomness)
    tape = new_tape(outer, recording)
    try:
        with recording_on(tape):
            pairs = zip(operands, many, strict=True)
            out = list(fn(*[recording.add_input(tape, t, m) for t, m in pairs]))
            kinds = [type(t) if t.lrg is False else t.kin for t in out]
            graph = Recorded(tape, read_all(tape, out), kinds, Tensor)
    finally:
        recording.give_back(tape)
    return graph.record(outer)


def in_each_lane(hook: Callable, g: Tensor, lanes: int):
    """hook(g) for each lane of g."""
    if hasattr(hook, "in_lanes"):
        return hook.in_lanes(g, lanes)

    def one(x: Tensor) -> list:
        changed = hook(x)
        return [] if changed is None else [changed]

    found = run_in_lanes(one, [g], [True], lanes)
    return found[0][0] if found else None
