"""`torch.utils.checkpoint`: a part of a model that runs again in the backward pass, instead of
keeping what its gradients need.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import contextmanager, nullcontext

from gemel import tensor as lazy
from gemel.ops.movement import AFTER
from gemel.ops.record import Call
from gemel.tensor.again import computed_again

from ..autograd.function import Function
from ..autograd.gradients import backward as _backward
from ..random import default_generator
from ..tensor import Tensor

_CHOICE = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in "
    "PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception. "
    "use_reentrant=False is recommended, but if you need to preserve the current default behavior, "
    "you can pass use_reentrant=True. Refer to docs for more details on the differences between "
    "the two variants."
)


# a generator's state as it is now, which later draws do not change
HELD = Call("held", lambda attrs, x: x, False)


def _taken() -> tuple:
    """Where the default stream stands; nothing is computed for it."""
    with default_generator.lock:
        return lazy.record1(HELD, default_generator.state), default_generator.cached


@contextmanager
def _streams(taken: tuple | None, g: Tensor):
    """Random numbers are drawn again from there inside, and go on from where they were afterwards.
    They are drawn once the gradient g is known."""
    if taken is None:
        yield
        return
    stream = default_generator
    before = stream.state, stream.cached
    stream.state, stream.cached = lazy.record2(AFTER, taken[0], g), taken[1]
    try:
        yield
    finally:
        stream.state, stream.cached = before


class CheckpointFunction(Function):
    """The variant that calls `backward` inside of the backward pass."""

    @staticmethod
    def forward(ctx, run, preserve, *args):
        ctx.run = run
        ctx.state = _taken() if preserve else None
        ctx.args = args
        return run(*args)

    @staticmethod
    def backward(ctx, *gradients):
        first = next(g for g in gradients if g is not None)
        inputs = [_apart(x, first) for x in ctx.args]
        with _streams(ctx.state, first), lazy.enable_grad():
            outputs = ctx.run(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (y, g)
            for y, g in zip(outputs, gradients, strict=True)
            if isinstance(y, Tensor) and lazy.requires_grad(y)
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        ys, gs = zip(*pairs, strict=True)
        _backward(list(ys), list(gs))
        return (None, None, *(x.grad if isinstance(x, Tensor) else None for x in inputs))


def _apart(x, g: Tensor):
    """A leaf with x's value, known once the gradient g is."""
    if not isinstance(x, Tensor):
        return x
    with lazy.no_grad():
        value = lazy.record2(AFTER, x.detach(), g)
    return value.requires_grad_(lazy.requires_grad(x))


def checkpoint(function: Callable, *args, use_reentrant: bool | None = None, context_fn=None,
               determinism_check: str = "default", debug: bool = False,
               early_stop: bool = True, preserve_rng_state: bool = True, **kwargs):  # fmt: skip
    """function(*args, **kwargs), computed again when gradients go through it.

    use_reentrant=True runs it without history, and again in the backward pass. Otherwise it is
    recorded once, and the program computes again what its gradients need (`tensor/again.py`): then
    what it does beside its result, such as a batch norm's running averages, is done once.
    """
    if use_reentrant is None:
        warnings.warn(_CHOICE, stacklevel=2)
        use_reentrant = True
    if not use_reentrant:
        return _plain(function, args, kwargs, context_fn)
    if context_fn is not None or debug:
        raise ValueError(
            "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
        )
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if not any(isinstance(a, Tensor) and lazy.requires_grad(a) for a in args):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )
    return CheckpointFunction.apply(function, preserve_rng_state, *args)


def _plain(function: Callable, args: tuple, kwargs: dict, context_fn):
    first = nullcontext() if context_fn is None else context_fn()[0]
    with first, computed_again():
        return function(*args, **kwargs)


def checkpoint_sequential(functions, segments: int, input, use_reentrant: bool | None = None,
                          **kwargs):  # fmt: skip
    """A chain of functions in so many parts, of which all but the last run as checkpoints."""
    if use_reentrant is None:
        warnings.warn(_CHOICE, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    layers = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(layers) // segments

    def part(start: int, stop: int) -> Callable:
        def run(x):
            for layer in layers[start:stop]:
                x = layer(x)
            return x

        return run

    at = 0
    for _ in range(segments - 1):
        input = checkpoint(
            part(at, at + size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
        at += size
    return part(at, len(layers))(input)
