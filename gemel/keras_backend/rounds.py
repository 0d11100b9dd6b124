"""The rounds of an epoch: which batches each execution takes, and when an epoch ends."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice

from keras.src.backend import config


class Rounds:
    """Iterating gives (first step, last step, batches) once per execution.

    source     an object of `batches`
    steps      steps per epoch, or None for all that the source has
    together   steps per execution
    """

    def __init__(self, source, steps: int | None, together: int) -> None:
        most = config.max_steps_per_epoch()
        if most and (not steps or most < steps):
            warnings.warn(f"Limiting steps_per_epoch to {most}", stacklevel=3)
            steps = most
        self.source = source
        self.steps = steps
        self.together = together
        self._rows: Iterator | None = None
        self._left: int | None = None

    @property
    def num_batches(self) -> int | None:
        return self.steps or self.source.num_batches

    def sample(self):
        """A batch for building the model."""
        return self.source.sample()

    def __iter__(self) -> Iterator[tuple[int, int, list]]:
        source = self.source
        source.begin_epoch()
        total = self.steps or source.num_batches
        if self.steps is None or self._rows is None:
            self._rows = iter(source)
            self._left = source.num_batches
        step = 0
        while total is None or step < total:
            size = self.together if total is None else min(self.together, total - step)
            batches = list(islice(self._rows, size))
            if not batches:
                self._ran_out(step, total)
                break
            yield step, step + self.together - 1, batches
            step += len(batches)
        if self.steps is not None and source.num_batches is not None:
            self._left -= step
            if self._left <= 0:
                self._rows = None
        source.end_epoch()

    def _ran_out(self, step: int, total: int | None) -> None:
        self._rows = None
        if total is None:
            self.source.num_batches = step
            return
        warnings.warn(
            "Your input ran out of data; interrupting training. Make sure that your dataset or "
            "generator can generate at least `steps_per_epoch * epochs` batches.",
            stacklevel=4,
        )
