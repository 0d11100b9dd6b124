"""What an optimizer keeps per parameter: named tensors and, for some, a step count.

The count is one Python number for all parameters that step together; `state["step"]` shows it as
the tensor that PyTorch keeps. Writing an entry tells the optimizer that its plans are out of date.
"""

from __future__ import annotations

from collections import defaultdict

from gemel.torch import dtypes
from gemel.torch.creation import tensor
from gemel.torch.tensor import Tensor

STEP = "step"


class Counter:
    """Steps taken by parameters that step together."""

    __slots__ = ("steps",)

    def __init__(self, steps: int = 0):
        self.steps = steps


class Changes:
    """Counts writes to the state from outside."""

    __slots__ = ("count",)

    def __init__(self):
        self.count = 0


class ParameterState(dict):
    """name -> value. `counting`: 'step' is kept in `counter`; else it is an entry like others (as
    in optimizers that users write)."""

    __slots__ = ("changes", "counter", "counting")

    def __init__(self, changes: Changes, counting: bool):
        self.changes = changes
        self.counting = counting
        self.counter: Counter | None = None

    def steps(self) -> int:
        return self.counter.steps if self.counter is not None else 0

    def count_from(self, counter: Counter) -> None:
        """Share a counter from here on."""
        self.counter = counter
        dict.__setitem__(self, STEP, None)

    def __setitem__(self, name, value):
        self.changes.count += 1
        if name == STEP and self.counting:
            steps = value.item() if isinstance(value, Tensor) else value
            self.count_from(Counter(int(steps)))
        else:
            dict.__setitem__(self, name, value)

    def __getitem__(self, name):
        if name == STEP and self.counter is not None:
            return tensor(float(self.counter.steps), dtype=dtypes.float32)
        return dict.__getitem__(self, name)

    def __delitem__(self, name):
        self.changes.count += 1
        if name == STEP:
            self.counter = None
        dict.__delitem__(self, name)

    def get(self, name, default=None):
        return self[name] if name in self else default

    def values(self):
        return [self[name] for name in self]

    def items(self):
        return [(name, self[name]) for name in self]

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def clear(self):
        self.changes.count += 1
        self.counter = None
        dict.clear(self)

    def __reduce__(self):
        return dict, (dict(self.items()),)


class StateTable(defaultdict):
    """parameter -> ParameterState, made when first asked for."""

    def __init__(self, changes: Changes, counting: bool):
        super().__init__()
        self.changes = changes
        self.counting = counting

    def __missing__(self, parameter):
        made = ParameterState(self.changes, self.counting)
        defaultdict.__setitem__(self, parameter, made)
        return made

    def __setitem__(self, parameter, entries):
        self.changes.count += 1
        made = ParameterState(self.changes, self.counting)
        made.update(entries)
        defaultdict.__setitem__(self, parameter, made)

    def __delitem__(self, parameter):
        self.changes.count += 1
        defaultdict.__delitem__(self, parameter)

    def clear(self):
        self.changes.count += 1
        defaultdict.clear(self)

    def __reduce__(self):
        return dict, (dict(self),)
