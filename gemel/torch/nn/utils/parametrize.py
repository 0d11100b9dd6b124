"""Parameters that are computed from others: `torch.nn.utils.parametrize`.

A parametrised module gets a class of its own, in which the tensor's name is a property. What the
tensor is computed from is a `ParametrizationList` under `module.parametrizations`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import contextmanager

from gemel.tensor import no_grad
from gemel.torch.tensor import Tensor

from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter


class _Cache:
    """Values that are computed once inside of `cached()`."""

    depth = 0
    values: dict = {}


@contextmanager
def cached():
    """Inside, each parametrised tensor is computed once."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values = {}


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check_form(made: Tensor, wanted: Tensor, how: str) -> None:
    """ValueError unless a parametrisation keeps the element type and the shape."""
    if not isinstance(made, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(made).__name__}.")
    for what in ("dtype", "shape"):
        own, other = getattr(made, what), getattr(wanted, what)
        if own != other:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"`unsafe` flag is enabled. {how}\nunparametrized {what}: {other}\nparametrized "
                f"{what}: {own}"
            )


class ParametrizationList(ModuleList):
    """What a tensor is computed from, `original` (or `original0`, `original1`, ...), and the
    modules that compute it, one after the other."""

    original: Tensor
    unsafe: bool

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False):
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        wanted = original.detach()
        new = self._start_of(original)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            self._keep_one(original, new)
        else:
            self._keep_several(original, new)
        if not unsafe:
            made = self()
            _check_form(made, wanted, "The parametrization's result differs.")

    def _start_of(self, value):
        """What the modules compute `value` from, as far as they say so."""
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        value = module.right_inverse(value)
                    except NotImplementedError:
                        pass
        if not isinstance(value, Tensor | Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(value).__name__}"
            )
        return value

    def _keep_one(self, original: Tensor, new: Tensor) -> None:
        if not self.unsafe and new.dtype != original.dtype:
            _check_form(new, original, "Its `right_inverse` changes it.")
        if new is not original:
            with no_grad():
                original.data = new.detach()
        _register(self, "original", original)

    def _keep_several(self, original: Tensor, new: Sequence) -> None:
        for i, part in enumerate(new):
            if not isinstance(part, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {i} of the sequence with type {type(part).__name__}."
                )
            made = part.detach()
            if isinstance(original, Parameter):
                made = Parameter(made, original.requires_grad)
            _register(self, f"original{i}", made)

    def _originals(self) -> list[Tensor]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals to what `value` would be computed from. RuntimeError where a module
        has no `right_inverse`."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            values = [value] if self.is_tensor else list(value)
            if len(values) != self.ntensors:
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got a sequence of length {len(values)}."
                )
            for original, new in zip(self._originals(), values, strict=True):
                original.data = new.detach()

    def forward(self) -> Tensor:
        first, *rest = list(self)
        value = first(*self._originals())
        for module in rest:
            value = module(value)
        return value


# ---------- the class of a parametrised module ----------
def _deep_copy(self: Module, memo: dict) -> Module:
    made = type(self).__new__(type(self))
    memo[id(self)] = made
    made.__setstate__(copy.deepcopy(Module.__getstate__(self), memo))
    return made


def _no_state(self: Module):
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _assign(self: Module, name: str, value) -> None:
    """A property comes before the tables of the module."""
    found = getattr(type(self), name, None)
    if isinstance(found, property):
        found.__set__(self, value)
    else:
        Module.__setattr__(self, name, value)


def _give_class(module: Module) -> None:
    """The module gets a class of its own, below the one that it has."""
    old = type(module)
    inside = {
        "__setattr__": _assign,
        "__getstate__": _no_state,
        "__deepcopy__": _deep_copy,
        "__module__": old.__module__,
    }
    module.__class__ = type(f"Parametrized{old.__name__}", (old,), inside)


def _property(name: str) -> property:
    def get(self: Module) -> Tensor:
        made = self.parametrizations[name]
        if not _Cache.depth:
            return made()
        key = (id(self), name)
        if key not in _Cache.values:
            _Cache.values[key] = made()
        return _Cache.values[key]

    def put(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute the module's parameter or buffer by another module from now on.

    `parametrization` takes the original and gives the tensor; with a method `right_inverse` it says
    what the present value is computed from. Several can be registered one after the other. unsafe:
    do not look whether shape and element type stay.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _append(module, tensor_name, parametrization, unsafe)
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _give_class(module)
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = made
    return module


def _append(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    if not unsafe:
        wanted = getattr(module, name).detach()
        made = parametrization(wanted)
        _check_form(made, wanted, "The parametrization's result differs.")
    module.parametrizations[name].append(parametrization)
    module.parametrizations[name].unsafe |= unsafe


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Is some tensor of the module, or the one of that name, parametrised?"""
    found = module.__dict__.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make the tensor a plain one again: its present value, or the original with
    `leave_parametrized` False."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    made = module.parametrizations[tensor_name]
    if not made.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    originals = made._originals()
    value = originals[0]
    if leave_parametrized:
        with no_grad():
            now = getattr(module, tensor_name).detach()
        if made.is_tensor:
            value.data = now
        else:
            trained = any(o.requires_grad for o in originals)
            value = Parameter(now) if trained else now
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    last = not len(module.parametrizations)
    if last:
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    _register(module, tensor_name, value)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class, without what parametrisations made of it."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give a module the parametrisations of another, and the originals' values."""
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, getattr(from_module, name).detach())
        for one in source:
            register_parametrization(to_module, name, one, unsafe=True)
        target = to_module.parametrizations[name]
        for own, other in zip(target._originals(), source._originals(), strict=True):
            own.data = other.detach().clone()
    return to_module
