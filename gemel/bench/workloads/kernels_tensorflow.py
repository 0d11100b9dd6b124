"""Single operations in TensorFlow, each a `tf.function`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from .matmuls import operand_shapes
from .workload import Job, numbers, turns


def job(
    f: Callable, inputs: Sequence[Sequence[np.ndarray]], order: tuple[int, ...] | None = None
) -> Job:
    """The function called again and again, with each of the inputs in turn; `order`: of the
    result's axes for comparing."""
    compiled = tf.function(f)
    held = [[tf.constant(x) for x in turn] for turn in inputs]

    def run(steps: int) -> None:
        for i in range(steps):
            compiled(*held[i % len(held)])

    def results() -> list[np.ndarray]:
        found = compiled(*held[0]).numpy()
        return [found if order is None else found.transpose(order)]

    return Job(run, results)


def matmul(text: str) -> Job:
    """A product by its sizes; see `matmuls.sizes`."""
    left, right, turn_left, turn_right = operand_shapes(text)

    def f(a, b):
        return tf.matmul(a, b, transpose_a=turn_left, transpose_b=turn_right)

    return job(f, turns((numbers("left", left), numbers("right", right))))


def convolution(case, part: str) -> Job:
    """A convolution, or one of its gradients, channels last."""
    images, kernel, result = case.shapes
    x = numbers("images", images).transpose(0, 2, 3, 1)
    w = numbers("kernel", kernel).transpose(2, 3, 1, 0)
    g = numbers("result", result).transpose(0, 2, 3, 1)
    forward = _forward(case)
    depthwise = case.groups == case.channels > 1
    if depthwise:
        w = w.transpose(0, 1, 3, 2)

    def gradient(x, w, g):
        wanted = x if part == "dx" else w
        with tf.GradientTape() as tape:
            tape.watch(wanted)
            y = forward(x, w)
        return tape.gradient(y, wanted, g)

    if part == "forward":
        return job(forward, turns((x, w)), (0, 3, 1, 2))
    turned = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    return job(gradient, turns((x, w, g)), (0, 3, 1, 2) if part == "dx" else turned)


def _forward(case) -> Callable:
    strides = (1, case.stride, case.stride, 1)
    edge = (case.padding,) * 2
    padding = ((0, 0), edge, edge, (0, 0))
    if case.groups == case.channels > 1:
        # this operation has no explicit padding: windows of stride 1 that keep the size
        return lambda x, w: tf.nn.depthwise_conv2d(x, w, strides, "SAME")
    return lambda x, w: tf.nn.conv2d(x, w, strides, padding)


def by_rows(kind: str, count: int, length: int) -> Job:
    """An operation over (count, length)."""
    inputs = [numbers("cells", (count, length))]
    if kind == "layer_norm":
        inputs += [numbers("scale", (length,)), numbers("shift", (length,))]
    return job(FUNCTIONS[kind], [inputs])


def _layer_norm(x, scale, shift):
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, shift, scale, 1e-5)


def _chain(x):
    x = tf.nn.relu(x * 1.5 + 0.25)
    x = tf.abs(x - 2.0) * 0.5
    return tf.maximum(-x, x * x) + 1.0


def _chain_with_exp(x):
    x = tf.nn.relu(tf.exp(x * 0.5) + 0.25)
    x = tf.tanh(x - 2.0) * 0.5
    return tf.maximum(-x, x * x) + 1.0


FUNCTIONS: dict[str, Callable] = {
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    "layer_norm": _layer_norm,
    "sum": lambda x: tf.reduce_sum(x, -1),
    "chain": _chain,
    "chain_with_exp": _chain_with_exp,
}
