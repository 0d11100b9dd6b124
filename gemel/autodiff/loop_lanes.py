"""Batching of loops: a loop over the same steps, whose values have lanes where they depend on one.

A carried value has lanes if its first value has, or if a step gives it some. How many steps run
must be the same in all lanes.
"""

from __future__ import annotations

from gemel.graph.form import form
from gemel.graph.node import Node
from gemel.ops.loops import Loop, build
from gemel.ops.movement import permute
from gemel.ops.record import leaf

from .batching import Lane, batch, rule, with_lanes

_FIRST = -2_000_000  # position of the first leaf that only stands for something


@rule("loop")
def _loop(node: Node, args: list[Lane], lanes: int) -> Node:
    """The loop with lanes; all that is taken from it is made ready for `_result`."""
    return _Wide(node, args, lanes).made()


@rule("result")
def _result(node: Node, args: list[Lane], lanes: int) -> Node:
    which, what, _ = node.attrs
    return args[0].node.attrs[0].made[None, which, what]


class _Wide:
    def __init__(self, node: Node, args: list[Lane], lanes: int):
        self.node = node
        self.lanes = lanes
        self.body, self.turns = node.attrs
        turns = self.turns
        self.head, rest = args[: turns.head], args[turns.head :]
        if any(a.many for a in self.head):
            raise NotImplementedError(
                "vmap over a loop whose number of steps differs from lane to lane: give all lanes "
                "the same condition, or loop over them"
            )
        self.slices = [self._steps_first(a) for a in rest[: turns.slices]]
        self.first = rest[turns.slices :][: turns.carried]
        self.constants = rest[turns.slices + turns.carried :]

    def _steps_first(self, a: Lane) -> Lane:
        """[lanes, steps, ...] as [steps, lanes, ...]."""
        return Lane(_swapped(a.node), True) if a.many else a

    def _stand(self, number: int, own: Node, many: bool) -> Lane:
        shape = (self.lanes, *own.shape) if many else own.shape
        return Lane(leaf(_FIRST - number, form(shape, own.dtype)), many)

    def made(self) -> Node:
        turns, body = self.turns, self.body
        asked = {(which, what) for loop, which, what in body.made if loop is not None}
        values = [what for which, what in asked if which == "stack"]
        many = [a.many for a in self.first]
        while True:
            stands = self._stands(many)
            found = batch([*body.results, *values], stands, self.lanes)
            news = found[turns.conditional :][: turns.carried]
            if any(new.many and not m for new, m in zip(news, many, strict=True)):
                many = [new.many or m for new, m in zip(news, many, strict=True)]
                continue
            break
        if turns.conditional and found[0].many:
            raise NotImplementedError(
                "vmap over a loop that ends at another step in each lane: loop over the lanes"
            )
        stacked = dict(zip(values, found[len(body.results) :], strict=True))
        loop = self._built(stands, many, found, [lane.node for lane in stacked.values()])
        return self._taken(loop, asked, many, stacked)

    def _stands(self, many: list[bool]) -> dict[Node, Lane]:
        """What stands for the body's inputs."""
        turns, inputs = self.turns, self.body.inputs
        flags = [False, *(a.many for a in self.slices), *many]
        own = inputs[: len(flags)]
        stands = {x: self._stand(i, x, m) for i, (x, m) in enumerate(zip(own, flags, strict=True))}
        constants = inputs[1 + turns.slices + turns.carried :]
        return stands | dict(zip(constants, self.constants, strict=True))

    def _built(self, stands: dict, many: list[bool], found: list[Lane], values: list[Node]) -> Loop:
        turns, inputs = self.turns, self.body.inputs
        number = stands[inputs[0]].node
        cut = [stands[x].node for x in inputs[1:][: turns.slices]]
        before = [stands[x].node for x in inputs[1 + turns.slices :][: turns.carried]]
        news = found[turns.conditional :][: turns.carried]
        carried = []
        for stand, first, new, m in zip(before, self.first, news, many, strict=True):
            both = [with_lanes(x, self.lanes) if m else x.node for x in (first, new)]
            carried.append((stand, *both))
        head = [a.node for a in self.head]
        return build(
            number,
            list(zip(cut, (a.node for a in self.slices), strict=True)),
            carried,
            values,
            turns.steps,
            backwards=turns.backwards,
            limit=head[0] if turns.limited else None,
            condition=(head[-1], found[0].node) if turns.conditional else None,
        )

    # ---------- results ----------
    def _taken(self, loop: Loop, asked: set, many: list[bool], stacked: dict) -> Node:
        made = loop.node.attrs[0].made
        for which, what in asked:
            if which == "last":
                found = Lane(loop.last(what), many[what])
            elif which == "history":
                found = self._history(loop, what, many[what])
            elif which == "stack":
                lane = stacked[what]
                stack = loop.stack(lane.node)
                found = Lane(_swapped(stack) if lane.many else stack, lane.many)
            else:
                found = Lane(loop.count(), False)
            made[None, which, what] = with_lanes(found, self.lanes)
        return loop.node

    def _history(self, loop: Loop, k: int, many: bool) -> Lane:
        whole = loop.history(k)
        return Lane(_swapped(whole) if many else whole, many)


def _swapped(x: Node) -> Node:
    return permute(x, (1, 0, *range(2, x.ndim)))
