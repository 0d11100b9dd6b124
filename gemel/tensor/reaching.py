"""Where a history leads: whose gradients would a backward pass from here fill?"""

from __future__ import annotations

from gemel.graph.node import Node

from .history import RELEASED
from .joint import Joint
from .lanes import OUTSIDE
from .read import read_all
from .replay import Replay, replay_of
from .tape import LOCAL
from .tensor import Tensor


def leads_beyond(t: Tensor, leaves) -> bool:
    """Does t's history lead to an autograd leaf that is none of `leaves`?"""
    if t.lrg:
        return all(t is not p for p in leaves)
    tape = LOCAL.tape
    own = {id(p) for p in leaves}
    st = t.st
    if st.mark is not tape.mark and st.hist is not None and t.base is None:
        return _record_leads(st.hist[0], st.hist[1], own, set())
    index = read_all(tape, (t,))[0]
    if not tape.hist_leaves and all(id(p) in own for p in tape.grad_leaves):
        return False
    replay = replay_of(tape)
    return _leads(replay, replay.nodes[index], tape.grad_leaves, tape.hist_leaves, own, set())


def _record_leads(record, index: int, own: set[int], seen: set) -> bool:
    if record is RELEASED or (id(record), index) in seen:
        return False
    seen.add((id(record), index))
    if type(record) is Joint:
        return any(h and _record_leads(h[0], h[1], own, seen) for h in record.hists)
    replay = record.segment.replay
    node = replay.nodes[index]
    return _leads(replay, node, record.grad_leaves, record.hist_leaves, own, seen)


def _leads(replay: Replay, start: Node, grad_leaves, hist_leaves, own: set[int], seen) -> bool:
    """The same from a node of one piece, and on through the older ones."""
    ends = {node: p for node, p in zip(replay.grad_leaves, grad_leaves, strict=False)}
    older = {node: h for node, h in zip(replay.hist_leaves, hist_leaves, strict=False)}
    found: set[Node] = set()
    stack = [start]
    while stack:
        node = stack.pop()
        if node in found:
            continue
        found.add(node)
        stack.extend([replay.grafts[node]] if node in replay.grafts else [])
        if node in ends:
            if id(ends[node]) not in own:
                return True
        elif node in older:
            hist = older[node]
            if hist is OUTSIDE or _record_leads(hist[0], hist[1], own, seen):
                return True
        elif node.op.vjp != () and node.dtype.is_smooth:
            stack.extend(node.args)
    return False
