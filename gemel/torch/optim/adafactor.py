"""Adafactor and Muon: optimizers that look at matrices as a whole."""

from __future__ import annotations

from math import sqrt

from gemel import tensor as lazy
from gemel.ops import adaptive_updates as rules
from gemel.ops.elementwise import maximum
from gemel.torch.dtypes import finfo
from gemel.torch.tensor import Tensor

from .columns import updated
from .optimizer import Optimizer, as_number, check_number, updating


def _adafactor(attrs, p, g, state, numbers):
    scale, floor, share, least, most, kept = numbers
    if len(state) == 2:
        variance, *state = rules.factored_variance(g, *state, share, least)
    else:
        state = [rules.towards(state[0], g * g, share)]
        variance = state[0]
    variance = maximum(variance, least * least)
    return rules.adafactor(p, g, variance, scale, floor, most, kept), *state


class Adafactor(Optimizer):
    """Shazeer and Stern 2018: mean squares of rows and columns in place of those of cells."""

    call = updating("adafactor", lambda attrs, *operands: updated(attrs, operands, 7, _adafactor))
    counts_steps = True
    _matrices = False  # are the parameters that are being planned of two dimensions or more?

    def __init__(self, params, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8,
                 eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0,
                 weight_decay: float = 0.0, *, foreach: bool | None = None,
                 maximize: bool = False):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_number("learning rate", as_number(lr),
                     text=f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        for i, value in enumerate(eps):
            if value is not None:
                text = f"epsilon{i + 1} should be >= 0 but is: {value}"
                check_number("epsilon", value, text=text)
        check_number("d", d, 1.0, f"Clipping threshold d should be >= 1 but is: {d}")
        check_number("weight_decay", weight_decay,
                     text=f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _plan(self, group, params):
        """Matrices and vectors have different state and step apart."""
        bunches = []
        for p in params:
            self._state[p]  # entries stand in the order of the parameters
        for matrices in (True, False):
            some = [p for p in params if (p.ndim > 1) is matrices]
            self._matrices = matrices
            bunches += super()._plan(group, some) if some else []
        return bunches

    def slots(self, group):
        return ("row_var", "col_var") if self._matrices else ("variance",)

    def initial(self, group, slot, parameter):
        shape = parameter.form.shape
        if slot == "row_var":
            shape = (*shape[:-1], 1)
        elif slot == "col_var":
            shape = (*shape[:-2], 1, shape[-1])
        return lazy.filled(shape, 0, parameter.form.dtype, parameter.kin)

    def static(self, group):
        return "", bool(group["maximize"])

    def numbers(self, group, steps, first):
        rate = as_number(group["lr"])
        least, floor = group["eps"]
        if least is None:
            least = finfo(group["params"][0].dtype).eps
        kept = 1.0 - rate * group["weight_decay"]
        return [0.0, min(rate, 1 / steps**0.5), float(floor), steps ** group["beta2_decay"],
                float(least), float(group["d"]), kept]  # fmt: skip


def _muon(attrs, p, g, state, numbers):
    nesterov, coefficients, steps, epsilon, ratio = attrs
    rate, share, factor, kept = numbers
    average = rules.towards(state[0], g, share)
    step = rules.towards(g, average, factor) if nesterov else average
    step = rules.orthogonal(step, coefficients, steps, epsilon)
    tall, wide = p.shape
    if ratio == "match_rms_adamw":
        size = 0.2 * sqrt(max(tall, wide))
    else:
        size = sqrt(max(1, tall / wide))
    return p * kept - step * (rate * size), average


class Muon(Optimizer):
    """Jordan et al. 2024: momentum whose steps are made orthogonal matrices."""

    call = updating("muon", lambda attrs, *operands: updated(attrs, operands, 5, _muon))

    def __init__(self, params, lr: float = 1e-3, weight_decay: float = 0.1,
                 momentum: float = 0.95, nesterov: bool = True,
                 ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
                 eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_number("lr", as_number(lr), text=f"Learning rate should be >= 0 but is: {lr}")
        check_number("momentum", momentum, text=f"momentum should be >= 0 but is: {momentum}")
        check_number("weight_decay", weight_decay,
                     text=f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{p.size()}"
                    )

    def slots(self, group):
        return ("momentum_buffer",)

    def static(self, group):
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values.")
        if group["ns_steps"] >= 100:
            raise ValueError(
                "Number of steps must be less than 100 for computational efficiency"
            )
        coefficients = tuple(map(float, group["ns_coefficients"]))
        return ("", False, bool(group["nesterov"]), coefficients, int(group["ns_steps"]),
                float(group["eps"]), group["adjust_lr_fn"])  # fmt: skip

    def numbers(self, group, steps, first):
        rate, factor = as_number(group["lr"]), float(group["momentum"])
        return [0.0, rate, 1.0 - factor, factor, 1.0 - rate * group["weight_decay"]]
