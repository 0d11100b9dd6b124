"""SparseAdam: Adam for sparse gradients, of which Gemel has none."""

from __future__ import annotations

from gemel.torch.tensor import Tensor

from .columns import check_betas
from .optimizer import Optimizer, as_number


class SparseAdam(Optimizer):
    """Adam for sparse gradients; RuntimeError for dense ones, as in PyTorch."""

    def __init__(self, params, lr: float | Tensor = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 maximize: bool = False):
        if not 0.0 < as_number(lr):
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _step_group(self, group: dict) -> None:
        if any(p.grad is not None for p in group["params"]):
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead"
            )
