"""Averaged gradient descent, and steps by the gradient's sign."""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.graph.form import float32
from gemel.ops import adaptive_updates as rules
from gemel.ops.elementwise import cast
from gemel.torch.tensor import Tensor

from .columns import decay_kind, decay_number, updated
from .optimizer import Optimizer, as_number, check_number, check_unsupported, updating


def _averaged(attrs, p, g, state, numbers):
    eta, mu, average = state
    fading, eta_next, mu_next = numbers
    p, average = rules.averaged(p, g, eta, mu, average, fading)
    return p, cast(eta_next, eta.dtype), cast(mu_next, mu.dtype), average


class ASGD(Optimizer):
    """Polyak and Juditsky 1992: gradient descent that also keeps the average of where it went."""

    call = updating("asgd", lambda attrs, *operands: updated(attrs, operands, 4, _averaged))
    counts_steps = True

    def __init__(self, params, lr: float | Tensor = 1e-2, lambd: float = 1e-4,
                 alpha: float = 0.75, t0: float = 1e6, weight_decay: float = 0,
                 foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        check_number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("eta", "mu", "ax")

    def initial(self, group, slot, parameter):
        if slot == "ax":
            return super().initial(group, slot, parameter)
        value = as_number(group["lr"]) if slot == "eta" else 1
        return lazy.filled((), value, float32, parameter.kin)

    def static(self, group):
        return decay_kind(group), bool(group["maximize"])

    def numbers(self, group, steps, first):
        rate, fading = as_number(group["lr"]), float(group["lambd"])
        eta = rate / (1 + fading * rate * steps) ** group["alpha"]
        mu = 1 / max(1, steps - group["t0"])
        return [decay_number(group, rate), fading, eta, mu]


def _resilient(attrs, p, g, state, numbers):
    return rules.resilient(p, g, *state, *numbers)


class Rprop(Optimizer):
    """Riedmiller and Braun 1993: steps by the gradient's sign, whose sizes grow while it stays."""

    call = updating("rprop", lambda attrs, *operands: updated(attrs, operands, 5, _resilient))
    counts_steps = True

    def __init__(self, params, lr: float | Tensor = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_unsupported(defaults)
        super().__init__(params, defaults)

    def slots(self, group):
        return ("prev", "step_size")

    def initial(self, group, slot, parameter):
        value = as_number(group["lr"]) if slot == "step_size" else 0
        f = parameter.form
        return lazy.filled(f.shape, value, f.dtype, parameter.kin)

    def static(self, group):
        return "", bool(group["maximize"])

    def numbers(self, group, steps, first):
        return [0.0, *map(float, group["etas"]), *map(float, group["step_sizes"])]
