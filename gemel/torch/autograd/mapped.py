"""Python functions with a gradient inside functions that are recorded: `vmap`, `torch.compile`.

There is no backward pass there in which Python could run: the user's `backward` is recorded too,
and its graph becomes the gradient rule of a node, which can be batched and differentiated again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from gemel import tensor as lazy
from gemel.autodiff.batching import Lane, batch, with_lanes
from gemel.graph.form import form
from gemel.graph.node import Node
from gemel.graph.printer import show
from gemel.ops.declared import WITH_GRADIENT
from gemel.ops.elementwise import cast, stop_gradient
from gemel.ops.movement import zeros
from gemel.ops.record import Call, placeholder
from gemel.tensor.history import remake
from gemel.tensor.lanes import Lanes, Recorded
from gemel.tensor.read import read_all
from gemel.tensor.tape import LOCAL
from gemel.tensor.tensor import over
from gemel.tensor.trace import new_tape, recording_on

from ..tensor import Tensor


class VmapInfo(NamedTuple):
    batch_size: int
    randomness: str


def by_users_rule(function, recording, args: tuple, ruled: bool, manual: str):
    """The outputs of the user's `vmap`, one lane of each; None where no argument has lanes."""
    tape = LOCAL.tape
    given = [recording.lowered(a) if isinstance(a, Tensor) else (a, False) for a in args]
    if not any(many for _, many in given):
        return None
    if not ruled:
        raise RuntimeError(
            f"You tried to vmap over {function.__name__}, but it does not have vmap support. "
            "Please override and implement the vmap staticmethod or set generate_vmap_rule=True. "
            f"For more details, please see {manual}"
        )
    info = VmapInfo(recording.size, recording.randomness)
    dims = tuple(0 if many else None for _, many in given)
    with recording.left(tape):
        made = function.vmap(info, dims, *[x for x, _ in given])
        if not (isinstance(made, tuple) and len(made) == 2):
            raise RuntimeError(
                f"Expected the vmap staticmethod of {function.__name__} to return (output, "
                "out_dims)"
            )
        out, places = made
        several = isinstance(out, tuple)
        outs = out if several else (out,)
        places = places if isinstance(places, tuple) else (places,) * len(outs)
        fronts = [x if p is None else x.movedim(p, 0) for x, p in zip(outs, places, strict=True)]
    rows = zip(fronts, places, strict=True)
    lanes = [recording.add_input(tape, x, p is not None) for x, p in rows]
    return tuple(lanes) if several else lanes[0]


class FunctionRules:
    """Gradient rules made of a recorded `backward`, for one of the outputs.

    name      says all of the graph: equal names, equal rules
    sources   what `ends` (the gradients, or None) stand on: first the cotangents of all outputs,
              then the arguments after `inputs`
    own       number of the output;  same: number of the source that is the output itself, or None
    inputs    how many arguments have a gradient"""

    def __init__(self, name: str, cotangents: int, sources, ends, own: int, same, inputs: int):
        self.name = name
        self.cotangents = cotangents
        self.sources = sources
        self.ends = ends
        self.own = own
        self.same = same
        self.inputs = inputs
        rest = len(sources) - cotangents
        self.each = (None, *(self._rule(e) for e in ends), *(None,) * rest)

    def __repr__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other) -> bool:
        return isinstance(other, FunctionRules) and self.name == other.name

    def _rule(self, end: Node | None) -> Callable | None:
        if end is None:
            return None

        def rule(g: Node, y: Node, value: Node, *arguments: Node) -> Node:
            here: dict[Node, Node] = {}
            for k, source in enumerate(self.sources[: self.cotangents]):
                mine = k == self.own
                here[source] = cast(g, source.dtype) if mine else zeros(source.shape, source.dtype)
            captured = arguments[self.inputs :]
            for k, (source, node) in enumerate(
                zip(self.sources[self.cotangents :], captured, strict=True)
            ):
                here[source] = y if k == self.same else node
            return remake(end, here)

        return rule

    def batched(self, lanes: int) -> FunctionRules:
        """The same with lanes in front of everything."""
        wide = [
            placeholder(k, form((lanes, *s.shape), s.dtype)) for k, s in enumerate(self.sources)
        ]
        given = {s: Lane(w, True) for s, w in zip(self.sources, wide, strict=True)}
        present = [e for e in self.ends if e is not None]
        made = iter(batch(present, given, lanes))
        ends = [None if e is None else with_lanes(next(made), lanes) for e in self.ends]
        name = f"{self.name}:{lanes}"
        return FunctionRules(name, self.cotangents, wide, ends, self.own, self.same, self.inputs)


def tied_in_graph(function, ctx, args: tuple, outputs: list, link) -> list:
    """The outputs with the user's gradient, as values of the recording under way."""
    places = [
        k
        for k, o in enumerate(outputs)
        if isinstance(o, Tensor) and o.form.dtype.is_smooth and id(o) not in ctx._flat
    ]
    if ctx._dirty:
        raise NotImplementedError("mark_dirty inside vmap and torch.compile is not there yet")
    graph, found, seeds = _recorded_backward(link, outputs, places)
    inputs = [args[k] for k, need in enumerate(ctx.needs_input_grad) if need]
    wanted = [k for k, need in enumerate(ctx.needs_input_grad) if need]
    call = graph.call
    first = len(graph.tensors)
    at = {id(p): first + k for k, p in enumerate(graph.places)}
    cotangents = [call.sources[at[id(s)]] if id(s) in at else None for s in seeds]
    used = {s for s in cotangents if s is not None}
    captured = [s for s in call.sources if s not in used]
    operands = [*graph.tensors, *(over(p, Tensor) for p in graph.places if type(p) is not tuple)]
    rest = iter(call.ends)
    by_place = {k: next(rest) for k, g in enumerate(found) if g is not None}
    ends = [by_place.get(k) for k in wanted]
    heads = [
        placeholder(-1 - k, outputs[p].form) if c is None else c
        for k, (p, c) in enumerate(zip(places, cotangents, strict=True))
    ]
    text = hashlib.sha256(
        show([*(e for e in ends if e is not None), *heads, *captured], False).encode()
    ).hexdigest()[:16]
    storages = [None] * first + [p for p in graph.places if type(p) is not tuple]
    rules = [
        FunctionRules(
            f"{function.__name__}.{k}.{text}", len(places), [*heads, *captured], ends, k,
            next((j for j, st in enumerate(storages) if st is outputs[p].st), None), len(inputs),
        )
        for k, p in enumerate(places)
    ]  # fmt: skip

    def expand(attrs, *nodes: Node):
        values, others = nodes[: len(places)], nodes[len(places) :]
        out = tuple(
            WITH_GRADIENT(stop_gradient(v), *others, attrs=(r,))
            for v, r in zip(values, rules, strict=True)
        )
        return out if len(out) > 1 else out[0]

    values = [outputs[p] for p in places]
    made = lazy.record_many(
        Call(f"function:{function.__name__}", expand),
        Tensor,
        [*values, *inputs, *operands, *graph.numbers],
    )
    tied = list(outputs)
    for p, t in zip(places, made, strict=True):
        tied[p] = t
    return tied


def _recorded_backward(link, outputs: list, places: list[int]):
    """(what `backward` recorded, its gradients, the entries of the cotangents)."""
    tape = LOCAL.tape
    recording = Lanes(tape, 0, "same")
    nested = new_tape(tape, recording)
    try:
        with recording_on(nested), lazy.enable_grad():
            seeds = [recording.add_input(nested, outputs[p], False) for p in places]
            found = link._checked(link._backward(dict(zip(places, seeds, strict=True))))
            given = [g for g in found if g is not None]
            graph = Recorded(nested, read_all(nested, given), [], Tensor)
    finally:
        recording.give_back(nested)
    entries = [recording.inputs[k] for k in range(len(places))]
    return graph, found, entries
