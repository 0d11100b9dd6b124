"""A function of one step, run for many steps inside of one program.

The function is recorded once, on a tape of its own, with a step's number, slices and carried
values that have no values yet. What it recorded is the body of a loop (`ops.loops`), and becomes
one call on the caller's tape. Tensors from outside may be read, and are the same at all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gemel.autodiff.batching import Lane, batch
from gemel.graph.form import Form, int64
from gemel.graph.node import Node, order
from gemel.ops.loops import Loop, build
from gemel.ops.record import placeholder

from .lanes import Lanes, Recorded, interned
from .read import read_all
from .record import fill
from .tape import LOCAL
from .tensor import Tensor
from .trace import new_tape, recording_on


class OutsideChanged(NotImplementedError):
    """A step changes a tensor that does not belong to it."""


class FormsDiffer(ValueError):
    """A carried value has another form after a step."""


class Steps(NamedTuple):
    """How many steps at most, of how many slices and carried values; the last first if
    `backwards`; `conditional`: a truth value is carried that ends the loop where it is false;
    `limited`: a number of steps is given. `whole`: what a step reads of nothing but values from
    outside belongs to it all the same, and is not computed where no step runs."""

    steps: int
    slices: int
    carried: int
    backwards: bool = False
    conditional: bool = False
    limited: bool = False
    whole: bool = False


class LoopCall:
    """The loop as a Call: over `sources` (of which `inputs` are the step's number, the slices, the
    carried values, then the first truth or the limit) it gives the last carried values, then the
    stacked ones, then how many steps ran."""

    __slots__ = ("sources", "inputs", "ends", "how", "many", "_forms")
    name = "loop"
    differentiable = True

    def __init__(self, sources: list[Node], inputs: list[Node], ends: list[Node], how: Steps):
        self.sources = sources
        self.inputs = inputs
        self.ends = ends
        self.how = how
        self.many = (False,) * (len(ends) - how.conditional + 1)
        self._forms: dict = {}

    def expand(self, attrs: tuple, *nodes: Node) -> tuple[Node, ...]:
        how, outer = self.how, dict(zip(self.sources, nodes, strict=True))
        number, *rest = self.inputs
        slices, rest = rest[: how.slices], rest[how.slices :]
        before, more = rest[: how.carried], rest[how.carried :]
        ends = self.ends[how.conditional :]
        carried = [(x, outer[x], new) for x, new in zip(before, ends, strict=False)]
        own = {number, *slices, *before}
        known = {x: n for x, n in outer.items() if x not in own}
        pairs = [(x, outer[x]) for x in slices]
        loop = build(
            number,
            pairs + ahead_of_steps(self.ends, pairs, {number, *before}, known, how.steps),
            carried,
            ends[how.carried :],
            how.steps,
            backwards=how.backwards,
            limit=outer[more[0]] if how.limited else None,
            condition=(outer[more[0]], self.ends[0]) if how.conditional else None,
            known=known,
            whole=how.whole,
        )
        return self._taken(loop, ends[how.carried :])

    def _taken(self, loop: Loop, values: Sequence[Node]) -> tuple[Node, ...]:
        lasts = [loop.last(k) for k in range(self.how.carried)]
        return *lasts, *(loop.stack(v) for v in values), loop.count()

    def forms(self, attrs: tuple, *forms: Form) -> tuple[Form, ...]:
        found = self._forms.get(forms)
        if found is None:
            out = self.expand(attrs, *(placeholder(i, f) for i, f in enumerate(forms)))
            found = self._forms[forms] = tuple(n.form for n in out)
        return found


def ahead_of_steps(
    ends: list[Node], slices: list, varying: set[Node], known: dict[Node, Node], steps: int
) -> list[tuple[Node, Node]]:
    """Products of a step that depend on its slices and on nothing else of it, as slices: (the
    product, the products of all steps at once)."""
    cut = {x for x, _ in slices}
    alone: set[Node] = set()  # depend on slices
    moving = set(varying)
    found: list[Node] = []
    for node in order(ends):
        if node in known or node in cut or node in moving:
            continue
        if any(a in moving for a in node.args):
            moving.add(node)
        elif any(a in cut or a in alone for a in node.args):
            alone.add(node)
            if node.op.kind == "contraction":
                found.append(node)
    if not found:
        return []
    given = {x: Lane(outer, True) for x, outer in slices}
    given |= {x: Lane(outer, False) for x, outer in known.items()}
    made = batch(found, given, steps)
    return [(node, lane.node) for node, lane in zip(found, made, strict=True)]


class _RecordedStep(Recorded):
    """What a step has recorded, to be recorded as one loop of the caller."""

    def __init__(self, tape, indices: list[int], kinds: list[type], kin: type, how: Steps):
        self.how = how
        super().__init__(tape, indices, kinds, kin)
        if self.written or self.replaced:
            raise OutsideChanged(
                "a tensor or variable from outside is changed in a step of a loop: carry its value "
                "through the loop, and assign it behind"
            )
        count = len(self.call.many)
        self.rgs = [True] * count
        self.classes = (kinds[how.conditional :] + [kin])[:count]

    def always(self) -> set[int]:
        return set(self.lanes.inputs)

    def called(self, sources, flags, ends, written):
        leaves = {n.attrs[0]: n for n in sources if n.op.name == "leaf"}
        inputs = [leaves[k] for k in sorted(self.lanes.inputs)]

        def make() -> LoopCall:
            return LoopCall(sources, inputs, ends, self.how)

        return interned(make, sources, flags, [*ends, *inputs], "loop", self.how)


def run_in_loop(
    fn: Callable,
    slices: Sequence[Tensor],
    carried: Sequence[Tensor],
    steps: int,
    *,
    backwards: bool = False,
    truth: Tensor | None = None,
    limit: Tensor | None = None,
    whole: bool = False,
    kin: type | None = None,
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """(last carried values, stacked values, number of steps that ran) of
    fn(number, slices, carried) -> (new carried values, values to stack).

    slices  [steps, ...], of which a step is given one each
    truth   of shape (): does the first step run? Then fn gives (does another one run?, new carried
            values, values to stack).
    limit   a number of steps, int64 of shape ()
    whole   compute all of a step in the step; kin: the class of results, where no tensor is given
    Raises TraceBreak where fn looks at a value, OutsideChanged where it changes a tensor from
    outside, FormsDiffer where a carried value does not keep its form.
    """
    outer = LOCAL.tape
    kin = kin or (*slices, *carried)[0].kin
    number = fill((), 0, int64, kin)
    ends = truth is not None, limit is not None
    how = Steps(steps, len(slices), len(carried), backwards, *ends, whole)
    recording = Lanes(outer, steps, "error")
    tape = new_tape(outer, recording)
    try:
        with recording_on(tape):
            at = recording.add_input(tape, number, False)
            cut = [recording.add_input(tape, x, True) for x in slices]
            before = [recording.add_input(tape, x, False) for x in carried]
            for more in (x for x in (truth, limit) if x is not None):
                recording.add_input(tape, more, False)
            head: list[Tensor] = []
            if truth is not None:
                goes_on, after, values = fn(at, cut, before)
                head = [goes_on]
            else:
                after, values = fn(at, cut, before)
            out = [*head, *after, *values]
            kinds = [type(t) if t.lrg is False else t.kin for t in out]
            step = _RecordedStep(tape, read_all(tape, out), kinds, kin, how)
    finally:
        recording.give_back(tape)
    _check(carried, after)
    found = [t for t, _ in step.record(outer)]
    count = len(carried)
    return found[:count], found[count:-1], found[-1]


def _check(before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    """ValueError unless a step keeps the forms of carried values."""
    if len(before) != len(after):
        raise ValueError(f"a step is given {len(before)} carried values and gives {len(after)}")
    for k, (old, new) in enumerate(zip(before, after, strict=True)):
        if old.form is not new.form:
            raise FormsDiffer(f"carried value {k} is {old.form} before a step, {new.form} after it")
