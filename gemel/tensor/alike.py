"""What follows from a way through the trie, for all ways that are alike but for sizes.

Role: in front of replaying, which is most of what a new length of a text costs. Where a piece ends
at a state without a plan, or a gradient is met for the first time, ways that are alike (`ways.py`)
may have been here: then one of them was replayed with `Size`s, and what came out holds for this
one too. A plan found so takes a program that serves many sizes (`passes/sized.py`).

Invariant: what is found so is what replaying the way would give. A way that breaks a guard, or
whose sizes do not hang together as in the ways before, is replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gemel.codegen.sizes import NeedsConstants, evaluator
from gemel.graph.errors import ShapeError
from gemel.graph.form import form
from gemel.passes.compile import default_device
from gemel.passes.native import levels
from gemel.passes.outlines import REMEMBERED
from gemel.passes.sized import SizedGraph
from gemel.passes.unknowns import Unknowns

from .plan import (
    Plan,
    build,
    canonical,
    ends,
    inputs,
    known_program,
    remember,
    renumbered,
    rewritten,
    take_program,
)
from .replay import replay_of
from .state import State
from .ways import FORGET, Sized, Way

STATES = 100  # of the trie weigh as much as a plan
KINDS = 256  # of ways that are remembered
MOST_TRIES = 3  # at one kind
built = [0]  # plans and gradients that took a replay


class _Kind:
    """Ways that are alike, and what is asked of them.

    seen   sizes of the last ones
    made   what holds for many sizes, the latest first;  tried: how often something was made
    why    what stood against it the last time
    """

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.made: list[Any] = []
        self.tried = 0
        self.why = ""

    def note(self, way: Way, make: Callable[[Sized], Any] | None, least: int = 2) -> None:
        """A way that was replayed. make: what holds for all; None where nothing does yet. least:
        different sizes that are worth it."""
        sizes = tuple(way.sizes)
        if sizes not in self.seen:
            self.seen.append(sizes)
            del self.seen[:-REMEMBERED]
        if len(self.seen) < least or self.tried >= MOST_TRIES or make is None:
            return
        self.tried += 1
        seen = [*(row for row in self.seen if row != sizes), sizes]
        try:
            self.made.insert(0, self._made(way, seen, make))
        except NeedsConstants as why:
            self.why, self.tried = str(why), MOST_TRIES
        except Exception as why:  # sizes were alike by chance, or somebody cannot do with a `Size`
            self.why = repr(why)

    def _made(self, way: Way, seen: list[tuple[int, ...]], make: Callable[[Sized], Any]) -> Any:
        try:
            return make(Sized(way, seen, close=False))
        except NeedsConstants:
            raise
        except Exception:  # a face's own error where shapes do not fit
            return make(Sized(way, seen, close=True))


_kinds: dict[tuple, _Kind] = {}
FORGET.append(_kinds.clear)


def _kind(way: Way, asked: Any) -> _Kind | None:
    """Of ways like this one; the oldest are forgotten. None where the way is not told."""
    if not (way.sizes and way.whole):
        return None
    key = (way.told, asked)
    found = _kinds.get(key)
    if found is None:
        found = _kinds[key] = _Kind()
        if len(_kinds) > KINDS:
            del _kinds[next(iter(_kinds))]
    return found


def _checked(unknowns: Unknowns) -> Unknowns:
    if unknowns.fixed():
        raise NeedsConstants(f"a size is decided by: {', '.join(unknowns.fixed())}")
    return unknowns


# ---------- plans ----------
def plan_for(tape, alive: tuple[int, ...]) -> Plan:
    """The plan of the tape's state; compiled where no equal graph was seen before."""
    device = default_device()
    plans = tape.state.plans
    plan = plans.get((alive, device))
    if plan is None:
        plan = plans[(alive, device)] = _found(tape, alive, device)
        State.count += STATES  # so that the trie is dropped where it holds many of them
    plans[alive] = plan
    return plan


def _found(tape, alive: tuple[int, ...], device: str) -> Plan:
    served = device == "cpu" and not levels() - {"compiles"}
    way = Way(tape.state) if served else None
    kind = _kind(way, alive) if way is not None else None
    if way is None or kind is None:
        return _built(tape, alive, device)
    plan = _alike(kind, tuple(way.sizes))
    if plan is not None:
        return plan
    plan = _built(tape, alive, device)
    many = plan.segment is None and plan.program is not None
    if many:
        remember((kind, tuple(way.sizes)), plan.program)
        many = "given" in plan.program.facts
    sizes = tuple(way.sizes)
    kind.note(way, (lambda sized: _SizedPlan(sized, sizes, plan, alive)) if many else None)
    return plan


def _built(tape, alive: tuple[int, ...], device: str) -> Plan:
    built[0] += 1
    return build(replay_of(tape), alive, device)


def _alike(kind: _Kind, sizes: tuple[int, ...]) -> Plan | None:
    known = known_program((kind, sizes))
    for sized in kind.made:
        plan = sized.plan(sizes, known)
        if plan is not None:
            if known is None:
                remember((kind, sizes), plan.program)
            return plan
    return None


class _SizedPlan:
    """A plan for many sizes. like: one of them, that was built for `sizes`."""

    def __init__(self, sized: Sized, sizes: tuple[int, ...], like: Plan, alive: tuple[int, ...]):
        outputs = ends(sized.replay, alive)
        updates = dict(sorted(rewritten(sized.replay).items()))
        nodes = canonical([*outputs, *updates.values()])
        reads, numbers = inputs(nodes, updates)
        if (reads, numbers) != (like.reads, like.numbers):
            raise ShapeError("alike", "the inputs come in another order with sizes")
        at = {k: n for n, k in enumerate(reads)}
        number = {k: n for n, k in enumerate(numbers)}
        leaves, scalars, outputs, updates = renumbered(nodes, outputs, updates, at, number)
        self.graph = SizedGraph(leaves, scalars, outputs, updates, sized.names)
        self.unknowns = _checked(sized.unknowns())
        self.like = like
        self._check(sizes)

    def _check(self, sizes: tuple[int, ...]) -> None:
        """Does it give the graph that was just built?"""
        values = self.unknowns.values(sizes)
        known = self.graph.known()
        if values is None or known is None or self.graph.outline(values) not in known.outlines:
            raise ShapeError("alike", "with sizes it is another graph")

    def plan(self, sizes: tuple[int, ...], program=None) -> Plan | None:
        """The plan of a way with these sizes; program: where it is known."""
        values = self.unknowns.values(sizes)
        if values is not None and program is None:
            program = self.graph.program(values)
        if values is None or program is None:
            return None
        like = self.like
        plan = Plan()
        plan.device, plan.count = like.device, like.count
        plan.reads, plan.numbers, plan.in_order = like.reads, like.numbers, like.in_order
        plan.whole, plan.segment = like.whole, None
        plan.roots, plan.leaf_roots = like.roots, like.leaf_roots
        plan.dead, plan.leaf_dead = like.dead, like.leaf_dead
        take_program(plan, program)
        return plan


# ---------- gradients ----------
def settle_gradient(tape, s: State) -> None:
    """Give a gradient's transition its targets, and its results their forms. The first of a kind is
    replayed, which raises what a backward pass may raise."""
    way = Way(s)
    kind = _kind(way, "gradient") if tape.tracing is None else None
    sizes = tuple(way.sizes)
    found = kind and next((f for f in (g.forms(sizes) for g in kind.made) if f is not None), None)
    if kind is None or found is None:
        built[0] += 1
        replay_of(tape, s)
        if kind is not None:
            kind.note(way, lambda sized: _SizedGradient(sized, s), least=3)
        return
    s.targets, rgs, forms = found
    s.settle(forms, rgs)


class _SizedGradient:
    """Results of a gradient, for many sizes. like: one that was replayed."""

    def __init__(self, sized: Sized, like: State):
        count = like.n - like.idx
        nodes = sized.replay.nodes[like.idx :]
        if len(nodes) != count:
            raise ShapeError("alike", "with sizes it has other results")
        self.like = like
        self.unknowns = _checked(sized.unknowns())
        self.dtypes = [node.dtype for node in nodes]
        self._shapes = evaluator(sized.names, (_listed(node.shape) for node in nodes))

    def forms(self, sizes: tuple[int, ...]) -> tuple | None:
        """(targets, which have a history, forms)."""
        values = self.unknowns.values(sizes)
        if values is None:
            return None
        rows = zip(self._shapes(*values), self.dtypes, strict=True)
        return self.like.targets, self.like.rgs, tuple([form(*row) for row in rows])


def _listed(shape: tuple) -> str:
    """A tuple as Python writes it."""
    return f"({''.join(f'{n!r}, ' for n in shape)})"
