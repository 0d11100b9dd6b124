"""Recurrence for Keras's RNN layers: the steps are recorded one after another.

Keras asks a backend for fused LSTM and GRU kernels and falls back to `rnn` where there are none;
there are none, since fusing is the compiler's part.
"""

from __future__ import annotations

from keras.src import tree

from gemel import tensor as lazy

from .arithmetic import where
from .creation import broadcast_to, zeros_like
from .shaping import narrow, reshape, squeeze, stack, swapaxes
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
    columns = [unstack(x) for x in tree.flatten(inputs)]
    states = tuple(initial_states)
    order = range(steps - 1, -1, -1) if go_backwards else range(steps)
    outputs: list = []
    for t in order:
        value = tree.pack_sequence_as(inputs, [column[t] for column in columns])
        before = outputs[-1] if outputs else None
        output, new = step_function(value, states + tuple(constants or ()))
        if mask is not None:
            keep = reshape(narrow(mask, 0, t, 1), (-1, 1))
            output, new = _kept(keep, output, before, new, states, zero_output_for_mask)
        states = tuple(new)
        outputs.append(output)
    found = outputs if return_all_outputs else outputs[-1:]
    over_time = tree.map_structure(lambda *row: stack(row, 0), *found)
    if not time_major:
        over_time = tree.map_structure(lambda x: swapaxes(x, 0, 1), over_time)
    return outputs[-1], over_time, list(states)


def _kept(keep, output, before, new, states, zero: bool) -> tuple:
    """Masked rows: the output before (or zero), and the states as they were."""
    if before is None or zero:
        before = tree.map_structure(zeros_like, output)
    output = tree.map_structure(lambda a, b: where(_mask_like(keep, a), a, b), output, before)
    kept = tree.map_structure(lambda a, b: where(_mask_like(keep, a), a, b), tuple(new), states)
    return output, kept

