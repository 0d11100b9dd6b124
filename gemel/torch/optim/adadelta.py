"""Adadelta."""

from __future__ import annotations

from gemel.ops import adaptive_updates as rules
from gemel.torch.tensor import Tensor

from .columns import decay_kind, decay_number, updated
from .optimizer import Optimizer, as_number, check_number, check_unsupported, updating


def _rule(attrs, p, g, state, numbers):
    return rules.adadelta(p, g, *state, *numbers)


class Adadelta(Optimizer):
    """Zeiler 2012: steps as large as earlier ones, over the root of the mean square gradient."""

    call = updating("adadelta", lambda attrs, *operands: updated(attrs, operands, 5, _rule))
    counts_steps = True

    def __init__(self, params, lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6,
                 weight_decay: float = 0, foreach: bool | None = None, *,
                 capturable: bool = False, maximize: bool = False, differentiable: bool = False):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_number("epsilon value", eps)
        check_number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("square_avg", "acc_delta")

    def static(self, group):
        return decay_kind(group), bool(group["maximize"])

    def numbers(self, group, steps, first):
        rate, rho = as_number(group["lr"]), float(group["rho"])
        return [decay_number(group, rate), rate, rho, 1.0 - rho, float(group["eps"])]
