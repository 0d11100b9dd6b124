"""An update rule of one parameter, applied to the columns of an update's operands."""

from __future__ import annotations

from collections.abc import Callable

from .optimizer import Scalars, fitting


def updated(attrs: tuple, operands: tuple, numbers: int, rule: Callable) -> tuple:
    """(new params, new state) where operands are numbers, params, gradients and state.

    attrs: (n, decay, maximize, ...): decay is '' for none, 'l2' or 'decoupled'. The first number is
    the weight decay, or what is left of the parameter. rule(attrs, p, g, state, rest of the
    numbers) gives (new p, *new state).
    """
    n, decay, maximize = attrs[:3]
    scalars, rest = Scalars(operands[:numbers]), operands[numbers:]
    columns = [rest[k : k + n] for k in range(0, len(rest), n)]
    rows = []
    for p, g, *state in zip(*columns, strict=True):
        lost, *own = scalars.of(p)
        g = -fitting(p, g) if maximize else fitting(p, g)
        if decay == "l2":
            g = g + p * lost
        elif decay:
            p = p * lost
        rows.append(rule(attrs[3:], p, g, state, own))
    return tuple(value for column in zip(*rows, strict=True) for value in column)


def decay_kind(group: dict) -> str:
    """What `updated` is told about a group's weight decay."""
    if not group["weight_decay"]:
        return ""
    return "decoupled" if group.get("decoupled_weight_decay") else "l2"


def decay_number(group: dict, rate: float) -> float:
    """The first number: the decay itself, or what it leaves of the parameter."""
    decay = float(group["weight_decay"])
    return 1.0 - rate * decay if decay_kind(group) == "decoupled" else decay


def check_betas(betas) -> None:
    for index, beta in enumerate(betas):
        if not 0.0 <= as_plain(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")


def as_plain(x) -> float:
    return x.item() if hasattr(x, "item") else float(x)
