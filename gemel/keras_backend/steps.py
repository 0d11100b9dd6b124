"""A step of training, testing or prediction as one program per batch form.

As over TensorFlow, tiny numbers are taken as zero in it.

In: a function from a batch's structure to logs (or predictions), which reads and assigns Keras
variables. It is recorded once for each structure and form of batch; a call is one program run.
"""

from __future__ import annotations

from collections.abc import Callable

from keras.src import tree

from gemel import tensor as lazy
from gemel.runtime.denormals import Flushed
from gemel.tensor.bulk import can_run, run_bulk
from gemel.tensor.errors import TraceBreak

from .blocks import Block
from .layouts import Layout


class Recorded:
    """A traced step and the structure of its result."""

    __slots__ = ("traced", "structure", "flat", "places", "names")

    def __init__(self, function: Callable, layout: Layout, tensors: list[lazy.Tensor]) -> None:
        def run(*inputs):
            result = function(layout.filled(inputs))
            flat = tree.flatten(result)
            self.names = _names(result, flat)
            self.structure = tree.map_structure(lambda x: None, result)
            self.places = [i for i, x in enumerate(flat) if isinstance(x, lazy.Tensor)]
            # no reference to a traced value may stay here: it would be kept at every call
            self.flat = [None if isinstance(x, lazy.Tensor) else x for x in flat]
            return [flat[i] for i in self.places]

        self.traced = lazy.trace(run, tensors)

    def result(self, values: list[lazy.Tensor]):
        """The result's structure with the values of one run."""
        if self.names is not None and len(values) == len(self.names):
            return dict(zip(self.names, values, strict=True))
        flat = list(self.flat)
        for i, value in zip(self.places, values, strict=True):
            flat[i] = value
        return tree.pack_sequence_as(self.structure, flat)


def _names(structure, flat: list) -> tuple | None:
    """The keys of a plain dict of values, in the order in which trees flatten it."""
    if not isinstance(structure, dict) or len(structure) != len(flat):
        return None
    keys = {id(value): key for key, value in structure.items()}
    names = tuple(keys.get(id(value)) for value in flat)
    return None if None in names or len(keys) != len(flat) else names


class Step:
    """The function of a step, recorded when it meets a new form of batch."""

    def __init__(self, function: Callable, eager: bool = False) -> None:
        self.function = function
        self.eager = eager
        self.name = getattr(function, "__name__", "step")
        self._recorded: dict = {}
        self._last: tuple | None = None

    def __call__(self, layout: Layout, tensors: list[lazy.Tensor]):
        """Run one step; the result has the structure that the function returned."""
        if self.eager:
            return self.function(layout.filled(tensors))
        recorded = self.recorded(layout, tensors)
        with Flushed():
            return recorded.result(recorded.traced(*tensors))

    def through(self, block: Block, every: bool = False) -> list:
        """Run all steps of a block, in one native call where that can be. With `every`, what each
        of them returned, or one result whose tensors have a leading axis of steps; else the last
        one's alone.
        """
        if block.runs == 1 or self.eager:
            return self._one_by_one(block, every)
        recorded = self.recorded(block.layout, block.examples())
        traced = recorded.traced
        results = range(len(traced.outputs) if every else 0)
        if not can_run(traced) or any(not traced.out_forms[k].shape for k in results):
            return self._one_by_one(block, every)
        with Flushed():
            return [recorded.result(run_bulk(traced, block.feed(), block.runs, results))]

    def _one_by_one(self, block: Block, every: bool) -> list:
        found: list = []
        for tensors in block.batches():
            if not every:
                found.clear()
            found.append(self(block.layout, tensors))
        return found

    def recorded(self, layout: Layout, tensors: list[lazy.Tensor]) -> Recorded:
        """The program of this form of batch, recorded now where it is new."""
        last = self._last
        if last is not None and last[0] is layout:
            for t, f in zip(tensors, last[1], strict=True):
                if t.form is not f:
                    break
            else:
                return last[2]
        forms = tuple(t.form for t in tensors)
        key = (layout.key, forms)
        found = self._recorded.get(key)
        if found is None:
            found = self._recorded[key] = self._record(layout, tensors)
        self._last = (layout, forms, found)
        return found

    def _record(self, layout: Layout, tensors) -> Recorded:
        try:
            return Recorded(self.function, layout, tensors)
        except TraceBreak as error:
            raise RuntimeError(
                f"{self.name} looks at a value while it is being compiled ({error}); keep values "
                "as tensors, or compile the model with run_eagerly=True"
            ) from error
