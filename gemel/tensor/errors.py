"""What goes wrong in the tensor layer, in neutral words.

Each class carries the facts, so that a face can say the same in its original's words.
"""

from __future__ import annotations

from gemel.autodiff.reverse import FreedGraph

__all__ = [
    "FREED",
    "FreedGraph",
    "HistoryChanged",
    "ImplicitGradient",
    "InPlaceDType",
    "InPlaceShape",
    "LeafInPlace",
    "ModifiedInPlace",
    "NoGradient",
    "OverlappingWrite",
    "PendingElsewhere",
    "TensorError",
    "TraceBreak",
    "UnusedInput",
]


FREED = (
    "the graph behind this value was released by an earlier backward pass; "
    "pass retain_graph=True there to go through it a second time"
)


class TensorError(RuntimeError):
    """Base of the tensor layer's own errors."""


class LeafInPlace(TensorError):
    """A write to a leaf that requires grad. `kind`: 'leaf', 'view' or 'no_grad view'."""

    TEXT = {
        "leaf": "a leaf tensor that requires grad cannot be written in place while gradients are "
        "recorded; do it under no_grad",
        "view": "a view of a leaf tensor that requires grad cannot be written in place while "
        "gradients are recorded; do it under no_grad",
        "no_grad view": "this view of a leaf was made under no_grad and is written in place while "
        "gradients are recorded; make the view again, or write under no_grad",
    }

    def __init__(self, kind: str):
        self.kind = kind
        super().__init__(self.TEXT[kind])


class ModifiedInPlace(TensorError):
    """A gradient needs a value that a later write has replaced."""

    def __init__(self, form, found: int, expected: int):
        self.form = form
        self.found = found
        self.expected = expected
        super().__init__(
            f"a value needed for the gradient was modified in place: {form} is at version {found}, "
            f"the gradient needs version {expected}"
        )


class HistoryChanged(TensorError):
    """create_graph through a computed value whose inputs have changed since."""

    def __init__(self, form):
        self.form = form
        super().__init__(
            "create_graph=True through a value that was already computed has to compute it again, "
            f"but its input {form} was modified since; ask for the gradient before the input "
            "changes, or before the value is looked at"
        )


class InPlaceShape(TensorError):
    """The result of an in-place call does not have the shape of its target."""

    def __init__(self, target, result):
        self.target = target
        self.result = result
        super().__init__(
            f"the target of an in-place call has shape {list(target.shape)}, "
            f"its result has shape {list(result.shape)}"
        )


class InPlaceDType(TensorError):
    """The result of an in-place call cannot be held in the target's element type."""

    def __init__(self, target, result):
        self.target = target
        self.result = result
        super().__init__(
            f"a result of type {result.dtype} cannot be written in place to {target.dtype}"
        )


class OverlappingWrite(TensorError):
    """A write to a view in which several cells are one place in memory."""

    def __init__(self, form):
        self.form = form
        super().__init__(
            "several cells of the written view are one memory location; clone() it before writing"
        )


class NoGradient(TensorError):
    """Backward from a value that does not require grad."""

    def __init__(self, position: int = 0):
        self.position = position
        super().__init__(f"tensor {position} does not require grad: there is no graph behind it")


class ImplicitGradient(TensorError):
    """Backward without a gradient from a value with several cells."""

    def __init__(self, form):
        self.form = form
        super().__init__(
            f"a gradient is implied only for one value; give one of shape {list(form.shape)}"
        )


class UnusedInput(TensorError):
    """grad() with an input that the outputs do not depend on."""

    def __init__(self, position: int):
        self.position = position
        super().__init__(
            f"input {position} was not used to compute the outputs; allow_unused=True returns None"
        )


class PendingElsewhere(TensorError):
    """A value that another thread has recorded and not yet run."""

    def __init__(self, thread: str):
        self.thread = thread
        super().__init__(
            f"this value is still pending in thread {thread}, which is busy recording; look at it "
            "there (for instance with .item()) before handing it over"
        )


class LaneWrite(TensorError):
    """A tensor that all lanes share is given values that differ from lane to lane."""

    def __init__(self, form):
        self.form = form
        super().__init__(
            f"values that differ from lane to lane are written to a tensor from outside, {form}"
        )


class RandomInLanes(TensorError):
    """Random numbers in a function that runs in lanes, which does not say how."""

    def __init__(self):
        super().__init__("random numbers in lanes: are they the same in each, or different?")


class TraceBreak(TensorError):
    """Somebody looked at a value while a function was being traced."""

    def __init__(self, what: str = "a value was looked at"):
        self.what = what
        super().__init__(
            f"{what} while the function was being recorded, where values are not known yet"
        )
