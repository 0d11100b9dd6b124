"""Hooks of modules: Python functions that run around `forward` and around its backward pass.

A module without hooks holds no table at all, so that calling it costs nothing extra. In: the
module, its arguments and its result. Out: arguments or results that hooks replaced.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from itertools import count

from gemel.torch.tensor import Tensor

_numbers = count()


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook out again; also a context."""

    def __init__(self, table: OrderedDict):
        self.id = next(_numbers)
        self._table = weakref.ref(table)

    def remove(self) -> None:
        table = self._table()
        if table is not None:
            table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error) -> None:
        self.remove()


class Table(OrderedDict):
    """hook number -> hook; an own class because a plain dict cannot be weakly referenced."""

    def insert(self, hook, first: bool = False) -> RemovableHandle:
        handle = RemovableHandle(self)
        self[handle.id] = hook
        if first:
            self.move_to_end(handle.id, last=False)
        return handle


class Hooks:
    """All hooks of one module."""

    def __init__(self):
        self.before = Table()
        self.after = Table()
        self.backward = Table()
        self.backward_before = Table()


def call_with_hooks(module, hooks: Hooks, args: tuple, kwargs: dict):
    """Run forward of a module that has hooks, in the order: pre, backward set-up, forward, post."""
    for hook, with_kwargs in list(hooks.before.values()):
        args, kwargs = _before(module, hook, with_kwargs, args, kwargs)
    pass_ = None
    if hooks.backward or hooks.backward_before:
        pass_ = _BackwardPass(module, hooks)
        args = pass_.watch_inputs(args)
    result = module.forward(*args, **kwargs)
    for hook, with_kwargs in list(hooks.after.values()):
        given = (module, args, kwargs, result) if with_kwargs else (module, args, result)
        replaced = hook(*given)
        result = result if replaced is None else replaced
    return result if pass_ is None else pass_.watch_outputs(result)


def _before(module, hook, with_kwargs: bool, args: tuple, kwargs: dict):
    if not with_kwargs:
        replaced = hook(module, args)
        if replaced is None:
            return args, kwargs
        return (replaced if isinstance(replaced, tuple) else (replaced,)), kwargs
    replaced = hook(module, args, kwargs)
    if replaced is None:
        return args, kwargs
    if isinstance(replaced, tuple) and len(replaced) == 2:
        return replaced
    raise RuntimeError(
        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
        f"but got {replaced}."
    )


class _BackwardPass:
    """Collects the gradients at a module's outputs and inputs, and calls its backward hooks.

    One object per forward call. The module's hooks run when the gradients of all its inputs are
    known, or, when no input needs one, when those of its outputs are.
    """

    def __init__(self, module, hooks: Hooks):
        self.module = module
        self.hooks = hooks
        self.grad_inputs: list = []
        self.grad_outputs: list = []
        self.missing_inputs = 0

    def watch_inputs(self, args: tuple) -> tuple:
        self.grad_inputs = [None] * sum(isinstance(a, Tensor) for a in args)
        watched = []
        position = 0
        for arg in args:
            if isinstance(arg, Tensor):
                watched.append(self._watch_input(arg, position))
                position += 1
            else:
                watched.append(arg)
        return tuple(watched)

    def _watch_input(self, tensor: Tensor, position: int) -> Tensor:
        if not tensor.requires_grad:
            return tensor
        self.missing_inputs += 1
        inner = tensor.clone()  # a value of its own, so that only this use is watched
        inner.register_hook(lambda grad: self._input_grad(position, grad))
        return inner

    def _input_grad(self, position: int, grad: Tensor):
        self.grad_inputs[position] = grad
        self.missing_inputs -= 1
        if self.missing_inputs:
            return None
        replaced = self._run(tuple(self.grad_inputs), tuple(self.grad_outputs))
        if replaced is None:
            return None
        if sum(g is not None for g in self.grad_inputs) > 1:
            raise NotImplementedError(
                "a full backward hook that replaces gradients is supported for modules with one "
                "differentiable input; this one has several"
            )
        return replaced[position]

    def watch_outputs(self, result):
        outputs = result if isinstance(result, tuple) else (result,)
        tensors = [t for t in outputs if isinstance(t, Tensor) and t.requires_grad]
        self.grad_outputs = [None] * len(tensors)
        for position, tensor in enumerate(tensors):
            tensor.register_hook(lambda grad, p=position: self._output_grad(p, grad))
        return result

    def _output_grad(self, position: int, grad: Tensor):
        self.grad_outputs[position] = grad
        replaced = None
        if all(g is not None for g in self.grad_outputs):
            for hook in list(self.hooks.backward_before.values()):
                new = hook(self.module, tuple(self.grad_outputs))
                if new is not None:
                    new = new if isinstance(new, tuple) else (new,)
                    self.grad_outputs = list(new)
                    replaced = new[position]
            if not self.missing_inputs:
                self._run((None,) * len(self.grad_inputs), tuple(self.grad_outputs))
        return replaced

    def _run(self, grad_inputs: tuple, grad_outputs: tuple):
        replaced = None
        for hook in list(self.hooks.backward.values()):
            new = hook(self.module, grad_inputs, grad_outputs)
            if new is not None:
                new = new if isinstance(new, tuple) else (new,)
                if len(new) != len(grad_inputs):
                    raise RuntimeError(
                        "Backward hook returned an invalid number of grad_input, "
                        f"got {len(new)}, but expected {len(grad_inputs)}"
                    )
                replaced = grad_inputs = new
        return replaced
