"""A new constant tensor of which parts are written: in memory at once.

`x = zeros(8, longest); x[k, :n] = row` with known rows is how batches of sequences are made. Were
it recorded, each set of lengths would be another graph; written into memory it is none.
"""

from __future__ import annotations

from gemel.runtime.buffer import Buffer

from .record import FILL
from .state import CALL
from .storage import Storage, pending_storage
from .tape import Tape

WALK = 64  # states that are looked through for somebody who reads the constant


def filled_at_once(tape: Tape, st: Storage) -> bool:
    """Evaluate a pending constant, as it was made and read by nobody. False, with nothing done,
    for any other storage."""
    number = st.filled
    mark = tape.mark
    if number is None or st.rg or st.mark is not mark or not _is_unread(tape, st.idx):
        return False
    if isinstance(number, float) and not st.form.dtype.is_smooth:
        return False  # rounded by the engine's rule
    buf = Buffer(st.form.nbytes)
    try:
        buf.array(st.form)[...] = number
    except (OverflowError, ValueError):
        return False  # an integer that wraps around
    tape.busy = True
    if tape.mark is not mark:  # another thread has taken the piece
        tape.busy = False
        return False
    made = tape.made
    at = len(made) - 1
    while made[at] is not st:
        at -= 1
    made[at] = pending_storage(mark, st.idx, st.form, False)
    st.mark = None
    st.idx = -1
    st.buf = buf
    st.filled = None
    tape.busy = False
    return True


def _is_unread(tape: Tape, index: int) -> bool:
    """Is the value one of a fill, and no argument of what was recorded since?"""
    at = tape.state
    for _ in range(WALK):
        if at.prev is None or index in at.args:
            return False
        if at.idx <= index < at.n:
            return at.kind == CALL and at.data[0] is FILL
        at = at.prev
    return False
