"""`Plan`: what a flush does at one state with one set of held values.

Behind the trie stands a second cache, keyed by the graph itself: ways that differ only in form (the
order of independent calls, dead operations, a trie that was dropped) share a program.
"""

from __future__ import annotations

from collections.abc import Collection

from gemel.graph.node import Node
from gemel.ops.record import LEAF, SCALAR, leaf, scalar
from gemel.passes.compile import compile_graph

from .history import Segment, remake
from .replay import Replay

PROGRAM_LIMIT = 2000  # programs kept; the oldest half goes when there are more

_programs: dict[tuple, object] = {}


class Plan:
    """program   or None where nothing has to be computed
    device      it was compiled for
    count       results: one per held storage
    reads       positions of the leaves that the program takes
    numbers     positions of the run-time numbers that it takes
    in_order    are those all numbers, in order
    donated     its leaf positions that are overwritten in place
    updates     (position among its leaves, position among the tape's) of rewritten leaves
    roots       (made position, value index) of held results with a history
    leaf_roots  (leaf position, value index) of rewritten leaves with a history
    dead, leaf_dead  the same where the history was released
    segment     for the Record; None where no history is left behind
    whole       how many results, leaves and run-time numbers the tape must hold (None: any)
    runs        how often it ran the usual way
    quick       its quick way, once it has run often"""

    __slots__ = (
        "program", "device", "count", "reads", "numbers", "in_order", "donated", "updates", "roots",
        "leaf_roots", "dead", "leaf_dead", "segment", "whole", "runs",
        "quick", "__weakref__",
    )  # fmt: skip

    def __init__(self):
        self.whole = None
        self.runs = 0
        self.quick = None


def build(replay: Replay, alive: tuple[int, ...], device: str, lost: Collection[Node] = ()) -> Plan:
    """lost: nodes that no leaf is rewritten with."""
    plan = Plan()
    plan.device = device
    plan.count = len(alive)
    plan.whole = len(replay.made), len(replay.leaves), len(replay.scalars)
    outputs, updates = ends(replay, alive), rewritten(replay, lost)
    _histories(plan, replay, alive, updates)
    outputs += plan.segment.saved if plan.segment else []
    _compile(plan, outputs, updates, device)
    plan.in_order = plan.numbers == tuple(range(len(replay.scalars)))
    return plan


def ends(replay: Replay, alive: tuple[int, ...]) -> list[Node]:
    """What held storages get."""
    return [replay.made[k].node for k in alive]


def rewritten(replay: Replay, lost: Collection[Node] = ()) -> dict[int, Node]:
    """Positions of the leaves that are rewritten, and with what, but for lost nodes."""
    return {
        k: place.node
        for k, (place, node) in enumerate(zip(replay.bound, replay.leaves, strict=True))
        if place.node is not node and replay.home[place.node][0] is place
        if place.node not in lost
    }


def compile_plan(outputs: list[Node], updates: dict[int, Node], device: str) -> Plan:
    """A plan without histories: for a traced function."""
    plan = Plan()
    plan.device = device
    plan.count = len(outputs)
    plan.segment = None
    plan.roots = plan.leaf_roots = plan.dead = plan.leaf_dead = ()
    _compile(plan, outputs, updates, device)
    return plan


def _histories(plan: Plan, replay: Replay, alive, updates) -> None:
    """Which of the kept values have a history, and is it still there?"""
    made = {replay.made[k].index: k for k in alive if replay.tracked[replay.made[k].index]}
    rewritten = {replay.bound[k].index: k for k in updates if replay.tracked[replay.bound[k].index]}
    plan.segment = None
    dead: set[int] = set()
    if made or rewritten:
        segment = Segment(replay, [*made, *rewritten], alive)
        dead.update(segment.dead)
        if segment.roots:
            plan.segment = segment
    plan.roots = tuple((k, i) for i, k in made.items() if i not in dead)
    plan.leaf_roots = tuple((k, i) for i, k in rewritten.items() if i not in dead)
    plan.dead = tuple(k for i, k in made.items() if i in dead)
    plan.leaf_dead = tuple(k for i, k in rewritten.items() if i in dead)


def _compile(plan: Plan, outputs: list[Node], updates: dict[int, Node], device: str) -> None:
    updates = dict(sorted(updates.items()))
    nodes = canonical([*outputs, *updates.values()])
    plan.reads, plan.numbers = inputs(nodes, updates)
    plan.program = None
    plan.updates = ()
    plan.donated = ()
    if nodes:
        _find_program(plan, nodes, outputs, updates, device)


def inputs(nodes: list[Node], updates: dict[int, Node]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the leaves and of the numbers that the program of these nodes takes."""
    used = dict.fromkeys(n.attrs[0] for n in nodes if n.op is LEAF)
    numbers = dict.fromkeys(n.attrs[0] for n in nodes if n.op is SCALAR)
    return tuple(dict.fromkeys([*used, *updates])), tuple(numbers)


def canonical(outputs: list[Node]) -> list[Node]:
    """The graph's nodes, arguments first, in an order that depends on the graph alone and not on
    when each node was made."""
    done: dict[Node, None] = {}
    stack = list(reversed(outputs))
    while stack:
        node = stack[-1]
        missing = [a for a in node.args if a not in done] if node not in done else []
        if missing:
            stack += reversed(missing)
            continue
        done[node] = None
        stack.pop()
    return list(done)


def _find_program(plan: Plan, nodes, outputs, updates, device) -> None:
    at = {k: n for n, k in enumerate(plan.reads)}
    number = {k: n for n, k in enumerate(plan.numbers)}
    key = (device, len(at), structure(nodes, outputs, updates, at, number))
    program = known_program(key)
    if program is None:
        leaves, scalars, out, new = renumbered(nodes, outputs, updates, at, number)
        program = remember(key, compile_graph(leaves, scalars, out, new, device))
    take_program(plan, program)


def take_program(plan: Plan, program) -> None:
    plan.program = program
    plan.donated = tuple(sorted(program.donated))
    plan.updates = tuple((k, plan.reads[k]) for k in program.updates)


def structure(nodes, outputs, updates, at, number) -> tuple:
    """The graph as a key: equal for equal graphs, whatever their nodes are called."""
    index = {node: k for k, node in enumerate(nodes)}
    rows = []
    for node in nodes:
        if node.op is LEAF:
            attrs = (at[node.attrs[0]], node.form)
        elif node.op is SCALAR:
            attrs = (number[node.attrs[0]], node.form)
        else:
            attrs = repr(node.attrs)  # 2, 2.0 and True, 0.0 and -0.0 are different texts
        # a check names the user's line in its message
        where = node.where if node.op.name == "check_range" else None
        rows.append((node.op, attrs, tuple(index[a] for a in node.args), node.form, where))
    ends = tuple((at[k], index[n]) for k, n in updates.items())
    return tuple(rows), tuple(index[o] for o in outputs), ends


def renumbered(nodes, outputs, updates, at, number):
    """The graph over leaves and numbers that count from zero: (leaves, numbers, outputs,
    updates)."""
    moved = {}
    leaves: list = [None] * len(at)
    scalars: list = [None] * len(number)
    for node in nodes:
        if node.op is LEAF:
            k = at[node.attrs[0]]
            moved[node] = leaves[k] = node if node.attrs[0] == k else leaf(k, node.form)
        elif node.op is SCALAR:
            k = number[node.attrs[0]]
            kind = {"f": float, "i": int, "b": bool}[node.dtype.kind]
            moved[node] = scalars[k] = node if node.attrs[0] == k else scalar(k, kind)
    for k, node in updates.items():
        if leaves[at[k]] is None:  # rewritten without being read
            leaves[at[k]] = leaf(at[k], node.form)
    out = [remake(o, moved) for o in outputs]
    return leaves, scalars, out, {at[k]: remake(n, moved) for k, n in updates.items()}


def known_program(key: tuple):
    return _programs.get(key)


def remember(key: tuple, program):
    """The program, from now on known by this key."""
    if len(_programs) >= PROGRAM_LIMIT:
        for old in list(_programs)[: PROGRAM_LIMIT // 2]:
            del _programs[old]
    _programs[key] = program
    return program


def program_count() -> int:
    """Programs compiled and kept in this process."""
    return len(set(map(id, _programs.values())))  # some have several keys
