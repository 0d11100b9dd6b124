"""Learning rates as functions of the global step."""

from __future__ import annotations

import math as _math

from .. import math
from ..convert import convert_to_tensor


def _share(global_step, decay_steps, staircase: bool = False):
    p = math.divide(math.cast(global_step, "float32"), math.cast(decay_steps, "float32"))
    return math.floor(p) if staircase else p


def exponential_decay(
    learning_rate, global_step, decay_steps, decay_rate, staircase=False, name=None
):
    """learning_rate * decay_rate ^ (global_step / decay_steps)"""
    share = _share(global_step, decay_steps, staircase)
    rate = convert_to_tensor(learning_rate)
    return math.multiply(rate, math.pow(math.cast(decay_rate, rate.dtype), share), name=name)


def inverse_time_decay(
    learning_rate, global_step, decay_steps, decay_rate, staircase=False, name=None
):
    """learning_rate / (1 + decay_rate * global_step / decay_steps)"""
    share = _share(global_step, decay_steps, staircase)
    return math.divide(convert_to_tensor(learning_rate), 1.0 + share * decay_rate, name=name)


def polynomial_decay(
    learning_rate, global_step, decay_steps, end_learning_rate=0.0001, power=1.0, cycle=False,
    name=None,
):
    """From learning_rate to end_learning_rate in decay_steps."""
    if cycle:
        raise NotImplementedError("polynomial_decay with cycle=True")
    share = _share(math.minimum(math.cast(global_step, "float32"), float(decay_steps)), decay_steps)
    span = learning_rate - end_learning_rate
    return math.add(math.pow(1.0 - share, float(power)) * span, end_learning_rate, name=name)


def cosine_decay(learning_rate, global_step, decay_steps, alpha=0.0, name=None):
    """Along half a cosine to alpha times the rate."""
    step = math.minimum(math.cast(global_step, "float32"), float(decay_steps))
    wave = 0.5 * (1.0 + math.cos(step * (_math.pi / float(decay_steps))))
    return math.multiply(wave * (1 - alpha) + alpha, learning_rate, name=name)


def piecewise_constant(x, boundaries, values, name=None):
    """values[i] while x is at most boundaries[i], the last value after."""
    from ..array import where

    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    x = convert_to_tensor(x)
    out = convert_to_tensor(values[-1])
    for bound, value in reversed(list(zip(boundaries, values[:-1], strict=True))):
        out = where(math.less_equal(x, math.cast(bound, x.dtype)), value, out)
    return out


piecewise_constant_decay = piecewise_constant


def natural_exp_decay(
    learning_rate, global_step, decay_steps, decay_rate, staircase=False, name=None
):
    """learning_rate * exp(-decay_rate * global_step / decay_steps)"""
    share = _share(global_step, decay_steps, staircase)
    rate = convert_to_tensor(learning_rate)
    return math.multiply(rate, math.exp(math.multiply(share, -float(decay_rate))), name=name)
