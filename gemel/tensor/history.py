"""What a piece of recording leaves behind for gradients that are asked for after it has run.

`Segment` is the static side, one per plan: which values the gradient rules will read. `Record` is
the dynamic side, one per run: those values, and the tensors at which gradients end. A Record never
points at its own results, so no cycle keeps anything alive. `Link` is one way back through a
segment.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import Any

from gemel.graph.node import Node, rebuild
from gemel.ops.elementwise import STOP_GRADIENT
from gemel.ops.record import CONST, LEAF, SCALAR, placeholder

from .errors import FREED, FreedGraph, HistoryChanged, ModifiedInPlace
from .replay import Pull, Replay, in_lanes, run_pull, seed_places, settle
from .storage import LeafKey, Storage, writes

_NUMBER = {"float64": -1, "int64": -2, "bool": -3}
_order = count()


def next_number() -> int:
    """Of a record: later ones have larger numbers."""
    return next(_order)


class Segment:
    """replay   the piece as a graph
    roots      value indices of the kept results with a live history
    dead       those whose history a backward pass has released
    saved      nodes whose values the program returns for the gradients
    checks     (node, made position, how often written since) of values that are read
    given      (node, leaf position, how often written since) of values of leaves that are read
    ends       (number, how often written since) of autograd leaves made in this piece
    links      passes that were recorded;  backs: those that are programs of their own"""

    __slots__ = (
        "replay", "roots", "dead", "saved", "slot", "checks", "given", "ends", "key", "links",
        "backs",
    )  # fmt: skip

    def __init__(self, replay: Replay, kept: list[int], alive: tuple[int, ...]):
        """kept: value indices of the results (and rewritten leaves) with a history."""
        self.replay = replay
        self.links: dict[tuple, Link] = {}
        self.backs: dict[tuple, Any] = {}
        self.roots: list[int] = []
        self.dead: list[int] = []
        sources: set[Node] = set()
        read = self._reads(kept, sources)
        found: dict[Node, None] = {}
        for node in sorted(read | sources, key=lambda n: n.serial):
            self._save(node, found)
        self.saved = list(found)
        self.slot = {node: k for k, node in enumerate(self.saved)}
        self.key = LeafKey(tuple(n.form for n in self.saved), "pack")
        place_of = {replay.made[k]: k for k in alive}
        leaf_of = {place: k for k, place in enumerate(replay.bound)}
        self.checks = []
        self.given = []
        for node in {*read, *self.saved}:
            place, version = replay.home.get(node, (None, 0))
            if place in place_of:
                self.checks.append((node, place_of[place], place.version - version))
            elif place in leaf_of and not self.is_given(node):
                self.given.append((node, leaf_of[place], place.version - version))
        self.ends = []
        for k, end in enumerate(replay.grad_leaves):
            place, version = replay.home[end]
            if end.args[0].op is not LEAF:
                self.ends.append((k, place.version - version))

    def _reads(self, kept: list[int], sources: set[Node]) -> set[Node]:
        """What the rules read on the way back from each root; roots without a way are dead.
        sources: collects what is read where values are computed again."""
        replay = self.replay
        read: set[Node] = set()
        ends = {*replay.grad_leaves, *replay.hist_leaves}
        for index in kept:
            root = replay.nodes[index]
            mine: set[Node] = set()
            try:
                seeds = {root: placeholder(-1, root.form)}
                replay.pull(seeds, ends, (), replay.freed, read=mine, sources=sources)
            except FreedGraph:
                self.dead.append(index)
                continue
            self.roots.append(index)
            read |= mine
        return read

    def _save(self, node: Node, found: dict[Node, None]) -> None:
        """Keep the value, unless it is a given one or a cheap look at a given one."""
        if node.op is CONST or node.op is SCALAR or self.is_given(node):
            return
        look = node.op.kind == "movement" and len(node.args) == 1 and not node.dtype.is_complex
        if node.op is STOP_GRADIENT or look:
            self._save(node.args[0], found)
        elif node.args or node.op is LEAF:
            found[node] = None

    def is_given(self, node: Node) -> bool:
        """Is it a leaf whose storage still holds the value when the piece has run?"""
        return node.op is LEAF and self.replay.bound[node.attrs[0]].node is node

    def link(self, pull: Pull, done: tuple) -> Link:
        """The way back of one pass; `done`: passes before that have released the graph."""
        key = (pull, done)
        found = self.links.get(key)
        if found is None:
            found = self.links[key] = Link(self, pull, done)
        return found


class Link:
    """One pass through a segment, as a function of the gradients of its roots.

    found     [(kind, number, node)]: the gradients, over the segment's own nodes
    given     placeholders for the roots' gradients
    leaves    leaf positions that are read;  ends: positions of autograd leaves that are (create)
    scalars   positions of the run-time numbers;  numbers: their types, as they stand in a key
    saved     are saved values read
    checks    positions in the segment's checks that matter;  stale: in its given"""

    __slots__ = (
        "segment", "pull", "found", "given", "leaves", "ends", "scalars", "numbers", "saved",
        "checks", "stale",
    )  # fmt: skip

    def __init__(self, segment: Segment, pull: Pull, done: tuple):
        replay = segment.replay
        freed = set(replay.freed)
        for before in done:
            run_pull(replay, before, seed_places(replay, before), freed)
        self.segment = segment
        self.pull = pull
        self.given = seed_places(replay, pull)
        self.found = run_pull(replay, pull, self.given, freed)
        self._sources()

    def _sources(self) -> None:
        """What has to be handed in to compute the gradients."""
        replay = self.segment.replay
        stops = {*self.given}
        if self.pull.create:
            stops.update(replay.nodes[i] for i in self.pull.wanted)
        ends: dict[Node, int] = {}
        if self.pull.create:
            ends = {node: k for k, node in enumerate(replay.grad_leaves)}
        leaves, used, scalars, saved = set(), set(), set(), set()
        seen = set()
        stack = [node for _, _, node in self.found]
        while stack:
            node = stack.pop()
            if node in seen or node in stops:
                continue
            seen.add(node)
            if node in ends:
                used.add(ends[node])
            elif self._from_saved(node):
                saved.add(node)
            elif node.op is LEAF:
                leaves.add(node.attrs[0])
            elif node.op is SCALAR:
                scalars.add(node.attrs[0])
            else:
                stack.extend(node.args)
        self.leaves = tuple(sorted(leaves))
        self.ends = tuple(sorted(used))
        self.scalars = tuple(sorted(scalars))
        self.numbers = tuple(_NUMBER[replay.scalars[k].dtype.name] for k in self.scalars)
        self.saved = bool(saved)
        checks = enumerate(self.segment.checks)
        self.checks = [k for k, (node, _, _) in checks if node in seen]
        self.stale = [k for k, (node, _, _) in enumerate(self.segment.given) if node in seen]

    def _from_saved(self, node: Node) -> bool:
        """With create, values with a history are computed again, from the leaves on."""
        if node not in self.segment.slot:
            return False
        return not self.pull.create or not self.segment.replay.leads_back(node)

    def _handed_in(self) -> list[Node]:
        """What the arguments after the saved values stand for, in order."""
        mine = self.segment.replay
        names = [mine.nodes[i] for i in self.pull.wanted] if self.pull.create else []
        names += [mine.grad_leaves[k] for k in self.ends]
        names += [mine.leaves[k] for k in self.leaves]
        return names + [mine.scalars[k] for k in self.scalars]

    def apply(self, replay: Replay, s) -> None:
        """Rebuild the gradients in the graph of another piece. Arguments: the roots' gradients,
        the first of the saved values, then `_handed_in`."""
        args = replay.operands(s.args)
        here: dict[Node, Node] = {}
        at = len(self.given)
        if self.saved:
            first = s.args[at]
            for node, k in self.segment.slot.items():
                if self._from_saved(node):
                    here[node] = replay.nodes[first + k]
            at += 1
        here.update(zip(self._handed_in(), args[at:], strict=True))
        seeds = args[: len(self.given)]
        if self.pull.lanes:
            found = in_lanes(self.found, self.given, seeds, here, self.pull.lanes)
        else:
            here.update(zip(self.given, seeds, strict=True))
            found = [(k, n, remake(g, here)) for k, n, g in self.found]
        settle(replay, s, found, self.pull.create)


def remake(node: Node, here: dict[Node, Node]) -> Node:
    """The node over other sources; `here` (source -> node) also remembers what was made."""
    stack = [node]
    while stack:
        at = stack[-1]
        if at in here:
            stack.pop()
            continue
        missing = [a for a in at.args if a not in here]
        if missing:
            stack.extend(missing)
            continue
        here[at] = rebuild(at, tuple(here[a] for a in at.args))
        stack.pop()
    return here[node]


class Record:
    """What one run of a piece left behind.

    saved        storages of the saved values, None when released
    leaves       storages of the leaves (None for those that are results) and their versions
    checks       (weak storage, version) beside the segment's checks;  given: beside its given
    ends         version of each autograd leaf made in the piece
    done         passes that have released the graph
    mark, at     where the saved values are bound in the piece under way
    seq          later pieces have larger numbers"""

    __slots__ = (
        "segment", "saved", "leaves", "versions", "scalars", "grad_leaves", "hist_leaves",
        "hooked", "checks", "given", "ends", "done", "mark", "at", "seq", "__weakref__",
    )  # fmt: skip

    def __init__(self, tape, plan, saved: list[Storage]):
        segment = plan.segment
        self.segment = segment
        self.saved = saved
        self.leaves = list(tape.leaves)
        self.versions = [writes(st) for st in self.leaves]
        for _, k in plan.updates:
            self.leaves[k] = None  # the value read is gone; and results are never pointed at
        self.scalars = tape.scalars
        self.grad_leaves = tape.grad_leaves
        self.hist_leaves = tape.hist_leaves
        self.hooked = tape.hooked
        self.checks = _noted(tape.made, segment.checks) if segment.checks else ()
        self.given = _noted(tape.leaves, segment.given) if segment.given else ()
        ends = self.grad_leaves
        self.ends = {k: writes(ends[k].st) - ahead for k, ahead in segment.ends}
        self.done = ()
        self.mark = None
        self.at = -1
        self.seq = next_number()

    def check(self, link: Link) -> None:
        """The values that a pass reads must still be there, unchanged."""
        if self.saved is None and (link.saved or link.leaves or link.ends):
            raise FreedGraph(FREED)
        for k in link.leaves:
            st = self.leaves[k]
            if st is None or writes(st) != self.versions[k]:
                form = self.segment.replay.leaves[k].form
                if link.pull.create:
                    raise HistoryChanged(form)
                raise ModifiedInPlace(form, -1 if st is None else writes(st), self.versions[k])
        for k in link.ends:
            if writes(self.grad_leaves[k].st) != self._version_of(k):
                raise HistoryChanged(self.segment.replay.grad_leaves[k].form)
        for places, noted_of in ((link.checks, self.checks), (link.stale, self.given)):
            for k in places:
                ref, noted = noted_of[k]
                st = ref()
                if st is not None and writes(st) != noted:
                    raise ModifiedInPlace(st.form, writes(st), noted)

    def _version_of(self, end: int) -> int:
        """The version at which the autograd leaf was read."""
        if end in self.ends:
            return self.ends[end]
        return self.versions[self.segment.replay.grad_leaves[end].args[0].attrs[0]]

    def release(self, pull: Pull) -> None:
        """A pass that does not retain the graph is done; forget what nobody can ask for."""
        self.done += (pull,)
        passed = {i for p in self.done for i in p.roots}
        if passed.issuperset(self.segment.roots):
            self.saved = None
            self.leaves = self.versions = self.checks = self.given = ()


class Released:
    """The history of values whose graph was already released when they were computed."""

    saved = None
    seq = -1
    hooked = None


RELEASED = Released()


def _noted(places: list[Storage], rows: list[tuple]) -> list[tuple]:
    """(weak storage, the version that was read) of rows (node, position, written since)."""
    return [(weakref.ref(places[k]), writes(places[k]) - ahead) for _, k, ahead in rows]


def leave_history(tape, plan, saved: list[Storage]) -> None:
    """After a run: the results that are kept know where they came from."""
    made = tape.made
    leaves = tape.leaves
    for k in plan.dead:
        st = made[k]
        st.hist = (RELEASED, (tape.state, st.idx))  # enough to name the call that made it
    for k in plan.leaf_dead:
        leaves[k].hist = (RELEASED, 0)
    if plan.segment is None:
        return
    record = Record(tape, plan, saved)
    for k, index in plan.roots:
        made[k].hist = (record, index)
    for k, index in plan.leaf_roots:
        leaves[k].hist = (record, index)
