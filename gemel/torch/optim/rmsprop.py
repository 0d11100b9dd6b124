"""RMSprop."""

from __future__ import annotations

from gemel.ops import updates
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

SCALARS = 6


def _rmsprop(attrs, *operands):
    """attrs: (n, decays, centered, has momentum, maximize).

    scalars: rate, alpha, 1 - alpha, epsilon, decay, momentum.
    """
    n, decays, centered, has_momentum, maximize = attrs
    scalars, rest = Scalars(operands[:SCALARS]), operands[SCALARS:]
    columns = [rest[k : k + n] for k in range(0, len(rest), n)]
    rows = []
    for p, g, square, *more in zip(*columns, strict=True):
        rate, alpha, rest_, epsilon, decay, factor = scalars.of(p)
        g = -fitting(p, g) if maximize else fitting(p, g)
        g = g + p * decay if decays else g
        velocity = more.pop(0) if has_momentum else None
        average = more.pop(0) if centered else None
        rows.append(updates.rmsprop(p, g, square, velocity, average, rate, alpha, rest_, epsilon,
                                    factor))
    return tuple(value for column in zip(*rows, strict=True) for value in column)


class RMSprop(Optimizer):
    """The gradient divided by a running root of its mean square."""

    call = updating("rmsprop", _rmsprop)
    counts_steps = True

    def __init__(self, params, lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0, momentum: float = 0, centered: bool = False,
                 capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        check_number("epsilon value", eps)
        check_number("momentum value", momentum)
        check_number("weight_decay value", weight_decay)
        check_number("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return tuple(names)

    def static(self, group):
        return (
            group["weight_decay"] != 0,
            bool(group["centered"]),
            group["momentum"] > 0,
            bool(group["maximize"]),
        )

    def numbers(self, group, steps, first):
        alpha = float(group["alpha"])
        return [
            as_number(group["lr"]),
            alpha,
            1.0 - alpha,
            float(group["eps"]),
            float(group["weight_decay"]),
            float(group["momentum"]),
        ]
