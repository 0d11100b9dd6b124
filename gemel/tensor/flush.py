"""Running what is pending: one program for everything recorded since the last time."""

from __future__ import annotations

from sys import getrefcount

from gemel.passes.compile import DEVICE
from gemel.runtime.buffer import Buffer
from gemel.runtime.interrupts import hold, release

from .alike import plan_for
from .aside import LOCK, rest_of, set_aside, spread
from .errors import TensorError, TraceBreak
from .history import leave_history
from .plan import Plan
from .quick import SEVERAL, Quick, quick_way
from .state import State
from .storage import Storage, evaluated_storage, held, lent
from .tape import EARLY, LOCAL, Tape


def flush(tape: Tape | None = None) -> None:
    """Run everything pending on the tape (default: this thread's). Inside a trace: nothing."""
    tape = tape or LOCAL.tape
    s = tape.state
    if (s.n == 0 and s.ops == 0) or tape.tracing is not None:
        return
    if tape.lost is not None:
        _run_rest(tape)
        return
    tape.busy = True
    quick = s.quick
    if quick is None or not _run_quick(tape, quick):
        _run_usual(tape, s)


def _run_quick(tape: Tape, quick: Quick) -> bool:
    """False where it must go the usual way, with nothing done."""
    try:
        done = quick.run(tape)
    except BaseException as error:
        _fail(tape, error)
        raise
    if done:
        _begin_anew(tape)
    return done


def observe(tape: Tape) -> None:
    """Flush because somebody looks: an error inside a trace."""
    if tape.tracing is not None:
        raise TraceBreak()
    flush(tape)


def _begin_anew(tape: Tape) -> None:
    tape.reset()
    tape.limit = EARLY


def _run_usual(tape: Tape, s: State) -> None:
    alive = held(tape.made)
    plan = s.plans.get(alive)
    if plan is None or plan.device != DEVICE[0]:
        plan = _compiled(tape, alive)
    handler = hold()
    try:
        run_plan(tape, plan, alive, s.quick)
        s.quick = plan.quick  # the next run will rather be like this one than like others
        _begin_anew(tape)
    except BaseException as error:
        _fail(tape, error)
        raise
    finally:
        release(handler)


def _compiled(tape: Tape, alive: tuple[int, ...]) -> Plan:
    """The plan. An interrupt leaves everything pending, as it was: nothing has run."""
    try:
        return plan_for(tape, alive)
    except Exception as error:
        _fail(tape, error)
        raise
    except BaseException:
        tape.busy = False
        raise


def run_plan(tape: Tape, plan: Plan, alive: tuple[int, ...], tried: Quick | None = None) -> None:
    """Run a plan on what the tape holds, of which `alive` are held. tried: a quick way that has
    just found that it cannot."""
    quick = plan.quick
    if quick is not None and quick is not tried and quick.run(tape):
        return
    _check_whole(tape, plan)
    _run(tape, plan, alive)
    plan.runs += 1
    if plan.runs == SEVERAL:
        plan.quick = quick_way(plan, tape, alive)


def _check_whole(tape: Tape, plan: Plan) -> None:
    """Ctrl-C may come in the middle of a record: then the tape's lists are out of step."""
    found = len(tape.made), len(tape.leaves), len(tape.scalars)
    if plan.whole is not None and plan.whole != found:
        raise TensorError(
            "an interrupt came while an operation was being recorded: what was pending is lost. "
            "Tensors that had values keep them; compute the others again."
        )


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


def _run_rest(piece: Tape) -> None:
    """Run a piece that was set aside, without what follows from values that are refused."""
    with LOCK:
        while piece.lost is not None:
            plan, alive = rest_of(piece)
            handler = hold()
            try:
                _run(piece, plan, alive)
                piece.reset()
            except BaseException as error:
                if not spread(piece, error):
                    _fail_all(piece, error)
                    raise
            finally:
                release(handler)


def _fail(tape: Tape, error: BaseException) -> None:
    """The program stopped: leaves are as they were, what was pending remembers why, but for what
    has nothing to do with it."""
    if not set_aside(tape, error):
        _fail_all(tape, error)


def _fail_all(tape: Tape, error: BaseException) -> None:
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


def _measure_unheld() -> int:
    """What getrefcount says in `_run` of a leaf's buffer that only its storage holds."""
    leaf = Storage()
    leaf.buf = Buffer(0)
    buffers = [st.buf for st in [leaf]]
    return getrefcount(buffers[0])


UNHELD = _measure_unheld()
