"""NumPy and pickling: `numpy()` shares memory both ways, copies leave as arrays."""

from __future__ import annotations

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import bfloat16

from .tensor import Tensor, attach


@attach()
def numpy(self, *, force=False) -> np.ndarray:
    """The values as an array that shares the tensor's memory. RuntimeError for a tensor that
    requires grad (unless force)."""
    if lazy.requires_grad(self):
        if not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        self = self.detach()
    if self.form.dtype is bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    return lazy.export(self)


def typename(obj) -> str:
    """The type of an object as PyTorch names it: 'torch.FloatTensor', 'int'."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = type(obj)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
