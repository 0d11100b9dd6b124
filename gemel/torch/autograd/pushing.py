"""Forward mode: the transpose of the reverse pass.

The gradient of y for x, weighted by u, is linear in u. Its own gradient for u, weighted by a
tangent of x, is the tangent of y. Both are graphs of the same rules, and of the first only what
the second needs is computed.
"""

from __future__ import annotations

from gemel import tensor as lazy

from ..tensor import Tensor
from .function import forward_mode


class Push:
    """The tangents of some outputs as a function of those of some inputs.

    leaves   weights of the reverse pass: autograd leaves, whose values do not matter"""

    def __init__(self, outputs: list[Tensor], inputs: list[Tensor]):
        self.outputs = outputs
        self.smooth = [k for k, y in enumerate(outputs) if lazy.requires_grad(y)]
        self.leaves = [_weight(outputs[k]) for k in self.smooth]
        self.inputs = inputs
        self.slopes: list[Tensor | None] = [None] * len(inputs)
        if self.smooth:
            ys = [outputs[k] for k in self.smooth]
            with forward_mode():
                self.slopes = lazy.grad(
                    ys, inputs, self.leaves, True, True, allow_unused=True, hooks=False
                )

    def __call__(self, tangents: list[Tensor], create: bool, lanes: int = 0) -> list:
        """The tangent of each output, None where it does not depend on the inputs."""
        pairs = [
            (g, t)
            for g, t in zip(self.slopes, tangents, strict=True)
            if g is not None and t is not None and lazy.requires_grad(g)
        ]
        found: list[Tensor | None] = [None] * len(self.outputs)
        if pairs:
            slopes, weights = zip(*pairs, strict=True)
            with forward_mode():
                made = lazy.grad(
                    slopes, self.leaves, weights, True, create, True, lanes=lanes, hooks=False
                )
            for k, t in zip(self.smooth, made, strict=True):
                found[k] = t
        return found


def _weight(y: Tensor) -> Tensor:
    made = lazy.filled(y.form.shape, 0, y.form.dtype, Tensor).requires_grad_()
    made.in_transform = True
    return made
