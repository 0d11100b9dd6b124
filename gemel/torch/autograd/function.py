"""`torch.autograd.Function`: operations with a gradient written in Python.

The forward runs without history. Its outputs are tied to the inputs by a link that carries no
values; hooks on both ends of the link catch the outputs' gradients and give back what the user's
`backward` makes of them.
"""

from __future__ import annotations

from gemel import tensor as lazy
from gemel.ops.elementwise import cast, stop_gradient
from gemel.ops.movement import expand, zeros
from gemel.ops.record import Call
from gemel.ops.reduction import sum_
from gemel.tensor import add_hook, record1, record_n

from ..tensor import Tensor

# an input's end of the link: its value, and a gradient that is replaced
INPUT_END = Call("function_input", lambda attrs, x: x + zeros((), x.dtype))


def _output_end(attrs, value, *inputs):
    """The forward's value; the inputs take part in the gradient only."""
    total = stop_gradient(value)
    for x in inputs:
        part = cast(sum_(x), value.dtype)
        nothing = part - stop_gradient(part)
        total = total + expand(nothing, value.shape) * 0.0
    return total


OUTPUT_END = Call("function", _output_end)


class Context:
    """What `forward` leaves for `backward`: saved tensors and attributes of the user's choice."""

    def __init__(self, needs: tuple[bool, ...]):
        self.needs_input_grad = needs
        self._saved: tuple = ()
        self._flat: set[int] = set()

    def save_for_backward(self, *tensors) -> None:
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple:
        return self._saved

    def mark_non_differentiable(self, *tensors) -> None:
        self._flat = {id(t) for t in tensors}

    def mark_dirty(self, *tensors) -> None:
        raise NotImplementedError("mark_dirty is not there yet in Gemel's PyTorch face")

    def set_materialize_grads(self, value: bool) -> None:
        self.materialize = value


class _Link:
    """Collects the outputs' gradients, runs `backward` once, hands out the inputs' gradients."""

    def __init__(self, function, ctx: Context, outputs: list, inputs: list[tuple[int, Tensor]]):
        self.function = function
        self.ctx = ctx
        self.forms = [o.form if isinstance(o, Tensor) else None for o in outputs]
        self.inputs = inputs
        self.given: dict[int, Tensor] = {}
        self.made: tuple | None = None

    def catch(self, place: int):
        def hook(g):
            self.given[place] = g
            self.made = None

        return hook

    def answer(self, place: int):
        def hook(_):
            if self.made is None:
                self.made = self._run()
            found = self.made[place] if place < len(self.made) else None
            return self._zero(place) if found is None else found

        return hook

    def _zero(self, place: int) -> Tensor:
        x = dict(self.inputs)[place]
        return lazy.fill(x.form.shape, 0, x.form.dtype, Tensor)

    def _run(self) -> tuple:
        grads = []
        for place, f in enumerate(self.forms):
            g = self.given.get(place)
            if g is None and f is not None:
                g = lazy.fill(f.shape, 0, f.dtype, Tensor)
            grads.append(g)
        self.given = {}
        with lazy.no_grad():
            found = self.function.backward(self.ctx, *grads)
        return found if isinstance(found, tuple) else (found,)


class forward_mode:
    """Inside, gradients are taken to be transposed: a Function's own `jvp` is asked."""

    active = 0

    def __enter__(self) -> None:
        forward_mode.active += 1

    def __exit__(self, *error) -> None:
        forward_mode.active -= 1


class Function:
    """Subclass it with static methods `forward(ctx, *inputs)` and `backward(ctx, *gradients)`;
    call it with `apply`. `setup_context(ctx, inputs, output)` may take the ctx part of forward."""

    @staticmethod
    def forward(*args, **options):
        raise NotImplementedError("You must implement the forward function for custom Function.")

    @staticmethod
    def backward(ctx, *gradients):
        raise NotImplementedError("You must implement the backward function for custom Function.")

    @classmethod
    def apply(cls, *args):
        """Run forward and tie its outputs to the inputs."""
        needs = tuple(isinstance(a, Tensor) and lazy.requires_grad(a) for a in args)
        ctx = Context(needs)
        with lazy.no_grad():
            result = cls._run_forward(ctx, args)
        if not any(needs) or not lazy.grad_enabled():
            return result
        outputs = list(result) if isinstance(result, tuple) else [result]
        inputs = [(i, a) for i, a in enumerate(args) if needs[i]]
        tied = cls._tie(ctx, outputs, inputs)
        return tuple(tied) if isinstance(result, tuple) else tied[0]

    @classmethod
    def _run_forward(cls, ctx, args):
        if "setup_context" in {n for k in cls.__mro__ for n in vars(k)}:
            result = cls.forward(*args)
            cls.setup_context(ctx, args, result)
            return result
        return cls.forward(ctx, *args)

    @classmethod
    def _tie(cls, ctx: Context, outputs: list, inputs: list) -> list:
        link = _Link(cls, ctx, outputs, inputs)
        ends = []
        for place, x in inputs:
            end = record1(INPUT_END, x)
            add_hook(end, link.answer(place))
            ends.append(end)
        tied = []
        for place, value in enumerate(outputs):
            smooth = isinstance(value, Tensor) and value.form.dtype.kind == "f"
            if not smooth or id(value) in ctx._flat:
                tied.append(value)
                continue
            out = record_n(OUTPUT_END, Tensor, (value.detach(), *ends))
            add_hook(out, link.catch(place))
            tied.append(out)
        return tied


class once_differentiable:
    """Decorator for a `backward` that is not differentiated again: as it is here anyway."""

    def __new__(cls, function):
        return function
