"""Neutral errors of the engine. A face catches them, or checks first; it has its own words."""

from __future__ import annotations


class ShapeError(ValueError):
    """Shapes that do not fit. `op` is the primitive's name, `forms` what it received."""

    def __init__(self, op: str, reason: str, forms=()):
        self.op = op
        self.reason = reason
        self.forms = tuple(forms)
        received = ", ".join(map(repr, self.forms))
        super().__init__(f"{op}: {reason}" + (f" (received {received})" if received else ""))


class DTypeError(TypeError):
    """Element types that an operation does not take."""

    def __init__(self, op: str, reason: str, forms=()):
        self.op = op
        self.reason = reason
        self.forms = tuple(forms)
        received = ", ".join(map(repr, self.forms))
        super().__init__(f"{op}: {reason}" + (f" (received {received})" if received else ""))


class NotForComplex(DTypeError, NotImplementedError):
    """An operation that complex numbers have not."""


class Fault:
    """What a data-dependent check raises when a value is out of range.

    exception: the class that the face's original raises. template: the message, with `{value}`.
    """

    __slots__ = ("exception", "template")

    def __init__(self, exception: type[BaseException], template: str):
        self.exception = exception
        self.template = template

    def error(self, value: int, where: tuple[str, int] | None) -> BaseException:
        message = self.template.format(value=value)
        if where is not None:
            message += f" (first recorded at {where[0]}:{where[1]})"
        made = self.exception(message)
        made.refused = self, where  # type: ignore[attr-defined]  # for those who go on without it
        return made

    def __repr__(self) -> str:
        return f"Fault({self.exception.__name__}, {self.template!r})"
