"""`torch.compile`: a function recorded once and called as one program.

A record is good for arguments of the same structure, forms and Python values, the same grad mode
and the same training flags of the modules that it called; another combination makes another record.
Gradients filled inside, optimizer steps and writes to buffers are part of the program; learning
rates and step counts are asked for at every call. A function that looks at a value while it is
recorded is a graph break: it runs plainly from then on, recorded lazily like any other code. So
does one that keeps tensors of its own (in a list, say) beside results, gradients and buffers.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from operator import is_, itemgetter
from typing import Any

from gemel import tensor as lazy
from gemel.runtime.builtins.direct_call import Words, install
from gemel.tensor.direct import Conditions, code_for
from gemel.tensor.errors import TraceBreak
from gemel.tensor.steady import Steady
from gemel.tensor.straight import MISSED
from gemel.tensor.tape import LOCAL

from .guards import MODES, collected
from .nn.module import Module
from .nn.watching import watched_calls
from .short_calls import Pick, RecordFront
from .structure import flatten, signature, unflatten
from .tensor import Tensor

DIRECT = 16  # calls of a program that is worth a plan of calls without Python
RECORDS = 64  # of one function; when there are more, it runs plainly
_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
OWN = f"{__package__}."  # functions of the face: what they name stays what it is
_SIMPLE = (int, float, str, bool, bytes, type(None))


class Record:
    """One recorded program with what it depends on.

    run       the program: tensors -> tensors
    rebuild   (flat results, tensors of the call) -> the function's own
    modules   called inside; training: their flags;  members: their parameters, buffers, children
    checks    further conditions
    front     what its short way asks of a call
    unknown   tensors without a gradient when it was added to: was it forgotten inside?
    kept      did the function keep tensors of its own somewhere (a list, an attribute)?
    """

    __slots__ = ("run", "rebuild", "modules", "training", "members", "checks", "unknown",
                 "kept", "front")  # fmt: skip

    def __init__(self, run, rebuild, modules, front, unknown, kept):
        self.unknown = unknown
        self.kept = kept
        self.run = run
        self.rebuild = rebuild
        self.modules = modules
        self.training = [m.training for m in modules]
        self.members = _members(modules)
        self.checks = front.checks
        self.front = front
        run.front = front

    def is_good(self) -> bool:
        if LOCAL.tape.casting is not self.front.casting:
            return False
        if MODES.changes != self.front.modes:
            now = _members(self.modules)
            same = len(now) == len(self.members) and all(map(is_, now, self.members))
            flags = [m.training for m in self.modules]
            if not same or flags != self.training or self.run.is_left():
                return False
            self.front.modes = MODES.changes
        for check in self.checks:
            if not check():
                return False
        return True

    def answer(self, tensors) -> Any:
        """The function's result for these tensors, of a record that is good for them."""
        out = self.run.short_result(tensors)
        if out is MISSED:
            out = self.rebuild(self.run.usual(tensors), tensors)
        return out


def _members(modules: list[Module]) -> list:
    """Their parameters, buffers and children."""
    tables = ("_parameters", "_buffers", "_modules")
    return [v for m in modules for table in tables for v in m.__dict__[table].values()]


class Outside:
    """The global and enclosing variables that a function names, to see whether they changed."""

    def __init__(self, function: Callable):
        inner = getattr(function, "__func__", function)
        code = getattr(inner, "__code__", None)
        self.globals: dict = {}
        self.names: tuple[str, ...] = ()
        self.cells: tuple = ()
        if isinstance(inner, types.FunctionType):
            self.globals = inner.__globals__
            if not str(self.globals.get("__name__")).startswith(OWN):
                self.names = tuple(n for n in code.co_names if n in inner.__globals__)
            self.cells = inner.__closure__ or ()
        # one name gives its value, several a tuple: two fixed ones make it a tuple always
        fetch = ("__name__", "__name__", *self.names)
        self.fetch = itemgetter(*fetch) if self.names else None
        self.known = self.values()

    def conditions(self, text) -> list[str]:
        """Expressions that are true where every variable is the very object it was."""
        if len(self.known) < len(self.cells):
            return ["False"]  # one of them had no value
        places = [f"{text.name(c)}.cell_contents" for c in self.cells]
        if self.fetch is not None:
            names = ("__name__", "__name__", *self.names)
            places += [f"{text.name(self.globals)}[{name!r}]" for name in names]
        return [
            f"{place} is {text.name(value)}"
            for place, value in dict(zip(places, self.known, strict=True)).items()
        ]

    def ask(self, asked: Conditions) -> bool:
        """The same in words; False where one of them had no value."""
        if len(self.known) < len(self.cells):
            return False
        for cell, value in zip(self.cells, self.known, strict=False):
            asked.content(cell, value)
        if self.fetch is not None:
            names = ("__name__", "__name__", *self.names)
            for name, value in zip(names, self.known[len(self.cells) :], strict=True):
                asked.entry(self.globals, name, value)
        return True

    def values(self) -> list:
        try:
            found = [c.cell_contents for c in self.cells]
            if self.fetch is not None:
                found += self.fetch(self.globals)
        except (ValueError, KeyError):  # not assigned, or deleted
            found = [self.globals.get(n) for n in self.names]
        return found

    def changed(self) -> bool:
        """Is one of them another object now? Equal numbers and strings are the same."""
        now = self.values()
        if len(now) != len(self.known):
            self.known = now
            return True
        if all(map(is_, now, self.known)):
            return False
        for new, old in zip(now, self.known, strict=True):
            same = new is old or (
                type(new) is type(old) and isinstance(new, _SIMPLE) and new == old
            )
            if not same:
                self.known = now
                return True
        self.known = now
        return False


class Compiled:
    """A compiled function.

    records   signature of the arguments -> records, latest first
    recent    the program that served last, where the arguments are the tensors themselves
    direct    its plan of calls without Python, or None;  plan: where that lies, or 0
    """

    __slots__ = ("plan", "__dict__", "__weakref__")

    def __init__(self, function: Callable, fullgraph: bool, disabled: bool):
        functools.update_wrapper(self, function, updated=())
        self._torchdynamo_orig_callable = function
        self.function = function
        self.fullgraph = fullgraph
        self.disabled = disabled
        self.records: dict[tuple, list[Record]] = {}
        self.outside: Outside | None = None
        self.breaks: set[tuple] = set()
        self.recent: Steady | None = None
        self.direct: Words | None = None
        self.plan = 0

    def __get__(self, instance, owner=None):
        """As a method: bound like a function."""
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self):
        """A copy has records of its own."""
        return Compiled, (self.function, self.fullgraph, self.disabled)

    def general(self, *args, **kwargs):
        """Any call. The native `__call__` that the class gets later leaves to this what it does
        not know."""
        recent = self.recent
        if recent is not None and recent.short is not None and not kwargs:
            out = recent.short(args)
            if out is not MISSED:
                if recent.gate.short == DIRECT:
                    self._go_direct(recent)
                return out
        return self._look_up(args, kwargs)

    __call__ = general

    def _go_direct(self, recent: Steady) -> None:
        """The program served several calls: from now on without Python, if that can be."""
        asked = recent.front.asked()
        made = None if asked is None else code_for(Compiled, Tensor)
        if made is None:
            return
        if Compiled.__call__ is Compiled.general:
            install(Compiled, made)
        self._aim(recent.go_direct(asked, Tensor))

    def _aim(self, direct: Words | None) -> None:
        self.direct = direct
        self.plan = 0 if direct is None else direct.address

    def _look_up(self, args: tuple, kwargs: dict):
        """Find the record that is good for a call, or make one."""
        tape = LOCAL.tape
        if self.disabled or tape.tracing is not None:
            return self.function(*args, **kwargs)
        key = signature(args, tape.grad) if not kwargs else None
        if key is not None:
            tensors = args
        else:
            tensors, key = flatten((args, kwargs), tape.grad)
        self._look_outside()
        record = self._known(key)
        if record is not None:
            if tensors is args:
                self.recent = record.run
            out = record.answer(tensors)
            if self.recent is not None and self.recent.gate.direct is not self.direct:
                self._aim(self.recent.gate.direct)
            return out
        record = self._made(key, tensors, args, kwargs)
        return self.function(*args, **kwargs) if record is None else record.answer(tensors)

    def record_for(self, args: tuple) -> tuple[Record | None, list]:
        """The record that is good for a call, made where there is none, and the call's tensors.
        None where the function runs plainly. Only the forms of the tensors are looked at."""
        tape = LOCAL.tape
        tensors, key = flatten((args, {}), tape.grad)
        if all(isinstance(a, Tensor) for a in args):
            key = signature(args, tape.grad) or key
        if self.disabled or tape.tracing is not None:
            return None, tensors
        self._look_outside()
        return self._known(key) or self._made(key, tensors, args, {}), tensors

    def _look_outside(self) -> None:
        """Forget all records where a variable that the function names is another one by now."""
        outside = self.outside
        if outside is not None and outside.changed():
            self.records.clear()
            self.breaks.clear()
            self.recent = None
            self._aim(None)

    def _known(self, key: tuple) -> Record | None:
        for record in self.records.get(key, ()):
            if record.is_good():
                return record
        return None

    def _with_gradient(self) -> set[int]:
        """Of the tensors whose gradients earlier records could not tell: those with one now."""
        unknown = [p for records in self.records.values() for r in records for p in r.unknown]
        return {id(p) for p in unknown if p.grad is not None}

    def _made(self, key: tuple, tensors, args, kwargs) -> Record | None:
        """A record for these arguments; None where the function cannot be one."""
        if key in self.breaks:
            return None
        if self.outside is None:
            self.outside = Outside(self.function)
        if sum(map(len, self.records.values())) >= RECORDS:
            self.breaks.add(key)
            return None
        try:
            had_gradient = self._with_gradient()
            record = _recorded(self.function, tensors, args, kwargs, had_gradient, self.outside)
        except TraceBreak as problem:
            if self.fullgraph:
                raise RuntimeError(
                    f"torch.compile(fullgraph=True): {getattr(self, '__name__', self.function)} "
                    f"cannot be one graph: {problem}"
                ) from problem
            self.breaks.add(key)
            return None
        if record.kept:
            # good for this call, whose tensors are where they were put; the next one has its own
            self.breaks.add(key)
        else:
            self.records.setdefault(key, []).insert(0, record)
        return record


def _recorded(
    function: Callable, tensors, args, kwargs, had_gradient: set[int], outside: Outside
) -> Record:
    rebuild: list = []
    before: dict[int, tuple] = {}
    front = RecordFront(tensors, LOCAL.tape.grad, outside)

    def run(*inputs):
        given, named = unflatten((args, kwargs), inputs)
        result = function(*given, **named)
        calls.write_back()
        shape = _Result(inputs)
        rebuild.append(shape.rebuilder(result))
        before.update(LOCAL.tape.tracing.deposits)
        return shape.flat

    with collected() as conditions, watched_calls() as calls:
        traced = lazy.trace(run, tensors)
    steady = Steady(traced)
    unknown = [p for p, old in before.values() if old is None and id(p) not in conditions.cleared]
    missing = [p for p in unknown if id(p) not in had_gradient]
    checks = conditions.checks
    if missing:
        checks.append(lambda: not [1 for p in missing if p.grad is not None])
    if traced.added:
        checks.append(steady.adopt_gradients)
    filled = {id(g.st) for _, g in traced.deposits}
    kept = any(id(st) not in filled for st in traced.held)
    front.checks = checks
    front.rebuild = rebuild[0]
    front.modes = MODES.changes
    return Record(steady, rebuild[0], calls.modules, front, unknown, kept)


class _Result:
    """The structure of a function's result. `flat` collects the tensors that are computed."""

    def __init__(self, inputs):
        self.inputs = {id(t): k for k, t in enumerate(inputs)}
        tape = LOCAL.tape
        self.mark = tape.mark
        self.outside = {id(st) for st in tape.leaves[len(inputs) :]}
        self.flat: list[Tensor] = []

    def rebuilder(self, result) -> Callable[[list, Any], Any]:
        """(computed tensors, the call's own tensors) -> the result of that call."""
        if isinstance(result, Tensor):
            return self._tensor(result)
        if type(result) in (tuple, list):
            kind = type(result)
            parts = [self.rebuilder(r) for r in result]
            return lambda values, given: kind([part(values, given) for part in parts])
        if type(result) is dict:
            entries = {k: self.rebuilder(r) for k, r in result.items()}
            return lambda values, given: {k: part(values, given) for k, part in entries.items()}
        if isinstance(result, tuple) and hasattr(result, "_fields"):
            make = type(result)
            parts = [self.rebuilder(r) for r in result]
            return lambda values, given: make(*[part(values, given) for part in parts])
        return lambda values, given: result

    def _tensor(self, t: Tensor) -> Callable[[list, Any], Tensor]:
        at = self.inputs.get(id(t))
        if at is not None:
            return lambda values, given: given[at]
        if t.st.mark is not self.mark or id(t.st) in self.outside:
            return lambda values, given: t  # it was there before, and is the same at every call
        at = len(self.flat)
        self.flat.append(t)
        return Pick(at)


class OptimizedModule(Module):
    """A module whose calls are compiled; everything else is the module's own."""

    def __init__(self, module: Module, fullgraph: bool, disabled: bool):
        super().__init__()
        self._orig_mod = module
        self.training = module.training
        compiled = Compiled(module.__call__, fullgraph, disabled)
        object.__setattr__(self, "forward", compiled)

    def __getattr__(self, name: str):
        if name == "_orig_mod" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._orig_mod, name)

    def train(self, mode: bool = True):
        self._orig_mod.train(mode)
        return super().train(mode)

    def __len__(self) -> int:
        return len(self._orig_mod)

    def __getitem__(self, index):
        return self._orig_mod[index]


def compile(
    model: Callable | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable = "inductor",
    mode: str | None = None,
    options: dict | None = None,
    disable: bool = False,
):
    """A function or module recorded once per kind of arguments, and called as one program.

    fullgraph  a graph break is a RuntimeError instead of a plain run
    disable    give the function back as it is
    backend, mode, options, dynamic: accepted in PyTorch's values; there is one way to compile, and
    each size has a program of its own. ValueError or RuntimeError for unknown values.
    """
    if model is None:
        return lambda function: compile(
            function, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode,
            options=options, disable=disable,
        )  # fmt: skip
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if callable(backend) or backend not in ("inductor", "eager", "aot_eager", "gemel"):
        raise RuntimeError(f"Invalid backend: {backend!r}; Gemel compiles by itself (leave it out)")
    if not callable(model):
        raise RuntimeError(f"torch.compile takes a function or a module, not {type(model)}")
    if isinstance(model, Module):
        return OptimizedModule(model, fullgraph, disable)
    return Compiled(model, fullgraph, disable)
