"""Values to print: arrays of many magnitudes, shapes and element types, and expressions."""

from __future__ import annotations

import numpy as np

SHAPES = [(), (1,), (7,), (25,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (0,), (2, 0), (1001,), (40, 30),
          (7, 300), (3, 3, 3, 50)]  # fmt: skip
EXPRESSIONS = [
    "torch.ones(2, requires_grad=True)",
    "torch.ones(2, requires_grad=True) * 2",
    "(torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)).sum()",
    "torch.ones(2, requires_grad=True).double()",
    "torch.ones(3, requires_grad=True).view(3, 1)",
    "torch.ones(30, 2, requires_grad=True)[:, 0]",
    "torch.ones(3, requires_grad=True).exp().mean()",
    "torch.tensor([1.0, float('nan'), float('inf'), -float('inf')])",
    "torch.tensor([float('nan')])",
    "torch.tensor([True, False])",
    "torch.tensor([1, 2], dtype=torch.int32)",
    "torch.tensor([[3.0, 1.0], [2.0, 5.0]]).max(1)",
    "torch.tensor([3, 1, 2]).sort()",
]


def arrays(seed: int = 0):
    """(name, array) of each shape and kind of values."""
    rng = np.random.default_rng(seed)
    kinds = {
        "plain": lambda x: x,
        "tiny": lambda x: x * 1e-6,
        "huge": lambda x: x * 1e9,
        "wide": lambda x: x * 10.0 ** rng.integers(-5, 5, x.shape),
        "whole": lambda x: np.round(x * 10),
        "large whole": lambda x: np.round(x * 1e4),
        "with nan": lambda x: np.where(rng.random(x.shape) < 0.2, np.nan, x),
        "zeros": lambda x: x * 0,
    }
    for shape in SHAPES:
        for name, change in kinds.items():
            values = np.asarray(change(rng.standard_normal(shape)))
            yield f"{name} {shape}", values.astype(np.float32)
        values = rng.standard_normal(shape) * 100
        for dtype in ("float64", "int64", "uint8", "bool"):
            with np.errstate(invalid="ignore"):
                yield f"{dtype} {shape}", np.asarray(values).astype(dtype)


def shown(module, row: str) -> str:
    return repr(eval(row, {"torch": module}))
