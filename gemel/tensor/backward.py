"""Gradients: one transition per pass through the tape, one per older piece on the way back.

The gradients of a pass are values like any other; which leaf each belongs to hangs on the state.
Hooked values cut the way: their hooks run between two passes, latest value first.
"""

from __future__ import annotations

import threading

from gemel.autodiff.reverse import dependent
from gemel.graph.node import order
from gemel.ops.elementwise import ADD

from .alike import settle_gradient
from .errors import FREED, FreedGraph, ImplicitGradient, NoGradient, TraceBreak, UnusedInput
from .history import RELEASED, Record
from .joint import Joint
from .lanes import OUTSIDE, in_each_lane
from .lens import Lens
from .read import bind, leaf_state, read_all
from .record import fill, record2, result
from .recorder import DEPOSIT
from .replay import Pull, Replay, replay_of
from .state import SEGMENT, VJP, State, form_of, owner
from .storage import Storage
from .tape import LOCAL, Tape, no_grad, set_grad_enabled
from .tensor import Tensor, new
from .way_back import MANY, Way
from .write import inplace

# functions called with (the state that made a value, the gradients that its rule made): while
# there are any, gradients go value by value
INSPECTORS: list = []


class _Sweeps(threading.local):
    """The passes of this thread that call hooks, innermost last."""

    def __init__(self):
        self.under_way: list[_Sweep] = []


SWEEPS = _Sweeps()


def requires_grad(t: Tensor) -> bool:
    if t.lrg:
        return True
    lens = t.lens
    if type(lens) is Lens and lens.detached:
        return False
    if t.base is not None:
        return t.brg
    return t.st.rg or t.st.hist is not None


# ---------- passes ----------
class _TapePass:
    """The piece under way."""

    def __init__(self, tape: Tape, roots: list[Storage], wanted: dict[int, Storage]):
        self.tape = tape
        self.mark = tape.mark
        self.roots = roots
        self.wanted = wanted
        self.grad_leaves = tape.grad_leaves
        self.hist_leaves = tape.hist_leaves
        self.hooked = tape.hooked

    def now(self) -> _TapePass | _RecordPass:
        """A hook may have looked at a value: then the piece has run, and the way goes on through
        its record, in which values have the same numbers."""
        if self.tape.mark is self.mark:
            return self
        record = next((st.hist[0] for st in self.roots if st.hist is not None), RELEASED)
        return _RecordPass(self.tape, record, self.wanted)

    def replay(self) -> Replay:
        return replay_of(self.tape)

    def values(self) -> list[int]:
        """The values that have a history."""
        return _tracked(self.replay())

    def maker(self, index: int) -> State:
        """The state that made a value."""
        return owner(self.tape.state, index)

    def step(self, pull: Pull, given: list) -> State:
        """Take the gradient's transition."""
        tape = self.tape
        indices = tuple(_given(tape, given))
        ends, wanted, retain = pull.ends, pull.wanted, pull.retain
        pull = Pull(pull.roots, indices, ends, wanted, retain, pull.create, pull.lanes)
        key = (VJP, pull)
        at = tape.state
        s = at.kids.get(key)
        if s is None:
            s = State(at, VJP, pull)
            settle_gradient(tape, s)  # raises what is wrong with this pass
            at.kids[key] = s
        tape.state = s
        return s


def _tracked(replay: Replay) -> list[int]:
    return [i for i, rg in enumerate(replay.tracked) if rg]


def _given(tape: Tape, given: list) -> list:
    present = [g for g in given if g is not None]
    found = iter(read_all(tape, present))
    return [None if g is None else next(found) for g in given]


class _RecordPass:
    """A piece that has run: its record, and the storages whose gradient is wanted in it."""

    def __init__(self, tape: Tape, record: Record, wanted: dict[int, Storage]):
        if record is RELEASED:
            raise FreedGraph(FREED)
        self.tape = tape
        self.record = record
        self.wanted = wanted
        self.grad_leaves = record.grad_leaves
        self.hist_leaves = record.hist_leaves
        self.hooked = record.hooked

    def now(self) -> _RecordPass:
        return self

    def replay(self) -> Replay:
        return self.record.segment.replay

    def values(self) -> list[int]:
        return _tracked(self.replay())

    def maker(self, index: int) -> State:
        return owner(self.record.segment.replay.tip, index)

    def step(self, pull: Pull, given: list) -> State:
        tape = self.tape
        record = self.record
        link = record.segment.link(pull, record.done)
        record.check(link)
        while True:
            mark = tape.mark
            args = self._arguments(link, given)
            if tape.mark is mark:
                break
        key = (SEGMENT, link, *args)
        at = tape.state
        s = at.kids.get(key)
        if s is None:
            s = State(at, SEGMENT, link, args)
            replay_of(tape, s)
            at.kids[key] = s
        tape.scalars += [record.scalars[k] for k in link.scalars]
        tape.state = s
        if not pull.retain:
            record.release(pull)
        return s

    def _arguments(self, link, given) -> tuple[int, ...]:
        tape = self.tape
        record = self.record
        args = read_all(tape, given)
        if link.saved:
            args.append(self._bind_saved())
        if link.pull.create:
            args += [_index(tape, self.wanted[i]) for i in link.pull.wanted]
        args += read_all(tape, [record.grad_leaves[k] for k in link.ends])
        args += [_index(tape, record.leaves[k]) for k in link.leaves]
        return tuple(args) + link.numbers

    def _bind_saved(self) -> int:
        """All saved values are one leaf of the tape."""
        record = self.record
        tape = self.tape
        if record.mark is not tape.mark:
            s = leaf_state(tape, record.segment.key)
            tape.leaves += record.saved
            record.mark = tape.mark
            record.at = s.idx
        return record.at


def _index(tape: Tape, st: Storage) -> int:
    return st.idx if st.mark is tape.mark else bind(tape, st)


class _Sweep:
    """One call of backward or grad: what it collects on its way through the pieces.

    roots       storages at which the way begins
    leaf        called with (leaf tensor, gradient)
    wanted      value index on the tape -> (storage, called with the gradient)
    past        record -> {value index: its gradient}
    asked       record -> {value index: (storage, called with the gradient)}
    lanes       0, or how many gradients of each root go through at once
    hooks       are the users' hooks called?
    goals       ids of the autograd leaves that are asked for; None: everything is
    beyond      did the way lead out of a function that is being recorded?"""

    def __init__(self, roots, leaf, retain: bool, create: bool, lanes: int = 0, hooks: bool = True):
        self.tape = LOCAL.tape
        self.lanes = lanes
        self.hooks = hooks
        self.goals: dict | None = None
        self.beyond = False
        self.roots = [t.st for t in roots]
        self.leaf = leaf
        self.retain = retain
        self.create = create
        self.kin = roots[0].kin
        self.wanted: dict[int, tuple] = {}
        self.past: dict = {}
        self.asked: dict = {}

    def run(self, seeds: dict[int, Tensor | None], past: bool = True) -> None:
        """seeds: value index on the tape -> its gradient (None: ones). past: go on through the
        pieces that have run."""
        storages = {i: st for i, (st, _) in self.wanted.items()}
        self._through(_TapePass(self.tape, self.roots, storages), seeds, self.wanted)
        if past:
            self.run_past()

    def run_past(self) -> None:
        """On through the pieces that have run, latest first."""
        if self.past and self.tape.tracing is not None:
            raise TraceBreak("a gradient leads to values computed before")
        passed = 0
        recorded = self.create or self.lanes or self.asked or INSPECTORS
        while self.past:
            if passed + len(self.past) >= MANY and not recorded:
                Way(self).run()
                return
            record = max(self.past, key=lambda r: r.seq)
            self.pass_record(record, self.past.pop(record))
            passed += 1

    def pass_record(self, record: Record | Joint, given: dict[int, Tensor]) -> None:
        """Record the way through one piece."""
        if type(record) is Joint:
            self._spread(record, given[0])
            return
        asked = self.asked.get(record, {})
        storages = {i: st for i, (st, _) in asked.items()}
        self._through(_RecordPass(self.tape, record, storages), given, asked)

    def _spread(self, record: Joint, g: Tensor) -> None:
        """Hand a gradient on to the values that were put side by side."""
        if record in self.asked:
            self.asked[record][0][1](g)
        if record.hooked:
            g = self._run_hooks(None, record.hooked[0], 0, g)
        for older, index, part in record.spread(g, self.retain, self.create, self.lanes):
            _add(self.past.setdefault(older, {}), index, part)

    def _through(self, piece, seeds: dict, wanted: dict) -> None:
        hooked = piece.hooked or {}
        names = tuple(sorted(wanted))
        stops = self._on_the_way(piece, wanted, piece.values() if INSPECTORS else hooked)
        if not stops:
            pull = Pull(tuple(seeds), (), (), names, self.retain, self.create, self.lanes)
            self._collect(piece, piece.step(pull, list(seeds.values())), {}, wanted)
            return
        waiting = dict(seeds)
        while waiting:
            at = max(waiting)
            g = waiting.pop(at)
            known = at in stops and at in wanted
            if known:  # as it is before the hooks
                g = self._ones(piece, at) if g is None else g
                wanted[at][1](g)
            if at in hooked and at in stops:
                g = self._run_hooks(piece, hooked[at], at, g)
            ends = tuple(sorted(i for i in stops if i < at))
            keep = self.retain or bool(waiting) or bool(ends)
            asked = tuple(n for n in names if n not in ends and not (known and n == at))
            pull = Pull((at,), (), ends, asked, keep, self.create, self.lanes)
            piece = piece.now()
            found = self._collect(piece, piece.step(pull, [g]), waiting, wanted)
            for inspect in INSPECTORS:
                inspect(piece.maker(at), _by_operand(piece, at, found))

    def _on_the_way(self, piece, wanted: dict, stops) -> set[int]:
        """Those of the values whose gradient is needed: that lead to something asked for."""
        if self.goals is None or not stops:
            return set(stops)
        replay = piece.replay()
        if replay.grafts:
            return set(stops)
        targets = [replay.nodes[i] for i in wanted]
        ends = zip(replay.grad_leaves, piece.grad_leaves, strict=False)
        targets += [node for node, p in ends if id(p) in self.goals]
        if self.asked or self.goals:
            targets += replay.hist_leaves
        leading = dependent(order(replay.nodes[i] for i in stops), targets)
        return {i for i in stops if replay.nodes[i] in leading}

    def _run_hooks(self, piece, hooks: dict, at: int, g: Tensor | None):
        if g is None:
            g = self._ones(piece, at)
        before = set_grad_enabled(self.create)
        SWEEPS.under_way.append(self)
        try:
            for hook in sorted(hooks.values(), key=lambda h: getattr(h, "last", False)):
                if self.hooks or getattr(hook, "always", False):
                    changed = in_each_lane(hook, g, self.lanes) if self.lanes else hook(g)
                    g = g if changed is None else changed
        finally:
            SWEEPS.under_way.pop()
            set_grad_enabled(before)
        return g

    def _kin(self, piece, kind: str, n: int) -> type:
        """Class of a gradient: that of its leaf, else of the roots."""
        return piece.grad_leaves[n].kin if kind == "p" else self.kin

    def _ones(self, piece, at: int) -> Tensor:
        f = form_of(self.tape.state, at)
        return fill(f.shape, 1.0, f.dtype, self.kin)

    def _collect(self, piece, s: State, waiting: dict, wanted: dict) -> list[tuple]:
        tape = self.tape
        rows = zip(s.targets, s.forms, s.rgs, strict=True)
        made = [
            (kind, n, result(tape, self._kin(piece, kind, n), s.idx + k, f, rg))
            for k, ((kind, n), f, rg) in enumerate(rows)
        ]
        for kind, n, g in made:
            if kind == "p":
                self.leaf(piece.grad_leaves[n], g)
            elif kind == "h" and piece.hist_leaves[n] is OUTSIDE:
                self.beyond = True
            elif kind == "h":
                record, index = piece.hist_leaves[n]
                _add(self.past.setdefault(record, {}), index, g)
            elif kind == "s":
                _add(waiting, n, g)
            else:
                wanted[n][1](g)
        return made


def _by_operand(piece, at: int, found: list) -> list[tuple[int, Tensor]]:
    """Gradients of one value's operands: (which operand, gradient)."""
    replay = piece.replay()
    nodes = {"p": replay.grad_leaves, "h": replay.hist_leaves}
    args = [replay.nodes[a] if a >= 0 else None for a in piece.maker(at).args]
    rows = [(nodes.get(kind, replay.nodes)[n], g) for kind, n, g in found]
    return [(args.index(node), g) for node, g in rows if node in args]


def _add(sums: dict, key, g: Tensor) -> None:
    sums[key] = record2(ADD, sums[key], g) if key in sums else g


# ---------- backward ----------
def _hooked(p: Tensor, g: Tensor) -> Tensor:
    """What an autograd leaf's hooks make of its gradient."""
    for hook in list((p.hooks or {}).values()):
        changed = hook(g)
        g = g if changed is None else changed
    return g


def deposit(p: Tensor, g: Tensor, create: bool) -> None:
    """Add a gradient to p.grad, after p's hooks."""
    recording = LOCAL.tape.tracing
    if recording is not None:
        recording.deposits.setdefault(id(p), (p, p.grad))
    g = _hooked(p, g) if p.hooks else g
    if p.grad is None:
        p.grad = g
    elif create:
        p.grad = record2(ADD, p.grad, g)
    else:
        with no_grad():
            inplace(ADD, p.grad, g)
    if p.after:
        for hook in list(p.after.values()):
            hook(p)


def backward(
    t: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs=None,
) -> None:
    """Add the gradients of t to `.grad` of the leaves it depends on (or of `inputs` alone).

    Raises NoGradient, ImplicitGradient, FreedGraph, ModifiedInPlace.
    """
    retain = create_graph if retain_graph is None else retain_graph
    tape = LOCAL.tape
    if gradient is not None or inputs is not None or tape.hooked or create_graph or INSPECTORS:
        backward_all([t], [gradient], retain, create_graph, inputs)
        return
    st = t.st
    one = t.form.size == 1 and not t.form.dtype.is_complex
    if st.rg and st.mark is tape.mark and t.lens is None and one:
        i = st.idx
    else:
        _check_root(t, None, 0)
        i = read_all(tape, (t,))[0]
    key = (VJP, _plain_pull(i, retain))
    at = tape.state
    s = at.kids.get(key)
    if s is None:
        s = State(at, VJP, key[1])
        settle_gradient(tape, s)
        at.kids[key] = s
    tape.busy = True
    tape.state = s
    _deposit_all(tape, s, t, retain)


_PULLS: dict[tuple[int, bool], Pull] = {}


def _plain_pull(root: int, retain: bool) -> Pull:
    """The pull of a loss without more ado; interned, for the hot path."""
    found = _PULLS.get((root, retain))
    return found or _PULLS.setdefault((root, retain), Pull((root,), retain=retain))


def _deposit_all(tape: Tape, s: State, root: Tensor, retain: bool) -> None:
    """The common case written out: leaves without .grad and without hooks."""
    plain = tape.tracing is None
    # leaves of another face than the root's get gradients of their own class
    one_face = bool(tape.grad_leaves) and tape.grad_leaves[0].kin is root.kin
    done = DEPOSIT[0](tape, s, root) if DEPOSIT and plain and one_face else 0
    if done == len(s.targets):
        tape.busy = False
        return
    index = s.idx + done
    kin = root.kin
    leaves = tape.grad_leaves
    made = tape.made
    mark = tape.mark
    later = []
    older = []
    for (kind, n), f in zip(s.targets[done:], s.forms[done:], strict=True):
        r = new(Storage)
        r.mark = mark
        r.idx = index
        r.form = f
        r.rg = False
        r.buf = None
        made.append(r)
        index += 1
        o = new(leaves[n].kin if kind == "p" else kin)
        o.st = r
        o.form = f
        if kind != "p":
            older.append((tape.hist_leaves[n], o))
            continue
        p = leaves[n]
        if plain and p.grad is None and p.hooks is None and p.after is None:
            p.grad = o
        else:
            later.append((p, o))
            plain = False  # in their order: a hook may look at the gradients before
    tape.busy = False
    if later:
        _deposit_later(tape, later)
    if older:
        sweep = _Sweep([root], lambda p, g: deposit(p, g, False), retain, False)
        for (record, i), g in older:
            _add(sweep.past.setdefault(record, {}), i, g)
        sweep.run_past()


def _deposit_later(tape: Tape, pairs: list[tuple[Tensor, Tensor]]) -> None:
    """(leaf, gradient) where something is out of the ordinary; mostly that there is a `.grad`."""
    if tape.tracing is not None or [p for p, _ in pairs if p.grad is None or p.hooks or p.after]:
        for p, g in pairs:
            deposit(p, g, False)
        return
    with no_grad():
        for p, g in pairs:
            inplace(ADD, p.grad, g)


def _check_root(t: Tensor, gradient, position: int) -> None:
    if not requires_grad(t):
        raise NoGradient(position)
    if gradient is None and (t.form.size != 1 or t.form.dtype.is_complex):
        raise ImplicitGradient(t.form)


def backward_all(ts, gradients, retain_graph=None, create_graph=False, inputs=None) -> None:
    """`backward` from several roots in one pass."""
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is not None:
        found = grad(ts, inputs, gradients, retain, create_graph, allow_unused=True)
        for p, g in zip(inputs, found, strict=True):
            if g is not None:
                deposit(p, g, create_graph)
        return
    tape = LOCAL.tape
    for k, (t, g) in enumerate(zip(ts, gradients, strict=True)):
        _check_root(t, g, k)
    sweep = _Sweep(ts, lambda p, g: deposit(p, g, create_graph), retain, create_graph)
    sweep.run(_seeds(tape, ts, gradients))
    if sweep.beyond:
        raise TraceBreak("a gradient leads to values computed before")


def _seeds(tape: Tape, ts, gradients) -> dict[int, Tensor | None]:
    """Root index -> gradient; a root given twice has the sum."""
    given = [g for g in gradients if g is not None]
    indices = read_all(tape, [*ts, *given])
    seeds: dict[int, Tensor | None] = {}
    for i, t, g in zip(indices, ts, gradients, strict=False):
        if i in seeds:
            one = seeds[i] if seeds[i] is not None else _ones_like(t)
            g = record2(ADD, one, g if g is not None else _ones_like(t))
        seeds[i] = g
    return seeds


def _ones_like(t: Tensor) -> Tensor:
    return fill(t.form.shape, 1.0, t.form.dtype, t.kin)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    lanes: int = 0,
    hooks: bool = True,
) -> list[Tensor | None]:
    """The gradients of the outputs' sum (weighted by grad_outputs) with respect to the inputs.

    lanes   there are so many of each grad_output, in front; and so of each result
    hooks   are hooks of users called?

    Raises NoGradient, ImplicitGradient, FreedGraph, ModifiedInPlace, UnusedInput, HistoryChanged.
    """
    retain = create_graph if retain_graph is None else retain_graph
    gradients = list(grad_outputs) if grad_outputs is not None else [None] * len(outputs)
    tape = LOCAL.tape
    for k, (t, g) in enumerate(zip(outputs, gradients, strict=True)):
        _check_root(t, g, k)
    if lanes:
        gradients = [
            fill((lanes, *t.form.shape), 1.0, t.form.dtype, t.kin) if g is None else g
            for t, g in zip(outputs, gradients, strict=True)
        ]
    for k, t in enumerate(inputs):
        if not requires_grad(t):
            raise NoGradient(len(outputs) + k)
    found: list[Tensor | None] = [None] * len(inputs)
    leaves = {id(t): k for k, t in enumerate(inputs) if t.lrg}

    def take(k: int, g: Tensor) -> None:
        found[k] = g if found[k] is None else record2(ADD, found[k], g)

    def leaf(p: Tensor, g: Tensor) -> None:
        if id(p) in leaves:
            take(leaves[id(p)], _hooked(p, g) if hooks else g)

    while True:
        mark = tape.mark
        seeds = _seeds(tape, outputs, gradients)
        sweep = _Sweep(outputs, leaf, retain, create_graph, lanes, hooks)
        sweep.goals = leaves
        _ask(sweep, tape, inputs, take)
        if tape.mark is mark:
            break
    past = bool(sweep.asked) or (bool(leaves) and tape.tracing is None)
    sweep.run(seeds, past)
    for k, g in enumerate(found):
        if g is None and not allow_unused:
            raise UnusedInput(k)
    return found


def _ask(sweep: _Sweep, tape: Tape, inputs, take) -> None:
    """Where the gradients of inputs that are no leaves will be found."""
    for k, t in enumerate(inputs):
        if t.lrg:
            continue
        st = t.st
        plain = type(t.lens) is not Lens and t.base is None
        if plain and st.hist is not None and st.dirty is not tape.mark:
            record, index = st.hist
            sweep.asked.setdefault(record, {})[index] = (st, lambda g, k=k: take(k, g))
        else:
            sweep.wanted[read_all(tape, (t,))[0]] = (st, lambda g, k=k: take(k, g))
