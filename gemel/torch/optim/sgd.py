"""Stochastic gradient descent."""

from __future__ import annotations

from gemel.ops import updates
from gemel.ops.record import Call
from gemel.torch.tensor import Tensor

from .optimizer import (
    Optimizer,
    Scalars,
    as_number,
    check_number,
    check_unsupported,
    fitting,
)


def _sgd(attrs, *operands):
    """attrs: (n, decays, has momentum, nesterov, maximize).

    scalars: rate, momentum, 1 - dampening, weight decay.
    """
    n, decays, has_momentum, nesterov, maximize = attrs
    scalars = Scalars(operands[:4])
    params, grads = operands[4 : 4 + n], operands[4 + n : 4 + 2 * n]
    buffers = operands[4 + 2 * n :]
    new, kept = [], []
    for k, (p, g) in enumerate(zip(params, grads, strict=True)):
        rate, factor, undamped, decay = scalars.of(p)
        g = -fitting(p, g) if maximize else fitting(p, g)
        g = g + p * decay if decays else g
        if has_momentum:
            velocity = updates.faded(buffers[k] * factor + g * undamped)
            kept.append(velocity)
            g = g + velocity * factor if nesterov else velocity
        new.append(updates.sgd(p, g, rate))
    return (*new, *kept)


class SGD(Optimizer):
    """p -= lr * g, with momentum, Nesterov's form and weight decay."""

    call = Call("sgd", _sgd, differentiable=False)

    def __init__(self, params, lr: float | Tensor = 1e-3, momentum: float = 0,
                 dampening: float = 0, weight_decay: float = 0, nesterov: bool = False, *,
                 maximize: bool = False, foreach: bool | None = None,
                 differentiable: bool = False, fused: bool | None = None):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        check_number("momentum value", momentum)
        check_number("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def static(self, group):
        return (
            group["weight_decay"] != 0,
            group["momentum"] != 0,
            bool(group["nesterov"]),
            bool(group["maximize"]),
        )

    def numbers(self, group, steps, first):
        return [
            as_number(group["lr"]),
            float(group["momentum"]),
            1.0 if first else 1.0 - group["dampening"],  # the first velocity is not damped
            float(group["weight_decay"]),
        ]
