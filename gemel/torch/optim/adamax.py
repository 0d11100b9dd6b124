"""Adamax, NAdam and RAdam: further forms of Adam."""

from __future__ import annotations

from math import sqrt

from gemel import tensor as lazy
from gemel.graph.form import float32
from gemel.ops import adaptive_updates as rules
from gemel.torch.tensor import Tensor

from .columns import check_betas, decay_kind, decay_number, updated
from .optimizer import Optimizer, as_number, check_number, check_unsupported, updating


class _Moments(Optimizer):
    """What forms of Adam share: their checks, and that they count steps."""

    counts_steps = True

    def _check(self, lr, betas, eps: float, weight_decay: float) -> None:
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        check_number("epsilon value", eps)
        check_betas(betas)
        check_number("weight_decay value", weight_decay)

    def static(self, group):
        return decay_kind(group), bool(group["maximize"])


def _adamax(attrs, p, g, state, numbers):
    return rules.adamax(p, g, *state, *numbers)


class Adamax(_Moments):
    """Kingma and Ba 2015: Adam with the largest of fading gradients for the root."""

    call = updating("adamax", lambda attrs, *operands: updated(attrs, operands, 5, _adamax))

    def __init__(self, params, lr: float | Tensor = 2e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False):
        self._check(lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("exp_avg", "exp_inf")

    def numbers(self, group, steps, first):
        beta1, beta2 = group["betas"]
        rate = as_number(group["lr"])
        size = rate / (1.0 - beta1**steps)
        return [decay_number(group, rate), size, 1.0 - beta1, float(beta2), float(group["eps"])]


def _nadam(attrs, p, g, state, numbers):
    return rules.nadam(p, g, *state, *numbers)


class NAdam(_Moments):
    """Dozat 2016: Adam with Nesterov's momentum."""

    call = updating("nadam", lambda attrs, *operands: updated(attrs, operands, 9, _nadam))

    def __init__(self, params, lr: float | Tensor = 2e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, momentum_decay: float = 4e-3,
                 decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False):
        self._check(lr, betas, eps, weight_decay)
        check_number("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("mu_product", "exp_avg", "exp_avg_sq")

    def initial(self, group, slot, parameter):
        if slot != "mu_product":
            return super().initial(group, slot, parameter)
        return lazy.filled((), 1, float32, parameter.kin)

    def numbers(self, group, steps, first):
        beta1, beta2 = group["betas"]
        rate, decay = as_number(group["lr"]), group["momentum_decay"]
        now, ahead = (beta1 * (1.0 - 0.5 * 0.96 ** (t * decay)) for t in (steps, steps + 1))
        correction = 1.0 / (1.0 - beta2**steps)
        kept = decay_number(group, rate)
        return [kept, rate, now, ahead, 1.0 - beta1, float(beta2), 1.0 - beta2, correction,
                float(group["eps"])]  # fmt: skip


def _radam(attrs, p, g, state, numbers):
    return rules.radam(p, g, *state, *numbers)


class RAdam(_Moments):
    """Liu et al. 2020: Adam whose root counts once its variance is known."""

    call = updating("radam", lambda attrs, *operands: updated(attrs, operands, 8, _radam))

    def __init__(self, params, lr: float | Tensor = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False):
        self._check(lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("exp_avg", "exp_avg_sq")

    def numbers(self, group, steps, first):
        beta1, beta2 = group["betas"]
        rate = as_number(group["lr"])
        known = 1.0 - beta2**steps
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * steps * beta2**steps / known
        rectified, plain = 0.0, 1.0
        if length > 5:
            above = (length - 4) * (length - 2) * longest
            share = sqrt(above / ((longest - 4) * (longest - 2) * length))
            rectified, plain = share * sqrt(known), 0.0
        size = rate / (1.0 - beta1**steps)
        return [decay_number(group, rate), size, 1.0 - beta1, float(beta2), 1.0 - beta2,
                float(group["eps"]), rectified, plain]  # fmt: skip
