"""Single operations in JAX, jitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .matmuls import operand_shapes
from .workload import Job, numbers, turns


def job(f: Callable, inputs: Sequence[Sequence[np.ndarray]], show: Callable = np.asarray) -> Job:
    """The jitted function called again and again, with each of the inputs in turn; each result is
    there before the next call."""
    compiled = jax.jit(f)
    held = [[jnp.array(x) for x in turn] for turn in inputs]

    def run(steps: int) -> None:
        for i in range(steps):
            compiled(*held[i % len(held)]).block_until_ready()

    return Job(run, lambda: [show(compiled(*held[0]))])


def matmul(text: str) -> Job:
    """A product by its sizes; see `matmuls.sizes`."""
    left, right, turn_left, turn_right = operand_shapes(text)

    def f(a, b):
        a = jnp.swapaxes(a, -1, -2) if turn_left else a
        return a @ (jnp.swapaxes(b, -1, -2) if turn_right else b)

    return job(f, turns((numbers("left", left), numbers("right", right))))


def convolution(case, part: str) -> Job:
    """A convolution, or one of its gradients, channels last."""
    images, kernel, result = case.shapes
    x = numbers("images", images).transpose(0, 2, 3, 1)
    w = numbers("kernel", kernel).transpose(2, 3, 1, 0)
    g = numbers("result", result).transpose(0, 2, 3, 1)

    def forward(x, w):
        return jax.lax.conv_general_dilated(
            x,
            w,
            (case.stride,) * 2,
            ((case.padding,) * 2,) * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=case.groups,
        )

    if part == "forward":
        return job(forward, turns((x, w)), lambda y: np.asarray(y).transpose(0, 3, 1, 2))
    if part == "dx":
        return job(
            lambda w, g: jax.vjp(lambda x: forward(x, w), jnp.zeros(x.shape))[1](g)[0],
            turns((w, g)),
            lambda y: np.asarray(y).transpose(0, 3, 1, 2),
        )
    return job(
        lambda x, g: jax.vjp(lambda w: forward(x, w), jnp.zeros(w.shape))[1](g)[0],
        turns((x, g)),
        lambda y: np.asarray(y).transpose(3, 2, 0, 1),
    )


def by_rows(kind: str, count: int, length: int) -> Job:
    """An operation over (count, length)."""
    inputs = [numbers("cells", (count, length))]
    if kind == "layer_norm":
        inputs += [numbers("scale", (length,)), numbers("shift", (length,))]
    return job(FUNCTIONS[kind], [inputs])


def _layer_norm(x, scale, shift):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift


def _chain(x):
    x = jnp.maximum(x * 1.5 + 0.25, 0)
    x = jnp.abs(x - 2.0) * 0.5
    return jnp.maximum(-x, x * x) + 1.0


def _chain_with_exp(x):
    x = jnp.maximum(jnp.exp(x * 0.5) + 0.25, 0)
    x = jnp.tanh(x - 2.0) * 0.5
    return jnp.maximum(-x, x * x) + 1.0


FUNCTIONS: dict[str, Callable] = {
    "softmax": lambda x: jax.nn.softmax(x, -1),
    "log_softmax": lambda x: jax.nn.log_softmax(x, -1),
    "layer_norm": _layer_norm,
    "sum": lambda x: x.sum(-1),
    "chain": _chain,
    "chain_with_exp": _chain_with_exp,
}
