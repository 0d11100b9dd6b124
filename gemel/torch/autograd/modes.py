"""Is a gradient recorded? Context managers that are decorators too."""

from __future__ import annotations

from functools import wraps

from gemel import tensor as lazy


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

        @wraps(function)
        def run(*args, **options):
            mode = object.__new__(kind)
            mode.flag = flag
            with mode:
                return function(*args, **options)

        return run


class no_grad(_Mode):
    """Nothing recorded inside has a history."""

    flag = False


class enable_grad(_Mode):
    """Gradients are recorded inside, also within no_grad."""

    flag = True


class inference_mode(_Mode):
    """As no_grad; `inference_mode(False)` changes nothing."""

    flag = False

    def __new__(cls, mode=True):
        made = object.__new__(cls)
        if callable(mode):
            return made(mode)
        made.flag = not mode
        return made

    def __enter__(self) -> None:
        before = lazy.grad_enabled()
        self.__dict__.setdefault("before", []).append(before)
        if not self.flag:
            lazy.set_grad_enabled(False)


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
    return False


class set_detect_anomaly:
    """Accepted for programs that switch it on; errors always carry the line of the forward op."""

    def __init__(self, mode: bool = True, check_nan: bool = True):
        self.mode = mode

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error) -> None:
        return None


detect_anomaly = set_detect_anomaly
