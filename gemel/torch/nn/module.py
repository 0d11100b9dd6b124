"""`Module`: a tree of parameters, buffers and child modules with a `forward`.

Errors raised inside a forward carry the path of the module (`in Net.fc1 (Linear)`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gemel.tensor import flush
from gemel.torch import dtypes
from gemel.torch.creation import empty_like
from gemel.torch.device import check_device
from gemel.torch.guards import MODES, clear_gradients
from gemel.torch.tensor import Tensor

from . import loading
from .hooks import Hooks, RemovableHandle, Table, call_with_hooks
from .parameter import Buffer, Parameter
from .registry import TABLES, Mirror, check_name, note_module, typename, walk_members

_KINDS = {
    "_parameters": ("parameter", "torch.nn.Parameter"),
    "_modules": ("child module", "torch.nn.Module"),
    "_buffers": ("buffer", "torch.nn.Buffer, torch.Tensor"),
}

_placed: list[str] = []  # the first parameter that was placed since a module was called


def _settle() -> None:
    """Parameters get their first values before the step that reads them, whose first program then
    is that of all others: it would be compiled twice."""
    _placed.clear()
    flush()


class Module:
    """Base class of all layers and models. Subclasses define `forward`."""

    _hooks: Hooks | None = None  # a table exists only where a hook was registered
    _state_hooks: dict | None = None
    _version = 1
    training: bool

    def __init__(self, *args, **kwargs):
        if args or kwargs:
            given = next(iter(kwargs)) if kwargs else None
            what = (
                f"an unexpected keyword argument '{given}'"
                if given
                else (f"{len(args) + 1} positional arguments but 1 was expected")
            )
            raise TypeError(f"{type(self).__name__}.__init__() got {what}")
        attributes = self.__dict__
        attributes["training"] = True
        for table in TABLES:
            attributes[table] = Mirror(self)
        attributes["_non_persistent_buffers_set"] = set()

    def forward(self, *args, **kwargs):
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args, **kwargs):
        if _placed:
            _settle()
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
            return call_with_hooks(self, self._hooks, args, kwargs)
        except Exception as error:
            note_module(error, self)
            raise

    # ---------- attributes ----------
    def __setattr__(self, name: str, value) -> None:
        attributes = self.__dict__
        if isinstance(value, Parameter):
            self._place("_parameters", name, value, "parameters")
        elif isinstance(value, Module):
            self._place("_modules", name, value, "module")
        elif isinstance(value, Buffer):
            self._place("_buffers", name, value, "buffer")
            if not value.persistent:
                attributes["_non_persistent_buffers_set"].add(name)
        elif "_parameters" not in attributes:
            object.__setattr__(self, name, value)
        else:
            self._replace(name, value)

    def _place(self, table: str, name: str, value, what: str) -> None:
        attributes = self.__dict__
        if table not in attributes:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        for other in TABLES:
            if other != table:
                attributes[other].pop(name, None)
        attributes[table][name] = value
        MODES.changes += 1
        if table == "_parameters" and not _placed:
            _placed.append(name)

    def _replace(self, name: str, value) -> None:
        """A plain value: refused where the name is a parameter's, a child's or a buffer's."""
        attributes = self.__dict__
        for table in ("_parameters", "_modules", "_buffers"):
            if name not in attributes[table]:
                continue
            if value is None or (table == "_buffers" and isinstance(value, Tensor)):
                attributes[table][name] = value
                MODES.changes += 1
                return
            kind, wanted = _KINDS[table]
            raise TypeError(
                f"cannot assign '{typename(value)}' as {kind} '{name}' ({wanted} or None expected)"
            )
        object.__setattr__(self, name, value)
        if name == "training":
            MODES.changes += 1

    def __delattr__(self, name: str) -> None:
        for table in TABLES:
            entries = self.__dict__.get(table)
            if entries is not None and name in entries:
                del entries[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __getstate__(self) -> dict:
        state = dict(self.__dict__)
        for table in TABLES:
            entries = state[table] = dict(state[table])
            for name in entries:
                state.pop(name, None)
        return state

    def __setstate__(self, state: dict) -> None:
        state = dict(state)
        tables = {table: state.pop(table) for table in TABLES}
        self.__dict__.update(state)
        for table, entries in tables.items():
            mirror = self.__dict__[table] = Mirror(self)
            mirror.update(entries)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (or None as a placeholder) under a new name."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        check_name(self, "parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but no parameter; non-persistent ones are not saved."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        check_name(self, "buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under a new name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        check_name(self, "module", name, self._modules)
        self._modules[name] = module

    register_module = add_module

    # ---------- walking ----------
    def named_modules(self, memo=None, prefix: str = "", remove_duplicate: bool = True):
        """(path, module) of this module and all below it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                path = prefix + ("." if prefix else "") + name
                yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        for _, child in self.named_children():
            yield child

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        yield from walk_members(self, "_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        yield from walk_members(self, "_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a path ('' is this one); AttributeError where there is none."""
        module: Module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def _get_member(self, target: str, table: str, what: str):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in getattr(module, table):
            raise AttributeError(f"`{name}` is not {what}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        return self._get_member(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        return self._get_member(target, "_buffers", "a buffer")

    # ---------- state ----------
    def state_dict(self, *, destination=None, prefix: str = "", keep_vars: bool = False):
        """An ordered dict path -> tensor that shares memory with the parameters and buffers."""
        return loading.collect(self, destination, prefix, keep_vars)

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """Copy (or with `assign` put) tensors into parameters and buffers.

        RuntimeError lists missing and unexpected keys (strict) and sizes that do not fit.
        """
        return loading.load(self, state_dict, strict, assign)

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        loading.save_own(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        loading.load_own(
            self,
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def get_extra_state(self):
        raise RuntimeError("this module defines no extra state")

    def set_extra_state(self, state) -> None:
        raise RuntimeError("this module takes no extra state")

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not Module.get_extra_state

    def _can_set_extra_state(self) -> bool:
        return type(self).set_extra_state is not Module.set_extra_state

    def _tables_of_hooks(self, kind: str) -> list[Callable]:
        return list((self._state_hooks or {}).get(kind, {}).values())

    def _add_state_hook(self, kind: str, hook) -> RemovableHandle:
        if self._state_hooks is None:
            self.__dict__["_state_hooks"] = {}
        return self._state_hooks.setdefault(kind, Table()).insert(hook)

    def register_state_dict_pre_hook(self, hook) -> RemovableHandle:
        return self._add_state_hook("state_before", hook)

    def register_state_dict_post_hook(self, hook) -> RemovableHandle:
        return self._add_state_hook("state_after", hook)

    def register_load_state_dict_pre_hook(self, hook) -> RemovableHandle:
        return self._add_state_hook("load_before", hook)

    def register_load_state_dict_post_hook(self, hook) -> RemovableHandle:
        return self._add_state_hook("load_after", hook)

    # ---------- hooks ----------
    def _hook_tables(self) -> Hooks:
        if self._hooks is None:
            self.__dict__["_hooks"] = Hooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """hook(module, args[, kwargs]) before forward; may return new arguments."""
        return self._hook_tables().before.insert((hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """hook(module, args[, kwargs], output) after forward; may return a new output."""
        if always_call:
            raise NotImplementedError("register_forward_hook: always_call=True is not supported")
        return self._hook_tables().after.insert((hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """hook(module, grad_input, grad_output); may return a new grad_input."""
        return self._hook_tables().backward.insert(hook, prepend)

    def register_full_backward_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """hook(module, grad_output); may return a new grad_output."""
        return self._hook_tables().backward_before.insert(hook, prepend)

    # ---------- whole-tree changes ----------
    def apply(self, fn: Callable[[Module], None]):
        """Call fn on every module, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True):
        """Training mode on or off in the whole tree."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self):
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        parameters = list(self.parameters())
        if set_to_none:
            clear_gradients(parameters)
            return
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.detach_()
                parameter.grad.zero_()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        """Replace the data of every parameter and buffer by fn of it."""
        if recurse:
            for child in self.children():
                child._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            parameter.data = fn(parameter.data)
            if parameter.grad is not None:
                parameter.grad.data = fn(parameter.grad.data)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                dict.__setitem__(self._buffers, name, fn(buffer))
                self.__dict__[name] = self._buffers[name]
        return self

    def _convert(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def to_empty(self, *, device, recurse: bool = True):
        """The parameters and buffers in memory of their own that holds whatever lies there."""
        check_device(device)
        return self._apply(empty_like, recurse)

    def to(self, *args, **kwargs):
        """Change the element type of floating-point state; the device can only be the CPU."""
        dtype = kwargs.get("dtype")
        for arg in args:
            if isinstance(arg, dtypes.dtype):
                dtype = arg
            elif isinstance(arg, Tensor):
                dtype = arg.dtype
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={dtype}"
            )
        plain = [a for a in args if not isinstance(a, dtypes.dtype)]
        rest = {k: v for k, v in kwargs.items() if k != "dtype"}

        def moved(t: Tensor) -> Tensor:
            if dtype is not None and t.is_floating_point():
                return t.to(*args, **kwargs)
            return t.to(*plain, **rest) if plain or rest else t

        return self._apply(moved)

    def type(self, dst_type):
        return self._apply(lambda t: t.type(dst_type))

    def float(self):
        return self._convert(dtypes.float32)

    def double(self):
        return self._convert(dtypes.float64)

    def half(self):
        return self._convert(dtypes.float16)

    def bfloat16(self):
        return self._convert(dtypes.bfloat16)

    def cpu(self):
        return self

    def cuda(self, device=None):
        return self._apply(lambda t: t.cuda(device))

    def share_memory(self):
        raise NotImplementedError("share_memory: modules cannot be shared between processes")

    def compile(self, *args, **kwargs) -> None:
        """Compile forward in place (see torch.compile)."""
        from gemel.torch.compiling import compile as compile_

        object.__setattr__(self, "forward", compile_(self.forward, *args, **kwargs))

    # ---------- printing ----------
    def extra_repr(self) -> str:
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + indented(repr(child)) for name, child in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

    def __dir__(self):
        return sorted(n for n in {*dir(type(self)), *self.__dict__} if not n[:1].isdigit())


def indented(text: str, spaces: int = 2) -> str:
    """All lines but the first moved to the right."""
    return text.replace("\n", "\n" + " " * spaces)
