"""The rounds of an epoch: which batches each execution takes, and when an epoch ends."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from time import perf_counter

from keras.src.backend import config

from .blocks import Block

SHOWN = 0.05  # seconds between two looks of a progress bar


class Rounds:
    """Iterating gives (first step, last step, blocks of batches) of one execution after the other.

    source     an object of `batches`
    steps      steps per epoch, or None for all that the source has
    together   steps per execution
    free       may several executions be given as one? Nobody looks at batches
    pace       steps that are given as one at most, where they may be
    """

    def __init__(self, source, steps: int | None, together: int) -> None:
        most = config.max_steps_per_epoch()
        if most and (not steps or most < steps):
            warnings.warn(f"Limiting steps_per_epoch to {most}", stacklevel=3)
            steps = most
        self.source = source
        self.steps = steps
        self.together = together
        self.free = False
        self.pace = together
        self._walk = None
        self._seen = 0

    @property
    def num_batches(self) -> int | None:
        return self.steps or self.source.num_batches

    def sample(self):
        """A batch for building the model."""
        return self.source.sample()

    def __iter__(self) -> Iterator[tuple[int, int, list[Block]]]:
        source = self.source
        source.begin_epoch()
        total = self.steps or source.num_batches
        if self.steps is None or self._walk is None:
            self._walk = source.start()
            self._seen = 0
        walk = self._walk
        walk.allow(None if total is None else self._whole(total))
        step = 0
        while total is None or step < total:
            if self._all_seen():
                self._warn()
                break
            blocks = walk.take(self.together, self._stretch(total, step))
            taken = sum(block.runs for block in blocks)
            if not taken:
                self._ran_out(step, total)
                break
            done = self._whole(taken)
            self._seen += done
            yield step, step + done - 1, blocks
            step += done
        if self._all_seen():
            self._walk = None
        source.end_epoch()

    def _whole(self, steps: int) -> int:
        """Executions are whole: so many steps as steps of executions."""
        return -(-steps // self.together) * self.together

    def _stretch(self, total: int | None, step: int) -> int:
        """Steps that may be given as one now."""
        if not self.free:
            return self.together
        most = self._whole(self.pace)
        if total is not None:
            most = min(most, self._whole(total - step))
        if self.steps and self.source.num_batches:
            most = min(most, self._whole(self.source.num_batches - self._seen))
        return most

    def _all_seen(self) -> bool:
        """Has the iterator that goes on over epochs given everything?"""
        return bool(self.steps and self.source.num_batches and self._walk is not None
                    and self._seen >= self.source.num_batches)  # fmt: skip

    def _ran_out(self, step: int, total: int | None) -> None:
        self._walk = None
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


class Pace:
    """How many steps are given as one: all that there are; or, where somebody is shown how far it
    is, as many as take about as long as what is shown may wait."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def keep(self, rounds: Rounds) -> Iterator[tuple[int, int, list[Block]]]:
        """The rounds, each as long as the time that the one before it took suggests."""
        rounds.pace = rounds.together if self.shown else 1 << 62
        for first, last, blocks in rounds:
            started = perf_counter()
            yield first, last, blocks
            if self.shown:
                taken = (perf_counter() - started) / (last + 1 - first)
                rounds.pace = max(rounds.together, min(8 * rounds.pace, int(SHOWN / taken)))
