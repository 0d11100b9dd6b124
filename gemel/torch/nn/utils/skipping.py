"""Modules without initial values: `skip_init`."""

from __future__ import annotations

import inspect

from gemel.torch.random import fork_rng

from ..module import Module


def skip_init(module_cls, *args, **kwargs) -> Module:
    """module_cls(*args, **kwargs) whose parameters and buffers hold whatever lies in memory. No
    random number is drawn; what the constructor computes for them never runs."""
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with fork_rng():
        return module_cls(*args, **kwargs).to_empty(device=kwargs.get("device", "cpu"))
