"""`GradScaler`: losses are scaled so that small gradients survive in float16.

The scale and what is counted for it are tensors: scaling, the look for numbers that are not finite,
the step and the change of the scale are one program per iteration. A step of an optimizer of this
face is skipped inside of that program (`optim/skipping.py`); one of a user's own is skipped from
Python, as PyTorch does it, which has to look.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from enum import Enum

from gemel import tensor as lazy
from gemel.graph.form import float64
from gemel.graph.node import Node
from gemel.ops.elementwise import NOT, cast, const, eq, maximum, where
from gemel.ops.predicates import is_finite
from gemel.ops.record import Call
from gemel.ops.reduction import any_
from gemel.torch.creation import tensor
from gemel.torch.dtypes import float16, float32, int32
from gemel.torch.optim.optimizer import Optimizer
from gemel.torch.optim.skipping import can_skip, step_unless
from gemel.torch.tensor import Tensor


class OptState(Enum):
    """How far an optimizer is in this iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class _Progress:
    """Of one optimizer: its stage, and whether its gradients held something not finite."""

    def __init__(self):
        self.stage = OptState.READY
        self.found: Tensor | None = None


# ---------- calls ----------
def _unscaled(attrs, *operands: Node) -> tuple[Node, ...]:
    """(gradients, found, scale) -> gradients / scale, and found or any of them not finite."""
    *grads, found, scale = operands
    bad = [any_(NOT(is_finite(g)), tuple(range(g.ndim))) for g in grads]
    for b in bad:
        found = maximum(found, cast(b, found.dtype))
    # the reciprocal in float64, then in float32: scales are powers of two as a rule
    inverse = cast(1.0 / cast(scale, float64), scale.dtype)
    return (*(g * cast(inverse, g.dtype) for g in grads), found)


def _moved(attrs, scale: Node, tracker: Node, *found: Node) -> tuple[Node, Node]:
    """The next scale, and the iterations since something was not finite."""
    growth, backoff, interval = attrs
    any_found = found[0]
    for f in found[1:]:
        any_found = maximum(any_found, f)
    fine = eq(any_found, const(0.0, any_found.dtype))
    count = tracker + const(1, tracker.dtype)
    due = eq(count, const(interval, tracker.dtype))
    grown = scale * const(growth, scale.dtype)
    # a scale that would be infinite stays
    grown = where(is_finite(grown), grown, scale)
    zero = const(0, tracker.dtype)
    return (
        where(fine, where(due, grown, scale), scale * const(backoff, scale.dtype)),
        where(fine, where(due, zero, count), zero),
    )


UNSCALE = Call("amp_unscale", _unscaled, differentiable=False)
UPDATE_SCALE = Call("amp_update_scale", _moved, differentiable=False)


class GradScaler:
    """Scales losses, unscales gradients, skips steps whose gradients are not finite.

    device            "cpu" here; for "cuda" it warns and does nothing
    init_scale        the first scale
    growth_factor     what it is multiplied with after growth_interval good iterations in a row
    backoff_factor    what it is multiplied with after a bad one
    enabled           False: every method passes on what it is given
    """

    def __init__(self, device: str = "cuda", init_scale: float = 2.0**16,
                 growth_factor: float = 2.0, backoff_factor: float = 0.5,
                 growth_interval: int = 2000, enabled: bool = True) -> None:  # fmt: skip
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda":
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._progress: dict[int, _Progress] = {}

    # ---------- one iteration ----------
    def scale(self, outputs):
        """A tensor, or tensors in containers, times the scale."""
        if not self._enabled:
            return outputs
        if self._scale is None:
            self._begin()
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _begin(self) -> None:
        if self._growth_tracker is not None:
            raise AssertionError("_growth_tracker initialized before _scale")
        with lazy.outside():
            self._scale = tensor(self._init_scale, dtype=float32)
            self._growth_tracker = tensor(self._init_growth_tracker, dtype=int32)

    def _begun(self, name: str) -> Tensor:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )
        return self._scale

    def _of(self, optimizer) -> _Progress:
        return self._progress.setdefault(id(optimizer), _Progress())

    def unscale_(self, optimizer) -> None:
        """Divide the gradients by the scale in place, and look for what is not finite."""
        if not self._enabled:
            return
        scale = self._begun("unscale_")
        progress = self._of(optimizer)
        if progress.stage is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if progress.stage is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params if p.grad is not None]
        if any(g.dtype is float16 for g in grads):
            raise ValueError("Attempting to unscale FP16 gradients.")
        if grads:
            with lazy.no_grad():
                progress.found = found = lazy.filled((), 0, float32.engine, Tensor)
                lazy.update(UNSCALE, [*grads, found], [scale])
        progress.stage = OptState.UNSCALED

    def step(self, optimizer, *args, **kwargs):
        """optimizer.step(*args, **kwargs), unless a gradient is not finite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._begun("step")
        progress = self._of(optimizer)
        if progress.stage is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if progress.stage is OptState.READY:
            self.unscale_(optimizer)
        found = progress.found
        if found is None:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        progress.stage = OptState.STEPPED
        if isinstance(optimizer, Optimizer) and not args and can_skip(optimizer):
            return step_unless(optimizer, found)
        return None if found.item() else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """The next scale: grown, reduced or given. Ends the iteration."""
        if not self._enabled:
            return
        scale = self._begun("update")
        with lazy.no_grad():
            if isinstance(new_scale, Tensor):
                if new_scale.numel() != 1 or new_scale.requires_grad:
                    raise AssertionError(
                        "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
                        "torch.FloatTensor with requires_grad=False."
                    )
                scale.copy_(new_scale)
            elif new_scale is not None:
                scale.fill_(new_scale)
            else:
                self._move(scale)
        self._progress = {}

    def _move(self, scale: Tensor) -> None:
        found = [p.found for p in self._progress.values() if p.found is not None]
        if not found:
            raise AssertionError("No inf checks were recorded prior to update.")
        assert self._growth_tracker is not None
        rule = (self._growth_factor, self._backoff_factor, self._growth_interval)
        lazy.update(UPDATE_SCALE, [scale, self._growth_tracker], found, (), rule)

    # ---------- settings ----------
    def get_scale(self) -> float:
        """The scale as a number: looks."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        tracker = self._growth_tracker
        return self._init_growth_tracker if tracker is None else tracker.item()

    def is_enabled(self) -> bool:
        return self._enabled

    # ---------- saving ----------
    def state_dict(self) -> dict:
        """Scale, factors, interval and the good iterations counted so far."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what `state_dict` gave. RuntimeError where that is empty."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(self._init_scale)
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self) -> dict:
        state = dict(self.__dict__)
        if self._enabled:
            if self._progress:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, "
                    "or at the end after scaler.update()."
                )
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state
