"""A whole training step through `torch.compile` against the same step through `jax.jit`."""

from collections.abc import Callable

from timing import in_turn, pin, ratio_row, row

BOUND = 0.3
RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


def main() -> None:
    """Print the figure."""
    pin()
    from network import BATCHES, compiled_epoch

    import gemel.torch

    candidates = {
        "gemel": compiled_epoch(gemel.torch),
        "jax.jit": jax_epoch(()),
        "jax.jit, donated": jax_epoch((0,)),
    }
    seconds = in_turn(candidates, BATCHES)
    ratio_row("training step, compiled", seconds, "jax.jit", BOUND)
    ours, theirs = seconds["gemel"], seconds["jax.jit, donated"]
    measured = f"{ours * 1e6:.1f} / {theirs * 1e6:.1f} us = {ours / theirs:.2f}"
    row("the same, with donate_argnums in JAX", measured, "no bound", True)


def jax_epoch(donated: tuple[int, ...]) -> Callable[[], None]:
    """The network in JAX: one jitted function does loss, gradient and Adam's update.

    donated: the arguments whose memory the function may reuse.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np
    from network import data

    images, labels = data()
    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(images, labels, strict=True)]

    def loss_of(weights, inputs, target):
        w1, b1, w2, b2 = weights
        logits = jnp.maximum(inputs @ w1 + b1, 0) @ w2 + b2
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None], axis=1)
        return -chosen.mean()

    def step(state, inputs, target):
        weights, first, second, count = state
        loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, target)
        count = count + 1
        first = [BETA1 * m + (1 - BETA1) * g for m, g in zip(first, gradients, strict=True)]
        second = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(second, gradients, strict=True)]
        scale = RATE / (1 - BETA1**count)
        root = jnp.sqrt(1 - BETA2**count)
        weights = [
            w - scale * m / (jnp.sqrt(v) / root + EPSILON)
            for w, m, v in zip(weights, first, second, strict=True)
        ]
        return (weights, first, second, count), loss

    random = np.random.RandomState(0)
    shapes = [(64, 64), (64,), (64, 10), (10,)]
    weights = [jnp.asarray(random.randn(*s).astype(np.float32) / 8) for s in shapes]
    zeros = [jnp.zeros(s) for s in shapes]
    compiled = jax.jit(step, donate_argnums=donated)
    held = [(weights, zeros, [jnp.zeros(s) for s in shapes], jnp.float32(0))]

    def run() -> None:
        for inputs, target in batches:
            held[0], loss = compiled(held[0], inputs, target)
        float(loss)

    return run


if __name__ == "__main__":
    main()
