"""Is a gradient recorded? Context managers that are decorators too."""

from __future__ import annotations

import threading
from functools import wraps
from inspect import isgeneratorfunction

from gemel import tensor as lazy


class _Depth(threading.local):
    inference = 0  # blocks open on this thread


_DEPTH = _Depth()


class _Mode:
    """Sets the grad mode inside; `with no_grad():`, `@no_grad()` and `@no_grad`."""

    flag = True

    def __new__(cls, function=None):
        made = object.__new__(cls)
        return made if function is None else made(function)

    def __enter__(self) -> None:
        self.__dict__.setdefault("before", []).append(lazy.set_grad_enabled(self.flag))

    def __exit__(self, *error) -> None:
        lazy.set_grad_enabled(self.before.pop())

    def __call__(self, function):
        kind = type(self)
        flag = self.flag

        def fresh():
            mode = object.__new__(kind)
            mode.flag = flag
            return mode

        if isgeneratorfunction(function):
            return _around_generator(function, fresh)

        @wraps(function)
        def run(*args, **options):
            with fresh():
                return function(*args, **options)

        return run


def _around_generator(function, fresh):
    """The mode holds while the generator runs, not between its values."""

    @wraps(function)
    def run(*args, **options):
        with fresh():
            made = function(*args, **options)
        given = None
        try:
            while True:
                with fresh():
                    value = made.send(given)
                given = yield value
        except StopIteration as end:
            return end.value
        finally:
            made.close()

    return run


class no_grad(_Mode):
    """Nothing recorded inside has a history."""

    flag = False


class enable_grad(_Mode):
    """Gradients are recorded inside, also within no_grad."""

    flag = True


class inference_mode(_Mode):
    """As no_grad; `inference_mode(False)` ends it inside."""

    flag = False

    def __new__(cls, mode=True):
        made = object.__new__(cls)
        if callable(mode):
            return made(mode)
        made.flag = not mode
        return made

    def __enter__(self) -> None:
        before = lazy.grad_enabled()
        opened = _DEPTH.inference
        self.__dict__.setdefault("before", []).append(before)
        self.__dict__.setdefault("opened", []).append(opened)
        if not self.flag:
            _DEPTH.inference = opened + 1
            lazy.set_grad_enabled(False)
        elif opened:
            _DEPTH.inference = 0
            lazy.set_grad_enabled(True)

    def __exit__(self, *error) -> None:
        _DEPTH.inference = self.opened.pop()
        super().__exit__(*error)


class set_grad_enabled(_Mode):
    """Record gradients or not: at once, and until the end of the block where used as a context."""

    def __new__(cls, mode: bool):
        made = object.__new__(cls)
        made.flag = bool(mode)
        made.before = [lazy.set_grad_enabled(made.flag)]
        return made

    def __enter__(self) -> None:
        lazy.set_grad_enabled(self.flag)

    def __call__(self, function):
        lazy.set_grad_enabled(self.before.pop())
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Are gradients recorded now?"""
    return lazy.grad_enabled()


def is_inference_mode_enabled() -> bool:
    """Is an `inference_mode` block open?"""
    return _DEPTH.inference > 0


class set_multithreading_enabled(_Mode):
    """Accepted: a backward pass runs on the threads of its program."""

    def __new__(cls, mode: bool):
        return object.__new__(cls)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error) -> None:
        return None


def is_multithreading_enabled() -> bool:
    return True
