"""`tf.function`: a Python function recorded once per kind of argument, then called as one program.

Role: splits arguments into tensors (given anew at each call) and the rest (part of the recording),
keeps a recording for each combination, and puts results back into their structure. Variables that
the function reads or assigns stay the same variables.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from gemel import tensor as engine
from gemel.graph.form import form

from . import context, recording
from .convert import as_array, eagerly
from .dtypes import as_dtype
from .eager import EagerTensor
from .shape import TensorShape
from .symbolic import PACKAGE
from .variables import Variable


class TypeSpec:
    """What a value looks like; `isinstance` tells such descriptions from values."""


class TensorSpec(TypeSpec):
    """What a tensor argument looks like: shape (None: any size), element type, name."""

    def __init__(self, shape, dtype="float32", name: str | None = None):
        self.shape = TensorShape(shape)
        self.dtype = as_dtype(dtype)
        self.name = name

    @classmethod
    def from_tensor(cls, tensor, name: str | None = None) -> TensorSpec:
        return cls(tensor.shape, tensor.dtype, name)

    def is_compatible_with(self, value) -> bool:
        return self.dtype is value.dtype and self.shape.is_compatible_with(value.shape)

    def __eq__(self, other) -> bool:
        if not isinstance(other, TensorSpec):
            return NotImplemented
        return (self.shape, self.dtype, self.name) == (other.shape, other.dtype, other.name)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.name))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"


class _Tensor:
    """Marks the place of a tensor in a structure."""

    def __repr__(self) -> str:
        return "<tensor>"


_PLACE = _Tensor()


def _split(value, tensors: list):
    """The structure with tensors taken out; arrays count as tensors."""
    if isinstance(value, np.ndarray):
        value = eagerly(value)
    if isinstance(value, EagerTensor) or isinstance(value, engine.Tensor):
        tensors.append(eagerly(value))
        return _PLACE
    if isinstance(value, Mapping):
        return type(value), tuple((k, _split(v, tensors)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(_split(v, tensors) for v in value)
    return value


def _joined(pattern, tensors):
    """The structure with the next tensors put in."""
    if pattern is _PLACE:
        return next(tensors)
    if isinstance(pattern, tuple) and pattern and isinstance(pattern[0], type):
        kind, parts = pattern
        if issubclass(kind, Mapping):
            return kind((k, _joined(p, tensors)) for k, p in parts)
        made = [_joined(p, tensors) for p in parts]
        return kind(*made) if hasattr(kind, "_fields") else kind(made)
    return pattern


def _key(pattern):
    """A hashable form of the structure's other values; their types count too."""
    if pattern is _PLACE:
        return _PLACE
    if isinstance(pattern, tuple) and pattern and isinstance(pattern[0], type):
        kind, parts = pattern
        if issubclass(kind, Mapping):
            return kind, tuple((k, _key(p)) for k, p in parts)
        return kind, tuple(_key(p) for p in parts)
    if isinstance(pattern, Variable):
        return Variable, id(pattern)
    try:
        hash(pattern)
    except TypeError:
        return type(pattern), id(pattern)
    return type(pattern), pattern


class Function:
    """A callable that records its Python function when it meets new kinds of arguments."""

    def __init__(self, python_function: Callable, input_signature=None, name: str | None = None):
        self.python_function = python_function
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._recordings: dict = {}
        try:
            self._signature = inspect.signature(python_function)
        except (TypeError, ValueError):
            self._signature = None
        functools.update_wrapper(self, python_function)

    def __get__(self, instance, owner):
        """As a method: each instance has recordings of its own."""
        if instance is None:
            return self
        key = f"_gemel_function_{id(self)}"
        found = instance.__dict__.get(key)
        if found is None:
            method = self.python_function.__get__(instance, owner)
            found = Function(method, self.input_signature)
            object.__setattr__(instance, key, found)
        return found

    def __call__(self, *args, **kwargs):
        """Run the recording for arguments of this kind; record first where they are new.

        Raises what the function raises while it is recorded. A function that looks at a tensor's
        value (`if x > 0`, a loop over tf.range(n)) cannot be one program: it warns, and its
        operations run as they do outside of tf.function.
        """
        if context.building() is not None or engine.tracing():
            return self.python_function(*args, **kwargs)
        recording, tensors = self._recording(args, kwargs)
        if recording is None:
            return self.python_function(*args, **kwargs)
        return recording(tensors)

    def _positional(self, args, kwargs) -> tuple[tuple, dict]:
        """Arguments by name moved to their places, so that both ways of a call are one."""
        if self._signature is None:
            return args, kwargs
        bound = self._signature.bind(*args, **kwargs)
        return bound.args, bound.kwargs

    def _recording(self, args, kwargs) -> tuple[Recording, list]:
        if kwargs:
            args, kwargs = self._positional(args, kwargs)
        args = self._signed(args, kwargs)
        tensors: list[EagerTensor] = []
        pattern = _split((list(args), dict(kwargs)), tensors)
        # A recording knows which of its tensors gradients may be asked for.
        forms = tuple((t.form, engine.requires_grad(t)) for t in tensors)
        key = (_key(pattern), forms, engine.grad_enabled(), recording.watching())
        found = self._recordings.get(key, self)
        if found is self or found is not None and not found.is_current():
            try:
                found = self._recordings[key] = self._recorded(pattern, tensors)
            except recording.MadeVariable:
                # made outside of the recording, by this one call that runs without one
                found = None
        elif found is not None:
            found.access()
        return found, tensors

    def _recorded(self, pattern, tensors) -> Recording | None:
        """A new recording, None where the function looks at values."""
        try:
            return Recording(self, pattern, tensors)
        except engine.errors.TraceBreak as broken:
            name = getattr(self.python_function, "__name__", "the function")
            place = _user_place(broken)
            warnings.warn(
                f"tf.function: {name} looks at the value of a tensor{place}, so it is not recorded "
                "as one program; its operations run one after the other. tf.cond and tf.where "
                "choose without looking.",
                stacklevel=4,
            )
            return None

    def _signed(self, args, kwargs):
        """Arguments as the input signature wants them. TypeError where they do not fit."""
        specs = self.input_signature
        if specs is None:
            return args
        if len(args) + len(kwargs) != len(specs):
            raise TypeError(
                f"Python inputs incompatible with input_signature: inputs {args}, input_signature "
                f"{specs}"
            )
        made = []
        for value, spec in zip(args, specs, strict=False):
            tensor = eagerly(value) if isinstance(value, EagerTensor) else _as(value, spec)
            if not spec.is_compatible_with(tensor):
                raise TypeError(
                    f"Python inputs incompatible with input_signature: inputs {tensor!r}, "
                    f"input_signature {spec}"
                )
            made.append(tensor)
        return tuple(made)

    def get_concrete_function(self, *args, **kwargs) -> Recording:
        """The recording for such arguments; a TensorSpec stands for a tensor."""
        given = [_example(a) for a in args] or [_example(s) for s in self.input_signature or ()]
        found = self._recording(tuple(given), {k: _example(v) for k, v in kwargs.items()})[0]
        if found is None:
            raise ValueError(f"{self!r} looks at tensors' values: it has no concrete function")
        return found

    def experimental_get_tracing_count(self) -> int:
        return len(self._recordings)

    def __repr__(self) -> str:
        name = getattr(self.python_function, "__name__", "function")
        return f"<gemel.tensorflow.Function of {name}>"


def _as(value, spec: TensorSpec) -> EagerTensor:
    return EagerTensor.of(as_array(value, spec.dtype))


def _example(value):
    """A tensor of the spec's form; unknown sizes are 1."""
    if not isinstance(value, TensorSpec):
        return value
    shape = tuple(1 if n is None else n for n in value.shape)
    return EagerTensor.of(np.zeros(shape, value.dtype.as_numpy_dtype))


def _user_place(error: BaseException) -> str:
    """' at file:line' of the innermost frame outside of this package."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            found = f" at {file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


class Recording:
    """A function recorded for one kind of arguments."""

    def __init__(self, owner: Function, pattern, tensors: list[EagerTensor]):
        self.owner = owner
        self.forms = [form(t.form.shape, t.form.dtype) for t in tensors]
        self._pattern = pattern
        self._result = None
        self.traced = self._record(tensors)

    def is_current(self) -> bool:
        """Do the variables still have the tensors that were recorded?"""
        return all([v._tensor is t for v, t in self._captured.values()])

    def access(self) -> None:
        """Tell the tapes of the variables that the recording reads, as reading them does."""
        for variable, _ in self._captured.values():
            recording.accessed(variable)

    def _record(self, tensors: list[EagerTensor]):
        with recording.capturing() as self._captured:
            return engine.trace(self._run, tensors)

    def _run(self, *tensors):
        """What is recorded: the function on placeholders; its tensors come out as a list."""
        args, kwargs = _joined(self._pattern, iter(tensors))
        result = self.owner.python_function(*args, **kwargs)
        found: list[EagerTensor] = []
        self._result = _split(_read_variables(result), found)
        return found

    def __call__(self, *args, **kwargs):
        tensors = args[0] if len(args) == 1 and isinstance(args[0], list) else None
        if tensors is None:
            tensors = []
            _split((list(args), dict(kwargs)), tensors)
        return self.structured(self.traced(*tensors))

    def structured(self, values):
        """The function's result with these tensors in it."""
        return _joined(self._result, iter(values))

    @property
    def inputs(self) -> list:
        return list(self.forms)

    @property
    def structured_outputs(self):
        return self._result


def _read_variables(result):
    """Variables in a result are given by value."""
    if isinstance(result, Variable):
        return result.value()
    if isinstance(result, (list, tuple)) and not hasattr(result, "_fields"):
        return type(result)(_read_variables(r) for r in result)
    return result


def function(
    func: Callable | None = None,
    input_signature=None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements=None,
    experimental_autograph_options=None,
    experimental_attributes=None,
    experimental_relax_shapes=None,
    experimental_compile=None,
    experimental_follow_type_hints=None,
):
    """Record the function and call it as one program; also as a decorator with options."""

    def decorated(python_function: Callable) -> Function:
        return Function(python_function, input_signature)

    return decorated if func is None else decorated(func)


def run_functions_eagerly(run_eagerly: bool) -> None:
    raise NotImplementedError("run_functions_eagerly: leave out @tf.function instead")
