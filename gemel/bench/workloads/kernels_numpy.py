"""Single operations in NumPy, results written over where NumPy can."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .matmuls import operand_shapes
from .workload import Job, numbers, turns


def job(f: Callable, inputs: Sequence[Sequence[np.ndarray]]) -> Job:
    """The function called again and again, with each of the inputs in turn."""

    def run(steps: int) -> None:
        for i in range(steps):
            f(*inputs[i % len(inputs)])

    return Job(run, lambda: [f(*inputs[0])])


def matmul(text: str) -> Job:
    """A product by its sizes; see `matmuls.sizes`."""
    left, right, turn_left, turn_right = operand_shapes(text)
    a, b = numbers("left", left), numbers("right", right)

    def view(a, b):
        return a.swapaxes(-1, -2) if turn_left else a, b.swapaxes(-1, -2) if turn_right else b

    held = [view(*pair) for pair in turns((a, b))]
    out = np.matmul(*held[0])
    return job(lambda a, b: np.matmul(a, b, out=out), held)


def by_rows(kind: str, count: int, length: int) -> Job:
    """An operation over (count, length)."""
    inputs = [numbers("cells", (count, length))]
    if kind == "layer_norm":
        inputs += [numbers("scale", (length,)), numbers("shift", (length,))]
    return job(FUNCTIONS[kind], [inputs])


def _softmax(x):
    out = np.exp(x - x.max(-1, keepdims=True))
    out /= out.sum(-1, keepdims=True)
    return out


def _log_softmax(x):
    out = x - x.max(-1, keepdims=True)
    out -= np.log(np.exp(out).sum(-1, keepdims=True))
    return out


def _layer_norm(x, scale, shift):
    out = x - x.mean(-1, keepdims=True)
    out /= np.sqrt(np.square(out).mean(-1, keepdims=True) + np.float32(1e-5))
    out *= scale
    out += shift
    return out


def _chain(x):
    x = np.maximum(x * 1.5 + 0.25, 0)
    x = np.abs(x - 2.0) * 0.5
    return np.maximum(-x, x * x) + 1.0


def _chain_with_exp(x):
    x = np.maximum(np.exp(x * 0.5) + 0.25, 0)
    x = np.tanh(x - 2.0) * 0.5
    return np.maximum(-x, x * x) + 1.0


FUNCTIONS: dict[str, Callable] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "layer_norm": _layer_norm,
    "sum": lambda x: x.sum(-1),
    "chain": _chain,
    "chain_with_exp": _chain_with_exp,
}
