"""Ways through the trie without their sizes, and one of them replayed with sizes unknown.

Two ways that differ in sizes only (of leaves, and in what calls and views were told) are *alike*.
A `Way` is told in two parts: what it shares with those, as a key, and its sizes. `Sized` is what
alike ways have in common: one of them replayed with `Size`s in the places that differ. Whatever the
calls decided by a size is a guard there.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gemel.codegen.sizes import Space
from gemel.graph.form import Form, form
from gemel.passes.outlines import PLAIN, Outline
from gemel.passes.unknowns import Unknowns, differing, explain

from .lens import Lens, Moving
from .replay import Replay
from .state import LEAF, LOOK, MODE, ROOT, SEGMENT, State, path
from .storage import LeafKey

NUMBERED = 20_000  # things that transitions are about
_numbers: dict[Any, int] = {}  # what transitions are about, so that ways are compared quickly
_interned: dict[Any, tuple] = {}  # leaf's key or lens -> its number, sizes, are they fresh


class Way:
    """The way to a state.

    told   of each transition: all but its sizes
    sizes  in the order in which they were left out;  fresh: is it one of a leaf?
    whole  is all of it told?
    """

    def __init__(self, state: State):
        if len(_numbers) + len(_interned) > NUMBERED:
            forget_ways()
        self.state = state
        self.sizes: list[int] = []
        self.fresh: list[bool] = []
        self.whole = True
        told = []
        for s in path(state):
            if s.kind == SEGMENT:  # is about nodes of another piece
                self.whole = False
                break
            number = self._known(s.data) if s.kind in (LEAF, LOOK) else self._numbered(s.data)
            told.append((s.kind, number, s.args, s.rgs, s.targets, s.where))
        self.told = tuple(told)

    def _numbered(self, value: Any) -> int:
        told = self._tell(value)
        return _numbers.setdefault(told, len(_numbers))

    def _known(self, value: Any) -> int:
        """The same of what is interned, and comes again and again."""
        known = _interned.get(value)
        if known is None:
            other = Way(ROOT)
            known = _interned[value] = other._numbered(value), other.sizes, other.fresh
        number, sizes, fresh = known
        self.sizes += sizes
        self.fresh += fresh
        return number

    def _tell(self, value: Any, fresh: bool = False) -> Any:
        kind = value.__class__
        if kind is int and value not in PLAIN:
            self.sizes.append(value)
            self.fresh.append(fresh)
            return "#"
        if kind is tuple:
            return tuple([self._tell(v, fresh) for v in value])
        if kind is LeafKey:
            return value.kind, self._tell(value.forms, True)
        if kind is Form:
            return value.dtype, self._tell(value.shape, fresh)
        if kind is Lens or kind is Moving:
            return kind, self._tell(value.base), self._tell(value.steps), value.detached
        if isinstance(value, tuple):
            return kind, tuple([self._tell(v) for v in value])
        return kind, repr(value) if kind is float else value


FORGET: list = [_numbers.clear, _interned.clear]  # what others keep by ways joins them


def forget_ways() -> None:
    for forget in FORGET:
        forget()


_SAME = ("kind", "args", "rg", "rgs", "targets", "where")


class _Sizing:
    """Puts other sizes into transitions, in the order in which a `Way` left them out."""

    def __init__(self, sizes: list):
        self._sizes = iter(sizes)

    def step(self, s: State) -> Any:
        """The transition with these sizes."""
        same = {name: getattr(s, name) for name in _SAME}
        return SimpleNamespace(data=self._put(s.data), **same)

    def _put(self, value: Any) -> Any:
        kind = value.__class__
        if kind is int and value not in PLAIN:
            return next(self._sizes)
        if kind is tuple:
            return tuple([self._put(v) for v in value])
        if kind is LeafKey:
            return LeafKey(self._put(value.forms), value.kind)
        if kind is Form:
            return form(self._put(value.shape), value.dtype)
        if kind is Lens or kind is Moving:
            return self._lens(value)
        if isinstance(value, tuple):
            items = [self._put(v) for v in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        return value

    def _lens(self, lens: Any) -> Any:
        """One that reads and writes nodes; it lies nowhere in memory."""
        made = object.__new__(lens.__class__)
        made.base = self._put(lens.base)
        made.steps = self._put(lens.steps)
        made.detached = lens.detached
        if lens.__class__ is Moving:
            made.count = lens.count
        return made


class Sized:
    """Ways that are alike, as one. Of `way`, the last one, and sizes of some before it. close: are
    sizes of leaves that stay near each other tied together?

    replay  of it, with sizes;  names: of the symbols
    """

    def __init__(self, way: Way, seen: list[tuple[int, ...]], close: bool):
        self._space = Space()
        rows = [Outline("", sizes, tuple(way.fresh), ()) for sizes in seen]
        places, _ = differing(rows)
        named, self._symbols = explain(self._space, rows, places, True, close)
        self._sizes = [named.get(k, n) for k, n in enumerate(way.sizes)]
        self.names = [f"s{k}" for k in range(len(self._symbols))]
        self.replay = Replay()
        sizing = _Sizing(self._sizes)
        for s in path(way.state):
            if s.kind != MODE:
                self.replay.take(sizing.step(s))

    def unknowns(self) -> Unknowns:
        """With all guards so far."""
        return Unknowns(self._sizes, self._symbols, self._space.guards)
