"""The noise of dropout, drawn from PyTorch's stream as part of the program."""

from __future__ import annotations

from gemel.tensor import fill, random
from gemel.torch.tensor import Tensor


def bernoulli_noise(input: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    """0 with probability p, else 1 / (1 - p); all 0 for p = 1, which draws nothing."""
    dtype = input.form.dtype
    if dtype.kind != "f":
        raise RuntimeError("result type Float can't be cast to the desired output type Long")
    if p == 1:
        return fill(shape, 0.0, dtype, Tensor)
    g = random.default_generator
    if shape != input.form.shape:
        return random.dropout_mask(g, Tensor, shape, dtype, p)
    return random.values_for(input, lambda s, _: random.dropout_mask(g, Tensor, s, dtype, p))
