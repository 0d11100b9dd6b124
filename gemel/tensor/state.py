"""`State`: a node of the trie that recording walks.

A state stands for everything recorded since the last flush; the way to it is the exact key of the
program. Everything static hangs on it: forms, which results have a history, the user's line, the
programs by the set of values still held. Values are named by their index, so sharing, the identity
of leaves and random draws are exact by construction.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import cache

from gemel.ops.record import SCALAR_FORMS
from gemel.runtime import needs

FLOAT, INT, BOOL, COMPLEX = -1, -2, -3, -4  # stand for a run-time number in place of a value index
NUMBER = {float: FLOAT, int: INT, bool: BOOL, complex: COMPLEX}
NUMBER_TYPE = {FLOAT: float, INT: int, BOOL: bool}
NUMBER_FORM = {mark: SCALAR_FORMS[kind] for kind, mark in NUMBER.items()}

# kinds of transitions; those without a user's operation do not count for the loop limit
CALL, LEAF, LOOK, GRADLEAF, WRITE, UPDATE, VJP, SEGMENT, MODE, ROOT_KIND = range(10)

STATE_LIMIT = 200_000  # about 100 MB; when there are more, the whole trie is dropped


class State:
    """kids         key -> State
    prev            the state before; kind, data, args: the transition that led here
    idx, n          index of its first result, and of the first one after
    form(s), rg(s)  of the results: `form` and `rg` are those of the first
    ng              is recording under no_grad from here on
    casting         the mode that casts operands from here on (`casting.py`), or None
    plans           positions of held storages -> Plan
    quick           the quick way of the plan that ran last, or None
    targets         of a gradient: what each result belongs to
    where           the user's file and line that first recorded it
    ops             number of the user's operations on the way
    nbytes          of all values on the way
    load            what is compared with a tape's limit: `ops`, and a level more for each time that
                    `nbytes` fill what may wait
    seen            patterns of slices that were recorded here with a fixed place
    loop            at the limit: the piece is to be cut here (None: not yet decided)"""

    __slots__ = (
        "kids", "prev", "kind", "data", "args", "idx", "n", "form", "forms", "rg", "rgs", "ng",
        "casting", "plans", "quick", "targets", "where", "ops", "nbytes", "load",
        "seen", "loop",
    )  # fmt: skip
    count = 0

    def __init__(self, prev, kind, data=None, args=(), forms=(), rgs=()):
        self.kids = {}
        self.prev = prev
        self.kind = kind
        self.data = data
        self.args = args
        self.idx = prev.n if prev is not None else 0
        self.ng = prev.ng if prev is not None else False
        self.casting = prev.casting if prev is not None else None
        self.ops = prev.ops + (kind in COUNTED) if prev is not None else 0
        self.plans = {}
        self.quick = None
        self.targets = None
        self.seen = None
        self.loop = None
        self.where = user_line() if kind != LEAF else None
        self.settle(forms, rgs)
        State.count += 1

    def settle(self, forms: tuple, rgs: tuple) -> None:
        """Give the results' forms and histories (a gradient knows them only when built)."""
        self.forms = forms
        self.rgs = rgs
        self.form = forms[0] if forms else None
        self.rg = rgs[0] if rgs else False
        self.n = self.idx + len(forms)
        nbytes = sum([f.nbytes for f in forms])
        self.nbytes = nbytes + (self.prev.nbytes if self.prev is not None else 0)
        self.load = self.ops
        if self.nbytes > LEAST_WAITING:
            self.load += LEVEL * (self.nbytes // waiting_limit())

    def in_casting(self, mode) -> State:
        """The state from which on this mode casts operands (None: no mode)."""
        found = self.kids.get((MODE, mode))
        if found is None:
            found = self.kids[MODE, mode] = State(self, MODE, CASTING)
            found.casting = mode
        return found


LEVEL = 1 << 32  # of a load
LEAST_WAITING = 1 << 20  # bytes


@cache
def waiting_limit() -> int:
    """Bytes that may wait to be computed in a loop that never looks."""
    return max(needs.waiting_share(), LEAST_WAITING)


COUNTED = frozenset((CALL, WRITE, UPDATE, VJP, SEGMENT))
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_inside: tuple[str, ...] = (_PACKAGE,)


def not_the_user(folder: str) -> None:
    """Files below this folder are never the user's: a package that runs over the engine."""
    global _inside
    _inside += (os.path.abspath(folder) + os.sep,)


def user_line() -> tuple[str, int] | None:
    """File and line of the first frame outside the package."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_inside):
            return name, frame.f_lineno
        frame = frame.f_back
    return None


def owner(state: State, index: int) -> State:
    """The state on the way to `state` that made this value. Walks: never on a hot path."""
    while not state.idx <= index < state.n:
        state = state.prev
    return state


def form_of(state: State, index: int):
    if index < 0:
        return NUMBER_FORM[index]
    made = owner(state, index)
    return made.forms[index - made.idx]


def has_history(state: State, index: int) -> bool:
    if index < 0:
        return False
    made = owner(state, index)
    return made.rgs[index - made.idx]


def path(state: State, stop: State | None = None) -> list[State]:
    """The states on the way, oldest first, after `stop` (default: after the root)."""
    found = []
    while state is not stop and state.prev is not None:
        found.append(state)
        state = state.prev
    found.reverse()
    return found


NO_GRAD, GRAD, CASTING = "no_grad", "grad", "casting"
ROOT = State(None, ROOT_KIND)
ROOT_NO_GRAD = State(ROOT, MODE, NO_GRAD)
ROOT_NO_GRAD.ng = True
ROOT.kids[NO_GRAD] = ROOT_NO_GRAD


def drop_trie() -> None:
    """Forget every path; compiled programs stay in the second-level cache. Call between pieces."""
    ROOT.kids.clear()
    ROOT.plans.clear()
    ROOT_NO_GRAD.kids.clear()
    ROOT_NO_GRAD.plans.clear()
    ROOT.kids[NO_GRAD] = ROOT_NO_GRAD
    State.count = 2
    gc.collect()  # states point at their parents: cycles
