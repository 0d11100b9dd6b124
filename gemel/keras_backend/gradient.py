"""Gradients with respect to Keras variables: what the trainer and custom loops use.

Variables are no autograd leaves by themselves. While a tape is open, each trainable variable that
is read becomes one; asking for the gradient ends that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gemel import tensor as lazy
from gemel.tensor.lookups import Lookups, close_lookups, open_lookups, with_rows

# called with every trainable variable that is read; TensorFlow's face adds its tapes here
WATCHERS: list[Callable] = []


class GradientTape:
    """Records what is computed from trainable variables, so that gradients can be asked for once.

    with GradientTape() as tape:
        loss = loss_of(model(x))
    gradients = tape.gradient(loss, model.trainable_variables)
    """

    def __init__(self) -> None:
        self._watched: dict[int, lazy.Tensor] = {}
        self._lookups = Lookups()

    def __enter__(self) -> GradientTape:
        WATCHERS.append(self.watch)
        open_lookups(self._lookups)
        return self

    def __exit__(self, *exc) -> None:
        WATCHERS.remove(self.watch)
        close_lookups(self._lookups)
        if exc[0] is not None:
            self.release()

    def watch(self, variable) -> None:
        """Record what is computed from a variable (or a tensor) from now on."""
        held = getattr(variable, "_value", variable)
        self._lookups.read(held)
        if id(held) not in self._watched and held.form.dtype.is_float:
            if not lazy.requires_grad(held):
                lazy.watch(held)
                self._watched[id(held)] = held

    def gradient(self, target: lazy.Tensor, sources: Sequence) -> list:
        """Gradients of target, one for each source; None where target does not depend on it."""
        held = [getattr(v, "_value", v) for v in sources]
        known = [t for t in held if lazy.requires_grad(t)]
        found: dict[int, lazy.Tensor | None] = {}
        if known and lazy.requires_grad(target):
            rows = self._lookups.rows_of(known)
            read = [taken for pairs in rows for _, taken in pairs]
            slopes = lazy.grad([target], [*known, *read], allow_unused=True)
            gradients = slopes[: len(known)]
            with_rows(gradients, rows, slopes[len(known) :])
            found = {id(t): g for t, g in zip(known, gradients, strict=True)}
        self.release()
        return [found.get(id(t)) for t in held]

    def release(self) -> None:
        """Variables are plain again."""
        for held in self._watched.values():
            lazy.set_requires_grad(held, False)
        self._watched = {}
