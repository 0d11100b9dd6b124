"""Where a module keeps its parameters, buffers and children, and how they are reached by name.

`Mirror` is a dict that writes each entry into the module's `__dict__` as well: reading
`self.weight` is then a plain attribute read and not a failed lookup with a detour.
"""

from __future__ import annotations

import weakref

from gemel.torch.tensor import Tensor


class Mirror(dict):
    """name -> value, each entry also an attribute of the owning module."""

    __slots__ = ("_owner",)

    def __init__(self, owner):
        self._owner = weakref.ref(owner)  # weak: a module and its tables form no cycle

    def _attributes(self) -> dict:
        return self._owner().__dict__

    def __setitem__(self, name, value):
        dict.__setitem__(self, name, value)
        self._attributes()[name] = value

    def __delitem__(self, name):
        dict.__delitem__(self, name)
        self._attributes().pop(name, None)

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def adopt(self, entries: dict) -> None:
        """Add entries whose names are free."""
        dict.update(self, entries)
        self._attributes().update(entries)

    __ior__ = None  # only item writes are mirrored

    def setdefault(self, name, default=None):
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name, *default):
        if name in self:
            self._attributes().pop(name, None)
        return dict.pop(self, name, *default)

    def popitem(self):
        name = next(reversed(self))
        return name, self.pop(name)

    def clear(self):
        for name in list(self):
            del self[name]

    def copy(self) -> dict:
        return dict(self)

    def __reduce__(self):
        return dict, (dict(self),)


TABLES = ("_parameters", "_buffers", "_modules")


def typename(x) -> str:
    """The type's name as error messages give it."""
    return x.type() if isinstance(x, Tensor) else type(x).__name__


def check_name(module, kind: str, name, table: dict) -> None:
    """Raise unless `name` can become a new attribute of this kind."""
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
    if "." in name:
        got = f", got: {name}" if kind == "module" else ""
        raise KeyError(f'{kind} name can\'t contain "."{got}')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')
    if hasattr(module, name) and name not in table:
        raise KeyError(f"attribute '{name}' already exists")


def walk_members(module, table: str, prefix: str, recurse: bool, remove_duplicate: bool):
    """(path, value) of all parameters or buffers, each object once unless duplicates are kept."""
    seen = set()
    if recurse:
        modules = module.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
    else:
        modules = [(prefix, module)]
    for path, owner in modules:
        for name, value in owner.__dict__[table].items():
            if value is None or id(value) in seen:
                continue
            if remove_duplicate:
                seen.add(id(value))
            yield (path + "." if path else "") + name, value


def module_path(root, chain: list) -> str:
    """'Net.blocks.0.fc1' for a chain of modules that called each other, outermost first."""
    parts = [type(root).__name__]
    owner = root
    for module in chain:
        found = next((n for n, m in owner.named_modules() if m is module and n), None)
        parts.append(found if found is not None else f"<{type(module).__name__}>")
        owner = module
    return ".".join(parts)


def note_module(error: BaseException, module) -> None:
    """Say in the error's notes in which module it was raised; called from the inside outwards."""
    try:
        known = error.__dict__.get("_gemel_modules")
    except AttributeError:
        return
    if known is None:
        known = error._gemel_modules = [module]
    else:
        known.insert(0, module)
        error.__notes__.pop()
    error.add_note(f"in {module_path(module, known[1:])} ({type(known[-1]).__name__})")
