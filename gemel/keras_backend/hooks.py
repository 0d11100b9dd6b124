"""Who looks at a single batch? Callbacks are called per batch only where one of them does.

The progress bar alone looks at most every 50 ms, which is how often it draws itself.
"""

from __future__ import annotations

from time import perf_counter

from keras.src.callbacks.callback_list import CallbackList
from keras.src.callbacks.progbar_logger import ProgbarLogger
from keras.src.utils.python_utils import is_default, pythonify_logs

INTERVAL = 0.05


class BatchHooks:
    """The batch-level callbacks of one phase: "train", "test" or "predict"."""

    def __init__(self, callbacks: CallbackList, phase: str) -> None:
        self.begin_all = getattr(callbacks, f"on_{phase}_batch_begin")
        self.end_all = getattr(callbacks, f"on_{phase}_batch_end")
        self.everybody = _somebody_looks(callbacks, phase)
        self.bar_end = None
        self._next = 0.0
        if self.everybody:
            return
        for callback in callbacks.callbacks:
            silent = phase == "test" and getattr(callback, "_called_in_fit", False)
            if isinstance(callback, ProgbarLogger) and callback.verbose == 1 and not silent:
                self.bar_end = getattr(callback, f"on_{phase}_batch_end")

    def begin(self, step: int) -> None:
        """Before a batch."""
        if self.everybody:
            self.begin_all(step)

    def end(self, step: int, logs) -> None:
        """After a batch. The logs' values are read only where somebody looks at them."""
        if self.everybody:
            self.end_all(step, logs)
        elif self.bar_end is not None:
            now = perf_counter()
            if now >= self._next:
                self._next = now + INTERVAL
                self.bar_end(step, pythonify_logs(logs))

    def restart(self) -> None:
        """A new epoch: its first batch is shown."""
        self._next = 0.0


def _somebody_looks(callbacks: CallbackList, phase: str) -> bool:
    if type(callbacks) is not CallbackList:
        return True
    names = ("on_batch_begin", "on_batch_end", f"on_{phase}_batch_begin", f"on_{phase}_batch_end")
    for callback in callbacks.callbacks:
        if type(callback) is ProgbarLogger:
            continue
        for name in names:
            method = getattr(callback, name)
            # Callback's own train hooks only pass on to the plain batch hooks
            if not is_default(method) and not _passes_on(method):
                return True
    return False


def _passes_on(method) -> bool:
    module = getattr(getattr(method, "__func__", method), "__module__", None)
    return module == "keras.src.callbacks.callback"
