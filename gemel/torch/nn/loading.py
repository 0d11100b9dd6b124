"""`state_dict` and `load_state_dict`: parameters and buffers by path, out of and into modules."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping

from gemel.tensor import no_grad
from gemel.torch.tensor import Tensor

from .parameter import Parameter

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What a non-strict load reports."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return "_" + super().__repr__()

    __str__ = __repr__


def collect(module, destination, prefix: str, keep_vars: bool):
    """Fill `destination` with the state of a module and its children."""
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    metadata = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = metadata
    for hook in module._tables_of_hooks("state_before"):
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=prefix + name + ".",
                             keep_vars=keep_vars)
    for hook in module._tables_of_hooks("state_after"):
        replaced = hook(module, destination, prefix, metadata)
        destination = destination if replaced is None else replaced
    return destination


def persistent(module) -> dict[str, Tensor]:
    """The module's own parameters and the buffers that are saved, in order."""
    own = dict(module._parameters)
    own.update((n, b) for n, b in module._buffers.items()
               if n not in module._non_persistent_buffers_set)
    return {n: t for n, t in own.items() if t is not None}


def save_own(module, destination, prefix: str, keep_vars: bool) -> None:
    for name, tensor in persistent(module).items():
        destination[prefix + name] = tensor if keep_vars else tensor.detach()
    if module._has_extra_state():
        destination[prefix + EXTRA_STATE] = module.get_extra_state()


def load(module, state_dict, strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy the state into the module; collects everything that is wrong before raising once."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", None)
    state = OrderedDict(state_dict)
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    _load_tree(module, state, "", metadata or {}, assign, strict, missing, unexpected, errors)
    keys = IncompatibleKeys(missing, unexpected)
    if strict:
        errors[:0] = _key_errors(missing, unexpected)
    if errors:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t"
            + "\n\t".join(errors)
        )
    return keys


def _key_errors(missing: list[str], unexpected: list[str]) -> list[str]:
    found = []
    for word, keys in (("Missing", missing), ("Unexpected", unexpected)):
        if keys:
            quoted = ", ".join(f'"{k}"' for k in keys)
            found.append(f"{word} key(s) in state_dict: {quoted}. ")
    return found


def _load_tree(module, state, prefix, metadata, assign, strict, missing, unexpected, errors):
    local = dict(metadata.get(prefix[:-1], {}))
    local["assign_to_params_buffers"] = assign
    for hook in module._tables_of_hooks("load_before"):
        hook(module, state, prefix, local, True, missing, unexpected, errors)
    module._load_from_state_dict(state, prefix, local, True, missing, unexpected, errors)
    for name, child in module._modules.items():
        if child is not None:
            inner = prefix + name + "."
            part = {k: v for k, v in state.items() if k.startswith(inner)}
            _load_tree(child, part, inner, metadata, assign, strict, missing, unexpected, errors)
    for hook in module._tables_of_hooks("load_after"):
        hook(module, IncompatibleKeys(missing, unexpected))


def load_own(module, state, prefix, metadata, strict, missing, unexpected, errors) -> None:
    """Load one module's own entries, and note keys under its prefix that belong to nothing."""
    own = persistent(module)
    for name, tensor in own.items():
        key = prefix + name
        if key in state:
            _load_one(module, name, tensor, key, state[key], metadata, errors)
        elif strict:
            missing.append(key)
    _load_extra(module, state, prefix, strict, missing, unexpected)
    if strict:
        unexpected += _strangers(module, own, state, prefix)


def _strangers(module, own: dict, state, prefix: str) -> list[str]:
    found = []
    for key in state:
        if key.startswith(prefix) and key != prefix + EXTRA_STATE:
            first, _, rest = key[len(prefix):].partition(".")
            if first not in (module._modules if rest else own):
                found.append(key)
    return found


def _load_extra(module, state, prefix, strict, missing, unexpected) -> None:
    key = prefix + EXTRA_STATE
    if module._can_set_extra_state():
        if key in state:
            module.set_extra_state(state[key])
        elif strict:
            missing.append(key)
    elif strict and key in state:
        unexpected.append(key)


def _load_one(module, name, tensor, key, value, metadata, errors) -> None:
    if not isinstance(value, Tensor):
        errors.append(
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
            f"object from checkpoint but received {type(value)}"
        )
        return
    if value.shape != tensor.shape:
        if tensor.ndim == 0 and value.shape == (1,):
            value = value[0]
        else:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from "
                f"checkpoint, the shape in current model is {tensor.shape}."
            )
            return
    if metadata.get("assign_to_params_buffers"):
        _assign(module, name, tensor, value)
        return
    with no_grad():
        tensor.copy_(value)


def _assign(module, name: str, old: Tensor, value: Tensor) -> None:
    if isinstance(old, Parameter):
        value = value if isinstance(value, Parameter) else Parameter(value, old.requires_grad)
        module._parameters[name] = value
    else:
        module._buffers[name] = value
