"""Loops that never look: cut into pieces by operations, and by the bytes that wait to be computed.

A tape's `limit` is compared with a state's `load`, which holds both: operations, and above them how
many times what was recorded has filled the share of memory that may wait. Recorded bytes are a
property of the way, and most of them are never in memory; so at each further share it is asked what
the piece really holds: results that somebody has, and inputs that nobody but the tape has any more.
"""

from __future__ import annotations

from sys import getrefcount

from .flush import flush
from .state import COUNTED, LEVEL, State, waiting_limit
from .storage import Storage, evaluated_storage, held
from .tape import OPERATIONS, Tape

PIECE, TRACKED_PIECE = 64, 256  # operations per piece of a loop that never looks


def overflow(tape: Tape) -> None:
    """Run, and cut the coming pieces at a multiple of the loop's period, so that they all are the
    same small program. The next look ends this."""
    if tape.tracing is not None:
        return
    s = tape.state
    if tape.cut:
        flush(tape)
        return
    if s.load // LEVEL > tape.limit // LEVEL:
        _more_bytes(tape, s)
        return
    if s.loop is None:
        s.loop = _loop_length(tape, s)
    if s.loop == 0 and s.ops < OPERATIONS:
        tape.limit += OPERATIONS - tape.limit % LEVEL  # no loop so far: wait
        return
    length = s.loop or OPERATIONS
    flush(tape)
    tape.limit = length - 1


def _more_bytes(tape: Tape, s: State) -> None:
    """What was recorded would fill the share of memory once more: run where it really waits, at
    the end of a turn of the loop if there is one."""
    level = s.load // LEVEL
    tape.limit = level * LEVEL + tape.limit % LEVEL
    if waiting_bytes(tape) <= waiting_limit():
        return
    period = _period(_operations(s))
    if period is None and level < 2:
        return  # one large step, which runs by itself
    left = -s.ops % period if period else 0
    if left:
        tape.limit = s.load + left - 1
        tape.cut = True
    else:
        flush(tape)


def waiting_bytes(tape: Tape) -> int:
    """Of results that somebody holds, and of inputs that only the tape holds."""
    made = tape.made
    results = sum([made[k].form.nbytes for k in held(made)])
    inputs = [st for st in tape.leaves if getrefcount(st) == _ALONE and st.buf.owned]
    return results + sum([st.form.nbytes for st in inputs])


def _loop_length(tape: Tape, s: State) -> int:
    """Operations per piece of the loop that led here, 0 where there is none. Gradients prefer few
    and large pieces, so a loop with a history is not cut early."""
    way = _operations(s)
    if way == tape.turn:
        return len(way)  # the same turns again
    if s.rg and s.ops < OPERATIONS:
        return 0
    period = _period(way)
    if period is None:
        return 0
    wanted = TRACKED_PIECE if s.rg else PIECE
    length = period * max(1, wanted // period)
    tape.turn = way[:length]
    return length


def _operations(state: State) -> list[tuple]:
    """The user's operations on the way, latest first. Argument numbers do not count, nor do sizes:
    a text that grows by a word in each turn is a loop, and its pieces are alike."""
    found = []
    while state.prev is not None:
        if state.kind in COUNTED:
            call = state.data[0] if type(state.data) is tuple else None
            form = state.form  # None: of a gradient that no tensor gets
            found.append((state.kind, call, form and form.dtype, form and form.ndim))
        state = state.prev
    return found


def _period(sequence: list[tuple]) -> int | None:
    """After how many operations they come again: three times at least, and for half of the way. A
    turn may hold loops of its own, such as layers, that come again for a while."""
    for p in range(1, len(sequence) // 3 + 1):
        wanted = max(3 * p, len(sequence) // 2)
        if sequence[: wanted - p] == sequence[p:wanted]:
            return p
    return None


def _measure_alone() -> int:
    """What getrefcount says in `waiting_bytes` of a leaf that only the list holds."""
    leaves: list[Storage] = [evaluated_storage(None, None)]
    return [getrefcount(st) for st in leaves][0]


_ALONE = _measure_alone()
