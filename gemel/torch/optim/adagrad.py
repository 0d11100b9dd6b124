"""Adagrad."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.ops import updates
from gemel.torch.creation import full_like
from gemel.torch.tensor import Tensor

from .optimizer import (
    Optimizer,
    Scalars,
    as_number,
    check_number,
    check_unsupported,
    fitting,
    updating,
)


def _adagrad(attrs, *operands):
    """attrs: (n, decays, maximize). scalars: rate, epsilon, decay."""
    n, decays, maximize = attrs
    scalars, rest = Scalars(operands[:3]), operands[3:]
    columns = [rest[k : k + n] for k in range(0, len(rest), n)]
    rows = []
    for p, g, total in zip(*columns, strict=True):
        rate, epsilon, decay = scalars.of(p)
        g = -fitting(p, g) if maximize else fitting(p, g)
        g = g + p * decay if decays else g
        rows.append(updates.adagrad(p, g, total, rate, epsilon))
    return tuple(value for column in zip(*rows, strict=True) for value in column)


class Adagrad(Optimizer):
    """Duchi, Hazan and Singer 2011: the gradient divided by the root of its sum of squares."""

    call = updating("adagrad", _adagrad)
    counts_steps = True
    eager = True

    def __init__(self, params, lr: float | Tensor = 1e-2, lr_decay: float = 0,
                 weight_decay: float = 0, initial_accumulator_value: float = 0,
                 eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, fused: bool | None = None):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        check_number("lr_decay value", lr_decay)
        check_number("weight_decay value", weight_decay)
        check_number("initial_accumulator_value value", initial_accumulator_value)
        check_number("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("sum",)

    def initial(self, group, slot, parameter):
        with lazy.no_grad():
            return full_like(parameter, float(group["initial_accumulator_value"]))

    def static(self, group):
        return group["weight_decay"] != 0, bool(group["maximize"])

    def numbers(self, group, steps, first):
        rate = as_number(group["lr"]) / (1.0 + (steps - 1) * group["lr_decay"])
        return [rate, float(group["eps"]), float(group["weight_decay"])]
