"""Functions in NumPy that programs call by name: what has no kernel of its own.

A function `f(settings, out, *arrays)` writes its result into `out`. settings: a tuple of numbers,
strings, truth values and tuples of these. The functions of a module here are called
"module.function". They do not fail because of values: what went wrong with a matrix is a number
in the result, which the caller of `ops.host` checks in words of its own.

Invariant: a function works on the last axes of its arrays; the axes before them are batches, the
same in all arrays and in `out`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

FUNCTIONS: dict[str, Callable[..., None]] = {}


def host_call(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator: programs can call the function."""
    module = function.__module__.rpartition(".")[2]
    FUNCTIONS[f"{module}.{function.__name__}"] = function
    return function


def find(name: str) -> Callable[..., None]:
    """The function of a name; KeyError where there is none. Its module is imported by the way."""
    if name not in FUNCTIONS:
        importlib.import_module(f"{__name__}.{name.partition('.')[0]}")
    return FUNCTIONS[name]
