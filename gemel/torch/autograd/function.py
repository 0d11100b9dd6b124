"""`torch.autograd.Function`: operations with a gradient written in Python.

The forward runs without history. Its outputs are tied to the inputs by a link that carries no
values; hooks on both ends of the link catch the outputs' gradients and give back what the user's
`backward` makes of them.
"""

from __future__ import annotations

import threading
import warnings
from functools import wraps
from typing import Any

from gemel import tensor as lazy
from gemel.ops.elementwise import cast, stop_gradient
from gemel.ops.movement import expand, zeros
from gemel.ops.record import Call
from gemel.ops.reduction import sum_
from gemel.tensor import add_hook, record1, record_n
from gemel.tensor.backward import SWEEPS
from gemel.tensor.errors import FREED, FreedGraph
from gemel.tensor.lanes import run_in_lanes
from gemel.tensor.tape import LOCAL

from ..tensor import Tensor
from .levels import ACTIVE
from .saving import Saved

_MANUAL = "https://pytorch.org/docs/main/notes/extending.func.html"

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


class _Depth(threading.local):
    forward = 0


_DEPTH = _Depth()


class forward_mode:
    """Inside, gradients are taken to be transposed: a Function's own `jvp` is asked."""

    def __enter__(self) -> None:
        _DEPTH.forward += 1

    def __exit__(self, *error) -> None:
        _DEPTH.forward -= 1


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors and attributes of the user's choice."""

    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads = True
    _saved: tuple = ()
    _forward: tuple = ()
    _flat: frozenset[int] = frozenset()
    _dirty: tuple = ()
    _freed = False
    _link: Any = None

    def save_for_backward(self, *tensors) -> None:
        """Keep tensors (or None) for `backward`, where they are `ctx.saved_tensors`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{tensors.index(t)} is of type {type(t).__name__}"
                )
        self._saved = tuple(Saved.of(t) for t in tensors)

    def save_for_forward(self, *tensors) -> None:
        """Keep tensors for `jvp`."""
        self._forward = tensors

    @property
    def saved_tensors(self) -> tuple:
        if self._freed and self._saved:
            raise FreedGraph(FREED)
        if not self._saved:
            return self._forward
        return tuple(s.value(self._link) for s in self._saved)

    saved_variables = saved_tensors

    @property
    def to_save(self) -> tuple:
        return tuple(s.tensor for s in self._saved)

    def mark_non_differentiable(self, *tensors) -> None:
        """These outputs have no gradient."""
        self._flat = frozenset(map(id, tensors))

    def mark_dirty(self, *tensors) -> None:
        """These inputs were written in place; they must be outputs too."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Are missing gradients zeros for `backward` (default), or None?"""
        self.materialize_grads = value


class _Catch:
    """At an output: takes its gradient."""

    always = True

    def __init__(self, link: Link, place: int):
        self.link = link
        self.place = place

    def __call__(self, g):
        self.in_lanes(g, 0)

    def in_lanes(self, g, lanes: int):
        self.link.given[self.place] = g
        self.link.made = None


class _Answer:
    """At an input: its gradient is what `backward` gives."""

    always = True

    def __init__(self, link: Link, place: int):
        self.link = link
        self.place = place

    def __call__(self, g):
        return self.in_lanes(g, 0)

    def in_lanes(self, g, lanes: int):
        link = self.link
        if link.made is None:
            link.made = link.run(lanes)
        found = link.made[self.place]
        return link.zero(self.place, lanes) if found is None else found


class Link:
    """Collects the outputs' gradients, runs `backward` once, hands out the inputs' gradients."""

    def __init__(self, function, ctx: FunctionCtx, args: tuple, outputs: list):
        self.function = function
        self.ctx = ctx
        self.forms = [o.form if isinstance(o, Tensor) else None for o in outputs]
        self.inputs = [a.form if isinstance(a, Tensor) else None for a in args]
        self.raw = {id(o): k for k, o in enumerate(outputs) if isinstance(o, Tensor)}
        self.tied: list = []
        self.given: dict[int, Tensor] = {}
        self.made: list | None = None

    def zero(self, place: int, lanes: int = 0) -> Tensor:
        f = self.inputs[place]
        lead = (lanes,) if lanes else ()
        return lazy.fill((*lead, *f.shape), 0, f.dtype, Tensor)

    def run(self, lanes: int) -> list:
        """The gradient of each argument of `apply`, None where there is none."""
        given, self.given = self.given, {}
        if not lanes:
            found = self._checked(self._backward(given))
        else:
            found = self._in_lanes(given, lanes)
        if not SWEEPS.under_way[-1].retain:
            self.ctx._freed = True
        return found

    def _in_lanes(self, given: dict, lanes: int) -> list:
        places = list(given)
        where: list[int] = []

        def one(*rows) -> list:
            found = self._checked(self._backward(dict(zip(places, rows, strict=True))))
            where.extend(k for k, g in enumerate(found) if g is not None)
            return [g for g in found if g is not None]

        made = run_in_lanes(one, list(given.values()), [True] * len(places), lanes)
        out: list = [None] * len(self.inputs)
        for k, (g, many) in zip(where, made, strict=True):
            out[k] = g if many else g.expand((lanes, *g.form.shape))
        return out

    def _backward(self, given: dict) -> tuple:
        grads: list = []
        for place, f in enumerate(self.forms):
            g = given.get(place)
            if g is None and f is not None and self.ctx.materialize_grads:
                g = lazy.fill(f.shape, 0, f.dtype, Tensor)
            grads.append(g)
        if _DEPTH.forward:
            found = self._transposed(grads)
        elif self.function.backward is Function.backward:
            found = self.function.vjp(self.ctx, *grads)
        else:
            found = self.function.backward(self.ctx, *grads)
        return found if isinstance(found, tuple) else (found,)

    def _transposed(self, grads: list) -> tuple:
        """The transpose of the user's `jvp`: linear, so its gradient anywhere is that."""
        if self.function.jvp is Function.jvp:
            raise NotImplementedError(
                "You must implement the jvp function for custom autograd.Function to use it with "
                "forward mode AD."
            )
        needs = self.ctx.needs_input_grad
        tangents = [
            lazy.filled(f.shape, 0, f.dtype, Tensor).requires_grad_() if f and need else None
            for f, need in zip(self.inputs, needs, strict=True)
        ]
        made = self.function.jvp(self.ctx, *tangents)
        made = made if isinstance(made, tuple) else (made,)
        pairs = [
            (y, g)
            for y, g in zip(made, grads, strict=True)
            if y is not None and g is not None and lazy.requires_grad(y)
        ]
        asked = [t for t in tangents if t is not None]
        if not pairs:
            return (None,) * len(tangents)
        ys, gs = zip(*pairs, strict=True)
        found = iter(lazy.grad(ys, asked, gs, True, True, True, hooks=False))
        return tuple(None if t is None else next(found) for t in tangents)

    # ---------- what came back ----------
    def _checked(self, found: tuple) -> list:
        name = f"{self.function.__name__}Backward"
        count = len(self.inputs)
        if len(found) > count and all(g is None for g in found[count:]):
            found = found[:count]
        if len(found) != count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, got "
                f"{len(found)})"
            )
        return [self._one(name, k, g) for k, g in enumerate(found)]

    def _one(self, name: str, place: int, g):
        f = self.inputs[place]
        if g is None:
            return None
        if not isinstance(g, Tensor):
            raise RuntimeError(f"expected Variable or None (got {type(g).__name__})")
        if f is None:
            raise RuntimeError(
                f"function {name} returned a gradient different than None at position {place + 1}, "
                "but the corresponding forward input was not a Variable"
            )
        if not self.ctx.needs_input_grad[place]:
            return None
        if g.form.shape != f.shape:
            g = self._fitted(name, place, g, f)
        return g if g.form.dtype is f.dtype else record1(_AS[f.dtype], g)

    def _fitted(self, name: str, place: int, g: Tensor, f) -> Tensor:
        """A gradient that was broadcast is summed."""
        try:
            return g.sum_to_size(f.shape)
        except RuntimeError:
            raise RuntimeError(
                f"Function {name} returned an invalid gradient at index {place} - got "
                f"{list(g.form.shape)} but expected shape compatible with {list(f.shape)}"
            ) from None


class _Casts(dict):
    def __missing__(self, dtype):
        call = Call("to", lambda attrs, x: cast(x, dtype))
        return self.setdefault(dtype, call)


_AS = _Casts()
_ENDS: dict[str, Call] = {}


def _end_of(function: type) -> Call:
    """The output end of a function, under its name."""
    name = f"function:{function.__name__}"
    found = _ENDS.get(name)
    return found or _ENDS.setdefault(name, Call(name, _output_end))


class Function:
    """Subclass it with static methods `forward(ctx, *inputs)` and `backward(ctx, *gradients)`;
    call it with `apply`.

    setup_context(ctx, inputs, output)   takes the ctx part of forward, which then has no ctx
    jvp(ctx, *tangents)                  forward mode
    vmap(info, in_dims, *inputs)         gives (outputs, out_dims); or generate_vmap_rule = True
    """

    generate_vmap_rule = False

    @staticmethod
    def forward(*args, **options):
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *gradients):
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def vjp(ctx, *gradients):
        return Function.backward(ctx, *gradients)

    @staticmethod
    def jvp(ctx, *tangents):
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap static method "
            "or set generate_vmap_rule=True."
        )

    def __init__(self, *args, **options):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args, **options):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method."
        )

    @classmethod
    def apply(cls, *args):
        """Run forward and tie its outputs to the inputs."""
        if ACTIVE.levels and not cls._has("setup_context"):
            raise RuntimeError(
                "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, "
                "jacrev, ...), it must override the setup_context staticmethod. For more details, "
                f"please see {_MANUAL}"
            )
        needs = tuple(isinstance(a, Tensor) and lazy.requires_grad(a) for a in args)
        ctx = type("FunctionCtx", (FunctionCtx,), {})()
        ctx.needs_input_grad = needs
        with lazy.no_grad():
            result = cls._run_forward(ctx, args)
        if not any(needs) or not lazy.grad_enabled():
            return result
        outputs = list(result) if isinstance(result, tuple) else [result]
        tied = cls._tied(ctx, args, outputs)
        return tuple(tied) if isinstance(result, tuple) else tied[0]

    @classmethod
    def _has(cls, name: str) -> bool:
        """Did the user write this method?"""
        return getattr(cls, name) is not getattr(Function, name)

    @classmethod
    def _run_forward(cls, ctx, args):
        recording = LOCAL.tape.tracing
        lanes = recording is not None and recording.size
        if lanes and not cls.generate_vmap_rule or cls.generate_vmap_rule and cls._has("vmap"):
            result = cls._in_lanes(recording, args)
            if result is not None:
                cls.setup_context(ctx, args, result)
                return result
        if cls._has("setup_context"):
            result = cls.forward(*args)
            cls.setup_context(ctx, args, result)
            return result
        return cls.forward(ctx, *args)

    @classmethod
    def _in_lanes(cls, recording, args):
        """What the user's `vmap` gives; None where no argument has lanes."""
        from .mapped import by_users_rule

        if cls.generate_vmap_rule:
            raise RuntimeError(
                f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True "
                "and an overriden vmap staticmethod. Please set generate_vmap_rule=False or delete "
                "the overriden vmap staticmethod to avoid ambiguity. For more details, please see "
                f"{_MANUAL}"
            )
        return by_users_rule(cls, recording, args, cls._has("vmap"), _MANUAL)

    @classmethod
    def _tied(cls, ctx: FunctionCtx, args: tuple, outputs: list) -> list:
        if LOCAL.tape.tracing is not None:
            from .mapped import tied_in_graph

            return tied_in_graph(cls, ctx, args, outputs, Link(cls, ctx, args, outputs))
        link = Link(cls, ctx, args, outputs)
        ctx._link = link
        ends = []
        for place, need in enumerate(ctx.needs_input_grad):
            if need:
                end = record1(INPUT_END, args[place])
                add_hook(end, _Answer(link, place))
                ends.append(end)
        for place, value in enumerate(outputs):
            link.tied.append(cls._tie(ctx, link, place, value, ends))
        return link.tied if ctx._saved else list(link.tied)

    @classmethod
    def _tie(cls, ctx: FunctionCtx, link: Link, place: int, value, ends: list):
        if not isinstance(value, Tensor) or not smooth(value) or id(value) in ctx._flat:
            return value
        out = record_n(_end_of(cls), Tensor, (lazy.detach(value), *ends))
        add_hook(out, _Catch(link, place))
        if any(value is d for d in ctx._dirty):
            lazy.write(value, out)
            return value
        return out


def smooth(t: Tensor) -> bool:
    """Can a gradient flow through tensors of this type?"""
    return t.form.dtype.is_smooth


def once_differentiable(function):
    """Decorator for a `backward` that cannot be differentiated again."""

    @wraps(function)
    def run(ctx, *gradients):
        with lazy.no_grad():
            found = function(ctx, *gradients)
        watched = any(isinstance(g, Tensor) and lazy.requires_grad(g) for g in gradients)
        if not lazy.grad_enabled() or not watched:
            return found
        made = found if isinstance(found, tuple) else (found,)
        first = next(g for g in gradients if isinstance(g, Tensor) and lazy.requires_grad(g))
        barred = tuple(_Once.apply(first, g) if isinstance(g, Tensor) else g for g in made)
        return barred if isinstance(found, tuple) else barred[0]

    return run


class _Once(Function):
    """The second argument, with a gradient that is an error."""

    @staticmethod
    def forward(source, value):
        return value.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


class InplaceFunction(Function):
    """A `Function` that older programs subclass."""


class NestedIOFunction(Function):
    """Refused: nested inputs and outputs belong to programs of before 2018."""

    @classmethod
    def apply(cls, *args):
        raise NotImplementedError("NestedIOFunction is not there; flatten the structure instead")
