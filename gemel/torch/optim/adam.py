"""Adam and AdamW."""

from __future__ import annotations

from math import sqrt

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

SCALARS = 7


def _adam(attrs, *operands):
    """attrs: (n, amsgrad, maximize, decay: '' | 'l2' | 'decoupled').

    scalars: step size, 1 / sqrt(1 - beta2^t), 1 - beta1, beta2, 1 - beta2, epsilon, decay.
    """
    n, amsgrad, maximize, decay = attrs
    scalars, rest = Scalars(operands[:SCALARS]), operands[SCALARS:]
    columns = [rest[k : k + n] for k in range(0, len(rest), n)]
    rows = []
    for p, g, m, v, *top in zip(*columns, strict=True):
        size, scale, rest1, beta2, rest2, epsilon, lost = scalars.of(p)
        g = -fitting(p, g) if maximize else fitting(p, g)
        if decay == "l2":
            g = g + p * lost
        elif decay:
            p = p * lost
        rows.append(
            updates.adam_scaled(p, g, m, v, size, scale, rest1, beta2, rest2, epsilon, *top)
        )
    return tuple(value for column in zip(*rows, strict=True) for value in column)


class Adam(Optimizer):
    """Kingma and Ba 2015, with AMSGrad, L2 or decoupled weight decay."""

    call = updating("adam", _adam)
    counts_steps = True

    def __init__(self, params, lr: float | Tensor = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        check_number("epsilon value", eps)
        for index, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        check_number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        names = ("exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def static(self, group):
        decay = ""
        if group["weight_decay"]:
            decay = "decoupled" if group["decoupled_weight_decay"] else "l2"
        return group["amsgrad"], group["maximize"], decay

    def numbers(self, group, steps, first):
        betas = group["betas"]
        beta1, beta2 = betas
        rate = group["lr"]
        if rate.__class__ is not float:
            rate = as_number(rate)
        decay = group["weight_decay"]
        if decay:
            decay = 1.0 - rate * decay if group["decoupled_weight_decay"] else float(decay)
        else:
            decay = 1.0 if group["decoupled_weight_decay"] else 0.0
        correction = 1.0 / sqrt(1.0 - beta2**steps)
        rest = 1.0 - beta1, float(beta2), 1.0 - beta2, float(group["eps"])
        return [rate / (1.0 - beta1**steps), correction, *rest, decay]

    def fixed_static(self, group):
        usual = super().fixed_static(group)
        if type(self).static is not Adam.static:
            return usual
        amsgrad, maximize = group["amsgrad"], group["maximize"]
        decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]

        def is_fixed() -> bool:
            # the very objects first: that is most calls, and cheaper than making the tuple
            return (
                group["amsgrad"] is amsgrad
                and group["maximize"] is maximize
                and group["weight_decay"] is decay
                and group["decoupled_weight_decay"] is decoupled
            ) or usual()

        return is_fixed

    def counting(self, group, bunch):
        usual = super().counting(group, bunch)
        if type(self).numbers is not Adam.numbers:
            return usual
        betas = rate = epsilon = decay = decoupled = None  # of which `rest` was made
        rest: list[float] = []
        beta1 = beta2 = 0.0
        counter = bunch.counter

        def numbers() -> list[float]:
            nonlocal betas, rate, epsilon, decay, decoupled, rest, beta1, beta2
            if (
                group["lr"] is rate
                and group["betas"] is betas
                and group["eps"] is epsilon
                and group["weight_decay"] is decay
                and group["decoupled_weight_decay"] is decoupled
            ):
                counter.steps = steps = counter.steps + 1
                return [rate / (1.0 - beta1**steps), 1.0 / sqrt(1.0 - beta2**steps), *rest]
            made = usual()
            betas = None
            if _is_lasting(group):
                betas, rate, epsilon = group["betas"], group["lr"], group["eps"]
                decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]
                beta1, beta2 = betas
                rest = made[2:]
            return made

        return numbers


def _is_lasting(group: dict) -> bool:
    """Can nobody change the group's numbers but by setting others?"""
    betas = group["betas"]
    if type(betas) is not tuple:
        return False
    numbers = (group["lr"], group["eps"], group["weight_decay"], *betas)
    return all(type(x) in (int, float) for x in numbers)


class AdamW(Adam):
    """Loshchilov and Hutter 2019: Adam with decoupled weight decay."""

    def __init__(self, params, lr: float | Tensor = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, capturable: bool = False,
                 differentiable: bool = False, fused: bool | None = None):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach,
                         maximize=maximize, capturable=capturable, differentiable=differentiable,
                         fused=fused, decoupled_weight_decay=True)
