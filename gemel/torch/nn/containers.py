"""Modules that hold modules or parameters in order or by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from gemel.torch.tensor import Tensor

from .module import Module, indented
from .parameter import Parameter
from .registry import typename


def _position(index, length: int) -> int:
    """A position from 0; IndexError outside."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range")
    return index % length


class _Numbered(Module):
    """Children under the names '0', '1', ..., reached by position."""

    def _renumber(self, modules: Iterable[Module]) -> None:
        modules = list(modules)
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def _at(self, index) -> Module:
        """The child at a position."""
        modules = list(self._modules.values())
        if index.__class__ is int and -len(modules) <= index < len(modules):
            return modules[index]
        return modules[_position(index, len(modules))]

    def _key(self, index) -> str:
        return list(self._modules)[_position(index, len(self._modules))]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __setitem__(self, index, module: Module) -> None:
        setattr(self, self._key(index), module)

    def append(self, module: Module):
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]):
        """Add modules at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module):
        """Put a module before a position; the later ones move up."""
        if not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, index=-1) -> Module:
        """Take out the module at a position and return it."""
        module = self._modules[self._key(index)]
        del self[index]
        return module


class Sequential(_Numbered):
    """Calls its children one after another: `Sequential(a, b)(x)` is `b(a(x))`."""

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return self._at(index)

    def __delitem__(self, index) -> None:
        keys = list(self._modules)
        for key in keys[index] if isinstance(index, slice) else [self._key(index)]:
            delattr(self, key)
        self._renumber(self)

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return Sequential(*chain(self, other))

    def __iadd__(self, other: Sequential) -> Sequential:
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(
                f"unsupported operand type(s) for *: {type(self)} and {type(times)}"
            )
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return Sequential(*list(self) * times)

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """A list of modules whose parameters are found. It has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def extend(self, modules: Iterable[Module]):
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an iterable, but got "
                f"{type(modules).__name__}"
            )
        return super().extend(modules)

    def __iadd__(self, modules: Iterable[Module]):
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __getitem__(self, index):
        if isinstance(index, slice):
            modules = list(self._modules.values())[index]
            return _listed(modules) if type(self) is ModuleList else type(self)(modules)
        return self._at(index)

    def __delitem__(self, index) -> None:
        modules = list(self)
        del modules[index if isinstance(index, slice) else _position(index, len(self))]
        self._renumber(modules)

    def __repr__(self) -> str:
        """Neighbours that print alike are printed once."""
        rows: list[list] = []
        for i, text in enumerate(map(repr, self)):
            if rows and rows[-1][2] == text:
                rows[-1][1] = i
            else:
                rows.append([i, i, text])
        if not rows:
            return self._get_name() + "()"
        lines = [
            f"({a}): {indented(t)}" if a == b else f"({a}-{b}): {b - a + 1} x {indented(t)}"
            for a, b, t in rows
        ]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def _listed(modules: list[Module]) -> ModuleList:
    """`ModuleList(modules)`, of children of one: a forward may cut a slice at every call."""
    made = ModuleList()
    made._modules.adopt({str(i): module for i, module in enumerate(modules)})
    return made


def _pairs(entries, what: str):
    """(key, value) of a mapping or of an iterable of pairs."""
    if isinstance(entries, Mapping | ModuleDict | ParameterDict):
        return list(entries.items())
    if not isinstance(entries, Iterable):
        raise TypeError(
            f"{what} should be called with an iterable of key/value pairs, but got "
            f"{type(entries).__name__}"
        )
    return [tuple(pair) for pair in entries]


class ModuleDict(Module):
    """A dict of modules whose parameters are found."""

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        if key in self._modules:
            setattr(self, key, module)
        else:
            self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        self._modules.clear()

    def pop(self, key: str) -> Module:
        return self._modules.pop(key)

    def keys(self):
        return self._modules.keys()

    def values(self):
        return self._modules.values()

    def items(self):
        return self._modules.items()

    def update(self, modules) -> None:
        for key, module in _pairs(modules, "ModuleDict.update"):
            self[key] = module


def _as_parameter(value):
    """Tensors become parameters; other values stay what they are."""
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


def _described(value) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    size = "x".join(map(str, value.shape))
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"{kind} containing: [{value.dtype} of size {size}]"


class ParameterList(Module):
    """A list of parameters; tensors put into it become parameters."""

    def __init__(self, values: Iterable | None = None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)([self[i] for i in range(*index.indices(len(self)))])
        return getattr(self, str(_position(index, len(self))))

    def __setitem__(self, index, value) -> None:
        setattr(self, str(_position(index, len(self))), _as_parameter(value))

    def __iter__(self) -> Iterator:
        return iter(self[i] for i in range(len(self)))

    def append(self, value):
        """Add a value at the end; returns self."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable):
        """Add values at the end; returns self."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                "ParameterList.extend should be called with an iterable, but got "
                f"{type(values).__name__}"
            )
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable):
        return self.extend(values)

    def __repr__(self) -> str:
        rows = [f"    ({i}): {_described(v)}" for i, v in enumerate(self)]
        return self._get_name() + "(" + ("\n" + "\n".join(rows) + "\n" if rows else "") + ")"

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dict of parameters; tensors put into it become parameters."""

    def __init__(self, values=None):
        super().__init__()
        self._keys: dict[str, None] = {}
        if values is not None:
            self.update(values)

    def __getitem__(self, key: str):
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value) -> None:
        self._keys[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def keys(self):
        return self._keys.keys()

    def values(self):
        return [self[k] for k in self._keys]

    def items(self):
        return [(k, self[k]) for k in self._keys]

    def get(self, key: str, default=None):
        return self[key] if key in self._keys else default

    def pop(self, key: str):
        value = self[key]
        del self[key]
        return value

    def update(self, values) -> None:
        for key, value in _pairs(values, "ParameterDict.update"):
            self[key] = value

    def __repr__(self) -> str:
        rows = [f"  ({k}): {_described_by_type(v)}" for k, v in self.items()]
        if len(rows) <= 1:
            return self._get_name() + "(" + "".join(rows) + ")"
        return self._get_name() + "(\n  " + "\n  ".join(rows) + "\n)"

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterDict should not be called.")


def _described_by_type(value) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    size = "x".join(map(str, value.shape))
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"{kind} containing: [{Tensor.type(value)} of size {size}]"
