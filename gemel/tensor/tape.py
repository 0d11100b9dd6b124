"""`Tape`: what one thread has recorded since its last flush."""

from __future__ import annotations

import threading
from functools import wraps

from .state import GRAD, MODE, NO_GRAD, ROOT, ROOT_NO_GRAD, STATE_LIMIT, State, drop_trie
from .storage import Mark

OPERATIONS = 1000  # recorded before somebody looks; then the tape runs by itself
EARLY = 250  # the same where the operations are a loop without gradients


class Tape:
    """state        where the walk through the trie stands
    mark            identity of this piece of recording
    made            storages of the results, in order
    leaves          storages read from outside, in order
    grad_leaves     the autograd leaf tensors read, in order
    hist_leaves     (Record, index) of leaves with an older history
    scalars         run-time numbers, in order
    hooked          value index -> hooks, or None
    limit           operations until the tape runs by itself; see `overflow`
    cut             does it run when the limit is reached, whatever else
    turn            operations of the last piece of a loop, latest first; see `overflow`
    grad            are gradients recorded
    casting         the mode that casts operands, or None
    tracing         the Recording under way, or None
    replay          the path as a graph, as far as a miss needed it
    busy            in the middle of a record (another thread must not take the piece now)
    exported        is memory that an array shares among the written leaves
    bound           id of storage or leaf -> index, of what other threads read as well
    lost            of a piece that is set aside: nodes that are not to be had; see `aside`"""

    __slots__ = (
        "state", "mark", "made", "leaves", "grad_leaves", "hist_leaves", "scalars", "hooked",
        "limit", "cut", "turn", "grad", "casting", "tracing", "replay", "thread", "busy",
        "bound", "exported", "lost", "__weakref__",
    )  # fmt: skip

    def __init__(self):
        self.grad = True
        self.casting = None
        self.limit = EARLY
        self.turn: list[tuple] = []
        self.tracing = None
        self.thread = threading.current_thread().name
        self.mark = Mark()
        self.reset()

    def reset(self) -> None:
        """Begin a new piece: nothing is pending."""
        self.mark.tape = None
        mark = Mark()
        mark.tape = self
        if State.count > STATE_LIMIT:
            drop_trie()
        self.mark = mark
        self.state = self.rest()
        self.made = []
        self.leaves = []
        self.grad_leaves = []
        self.hist_leaves = []
        self.scalars = []
        self.hooked = None
        self.replay = None
        self.cut = False
        self.busy = False
        self.exported = False
        self.bound = {}
        self.lost = None

    @property
    def idle(self) -> bool:
        """Is nothing pending?"""
        return self.state.n == 0 and self.state.ops == 0

    def rest(self) -> State:
        """The state before anything is recorded, in the modes that are set."""
        root = ROOT if self.grad else ROOT_NO_GRAD
        return root if self.casting is None else root.in_casting(self.casting)


# names of threads from whose piece another one took a storage that both read: filled once there
# are any. Threads that only make tensors of their own are none.
SEVERAL: list[str] = []


class _Local(threading.local):
    def __init__(self):
        self.tape = Tape()


LOCAL = _Local()


def current() -> Tape:
    """This thread's tape."""
    return LOCAL.tape


def grad_enabled() -> bool:
    return LOCAL.tape.grad


def set_grad_enabled(flag: bool) -> bool:
    """Record gradients from here on or not; returns what was set before."""
    tape = LOCAL.tape
    before = tape.grad
    if before is not flag:
        tape.grad = flag
        _toggle(tape, GRAD if flag else NO_GRAD)
    return before


_OTHER = {GRAD: NO_GRAD, NO_GRAD: GRAD}


def _toggle(tape: Tape, mode: str) -> None:
    at = tape.state
    if at.kind == MODE and at.data == _OTHER[mode] and at.prev is not None:
        tape.state = at.prev  # an empty block leaves no trace
        return
    found = at.kids.get(mode)
    if found is None:
        found = State(at, MODE, mode)
        found.ng = mode is NO_GRAD
        at.kids[mode] = found
    tape.state = found


class _Mode:
    """Context manager and decorator that sets the grad mode."""

    flag = True

    def __enter__(self):
        # a stack, because one object may be entered again before it is left
        stack = self.__dict__.setdefault("before", [])
        stack.append(set_grad_enabled(self.flag))

    def __exit__(self, *exc):
        set_grad_enabled(self.before.pop())

    def __call__(self, function):
        kind = type(self)

        @wraps(function)
        def run(*args, **kwargs):
            with kind():
                return function(*args, **kwargs)

        return run


class no_grad(_Mode):
    """Nothing recorded inside has a history."""

    flag = False


class enable_grad(_Mode):
    """Gradients are recorded inside, also within no_grad."""

    flag = True
