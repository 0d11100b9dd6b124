"""The multilayer perceptron and Adam in JAX: one jitted function, its state donated."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .workload import Job, weights

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
CHECKED = 3


def adam(parameters: list, gradients: list, state: tuple) -> tuple[list, tuple]:
    """Kingma and Ba 2015: new parameters and state (first moments, second moments, count)."""
    first, second, count = state
    count = count + 1
    first = [BETA1 * m + (1 - BETA1) * g for m, g in zip(first, gradients, strict=True)]
    second = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(second, gradients, strict=True)]
    scale = RATE / (1 - BETA1**count)
    root = jnp.sqrt(1 - BETA2**count)
    moved = [
        p - scale * m / (jnp.sqrt(v) / root + EPSILON)
        for p, m, v in zip(parameters, first, second, strict=True)
    ]
    return moved, (first, second, count)


def fresh(parameters: list) -> tuple:
    """Adam's state at the start."""
    zeros = [jnp.zeros_like(p) for p in parameters]
    return zeros, [jnp.zeros_like(p) for p in parameters], jnp.float32(0)


def train_mlp(widths: Sequence[int], images: np.ndarray, labels: np.ndarray) -> Job:
    """Loss, gradient and update of the perceptron as one function."""
    pairs = zip(images, labels, strict=True)
    data = [(jnp.asarray(x), jnp.asarray(y)) for x, y in pairs]

    def loss_of(parameters, x, y):
        for i in range(0, len(parameters) - 2, 2):
            x = jnp.maximum(x @ parameters[i].T + parameters[i + 1], 0)
        logits = x @ parameters[-2].T + parameters[-1]
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -chosen.mean()

    def step(parameters, state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        return *adam(parameters, gradients, state), loss

    start = []
    for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
        start.append(jnp.asarray(weights(f"layers.{i}.weight", (b, a), a)))
        start.append(jnp.asarray(weights(f"layers.{i}.bias", (b,))))
    compiled = jax.jit(step, donate_argnums=(0, 1))
    held = [start, fresh(start)]

    def once(i: int):
        held[0], held[1], loss = compiled(held[0], held[1], *data[i % len(data)])
        return loss

    def run(steps: int) -> None:
        for i in range(steps):
            loss = once(i)
        float(loss)

    return Job(run, lambda: [np.array([float(once(i)) for i in range(CHECKED)])])


def update(shapes: Sequence[tuple[str, tuple[int, ...]]]) -> Job:
    """Adam's update of parameters of these names and shapes alone, gradients given."""
    start, gradients = [], []
    for i, (name, shape) in enumerate(shapes):
        inputs, count = int(np.prod(shape[1:])), int(np.prod(shape))
        start.append(jnp.asarray(weights(name, shape, inputs)))
        gradients.append(jnp.asarray(weights(f"gradient {i}", (count, 1), 2).reshape(shape)))
    compiled = jax.jit(adam, donate_argnums=(0, 2))
    held = [start, fresh(start)]

    def run(steps: int) -> None:
        for _ in range(steps):
            held[0], held[1] = compiled(held[0], gradients, held[1])
        jax.block_until_ready(held)

    def results() -> list[np.ndarray]:
        run(CHECKED)
        return [np.array(held[0][k]) for k in (0, 4, -1)]

    return Job(run, results)
