"""`Traced`: a recorded function. A call is one run of its program, or, where gradients have to flow
through it, one transition of the caller's tape.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount

from gemel.graph.node import Node, order
from gemel.ops.record import LEAF, SCALAR
from gemel.passes.compile import default_device
from gemel.runtime.buffer import Buffer
from gemel.runtime.interrupts import hold, release

from .arrays import evaluated, settled
from .flush import flush
from .history import Segment, remake
from .overflow import overflow
from .plan import Plan, compile_plan
from .read import Divert, bind, read_all, read_raw
from .record import result
from .replay import Replay
from .state import NUMBER, UPDATE, State, form_of, has_history
from .storage import Storage, lent
from .tape import LOCAL, Tape
from .tensor import Tensor, new
from .write import put, write


class Traced:
    """cells        storages from outside, by leaf position (None: an input)
    grad_leaves     the autograd leaves read inside, in order (inputs stand for themselves)
    numbers         run-time numbers;  replayed: (position, closure) of those asked for again
    sole            the closure that gives them all, if the only one does
    forms           of the inputs;  out_forms: of the results
    held            storages made inside that outlive the trace (.grad of parameters)
    deposits        (leaf tensor, its .grad): filled again at every call
    added           id of a cell -> the leaf tensor whose .grad it was: added to at every call
    flows           do gradients flow through to the outside?"""

    def __init__(self, tape: Tape, replay: Replay, inputs, indices, classes, rgs, kept):
        recording = tape.tracing
        self.replay = replay
        count = len(inputs)
        self.cells: list[Storage | None] = [None] * count + tape.leaves[count:]
        self.forms = [t.form for t in inputs]
        ids = {id(t): k for k, t in enumerate(inputs)}
        self.grad_leaves = [ids.get(id(t), t) for t in tape.grad_leaves]
        self.numbers = list(tape.scalars)
        self.replayed = recording.replayed
        self.sole: Callable[[], list] | None = None
        self.outputs = [replay.nodes[i] for i in indices]
        self.out_forms = [n.form for n in self.outputs]
        self.classes = classes
        self.held = [tape.made[k] for k in kept]
        self.held_nodes = [replay.made[k].node for k in kept]
        for st in self.held:
            st.rg = False
        fresh = {id(st) for st in self.held}
        found = [(p, p.grad) for p, _ in recording.deposits.values() if p.grad is not None]
        self.deposits = [(p, g) for p, g in found if id(g.st) in fresh]
        self.added = {id(g.st): p for p, g in found if id(g.st) not in fresh}
        for st in self.cells:
            if st is not None:
                st.cells += 1
        self.updates = {
            k: place.node
            for k, (place, node) in enumerate(zip(replay.bound, replay.leaves, strict=True))
            if place.node is not node
        }
        self.rgs = self._live(indices, rgs)
        self.flows = any(self.rgs)
        self.plan: Plan | None = None
        self._sources()

    def _live(self, indices, rgs) -> list[bool]:
        """Which results have a history that no backward pass inside has released?"""
        kept = [i for i, rg in zip(indices, rgs, strict=True) if rg]
        live = set(Segment(self.replay, kept, ()).roots) if kept else ()
        return [i in live for i in indices]

    def _sources(self) -> None:
        """Which leaves and ends of gradients the graph reads."""
        nodes = order([*self.outputs, *self.held_nodes, *self.updates.values()])
        ends = {node: k for k, node in enumerate(self.replay.grad_leaves)}
        self.used_ends = sorted(ends[n] for n in nodes if n in ends)
        # an end stands on its leaf: the leaf itself is read where something else reads it
        direct = {a for n in nodes if n not in ends for a in n.args}
        direct.update([*self.outputs, *self.held_nodes, *self.updates.values()])
        read = {n.attrs[0] for n in nodes if n.op is LEAF and n in direct}
        self.used_leaves = sorted(read | set(self.updates))
        self.used_numbers = sorted(n.attrs[0] for n in nodes if n.op is SCALAR)

    def adopt_gradients(self) -> bool | None:
        """Before a call of a function that adds to gradients: they may be other tensors by now.

        True: a cell was exchanged. None: there is no gradient, or one of another kind.
        """
        changed = False
        for k, st in enumerate(self.cells):
            p = self.added.get(id(st))
            if p is None or st is None:
                continue
            g = p.grad
            if g is None or g.form is not st.form or g.lens is not None:
                return None
            if g.st is not st:
                del self.added[id(st)]
                self.added[id(g.st)] = p
                st.cells -= 1
                g.st.cells += 1
                self.cells[k] = g.st
                changed = True
        return changed

    def __del__(self):
        for st in self.__dict__.get("cells", ()):
            if st is not None:
                st.cells -= 1

    # ---------- one run ----------
    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        tape = LOCAL.tape
        self._renew_kept()
        if tape.tracing is not None or (self.flows and tape.grad):
            return self._record(tape, tensors)
        if not tape.idle:
            flush(tape)
        plan = self.plan
        if plan is None or plan.device != default_device():
            plan = self._compile()
        buffers = self._buffers(tape, plan, tensors)
        numbers = self.numbers_now(plan.numbers)
        for k in plan.donated:
            if getrefcount(buffers[k]) > UNHELD or buffers[k]._shelf is None:
                buffers[k] = buffers[k].copy()
        handler = hold()
        try:
            out = plan.program(buffers, numbers) if plan.program is not None else []
            return self._store(plan, tensors, buffers, out)
        finally:
            release(handler)

    def _compile(self) -> Plan:
        self.plan = compile_plan([*self.outputs, *self.held_nodes], self.updates, default_device())
        return self.plan

    def _renew_kept(self) -> None:
        """A gradient of the last call that somebody keeps stays as it is: this call fills another
        one. One that nobody keeps is filled again."""
        for k, (p, g) in enumerate(self.deposits):
            alone = KEPT if p.grad is g else KEPT - 1
            if getrefcount(g) <= alone and getrefcount(g.st) - g.st.cells <= KEPT_STORAGE:
                continue
            for i, st in enumerate(self.held):
                if st is g.st:
                    fresh = new(type(g))
                    fresh.form = g.form
                    fresh.st = self.held[i] = _evaluated(None, st.form)
                    self.deposits[k] = (p, fresh)
                    break

    def _buffers(self, tape: Tape, plan: Plan, tensors) -> list[Buffer]:
        for t, f in zip(tensors, self.forms, strict=True):
            if t.form is not f:
                raise ValueError(f"this trace takes {f}, not {t.form}")
        given = [evaluated(t) for t in tensors]
        cells = self.cells
        buffers = [given[k] if cells[k] is None else cells[k].buf for k in plan.reads]
        for slot, buf in enumerate(buffers):
            if buf is None:
                buffers[slot] = settled(tape, cells[plan.reads[slot]])
        return buffers

    def numbers_now(self, wanted: tuple[int, ...]) -> list:
        """The run-time numbers at these positions, for one more call."""
        numbers = self.numbers
        if self.replayed:
            for position, closure in self.replayed:
                fresh = closure()
                numbers[position : position + len(fresh)] = fresh
                if len(fresh) == len(numbers) and len(self.replayed) == 1:
                    self.sole = closure
        return [numbers[k] for k in wanted]

    def numbers_of(self, count: int, wanted: tuple[int, ...]) -> list[list]:
        """`numbers_now` of so many calls to come, at least one."""
        first = self.numbers_now(wanted)
        sole = self.sole
        if sole is None or wanted != tuple(range(len(self.numbers))):
            return [first, *[self.numbers_now(wanted) for _ in range(1, count)]]
        return [first, *[sole() for _ in range(1, count)]]

    def _store(self, plan: Plan, tensors, buffers, out) -> list[Tensor]:
        count = len(self.outputs)
        self.write_back(plan, tensors, buffers, out[count:])
        return self.results(out[:count])

    def write_back(self, plan: Plan, tensors, buffers, out) -> None:
        """What a run wrote to the outside. out: its held values, and its updates at the end: None
        where the new value is in the leaf's own one of `buffers`."""
        at = len(out) - len(plan.updates)
        for slot, k in plan.updates:
            buf = out[at]
            at += 1
            self._update(k, tensors, buffers[slot] if buf is None else buf)
        for st, buf in zip(self.held, out, strict=False):
            st.buf = buf
            st.mark = None
        for p, g in self.deposits:
            p.grad = g

    def results(self, out) -> list[Tensor]:
        """Tensors over the buffers of the results."""
        made = []
        for cls, f, buf in zip(self.classes, self.out_forms, out, strict=False):
            r = new(Storage)
            r.mark = None
            r.idx = -1
            r.form = f
            r.rg = False
            r.buf = buf
            o = new(cls)
            o.st = r
            o.form = f
            made.append(o)
        return made

    def _update(self, k: int, tensors, buf: Buffer) -> None:
        """Write a new value back to the storage it was read from."""
        st = self.cells[k]
        if st is None:
            t = tensors[k]
            if t.lens is not None:
                cls = t.kin
                value = new(cls)
                value.st = _evaluated(buf, self.forms[k])
                value.form = self.forms[k]
                write(t, value)
                return
            st = t.st
        if st.exported and lent(st):
            st.buf.array(st.form)[...] = buf.array(st.form)
        else:
            st.buf = buf
        st.ver += 1
        st.hist = None

    # ---------- as one call on a tape ----------
    def expand(self, nodes: list[Node]) -> list[Node]:
        """New values of the cells, results, held values; over the nodes of `_arguments`."""
        mine = self.replay
        names = [mine.grad_leaves[k] for k in self.used_ends]
        names += [mine.leaves[k] for k in self.used_leaves]
        names += [mine.scalars[k] for k in self.used_numbers]
        here = dict(zip(names, nodes, strict=True))
        ends = [*self.updates.values(), *self.outputs, *self.held_nodes]
        return [remake(node, here) for node in ends]

    def _arguments(self, tape: Tape, tensors) -> tuple:
        """Indices of what the graph reads, all valid together."""
        ends = [self.grad_leaves[k] for k in self.used_ends]
        leaves = [tensors[t] if type(t) is int else t for t in ends]
        while True:
            mark = tape.mark
            args = read_all(tape, leaves)
            for k in self.used_leaves:
                args.append(self._leaf_index(tape, tensors, k))
            tape.busy = True
            if tape.mark is mark:
                return args

    def _leaf_index(self, tape: Tape, tensors, k: int) -> int:
        st = self.cells[k]
        if st is None:
            t = tensors[k]
            if k not in self.updates:
                return read_all(tape, (t,))[0]
            st = t.st
        if st.mark is tape.mark:
            return st.idx
        return read_raw(tape, st) if k in self.updates else bind(tape, st)

    def _record(self, tape: Tape, tensors) -> list[Tensor]:
        numbers = self.numbers_now(tuple(self.used_numbers))
        try:
            args = self._arguments(tape, tensors)
        except Divert as d:
            return d.tensor.divert(self, tuple(tensors), None)
        written = tuple(args[len(self.used_ends) + self.used_leaves.index(k)] for k in self.updates)
        args += [NUMBER[x.__class__] for x in numbers]
        key = (UPDATE, self, *args)
        s = tape.state.kids.get(key)
        if s is None:
            s = self._grow(tape, key, written, tuple(args))
        tape.scalars += numbers
        tape.state = s
        return self._results(tape, s, tensors)

    def _grow(self, tape: Tape, key: tuple, written, args) -> State:
        at = tape.state
        ends = [*self.updates.values(), *self.outputs, *self.held_nodes]
        tracked = not at.ng and any(has_history(at, a) for a in args)
        rgs = [False] * len(written) + [tracked and rg for rg in self.rgs]
        rgs += [False] * len(self.held_nodes)
        call = _AsCall(self)
        data = (call, (), written)
        assert all(form_of(at, i) is n.form for i, n in zip(written, ends, strict=False))
        s = State(at, UPDATE, data, args, tuple(n.form for n in ends), tuple(rgs))
        at.kids[key] = s
        return s

    def _results(self, tape: Tape, s: State, tensors) -> list[Tensor]:
        index = s.idx
        for k in self.updates:
            st = self.cells[k]
            put(tape, tensors[k].st if st is None else st, index, False, True)
            index += 1
        at = index - s.idx
        out = []
        for cls, f, rg in zip(self.classes, self.out_forms, s.rgs[at:], strict=False):
            out.append(result(tape, cls, index, f, rg))
            index += 1
        for st in self.held:
            st.mark = tape.mark
            st.idx = index
            st.buf = None
            tape.made.append(st)
            index += 1
        for p, g in self.deposits:
            p.grad = g
        tape.busy = False
        if s.load > tape.limit:
            overflow(tape)
        return out


class _AsCall:
    """A traced function as a Call."""

    __slots__ = ("traced",)
    name = "traced"
    differentiable = True

    def __init__(self, traced: Traced):
        self.traced = traced

    def expand(self, attrs: tuple, *nodes: Node) -> tuple[Node, ...]:
        return tuple(self.traced.expand(list(nodes)))


def _evaluated(buf: Buffer, f) -> Storage:
    from .storage import evaluated_storage

    return evaluated_storage(buf, f)


def _measure_unheld() -> int:
    """What getrefcount says in `__call__` of a cell's buffer that only its storage holds."""
    cell = Storage()
    cell.buf = Buffer(0)
    buffers = [st.buf for st in [cell]]
    return getrefcount(buffers[0])


def _measure_kept() -> tuple[int, int]:
    """What getrefcount says in `_renew_kept` of a gradient that only its parameter holds beside
    the list, and of its storage."""
    g = new(Tensor)
    g.st = Storage()
    p = new(Tensor)
    p.grad = g
    held = [g.st]
    deposits = [(p, g)]
    assert held
    del g
    for _, g in deposits:
        return getrefcount(g), getrefcount(g.st)
    raise AssertionError


UNHELD = _measure_unheld()
KEPT, KEPT_STORAGE = _measure_kept()
