"""Recurrence for Keras's RNN layers: a step is recorded once, as the body of a loop.

Keras asks a backend for fused LSTM and GRU kernels and falls back to `rnn` where there are none;
there are none, since fusing is the compiler's part. A cell that looks at values, or writes
variables, is called step by step.
"""

from __future__ import annotations

from keras.src import tree

from gemel import tensor as lazy
from gemel.tensor.errors import TraceBreak
from gemel.tensor.looping import FormsDiffer, OutsideChanged, run_in_loop

from .arithmetic import where
from .creation import broadcast_to, zeros_like
from .shaping import concatenate, flip, narrow, reshape, squeeze, stack, swapaxes
from .tensors import cast, tensor


def _fused(*args, **kwargs):
    raise NotImplementedError


lstm = gru = bidirectional_lstm = bidirectional_gru = _fused


def cudnn_ok(*args, **kwargs) -> bool:
    return False


def unstack(x, axis=0) -> list[lazy.Tensor]:
    x = tensor(x)
    return [squeeze(narrow(x, axis, i, 1), axis) for i in range(x.form.shape[axis])]


def _mask_like(mask, value):
    """A mask [batch, 1] over all axes of a value."""
    shape = mask.form.shape[:1] + (1,) * (value.form.ndim - 1)
    return broadcast_to(reshape(mask, shape), value.form.shape)


def rnn(
    step_function,
    inputs,
    initial_states,
    go_backwards=False,
    mask=None,
    constants=None,
    unroll=False,
    input_length=None,
    time_major=False,
    zero_output_for_mask=False,
    return_all_outputs=True,
) -> tuple:
    """(last output, outputs over time, states). Steps where the mask is False keep the state."""
    if not time_major:
        inputs = tree.map_structure(lambda x: swapaxes(x, 0, 1), inputs)
    steps = tensor(tree.flatten(inputs)[0]).form.shape[0]
    if unroll and not steps:
        raise ValueError("Unrolling requires a fixed number of timesteps.")
    if mask is not None:
        mask = cast(mask, "bool")
        mask = mask if time_major else swapaxes(mask, 0, 1)
    states = tuple(initial_states)
    recurrence = Recurrence(step_function, constants, mask, zero_output_for_mask, go_backwards)
    try:
        if unroll or steps < 2:
            raise StepByStep
        last, over_time, states = recurrence.looped(inputs, states, steps)
    except (StepByStep, TraceBreak, OutsideChanged, FormsDiffer):
        last, over_time, states = recurrence.unrolled(inputs, states, steps)
    if not return_all_outputs:
        over_time = tree.map_structure(lambda x: stack([x], 0), last)
    if not time_major:
        over_time = tree.map_structure(lambda x: swapaxes(x, 0, 1), over_time)
    return last, over_time, list(states)


class StepByStep(Exception):
    """The steps are to be recorded one after another."""


class Recurrence:
    """The steps of a layer. mask [steps, batch] or None: masked rows keep their state, and their
    output, which is zero with `zero`."""

    def __init__(self, step_function, constants, mask, zero: bool, backwards: bool):
        self.step_function = step_function
        self.constants = tuple(constants or ())
        self.mask = mask
        self.zero = zero
        self.backwards = backwards

    def step(self, value, states, keep, before) -> tuple:
        output, new = self.step_function(value, tuple(states) + self.constants)
        if keep is None:
            return output, new
        return _kept(reshape(keep, (-1, 1)), output, before, new, states, self.zero)

    def unrolled(self, inputs, states, steps: int) -> tuple:
        """(last output, outputs over time, states), step by step."""
        columns = [unstack(x) for x in tree.flatten(inputs)]
        outputs: list = []
        for t in range(steps - 1, -1, -1) if self.backwards else range(steps):
            value = tree.pack_sequence_as(inputs, [column[t] for column in columns])
            keep = None if self.mask is None else narrow(self.mask, 0, t, 1)
            output, states = self.step(value, states, keep, outputs[-1] if outputs else None)
            outputs.append(output)
        return outputs[-1], tree.map_structure(lambda *row: stack(row, 0), *outputs), states

    def looped(self, inputs, states, steps: int) -> tuple:
        """The same as a loop. With a mask the first step, which has no output before it, stands in
        front of the loop, and the output is carried."""
        rows, mask, first = tree.map_structure(tensor, inputs), self.mask, []
        if mask is not None:
            output, states = self._first(rows, states, steps)
            first = [output]
            rest = (0 if self.backwards else 1, steps - 1)
            rows = tree.map_structure(lambda x: narrow(x, 0, *rest), rows)
            mask = narrow(mask, 0, *rest)
        carried = (tuple(states), first)
        made: list = []

        def one(number, slices, before):
            keep = None if mask is None else slices[-1]
            value = tree.pack_sequence_as(inputs, slices[: len(tree.flatten(inputs))])
            old, outputs = tree.pack_sequence_as(carried, before)
            output, new = self.step(value, old, keep, outputs[0] if outputs else None)
            made[:] = [output]
            after = (tuple(new), [output] if outputs else [])
            return _tensors(after), _tensors(output)

        slices = _tensors(rows) + ([] if mask is None else [mask])
        last, stacks, _ = run_in_loop(
            one, slices, _tensors(carried), steps - len(first), backwards=self.backwards
        )
        if self.backwards:
            stacks = [flip(x, 0) for x in stacks]
        if first:
            pairs = zip(_tensors(first), stacks, strict=True)
            stacks = [concatenate([stack([a], 0), b], 0) for a, b in pairs]
        final = [squeeze(narrow(x, 0, steps - 1, 1), 0) for x in stacks]
        found = (tree.pack_sequence_as(made[0], x) for x in (final, stacks))
        return *found, tree.pack_sequence_as(carried, last)[0]

    def _first(self, rows, states, steps: int) -> tuple:
        """The step that comes first: (output, states)."""
        at = steps - 1 if self.backwards else 0
        value = tree.map_structure(lambda x: squeeze(narrow(x, 0, at, 1), 0), rows)
        return self.step(value, states, narrow(self.mask, 0, at, 1), None)


def _tensors(structure) -> list[lazy.Tensor]:
    return [tensor(x) for x in tree.flatten(structure)]


def _kept(keep, output, before, new, states, zero: bool) -> tuple:
    """Masked rows: the output before (or zero), and the states as they were."""
    if before is None or zero:
        before = tree.map_structure(zeros_like, output)
    output = tree.map_structure(lambda a, b: where(_mask_like(keep, a), a, b), output, before)
    kept = tree.map_structure(lambda a, b: where(_mask_like(keep, a), a, b), tuple(new), states)
    return output, kept
