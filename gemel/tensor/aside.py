"""What a refused value leaves: a check stopped a program, most of which has nothing to do with it.

Role: results that follow from the refused value remember the error. The rest of the piece is set
aside on a tape of its own and runs when somebody looks at it, as pieces of other threads do.
Invariant: it reads what its leaves held when the program stopped, whatever is written later; where
an update was lost, its leaf keeps what it held.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from gemel.graph.node import Node
from gemel.passes.compile import default_device

from .plan import Plan, build, canonical, rewritten
from .replay import Replay, replay_of
from .storage import Mark, Storage, evaluated_storage, held
from .tape import Tape

LOCK = threading.RLock()  # a piece that is set aside belongs to no thread


def set_aside(tape: Tape, error: BaseException) -> bool:
    """Sort what is pending by whether it follows from the value that the error tells of. False,
    with nothing done: everything does, or the error tells of none."""
    refused = getattr(error, "refused", None)
    if refused is None:
        return False
    replay = replay_of(tape)
    lost = _lost(replay, tape.made, refused, set())
    alive = [k for k in held(tape.made) if replay.made[k].node not in lost]
    updates = rewritten(replay, lost)
    if not lost or not (alive or updates):
        return False
    _forget(tape.made, replay, lost, error)
    _detach(tape, updates)
    _move(tape, lost)
    return True


def rest_of(piece: Tape) -> tuple[Plan, tuple[int, ...]]:
    """The plan of a piece that was set aside, and the results that it gives."""
    replay = replay_of(piece)
    pending = (k for k in held(piece.made) if replay.made[k].node not in piece.lost)
    alive = tuple(pending)
    return build(replay, alive, default_device(), piece.lost), alive


def spread(piece: Tape, error: BaseException) -> bool:
    """Another value was refused. False: the error tells of none that is still wanted."""
    refused = getattr(error, "refused", None)
    if refused is None:
        return False
    replay = replay_of(piece)
    lost = _lost(replay, piece.made, refused, piece.lost)
    if len(lost) == len(piece.lost):
        return False
    before = rewritten(replay, piece.lost)
    _forget(piece.made, replay, lost - piece.lost, error)
    for k in before.keys() - rewritten(replay, lost).keys():
        _let_go(piece.leaves[k])
    piece.lost = lost
    return True


def _lost(replay: Replay, made: list[Storage], refused: tuple, known: set[Node]) -> set[Node]:
    """The nodes that follow from a refused value, and those known to be lost."""
    fault, where = refused
    results = [replay.made[k].node for k in held(made)]
    lost = set(known)
    for node in canonical([*results, *rewritten(replay).values()]):
        check = node.op.name == "check_range" and node.where == where
        if (check and repr(node.attrs[2]) == repr(fault)) or any(a in lost for a in node.args):
            lost.add(node)
    return lost


def _forget(made: list[Storage], replay: Replay, lost: set[Node], error: BaseException) -> None:
    for k, st in enumerate(made):
        place = replay.made[k]
        if place is None or place.node in lost:
            st.fault = type(error), error.args
            st.mark = None


def _detach(tape: Tape, updates: Iterable[int]) -> None:
    """The piece reads what its leaves hold now; those that it updates stay its own."""
    kept = set(updates)
    for k, st in enumerate(tape.leaves):
        if k not in kept:
            buf = st.buf.copy() if st.exported else st.buf
            tape.leaves[k] = evaluated_storage(buf, st.form)
            _let_go(st)


def _let_go(st: Storage) -> None:
    """The leaf is as it was before the piece."""
    st.rg = st.hist is not None
    st.mark = None
    st.dirty = None


def _move(tape: Tape, lost: set[Node]) -> None:
    """The tape's piece becomes one of its own."""
    piece = Tape()
    piece.mark = tape.mark
    piece.mark.tape = piece
    for name in (
        "state", "made", "leaves", "grad_leaves", "hist_leaves", "scalars", "hooked", "replay",
        "exported", "bound",
    ):  # fmt: skip
        setattr(piece, name, getattr(tape, name))
    piece.lost = lost
    tape.mark = Mark()
    tape.reset()
