"""L-BFGS: a quasi-Newton method that asks for the loss several times in a step."""

from __future__ import annotations

from typing import NamedTuple

from gemel import tensor as lazy
from gemel.torch.joining import cat
from gemel.torch.tensor import Tensor

from .optimizer import Optimizer, as_number, check_number


class Point(NamedTuple):
    """Where a line search has looked: step size, loss, gradient, slope along the direction."""

    t: float
    loss: float
    grad: Tensor
    slope: float


def _cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """The minimum of the cubic through two points and their slopes, kept in bounds."""
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if square < 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if a.t <= b.t:
        best = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    else:
        best = a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2))
    return min(max(best, low), high)


class _Search:
    """A line search for the strong Wolfe conditions (Nocedal and Wright 2006, section 3.5)."""

    enough, curved = 1e-4, 0.9

    def __init__(self, look, start: Point, size: float, tolerance: float, limit: int = 25):
        self.look = look  # step size -> Point
        self.start = start
        self.size = size  # of the direction's largest component
        self.tolerance = tolerance
        self.limit = limit
        self.evaluations = 0
        self.turns = 0

    def _at(self, t: float) -> Point:
        self.evaluations += 1
        return self.look(t)

    def _too_high(self, p: Point) -> bool:
        return p.loss > self.start.loss + self.enough * p.t * self.start.slope

    def _flat(self, p: Point) -> bool:
        return abs(p.slope) <= -self.curved * self.start.slope

    def run(self, t: float) -> Point:
        """The point that was found."""
        bracket = self._bracket(self._at(t))
        return bracket[0] if len(bracket) == 1 else self._zoom(bracket)

    def _bracket(self, now: Point) -> list[Point]:
        """Two points with a good one between them, or the good one itself."""
        before = self.start
        while self.turns < self.limit:
            if self._too_high(now) or self.turns > 1 and now.loss >= before.loss:
                return [before, now]
            if self._flat(now):
                return [now]
            if now.slope >= 0:
                return [before, now]
            low, high = now.t + 0.01 * (now.t - before.t), now.t * 10
            t = _cubic_minimum(before, now, low, high)
            before, now = now, self._at(t)
            self.turns += 1
        return [self.start, now]

    def _zoom(self, bracket: list[Point]) -> Point:
        stuck = False
        low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        while self.turns < self.limit:
            left, right = sorted(p.t for p in bracket)
            if (right - left) * self.size < self.tolerance:
                break
            t = _cubic_minimum(bracket[0], bracket[1], left, right)
            t, stuck = self._away_from_ends(t, left, right, stuck)
            new = self._at(t)
            self.turns += 1
            if self._too_high(new) or new.loss >= bracket[low].loss:
                bracket[high] = new
                low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
                continue
            done = self._flat(new)
            if not done and new.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
            if done:
                break
        return bracket[low]

    @staticmethod
    def _away_from_ends(t: float, left: float, right: float, stuck: bool) -> tuple[float, bool]:
        """(t, was it near an end?): a second one near an end is moved inwards."""
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            return t, False
        if not stuck and left < t < right:
            return t, True
        t = right - margin if abs(t - right) < abs(t - left) else left + margin
        return t, False


PAIRS = 8  # in one program, of those that tell of second derivatives


class LBFGS(Optimizer):
    """Liu and Nocedal 1989. `step` needs a closure that computes the loss and its gradients."""

    def __init__(self, params, lr: float | Tensor = 1, max_iter: int = 20,
                 max_eval: int | None = None, tolerance_grad: float = 1e-7,
                 tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None):
        check_number("learning rate", as_number(lr), text=f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(
                "LBFGS doesn't support per-parameter options (parameter groups)"
            )
        self._params = self.param_groups[0]["params"]

    # ---------- parameters as one vector ----------
    def _gradient(self) -> Tensor:
        parts = [
            p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1)
            for p in self._params
        ]
        return cat(parts, 0)

    def _move(self, by: float, direction: Tensor) -> None:
        at = 0
        for p in self._params:
            n = p.numel()
            p.add_(direction[at : at + n].reshape(p.shape), alpha=by)
            at += n

    def _look(self, closure, before: list[Tensor], t: float, direction: Tensor) -> Point:
        self._move(t, direction)
        loss = float(closure())
        grad = self._gradient()
        for p, old in zip(self._params, before, strict=True):
            p.copy_(old)
        return Point(t, loss, grad, float(grad.dot(direction)))

    # ---------- the step ----------
    def step(self, closure=None):
        """Up to `max_iter` iterations; returns the loss before them."""
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")

        def asked():
            with lazy.enable_grad():
                return closure()

        self._called = True
        with lazy.no_grad():
            found = self._iterate(asked)
        lazy.flush()
        return found

    def _iterate(self, closure):
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        loss, evaluations, turns = float(first), 1, 0
        state["func_evals"] += 1
        grad = self._gradient()
        if float(grad.abs().max()) <= group["tolerance_grad"]:
            return first
        direction, t = state.get("d"), state.get("t")
        before_grad, before_loss = state.get("prev_flat_grad"), state.get("prev_loss")
        while turns < group["max_iter"]:
            turns += 1
            state["n_iter"] += 1
            direction = self._direction(state, grad, before_grad, direction, t)
            before_grad, before_loss = grad.clone(), loss
            rate = as_number(group["lr"])
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / float(grad.abs().sum())) * rate
            else:
                t = rate
            slope = float(grad.dot(direction))
            if slope > -group["tolerance_change"]:
                break
            last = turns == group["max_iter"]
            t, loss, grad, asked = self._along(closure, direction, Point(0.0, loss, grad, slope),
                                               t, last)  # fmt: skip
            evaluations += asked
            state["func_evals"] += asked
            if last or self._is_done(group, grad, direction, t, loss, before_loss, evaluations):
                break
        state["d"], state["t"] = direction, t
        state["prev_flat_grad"], state["prev_loss"] = before_grad, before_loss
        return first

    def _is_done(self, group, grad, direction, t, loss, before_loss, evaluations) -> bool:
        return (
            evaluations >= group["max_eval"]
            or float(grad.abs().max()) <= group["tolerance_grad"]
            or float(direction.mul(t).abs().max()) <= group["tolerance_change"]
            or abs(loss - before_loss) < group["tolerance_change"]
        )

    def _along(self, closure, direction: Tensor, start: Point, t: float, last: bool):
        """(step size, loss, gradient, evaluations) after moving along the direction."""
        group = self.param_groups[0]
        if group["line_search_fn"] is None:
            self._move(t, direction)
            if last:
                return t, start.loss, start.grad, 0
            loss = float(closure())
            return t, loss, self._gradient(), 1
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        before = [p.clone() for p in self._params]
        search = _Search(
            lambda size: self._look(closure, before, size, direction), start,
            float(direction.abs().max()), group["tolerance_change"],
        )  # fmt: skip
        found = search.run(t)
        self._move(found.t, direction)
        return found.t, found.loss, found.grad, search.evaluations

    def _direction(self, state, grad: Tensor, before: Tensor | None, direction, t) -> Tensor:
        """Minus the gradient, turned by what is known of the second derivatives."""
        if state["n_iter"] == 1:
            state["old_dirs"], state["old_stps"], state["ro"] = [], [], []
            state["H_diag"] = 1
            return grad.neg()
        changes, moves, scales = state["old_dirs"], state["old_stps"], state["ro"]
        change, move = grad.sub(before), direction.mul(t)
        curvature = change.dot(move)
        if float(curvature) > 1e-10:
            if len(changes) == self.param_groups[0]["history_size"]:
                for kept in (changes, moves, scales):
                    kept.pop(0)
            changes.append(change)
            moves.append(move)
            scales.append(1.0 / curvature)
            state["H_diag"] = curvature / change.dot(change)
        return _turned(grad.neg(), state["H_diag"], list(zip(changes, moves, scales, strict=True)))


def _turned(q: Tensor, diagonal, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The inverse second derivatives that the pairs tell of, times q. Runs what is pending after
    every few pairs: programs are then alike, however many pairs there are."""
    shares: list[Tensor] = []
    for count, (change, move, scale) in enumerate(reversed(pairs), 1):
        share = move.dot(q) * scale
        shares.append(share)
        q = q - change * share
        if count % PAIRS == 0:
            lazy.flush()
    lazy.flush()
    r = q * diagonal
    for count, (change, move, scale) in enumerate(pairs, 1):
        r = r + move * (shares.pop() - change.dot(r) * scale)
        if count % PAIRS == 0:
            lazy.flush()
    return r
