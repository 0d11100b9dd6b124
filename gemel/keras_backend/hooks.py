"""Who looks at a single batch? Callbacks are called per batch only where they do.

The progress bar looks at most every 50 ms, which is how often it draws itself.
"""

from __future__ import annotations

from time import perf_counter

from keras.src.callbacks.callback_list import CallbackList
from keras.src.callbacks.progbar_logger import ProgbarLogger
from keras.src.utils.python_utils import is_default, pythonify_logs

from gemel import tensor as lazy

INTERVAL = 0.05


class BatchHooks:
    """The batch-level callbacks of one phase: "train", "test" or "predict"."""

    def __init__(self, callbacks: CallbackList, phase: str) -> None:
        self.begins: list = []
        self.ends: list = []
        self.bar = None
        self._next = 0.0
        plain = type(callbacks) is CallbackList
        for callback in callbacks.callbacks if plain else [callbacks]:
            if type(callback) is ProgbarLogger:
                silent = phase == "test" and callback._called_in_fit
                if callback.verbose == 1 and not silent:
                    self.bar = getattr(callback, f"on_{phase}_batch_end")
                continue
            for edge, hooks in (("begin", self.begins), ("end", self.ends)):
                if _looks(callback, phase, edge):
                    hooks.append(getattr(callback, f"on_{phase}_batch_{edge}"))

    @property
    def watched(self) -> bool:
        """Does anybody but the progress bar look at single batches?"""
        return bool(self.begins or self.ends)

    def begin(self, step: int) -> None:
        """Before a batch."""
        for hook in self.begins:
            hook(step, logs={})

    def end(self, step: int, logs) -> None:
        """After a batch. The logs' values are read only where somebody looks at them."""
        bar = self.bar
        if bar is not None:
            now = perf_counter()
            if now < self._next:
                bar = None
            else:
                self._next = now + INTERVAL
        if self.ends or bar is not None:
            logs = numbers(logs)
            for hook in self.ends:
                hook(step, logs=logs)
            if bar is not None:
                bar(step, logs)

    def restart(self) -> None:
        """A new epoch: its first batch is shown."""
        self._next = 0.0


def numbers(logs) -> dict:
    """Logs with Python numbers in place of tensors, by name, as Keras hands them to callbacks."""
    if not logs:
        return {}
    found = {}
    for name in sorted(logs):
        value = logs[name]
        if not isinstance(value, lazy.Tensor) or value.form.shape:
            return pythonify_logs(logs)
        found[name] = float(lazy.item(value))
    return found


def _looks(callback, phase: str, edge: str) -> bool:
    """Does the callback do anything at this edge of a batch?"""
    for name in (f"on_{phase}_batch_{edge}", f"on_batch_{edge}"):
        method = getattr(callback, name)
        # Callback's own hooks of a phase only pass on to the plain ones
        if not is_default(method) and not _passes_on(method):
            return True
    return False


def _passes_on(method) -> bool:
    module = getattr(getattr(method, "__func__", method), "__module__", None)
    return module == "keras.src.callbacks.callback"
