"""The history as users see it: nodes with PyTorch's names, and the way on to what they came from.

Nothing of this exists until it is asked for; a node is found again from the place where recording
noted the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gemel import tensor as lazy
from gemel.tensor.history import RELEASED
from gemel.tensor.joint import Joint
from gemel.tensor.lens import Lens
from gemel.tensor.state import (
    CALL,
    GRADLEAF,
    LEAF,
    LOOK,
    WRITE,
    State,
    form_of,
    has_history,
    owner,
    path,
)
from gemel.tensor.tape import LOCAL

from ..tensor import Tensor
from .saving import disable_saved_tensors_hooks as disable_saved_tensors_hooks
from .saving import save_on_cpu as save_on_cpu
from .saving import saved_tensors_hooks as saved_tensors_hooks

# where PyTorch's name is not made from the operation's
_OTHERWISE = {
    "clamp": "ClampBackward1",
    "copy_in": "CopyBackwards",
    "linear": "AddmmBackward0",
    "cross_entropy": "NllLossBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "batch_norm": "NativeBatchNormBackward0",
    "conv2d": "ConvolutionBackward0",
}
_VIEWS = {
    "slice": "SliceBackward0",
    "permute": "PermuteBackward0",
    "reshape": "ViewBackward0",
    "expand": "ExpandBackward0",
    "strided": "AsStridedBackward0",
}


# ---------- names ----------
def name_of(state: State) -> str:
    """The name that PyTorch gives to the node of what a state made."""
    if state.kind == LOOK:
        return _view_name(state.data.steps)
    if state.kind not in (CALL, WRITE):
        return "GraphBackward0"
    name = state.data[0].name
    if name.startswith("function:"):
        return name.removeprefix("function:") + "Backward"
    return title(_product_name(state) if name == "matmul" else name)


def _product_name(state: State) -> str:
    """PyTorch names a matmul by the ranks of its operands."""
    ranks = tuple(form_of(state.prev, a).ndim for a in state.args)
    return {(1, 1): "dot", (2, 1): "mv", (2, 2): "mm"}.get(ranks, "unsafe_view")


def title(name: str) -> str:
    if name in _OTHERWISE:
        return _OTHERWISE[name]
    return "".join(part.capitalize() for part in name.split("_")) + "Backward0"


def _view_name(steps: tuple) -> str:
    step = steps[-1][0] if steps else "alias"
    if step == "reshape" and len(steps) > 1 and steps[-2][0] == "slice":
        return "SelectBackward0"
    return _VIEWS.get(step, "AsStridedBackward0")


# ---------- nodes ----------
class _Piece(NamedTuple):
    """Where a value was recorded: a state at or after the one that made it, and what gradients
    end at there."""

    state: State
    grad_leaves: list
    hist_leaves: list


class Node:
    """The operation that made a value.

    next_functions  (node, 0) for each operand with a history, (None, 0) for others"""

    __slots__ = ("_name", "_piece", "_index", "tensor", "metadata", "__weakref__")

    def __init__(self, name: str, piece: _Piece | None = None, index: int = -1, tensor=None):
        self._name = name
        self._piece = piece
        self._index = index
        self.tensor = tensor
        self.metadata: dict = {}

    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<{self._name} object at {id(self):#x}>"

    def _key(self) -> tuple:
        at = self.tensor if self._piece is None else owner(self._piece.state, self._index)
        return self._name, id(at), self._index

    def __eq__(self, other) -> bool:
        return isinstance(other, Node) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def next_functions(self) -> tuple:
        piece = self._piece
        if piece is None:
            return ()
        state = owner(piece.state, self._index)
        if self.tensor is not None and type(self.tensor.lens) is Lens:  # a view, not read so far
            return ((_at(piece, self._index), 0),)
        return tuple((None if a < 0 else _at(piece, a), 0) for a in state.args)

    def __getattr__(self, name: str):
        ctx = self._context() if not name.startswith("__") else None
        if ctx is not None and hasattr(ctx, name):
            return getattr(ctx, name)
        raise AttributeError(f"'{self._name}' object has no attribute '{name}'")

    def _context(self):
        """The context of a Function that made the value."""
        if self._piece is None or self.tensor is None:
            return None
        for hook in (_hooks_at(self.tensor) or {}).values():
            link = getattr(hook, "link", None)
            if link is not None and self.tensor.st is not None:
                return link.ctx
        return None

    def register_prehook(self, hook: Callable):
        """Call hook((gradient,)) before the node's rule; what it returns takes the place."""
        if self.tensor is None:
            raise NotImplementedError("a hook needs a node that was got from a tensor")

        def run(g):
            changed = hook((g,))
            return None if changed is None else changed[0]

        return self.tensor.register_hook(run)

    def register_hook(self, hook: Callable):
        raise NotImplementedError(
            "hooks after a node see its inputs' gradients, which are computed fused here; use "
            "Tensor.register_hook on the inputs"
        )


class JointNode(Node):
    """Values put side by side after they were looked at."""

    __slots__ = ("record",)

    def __init__(self, record: Joint, tensor=None):
        super().__init__(title(record.call.name), None, -1, tensor)
        self.record = record

    def _key(self) -> tuple:
        return self._name, id(self.record), 0

    @property
    def next_functions(self) -> tuple:
        hists = self.record.hists
        return tuple((None if h is None else _of_record(*h), 0) for h in hists)


class AccumulateGrad(Node):
    """The end of a gradient's way: `.grad` of a leaf, its `variable`."""

    __slots__ = ()

    def __init__(self, leaf: Tensor):
        super().__init__("torch::autograd::AccumulateGrad", None, -1, leaf)

    @property
    def variable(self) -> Tensor:
        return self.tensor


def _hooks_at(t: Tensor) -> dict | None:
    tape, st = LOCAL.tape, t.st
    if st.mark is tape.mark:
        return (tape.hooked or {}).get(st.idx)
    if st.hist is not None and st.hist[0] is not RELEASED:
        return (st.hist[0].hooked or {}).get(st.hist[1])
    return None


def _piece_of(t: Tensor) -> tuple[_Piece, int] | None:
    """Where a tensor's value was recorded, and its number there."""
    tape, st = LOCAL.tape, t.st
    if st.mark is tape.mark and st.idx >= 0:
        return _Piece(tape.state, tape.grad_leaves, tape.hist_leaves), st.idx
    if st.hist is None:
        return None
    record, index = st.hist
    if type(record) is Joint:
        return None
    if record is RELEASED:
        return (_Piece(index[0], [], []), index[1]) if index else None
    return _piece_of_record(record), index


def _piece_of_record(record) -> _Piece:
    return _Piece(record.segment.replay.tip, record.grad_leaves, record.hist_leaves)


def _at(piece: _Piece, index: int) -> Node | None:
    """The node of a value of a piece; None where it has no history."""
    state = owner(piece.state, index)
    if not has_history(piece.state, index):
        return None
    if state.kind == GRADLEAF or state.kind == LEAF and state.data.kind == "param":
        place = _count(state, lambda s: s.kind == GRADLEAF or _is(s, "param"))
        return AccumulateGrad(piece.grad_leaves[place]) if place < len(piece.grad_leaves) else None
    if _is(state, "hist"):
        place = _count(state, lambda s: _is(s, "hist"))
        hist = piece.hist_leaves[place] if place < len(piece.hist_leaves) else None
        if hist is None or len(hist) != 2 or hist[0] is RELEASED:
            return Node("GraphBackward0")
        return _of_record(*hist)
    return Node(name_of(state), piece, index)


def _of_record(record, index: int) -> Node | None:
    """The node of a value of a piece that has run."""
    return JointNode(record) if type(record) is Joint else _at(_piece_of_record(record), index)


def _is(state: State, kind: str) -> bool:
    return state.kind == LEAF and state.data.kind == kind


def _count(state: State, like: Callable[[State], bool]) -> int:
    """How many such states lie before this one."""
    return sum(1 for s in path(state) if like(s)) - 1


def grad_fn(self) -> Node | None:
    """The operation that made the tensor, None for a leaf."""
    if self.lrg or not lazy.requires_grad(self):
        return None
    found = _piece_of(self)
    lens = self.lens
    viewed = type(lens) is Lens and lens.steps
    if found is None and not viewed and type((self.st.hist or (None,))[0]) is Joint:
        return JointNode(self.st.hist[0], self)
    if found is None:
        name = _view_name(lens.steps) if viewed else "GraphBackward0"
        return Node(name, None, -1, self)
    piece, index = found
    name = _view_name(lens.steps) if viewed else name_of(owner(piece.state, index))
    return Node(name, piece, index, self)


Tensor.grad_fn = property(grad_fn)


# ---------- edges ----------
class GradientEdge(NamedTuple):
    """An output of a node: what `grad` takes in the place of a tensor."""

    node: Node
    output_nr: int
    ownership_token: object = None


def get_gradient_edge(tensor) -> GradientEdge:
    """The edge at which the tensor's gradient arrives."""
    if isinstance(tensor, GradientEdge):
        return tensor
    if not lazy.requires_grad(tensor):
        raise RuntimeError("get_gradient_edge cannot be called on a Tensor that does not require "
                           "grad.")  # fmt: skip
    node = AccumulateGrad(tensor) if tensor.lrg else grad_fn(tensor)
    assert node is not None
    return GradientEdge(node, 0)


class _Handle:
    """Removes several hooks."""

    def __init__(self, handles: list):
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors, fn: Callable, *, mode: str = "all") -> _Handle:
    """Call fn(gradients) when the gradients of all tensors are known; with mode='any'
    fn(gradient) at the first one."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = list(tensors)
    seen: dict[int, Tensor] = {}

    def at(place: int) -> Callable:
        def run(g):
            first = not seen
            seen[place] = g
            if mode == "any" and first:
                fn(g)
            if len(seen) == len(tensors):
                if mode == "all":
                    fn([seen[k] for k in range(len(tensors))])
                seen.clear()

        return run

    return _Handle([t.register_hook(at(k)) for k, t in enumerate(tensors)])


def increment_version(tensor) -> None:
    """Count the tensor (or tensors) as written."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        t.st.ver += 1


def allow_mutation_on_saved_tensors():
    raise NotImplementedError(
        "allow_mutation_on_saved_tensors: values never change here, but a backward pass that needs "
        "one that was written over is refused as PyTorch does"
    )
