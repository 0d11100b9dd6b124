"""The noise of dropout, drawn from PyTorch's stream as part of the program."""

from __future__ import annotations

from gemel.graph.form import float64
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


def random_slopes(input: Tensor, low: float, high: float) -> Tensor:
    """1 where input is positive, else a value of [low, high), drawn for those only, in order."""
    below = (input.detach() <= 0).reshape(-1)
    count = int(below.sum().item())
    dtype = input.form.dtype
    if not count:
        return fill(input.form.shape, 1.0, dtype, Tensor)
    drawn = random.uniform(random.default_generator, Tensor, (count,), float64, low, high)
    place = (below.cumsum(0) - 1).clamp_min(0)
    return drawn.index_select(0, place).where(below, 1.0).reshape(input.shape).to(input.dtype)
