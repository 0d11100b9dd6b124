"""`Optimizer`: parameter groups, state, and the step that all update rules share.

A step records one transition per group: parameters and state tensors are rewritten from the
gradients. Hyper-parameters are run-time numbers, so changing them compiles nothing. A step ends
with running what is pending.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from operator import is_

from gemel import tensor as lazy
from gemel.graph.node import Node
from gemel.ops.complex import as_complex, as_real
from gemel.ops.elementwise import cast
from gemel.ops.record import Call, is_number
from gemel.torch.guards import clear_gradients, guard
from gemel.torch.nn.hooks import RemovableHandle, Table
from gemel.torch.tensor import Tensor

from .parameter_state import STEP, Changes, Counter, StateTable


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Bunch:
    """Parameters of one group that step together, with everything that depends only on them."""

    __slots__ = ("params", "pack", "counter", "changes", "first", "stepping", "numbers")

    def __init__(self, params: list[Tensor], pack, counter: Counter, changes: int, first: bool):
        self.params = list(params)
        self.pack = pack
        self.counter = counter
        self.changes = changes
        self.first = first
        self.stepping = lazy.Stepping(self.params, pack)
        self.numbers: Callable[[], list[float]] | None = None


class Optimizer:
    """Base of all optimizers. Subclasses say their rule:

    call            the Call of the update: expand(attrs, *scalars, *params, *grads, *state)
                    gives (new params, new state), state sorted by slot, then by parameter
    counts_steps    is there a 'step' entry in the state?
    slots(group)    names of the state tensors
    static(group)   what the program depends on: truth values, no numbers
    numbers(group, steps, first)   the run-time numbers of the step; `first`: the state is new
    """

    call: Call
    counts_steps = False
    eager = False  # is the state made with the group, before the first step?

    def __init__(self, params, defaults: dict):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {params.type()}"
            )
        self.defaults = defaults
        self._changes = Changes()
        self._state = StateTable(self._changes, self.counts_steps)
        self._bunches: dict[int, list[Bunch]] = {}
        self._before: Table | None = None
        self._after: Table | None = None
        self._called = False  # has step() run? Schedulers warn where not
        self.param_groups: list[dict] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group) if isinstance(group, dict) else group)

    # ---------- the rule ----------
    def slots(self, group: dict) -> tuple[str, ...]:
        return ()

    def static(self, group: dict) -> tuple:
        return ()

    def numbers(self, group: dict, steps: int, first: bool) -> list[float]:
        raise NotImplementedError

    def initial(self, group: dict, slot: str, parameter: Tensor) -> Tensor:
        """The first value of a state tensor."""
        # in memory at once: the first step is then the same program as all others
        f = parameter.form
        return lazy.filled(f.shape, 0, f.dtype, parameter.kin)

    # ---------- groups and state ----------
    @property
    def state(self) -> StateTable:
        return self._state

    @state.setter
    def state(self, entries) -> None:
        table = StateTable(self._changes, self.counts_steps)
        for parameter, own in entries.items():
            table[parameter] = own
        self._changes.count += 1
        self._state = table

    def add_param_group(self, param_group: dict) -> None:
        """Add parameters with settings of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else list(given)
        named = [isinstance(p, tuple) for p in params]
        if any(named):
            if not all(named):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            param_group["param_names"] = [name for name, _ in params]
            params = [parameter for _, parameter in params]
        if any(("param_names" in other) != any(named) for other in self.param_groups):
            without = "without names" if any(named) else "with names"
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if any(named) else 'without'} names to the optimizer {without}"
            )
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    f"{type(parameter).__name__}"
                )
            if not lazy.is_leaf(parameter) and not self.defaults.get("differentiable"):
                raise ValueError("can't optimize a non-leaf Tensor")
        param_group["params"] = params
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error",
                stacklevel=3,
            )
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if not known.isdisjoint(id(p) for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)
        if self.eager:
            self._plan(param_group, params)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero in place."""
        for group in self.param_groups:
            if set_to_none:
                clear_gradients(group["params"])
                continue
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.detach_()
                    p.grad.zero_()

    # ---------- the step ----------
    def step(self, closure: Callable | None = None):
        """Update the parameters that have gradients. Returns the closure's loss, if one is given.

        Runs everything pending.
        """
        if self._before:
            for hook in list(self._before.values()):
                hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with lazy.enable_grad():
                loss = closure()
        self._called = True
        for group in self.param_groups:
            self._step_group(group)
        lazy.flush()
        if self._after:
            for hook in list(self._after.values()):
                hook(self, (closure,), {})
        return loss

    def _step_group(self, group: dict) -> None:
        bunch = self._only_bunch(group)
        if bunch is not None:
            found = bunch.stepping.look()
            if found is not None:
                self._step_as_usual(group, bunch, found)
                return
        for bunch in self.bunches(group):
            self._update(group, bunch, [p.grad for p in bunch.params])

    def bunches(self, group: dict) -> list[Bunch]:
        """The parameters that have gradients, by those that step together."""
        params = [p for p in group["params"] if p.grad is not None]
        if not params:
            return []
        bunches = self._bunches.get(id(group), [])
        if len(bunches) != 1 or not self._is_current(bunches[0], params):
            for bunch in bunches:
                bunch.stepping.end()
            bunches = self._bunches[id(group)] = self._plan(group, params)
        return bunches

    def _only_bunch(self, group: dict) -> Bunch | None:
        """The bunch of all parameters, where all of them stepped together the last time."""
        bunches = self._bunches.get(id(group))
        if bunches is None or len(bunches) != 1:
            return None
        return bunches[0] if self._is_current(bunches[0], group["params"]) else None

    def _is_current(self, bunch: Bunch, params: list[Tensor]) -> bool:
        known = bunch.params
        same = len(known) == len(params) and all(map(is_, known, params))
        return same and bunch.changes == self._changes.count

    def _step_as_usual(self, group: dict, bunch: Bunch, found: tuple) -> None:
        static = (len(bunch.params), *self.static(group))
        numbers = bunch.numbers
        if numbers is None:
            numbers = bunch.numbers = self.counting(group, bunch)
        bunch.stepping.update(found, self.call, numbers(), static, bunch.pack)

    def _plan(self, group: dict, params: list[Tensor]) -> list[Bunch]:
        """Parameters by the number of steps they took; state tensors are made where missing."""
        slots = self.slots(group)
        kinds: dict[tuple, list[Tensor]] = {}
        for p in params:
            own = self._state[p] if slots or self.counts_steps else {}
            first = any(own.get(slot) is None for slot in slots)
            steps = own.steps() if self.counts_steps else 0
            kinds.setdefault((steps, first), []).append(p)
        return [
            self._bunch(group, some, slots, steps, first)
            for (steps, first), some in kinds.items()
        ]

    def _bunch(self, group, params, slots, steps: int, first: bool) -> Bunch:
        counter = Counter(steps)
        if self.counts_steps:
            for p in params:
                self._state[p].count_from(counter)
        kept = []
        with lazy.outside():
            for slot in slots:
                for p in params:
                    own = self._state[p]
                    if own.get(slot) is None:
                        dict.__setitem__(own, slot, self.initial(group, slot, p))
                    kept.append(own[slot])
        pack = lazy.Pack(kept) if kept else None
        return Bunch(params, pack, counter, self._changes.count, first)

    def _update(self, group: dict, bunch: Bunch, grads: list[Tensor]) -> None:
        params = bunch.params
        static = (len(params), *self.static(group))
        if lazy.tracing():
            scalars = self._live_numbers(group, bunch, static)
        else:
            scalars = self._numbers(group, bunch)
        lazy.update(self.call, params, grads, scalars, static, bunch.pack)

    def _live_numbers(self, group: dict, bunch: Bunch, static: tuple) -> list[float]:
        """Numbers that a compiled function asks for at every call. Recording it is no step."""
        steps, first = bunch.counter.steps, bunch.first
        numbers = lazy.replayed(self.counting(group, bunch))
        bunch.counter.steps, bunch.first = steps, first
        params = group["params"]
        count = len(params)
        changes = self._changes
        seen = changes.count
        fixed = self.fixed_static(group)
        guard(
            lambda: changes.count == seen
            and group["params"] is params
            and len(params) == count
            and fixed()
        )
        return numbers

    def fixed_static(self, group: dict) -> Callable[[], bool]:
        """Is `static` what it is now? Asked before every call of a compiled function."""
        static = self.static(group)
        return lambda: self.static(group) == static

    def counting(self, group: dict, bunch: Bunch) -> Callable[[], list[float]]:
        """What counts a step of these parameters and gives its numbers."""
        return lambda: self._numbers(group, bunch)

    def _numbers(self, group: dict, bunch: Bunch) -> list[float]:
        """Count a step; its run-time numbers."""
        counter = bunch.counter
        counter.steps += 1
        first = bunch.first
        bunch.first = False
        return self.numbers(group, counter.steps, first)

    # ---------- saving ----------
    def state_dict(self) -> dict:
        """{'state': {number: entries}, 'param_groups': [...]}; parameters are numbered in order."""
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number.setdefault(id(p), len(number))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [number[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {number.get(id(p), p): dict(own.items()) for p, own in self._state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over groups and state. ValueError where the groups do not fit."""
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved, strict=True))
        if any(len(a["params"]) != len(b["params"]) for a, b in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        numbers = chain.from_iterable(g["params"] for g in saved)
        params = chain.from_iterable(g["params"] for g in self.param_groups)
        by_number = dict(zip(numbers, params, strict=True))
        self._state.clear()
        for number, entries in state_dict["state"].items():
            parameter = by_number.get(number, number)
            self._state[parameter] = {k: _fitted(k, v, parameter) for k, v in entries.items()}
        for group, new in pairs:
            rest = {k: deepcopy(v) for k, v in new.items() if k != "params"}
            params = group["params"]
            group.clear()
            group.update(rest)
            group["params"] = params
        self._bunches.clear()

    def __getstate__(self) -> dict:
        return {"defaults": self.defaults, "state": dict(self._state),
                "param_groups": self.param_groups}

    def __setstate__(self, saved: dict) -> None:
        self.defaults = saved["defaults"]
        self._changes = Changes()
        self._bunches = {}
        self._before = self._after = None
        self._called = False
        self.param_groups = saved["param_groups"]
        self.state = saved["state"]

    # ---------- hooks and printing ----------
    def register_step_pre_hook(self, hook) -> RemovableHandle:
        """hook(optimizer, args, kwargs) before each step."""
        if self._before is None:
            self._before = Table()
        return self._before.insert(hook)

    def register_step_post_hook(self, hook) -> RemovableHandle:
        """hook(optimizer, args, kwargs) after each step."""
        if self._after is None:
            self._after = Table()
        return self._after.insert(hook)

    def __repr__(self) -> str:
        rows = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            rows.append(f"Parameter Group {i}")
            rows += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join(rows) + "\n)"


def _fitted(name: str, value, parameter):
    """A loaded entry as this parameter's state takes it: in its element type; tensors of that type
    are shared with what was loaded."""
    if not isinstance(value, Tensor) or not isinstance(parameter, Tensor):
        return deepcopy(value)
    if name == STEP:
        return value
    with lazy.no_grad():
        if parameter.is_floating_point():
            return value.detach().to(parameter.dtype)
        return value.detach()


def check_unsupported(defaults: dict) -> None:
    """Options that change how PyTorch computes but not what: accepted, unless contradictory."""
    if defaults.get("fused") and defaults.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if defaults.get("differentiable"):
        if defaults.get("fused"):
            raise RuntimeError("`fused` does not support `differentiable`")
        raise NotImplementedError(
            "differentiable=True is not supported: the step is recorded without history"
        )


def check_number(name: str, value, at_least: float = 0.0, text: str | None = None) -> None:
    """ValueError unless value >= at_least."""
    if not at_least <= value:
        raise ValueError(text or f"Invalid {name}: {value}")


def fitting(p: Node, g: Node) -> Node:
    """The gradient, which must have its parameter's shape."""
    if g.shape != p.shape:
        raise RuntimeError(
            f"a parameter of size '{list(p.shape)}' has a gradient of size '{list(g.shape)}'. "
            "Please ensure that the gradient and the tensor are the same size"
        )
    return g


def updating(name: str, expand: Callable) -> Call:
    """The Call of an update: attrs start with the number of parameters. Complex values are updated
    part by part, as pairs of real ones."""

    def by_parts(attrs, *operands):
        kinds = [x.dtype.is_complex for x in operands if not is_number(x)]
        if not any(kinds):
            return expand(attrs, *operands)
        pairs = [as_real(x) if x.dtype.is_complex else x for x in operands]
        n = attrs[0]
        kept = kinds[:n] + kinds[2 * n :]  # the gradients between them are no results
        made = zip(expand(attrs, *pairs), kept, strict=True)
        return tuple(as_complex(y) if is_complex else y for y, is_complex in made)

    return Call(name, by_parts, differentiable=False)


class Scalars:
    """Run-time numbers of an update in the element types of the parameters, each cast once."""

    def __init__(self, numbers: tuple):
        self.numbers = numbers
        self.cast: dict = {}

    def of(self, p: Node) -> list[Node]:
        """The numbers in p's element type."""
        if p.dtype not in self.cast:
            self.cast[p.dtype] = [cast(n, p.dtype) for n in self.numbers]
        return self.cast[p.dtype]


def as_number(x) -> float:
    """A hyper-parameter as a Python float (a learning rate may be a tensor)."""
    if isinstance(x, Tensor) and x.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    return x.item() if isinstance(x, Tensor) else float(x)


ParamsT = Iterable
