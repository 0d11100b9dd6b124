"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence

from .. import nn
from ..joining import stack
from ..tensor import Tensor


def _owner(module: nn.Module, path: str) -> tuple[nn.Module, str]:
    parent, _, name = path.rpartition(".")
    return module.get_submodule(parent) if parent else module, name


def _place(owner: nn.Module, name: str) -> dict:
    for table in (owner._parameters, owner._buffers):
        if name in table:
            return table
    raise KeyError(name)


def _merged(given) -> dict[str, Tensor]:
    if isinstance(given, dict):
        return given
    if not isinstance(given, Sequence):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(given)}"
        )
    if not all(isinstance(d, dict) for d in given):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    merged: dict[str, Tensor] = {}
    for d in given:
        for key in d:
            if key in merged:
                raise ValueError(
                    f"{key} appears in multiple dictionaries; behavior of functional call is "
                    "ambiguous"
                )
        merged.update(d)
    return merged


def _tied(module: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with one tensor for all names of a parameter that has several."""
    names: dict[int, list[str]] = {}
    for rows in (module.named_parameters, module.named_buffers):
        for name, t in rows(remove_duplicate=False):
            names.setdefault(id(t), []).append(name)
    found = dict(given)
    for group in names.values():
        values = {id(given[n]): given[n] for n in group if n in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(set(group) & set(given))}, "
                "which are tied. Consider using tie_weights=False"
            )
        for value in values.values():
            found.update((n, value) for n in group)
    return found


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *,
                    tie_weights=True, strict=False):  # fmt: skip
    """module(*args, **kwargs) with other tensors in the place of its parameters and buffers.

    The tensors are given by name, in one dict or several. What the module writes to a buffer goes
    into the given dict. RuntimeError for names that it does not have; with strict also for missing
    ones.
    """
    original = parameter_and_buffer_dicts
    given = _merged(original)
    _check_names(module, given, strict)
    if tie_weights:
        given = _tied(module, given)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    before = []
    try:
        for path, value in given.items():
            owner, name = _owner(module, path)
            table = _place(owner, name)
            before.append((table, name, table[name]))
            table[name] = value
        return module(*args, **(kwargs or {}))
    finally:
        for table, name, value in reversed(before):
            table[name] = value


def _check_names(module: nn.Module, given: dict, strict: bool) -> None:
    known = [n for n, _ in module.named_parameters(remove_duplicate=False)]
    known += [n for n, _ in module.named_buffers(remove_duplicate=False)]
    unknown = sorted(set(given) - set(known))
    missing = sorted(set(known) - set(given)) if strict else []
    if strict and (unknown or missing):
        parts = [f"Unexpected key(s): {', '.join(unknown)}."] * bool(unknown)
        parts += [f"Missing key(s): {', '.join(missing)}."] * bool(missing)
        raise RuntimeError("Error(s) in reparametrizing:\n\t" + "\n\t".join(parts))
    if unknown:
        raise AttributeError(f"{type(module).__name__} has no attribute `{unknown[0]}`")


def stack_module_state(models) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of models of one kind, by name, each stacked along a new first axis."""
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    params = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return _stacked(params, True), _stacked(buffers, False)


def _stacked(rows: list[dict], leaf: bool) -> dict[str, Tensor]:
    found = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        watched = values[0].requires_grad
        if any(v.requires_grad is not watched for v in values):
            raise RuntimeError(
                f"Expected {'parameters' if leaf else 'buffers'} from different models to have the "
                "same .requires_grad"
            )
        whole = stack([v.detach() for v in values])
        found[name] = whole.requires_grad_() if watched else whole
    return found


def replace_all_batch_norm_modules_(root: nn.Module) -> nn.Module:
    """Batch norms of the module forget their running statistics, in place; returns it."""
    for module in root.modules():
        if "BatchNorm" in type(module).__name__ and hasattr(module, "running_mean"):
            module.running_mean = None
            module.running_var = None
            module.num_batches_tracked = None
            module.track_running_stats = False
    return root
