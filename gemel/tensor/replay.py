"""`Replay`: the way to a state as a graph. Runs on a miss only; graph nodes exist nowhere else.

On the way it learns what the trie does not say: the node of every value, which storage (`Place`) a
value belongs to and at which version, and which nodes a backward pass has released.
"""

from __future__ import annotations

from typing import Any

from gemel.autodiff.again import Region, Twins, nodes_between
from gemel.autodiff.batching import Lane, batch, with_lanes
from gemel.autodiff.reverse import pullback
from gemel.autodiff.wholes import Wholes
from gemel.graph.node import Node, recorded_at
from gemel.ops.complex import PAIRS, from_parts
from gemel.ops.elementwise import STOP_GRADIENT, cast
from gemel.ops.movement import RESHAPE, expand, full
from gemel.ops.record import SCALAR_FORMS, leaf, placeholder, scalar

from .errors import FREED, FreedGraph, ModifiedInPlace
from .lens import Moving
from .state import (
    CALL,
    COMPLEX,
    FLOAT,
    GRADLEAF,
    LEAF,
    LOOK,
    MODE,
    NUMBER_TYPE,
    ROOT,
    SEGMENT,
    UPDATE,
    VJP,
    WRITE,
    State,
    path,
)


class Place:
    """A storage as the path sees it: its value's node and number, its version."""

    __slots__ = ("node", "index", "version")

    def __init__(self, node: Node, index: int):
        self.node = node
        self.index = index
        self.version = 0


class Replay:
    """nodes        value index -> Node
    tracked         value index -> has it a history
    places          value index -> Place
    leaves, bound   leaf position -> Node, Place
    scalars         run-time number -> Node
    made            made storage -> Place
    home            node -> (Place, version): whose value it is
    grad_leaves     nodes at which gradients end, in the order of the tape's grad_leaves
    hist_leaves     leaf nodes with an older history, in the order of the tape's hist_leaves
    freed           nodes that a backward pass has released
    grafts          node -> the node that has its history: written past the gradient
    again           node -> its region, of values that are computed again on the way back
    opened          regions that are not closed yet, and where they begin
    wholes          attention that is written out, as one node each"""

    def __init__(self):
        self.tip: State = ROOT
        self.nodes: list[Node | None] = []
        self.tracked: list[bool] = []
        self.places: list[Place | None] = []
        self.leaves: list[Node] = []
        self.bound: list[Place] = []
        self.scalars: list[Node] = []
        self.made: list[Place | None] = []
        self.home: dict[Node, tuple[Place, int]] = {}
        self.grad_leaves: list[Node] = []
        self.hist_leaves: list[Node] = []
        self.freed: set[Node] = set()
        self.grafts: dict[Node, Node] = {}
        self.again: dict[Node, Region] = {}
        self.opened: list[tuple[int, int, Region]] = []
        self.wholes = Wholes()

    def extend(self, state: State) -> None:
        """Replay the rest of the way to `state`."""
        for s in path(state, self.tip):
            if s.kind == MODE:  # has no values; and the tape may step back over an empty block
                continue
            self.take(s)
            self.tip = s

    def take(self, s: Any) -> None:
        """One transition, a `State` or what tells the same."""
        with recorded_at(s.where):
            _STEPS[s.kind](self, s)

    # ---------- bookkeeping ----------
    def operands(self, args: tuple[int, ...]) -> list[Node]:
        """The nodes of a transition's arguments; run-time numbers become scalars in order."""
        return [self.nodes[a] if a >= 0 else self._scalar(a) for a in args]

    def _scalar(self, kind: int) -> Node:
        if kind == COMPLEX:  # two run-time numbers
            pair = from_parts(self._scalar(FLOAT), self._scalar(FLOAT))
            return Node(pair.op, pair.attrs, pair.args, SCALAR_FORMS[complex])
        node = scalar(len(self.scalars), NUMBER_TYPE[kind])
        self.scalars.append(node)
        return node

    def any_tracked(self, args) -> bool:
        return any(a >= 0 and self.tracked[a] for a in args)

    def add(self, node: Node, rg: bool, place: Place | None) -> None:
        """The next value. Without a place of its own it belongs to the given one."""
        self.nodes.append(node)
        self.tracked.append(rg)
        self.places.append(place)

    def fresh(self, node: Node, rg: bool) -> None:
        """The next value, in a storage made by this transition."""
        node = self.own(node)
        place = Place(node, len(self.nodes))
        self.home[node] = (place, 0)
        self.made.append(place)
        self.add(node, rg, place)

    def own(self, node: Node) -> Node:
        """A node belongs to one storage: a second one gets an equal node of its own."""
        return RESHAPE(node, attrs=(node.shape,)) if node in self.home else node

    def rewrite(self, place: Place, node: Node, rg: bool, bump: bool) -> None:
        """The storage's next value."""
        node = self.own(node)
        place.node = node
        place.index = len(self.nodes)
        place.version += bump
        self.home[node] = (place, place.version)
        self.add(node, rg, place)

    def results(self, s: State, args: list[Node]) -> tuple[Node, ...]:
        """What the state's call makes of the arguments, cut where no history is kept."""
        call, attrs = s.data[:2]
        out = call.expand(attrs, *args)
        return out if isinstance(out, tuple) else (out,)

    # ---------- gradients ----------
    def pull(self, seeds: dict, targets, cut, freed: set, release=False, read=None, sources=None):
        """`pullback` that knows grafts and regions: node -> gradient. sources: collects what is
        read where values are computed again."""
        found: dict[Node, Node] = {}
        twins = Twins(self.again) if self.again else None
        ends = {*cut, *self.grafts}
        gone: set[Node] = set()
        while seeds:
            now = set(freed)  # a later round may pass a node that an earlier one has passed
            try:
                got = pullback(
                    seeds, targets, cut=ends, read=read, freed=now, release=release, twins=twins,
                    wholes=self.wholes,
                )  # fmt: skip
            except FreedGraph:
                raise FreedGraph(FREED) from None
            gone |= now
            seeds = {}
            for node, g in got.items():
                old = self.grafts.get(node)
                if old is not None:
                    seeds[old] = seeds[old] + g if old in seeds else g
                if old is None or node in targets or node in cut:
                    found[node] = found[node] + g if node in found else g
        freed |= gone
        if twins is not None and sources is not None:
            sources |= twins.read
        return found

    def check_versions(self, read: set[Node]) -> None:
        """A value that a gradient rule reads must still be its storage's value."""
        for node in read:
            place, version = self.home_of(node)
            if place is not None and place.version != version:
                raise ModifiedInPlace(node.form, place.version, version)

    def home_of(self, node: Node) -> tuple[Place | None, int]:
        """Whose value it is, also of a part of a complex value; (None, 0): nobody's."""
        found = self.home.get(node)
        if found is not None:
            return found
        at = node
        while at.op.name in ("reshape", "slice"):
            at = at.args[0]
        return self.home.get(at.args[0], (None, 0)) if at.op is PAIRS else (None, 0)

    def leads_back(self, node: Node) -> bool:
        """Can a gradient flow from this node to an autograd leaf or an older history?"""
        ends = {*self.grad_leaves, *self.hist_leaves, *self.grafts}
        seen = set()
        stack = [node]
        while stack:
            at = stack.pop()
            if at in ends:
                return True
            if at in seen or at.op.vjp == () or not at.dtype.is_smooth:
                continue
            seen.add(at)
            stack.extend(at.args)
        return False


def _leaf(replay: Replay, s: State) -> None:
    for f in s.data.forms:
        node = leaf(len(replay.leaves), f)
        place = Place(node, len(replay.nodes))
        replay.leaves.append(node)
        replay.bound.append(place)
        replay.home[node] = (place, 0)
        replay.add(node, s.data.kind == "hist", place)
    if s.data.kind == "hist":
        replay.hist_leaves.append(node)
    elif s.data.kind == "param":
        _end_of_gradients(replay, node, place)


def _end_of_gradients(replay: Replay, node: Node, place: Place) -> None:
    end = STOP_GRADIENT(node)
    replay.grad_leaves.append(end)
    replay.home[end] = (place, place.version)
    replay.add(end, True, place)


def _grad_leaf(replay: Replay, s: State) -> None:
    index = s.args[0]
    _end_of_gradients(replay, replay.nodes[index], replay.places[index])


def _call(replay: Replay, s: State) -> None:
    tracked = replay.any_tracked(s.args)
    out = replay.results(s, replay.operands(s.args))
    for node, rg in zip(out, s.rgs, strict=True):
        replay.fresh(STOP_GRADIENT(node) if tracked and not rg else node, rg)


def _look(replay: Replay, s: State) -> None:
    index = s.args[0]
    place = replay.places[index]
    node = replay.nodes[index]
    if type(s.data) is Moving:
        node = s.data.read(node, replay.operands(s.args[1:]))
    else:
        node = s.data.read(node)
    if replay.tracked[index] and not s.rg:
        node = STOP_GRADIENT(node)
    replay.home.setdefault(node, (place, place.version if place else 0))
    replay.add(node, s.rg, place)


def _write(replay: Replay, s: State) -> None:
    """An in-place call, with its write through the view, as one transition."""
    call, attrs, lens, bump, grafted = s.data
    base = s.args[0]
    old = replay.nodes[base]
    tracked = replay.any_tracked(s.args)
    if replay.tracked[base]:
        # the call may read the value that it replaces: a node of its own keeps that out of the
        # version check
        old = RESHAPE(old, attrs=(old.shape,))
    operands = replay.operands(s.args[1:])
    where: tuple = ()
    if type(lens) is Moving:
        at = len(operands) - lens.count
        operands, where = operands[:at], (operands[at:],)
    seen = old if lens is None else lens.read(old, *where)
    (new,) = replay.results(s, [seen, *operands])
    new = expand(cast(new, seen.dtype), seen.shape)
    whole = new if lens is None else lens.written(old, new, *where)
    if grafted or tracked and not s.rg:
        whole = STOP_GRADIENT(whole)
    if grafted:
        replay.grafts[whole] = replay.nodes[base]
    replay.rewrite(replay.places[base], whole, s.rg, bump)


def _update(replay: Replay, s: State) -> None:
    """A call that rewrites several storages and may make others: (new values..., results...)."""
    call, attrs, written = s.data
    tracked = replay.any_tracked(s.args)
    out = replay.results(s, replay.operands(s.args))
    for k, (node, rg) in enumerate(zip(out, s.rgs, strict=True)):
        node = STOP_GRADIENT(node) if tracked and not rg else node
        if k < len(written):
            replay.rewrite(replay.places[written[k]], node, rg, True)
        else:
            replay.fresh(node, rg)


class Pull:
    """What a gradient transition is about: hashes by its content.

    roots    value indices;  given: index of each one's gradient, None for ones
    ends     value indices where the flow is cut (hooked values)
    wanted   value indices whose gradient is asked for (besides the leaves)
    retain   keep the graph for another pass;  create: the gradients have a history
    lanes    0, or how many gradients of each root are given at once, in front"""

    __slots__ = ("roots", "given", "ends", "wanted", "retain", "create", "lanes", "_key")

    def __init__(
        self, roots, given=(None,), ends=(), wanted=(), retain=False, create=False, lanes=0
    ):
        self.roots = roots
        self.given = given
        self.ends = ends
        self.wanted = wanted
        self.retain = retain
        self.create = create
        self.lanes = lanes
        self._key = (roots, given, ends, wanted, retain, create, lanes)

    def __hash__(self):
        return hash(self._key)

    def __eq__(self, other):
        return type(other) is Pull and self._key == other._key


def seed(root: Node, given: Node | None) -> Node:
    """The gradient that a backward pass starts with."""
    return full(root.shape, 1, root.dtype) if given is None else cast(given, root.dtype)


def gradient_targets(replay: Replay, pull: Pull) -> list[tuple[str, int, Node]]:
    """(kind, number, node) of everything a pass may reach: 'p' an autograd leaf, 'h' a leaf with
    an older history, 's' a value where the flow was cut, 'w' one whose gradient was asked for."""
    found = [("p", n, node) for n, node in enumerate(replay.grad_leaves)]
    found += [("h", n, node) for n, node in enumerate(replay.hist_leaves)]
    found += [("s", i, replay.nodes[i]) for i in pull.ends]
    found += [("w", i, replay.nodes[i]) for i in pull.wanted]
    return found


def run_pull(replay: Replay, pull: Pull, given: list, freed: set, read: set | None = None):
    """The gradients of one pass: [(kind, number, node)]. Raises FreedGraph; a pass that does not
    retain the graph adds to `freed`."""
    seeds: dict[Node, Node] = {}
    for index, g in zip(pull.roots, given, strict=True):
        root = replay.nodes[index]
        g = seed(root, g)
        seeds[root] = seeds[root] + g if root in seeds else g
    targets = gradient_targets(replay, pull)
    cut = {node for kind, _, node in targets if kind == "s"}
    goal = {node for kind, _, node in targets if kind != "s"}
    got = replay.pull(seeds, goal, cut, freed, not pull.retain, read)
    return [(kind, n, got[node]) for kind, n, node in targets if node in got]


def _vjp(replay: Replay, s: State) -> None:
    pull = s.data
    read: set[Node] = set()
    given = [None if g is None else replay.nodes[g] for g in pull.given]
    if pull.lanes:
        one = seed_places(replay, pull)
        found = run_pull(replay, pull, one, replay.freed, read)
        found = in_lanes(found, one, given, {}, pull.lanes)
    else:
        found = run_pull(replay, pull, given, replay.freed, read)
    replay.check_versions(read)
    settle(replay, s, found, pull.create)


def seed_places(replay: Replay, pull: Pull) -> list[Node]:
    """Placeholders for the gradients of a pass's roots."""
    return [placeholder(-1 - k, replay.nodes[i].form) for k, i in enumerate(pull.roots)]


def in_lanes(found: list, one: list[Node], given: list, here: dict, lanes: int) -> list:
    """The gradients of one lane, [(kind, number, node)], for many: `given` stand for the
    placeholders `one` with lanes in front, `here` (source -> node) is shared by all lanes."""
    sources = {node: Lane(n, False) for node, n in here.items()}
    for place, g in zip(one, given, strict=True):
        sources[place] = Lane(cast(g, place.dtype), True)
    made = batch([node for _, _, node in found], sources, lanes)
    rows = zip(found, made, strict=True)
    return [(kind, n, with_lanes(lane, lanes)) for (kind, n, _), lane in rows]


def settle(replay: Replay, s: State, found: list, create: bool) -> None:
    """Add the gradients as results; the first time, tell the state their forms."""
    if s.targets is None:
        s.targets = tuple((kind, n) for kind, n, _ in found)
        rgs = tuple(create and replay.leads_back(node) for _, _, node in found)
        s.settle(tuple(node.form for _, _, node in found), rgs)
    for (_, _, node), rg in zip(found, s.rgs, strict=True):
        replay.fresh(node if rg else STOP_GRADIENT(node), rg)


def _segment(replay: Replay, s: State) -> None:
    s.data.apply(replay, s)


AGAIN = 10  # a kind of transition: begin or end of a region that is computed again


def _again(replay: Replay, s: State) -> None:
    if s.data == "begin":
        region = Region(replay.opened[-1][2] if replay.opened else None)
        serial = placeholder(-1, SCALAR_FORMS[float]).serial
        replay.opened.append((len(replay.nodes), serial, region))
        return
    at, first, region = replay.opened.pop()
    values = [n for n in replay.nodes[at:] if n is not None]
    ends = {*replay.leaves, *replay.grad_leaves, *replay.hist_leaves}
    for node in nodes_between(values, first):
        if node not in ends:
            replay.again.setdefault(node, region)


_STEPS = {
    AGAIN: _again,
    LEAF: _leaf,
    GRADLEAF: _grad_leaf,
    CALL: _call,
    LOOK: _look,
    WRITE: _write,
    UPDATE: _update,
    VJP: _vjp,
    SEGMENT: _segment,
}


def replay_of(tape, state: State | None = None) -> Replay:
    """The tape's way so far (or on to `state`) as a graph; continued from where the last miss
    left it."""
    replay = tape.replay
    if replay is None:
        replay = tape.replay = Replay()
    try:
        replay.extend(state or tape.state)
    except BaseException:
        tape.replay = None  # half a step: not to be continued
        raise
    return replay
