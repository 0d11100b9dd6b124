"""Running what is pending: one program for everything recorded since the last time."""

from __future__ import annotations

from sys import getrefcount

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer

from .errors import TensorError, TraceBreak
from .history import leave_history
from .plan import Plan, plan_for
from .quick import SEVERAL, Quick, quick_way
from .state import COUNTED, State
from .storage import Storage, evaluated_storage, held, lent
from .tape import EARLY, LOCAL, OPERATIONS, Tape

PIECE, TRACKED_PIECE = 64, 256  # operations per piece of a loop that never looks


def flush(tape: Tape | None = None) -> None:
    """Run everything pending on the tape (default: this thread's). Inside a trace: nothing."""
    tape = tape or LOCAL.tape
    s = tape.state
    if (s.n == 0 and s.ops == 0) or tape.tracing is not None:
        return
    tape.busy = True
    quick = s.quick
    try:
        if quick is None or not quick.run(tape):
            _run_usual(tape, s)
    except BaseException as error:
        _fail(tape, error)
        raise
    tape.reset()
    tape.limit = EARLY


def observe(tape: Tape) -> None:
    """Flush because somebody looks: an error inside a trace."""
    if tape.tracing is not None:
        raise TraceBreak()
    flush(tape)


def _run_usual(tape: Tape, s: State) -> None:
    alive = held(tape.made)
    plan = s.plans.get(alive)
    if plan is None or plan.device != DEVICE[0]:
        plan = plan_for(tape, alive)
    run_plan(tape, plan, alive, s.quick)
    s.quick = plan.quick  # the next run will rather be like this one than like others


def run_plan(tape: Tape, plan: Plan, alive: tuple[int, ...], tried: Quick | None = None) -> None:
    """Run a plan on what the tape holds, of which `alive` are held. tried: a quick way that has
    just found that it cannot."""
    quick = plan.quick
    if quick is not None and quick is not tried and quick.run(tape):
        return
    _run(tape, plan, alive)
    plan.runs += 1
    if plan.runs == SEVERAL:
        plan.quick = quick_way(plan, tape, alive)


def _run(tape: Tape, plan: Plan, alive: tuple[int, ...]) -> None:
    if plan.program is None:
        out = []
        buffers: list[Buffer] = []
    else:
        leaves = tape.leaves
        scalars = tape.scalars
        buffers = [leaves[k].buf for k in plan.reads]
        if tape.exported:  # programs read memory of our own: aligned and with slack
            pairs = zip(buffers, plan.reads, strict=True)
            buffers = [b.copy() if leaves[k].exported else b for b, k in pairs]
        if not plan.in_order:
            scalars = [scalars[k] for k in plan.numbers]
        for k in plan.donated:
            if getrefcount(buffers[k]) > UNHELD or buffers[k]._shelf is None:
                buffers[k] = buffers[k].copy()
        out = plan.program(buffers, scalars)
    made = tape.made
    for k, buf in zip(alive, out, strict=False):  # the results come first, more may follow
        st = made[k]
        st.buf = buf
        st.mark = None
    if plan.updates:
        _store_updates(tape, plan, buffers, out)
    if plan.segment is not None or plan.dead or plan.leaf_dead:
        saved: list[Storage] = []
        if plan.segment is not None:
            forms = plan.segment.key.forms
            buffers = out[plan.count : plan.count + len(forms)]
            saved = [evaluated_storage(b, f) for b, f in zip(buffers, forms, strict=True)]
        leave_history(tape, plan, saved)


def _store_updates(tape: Tape, plan: Plan, buffers: list, out: list) -> None:
    leaves = tape.leaves
    at = len(out) - len(plan.updates)
    for slot, k in plan.updates:
        buf = out[at]
        at += 1
        if buf is None:
            buf = buffers[slot]  # the program wrote it in place
        st = leaves[k]
        if st.exported and lent(st):
            st.buf.array(st.form)[...] = buf.array(st.form)
        else:
            st.buf = buf
        st.hist = None


def _fail(tape: Tape, error: BaseException) -> None:
    """The program stopped: leaves are as they were, what was pending remembers why."""
    if isinstance(error, Exception):
        fault = (type(error), error.args)
    else:
        fault = (TensorError, ("the run that would have computed this value was interrupted",))
    for st in tape.made:
        st.fault = fault
        st.mark = None
    for st in tape.leaves:
        st.rg = st.hist is not None
        st.mark = None
    tape.reset()


def overflow(tape: Tape) -> None:
    """A loop that never looks: run, and cut the coming pieces at a multiple of the loop's period,
    so that they all are the same small program. The next look ends this."""
    if tape.tracing is not None:
        return
    s = tape.state
    if s.loop is None:
        s.loop = _loop_length(s)
    if s.loop == 0 and s.ops < OPERATIONS:
        tape.limit = OPERATIONS  # no loop so far: wait
        return
    length = s.loop or OPERATIONS
    flush(tape)
    tape.limit = length - 1


def _loop_length(s: State) -> int:
    """Operations per piece of the loop that led here, 0 where there is none. Gradients prefer few
    and large pieces, so a loop with a history is not cut early."""
    if s.rg and s.ops < OPERATIONS:
        return 0
    period = _period(_operations(s))
    if period is None:
        return 0
    wanted = TRACKED_PIECE if s.rg else PIECE
    return period * max(1, wanted // period)


def _operations(state: State) -> list[tuple]:
    """The user's operations on the way, latest first; argument numbers do not count."""
    found = []
    while state.prev is not None:
        if state.kind in COUNTED:
            data = state.data if type(state.data) is tuple else None
            found.append((state.kind, data and data[:2], state.form))
        state = state.prev
    return found


def _period(sequence: list[tuple]) -> int | None:
    for p in range(1, len(sequence) // 3):
        if sequence[: 2 * p] == sequence[p : 3 * p]:
            return p
    return None


def _measure_unheld() -> int:
    """What getrefcount says in `_run` of a leaf's buffer that only its storage holds."""
    leaf = Storage()
    leaf.buf = Buffer(0)
    buffers = [st.buf for st in [leaf]]
    return getrefcount(buffers[0])


UNHELD = _measure_unheld()
