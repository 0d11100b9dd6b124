"""The rounds of an epoch: which batches each execution takes, and when an epoch ends."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import count, islice

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
        self._seen = 0

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
            self._start()
        for step in count(0, self.together) if total is None else range(0, total, self.together):
            if self._all_seen():
                self._warn()
                break
            self._seen += self.together
            batches = list(islice(self._rows, self.together))
            if not batches:
                self._ran_out(step, total)
                break
            yield step, step + self.together - 1, batches
        if self._all_seen():
            self._rows = None
        source.end_epoch()

    def _start(self) -> None:
        self._rows = iter(self.source)
        self._seen = 0

    def _all_seen(self) -> bool:
        """Has the iterator that goes on over epochs given everything?"""
        return bool(self.steps and self.source.num_batches and self._rows is not None
                    and self._seen >= self.source.num_batches)  # fmt: skip

    def _ran_out(self, step: int, total: int | None) -> None:
        self._rows = None
        if total is None:
            self.source.num_batches = step
        else:
            self._warn()

    def _warn(self) -> None:
        warnings.warn(
            "Your input ran out of data; interrupting training. Make sure that your dataset or "
            "generator can generate at least `steps_per_epoch * epochs` batches.",
            stacklevel=5,
        )
