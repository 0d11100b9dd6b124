"""What a row of the table is: one task, and how each framework does it."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Job(NamedTuple):
    """A task made ready in one framework.

    run      does that many steps, and returns when their results are there; a number that it
             returns is the seconds that count, of all steps
    results  what the first steps give, as arrays in a layout that all frameworks share; called
             once, before `run`
    unit     `run` takes multiples of this many steps
    """

    run: Callable[[int], float | None]
    results: Callable[[], Sequence[np.ndarray]]
    unit: int = 1


@dataclass(frozen=True)
class Workload:
    """One row.

    builders   variant (see peers.py) -> a function that makes its Job
    flops      floating-point operations of a step that every way of doing it needs; 0: not said
    traffic    bytes that a step must move at least, each array once; 0: not said
    goal       Gemel's time over the best peer's that the project wants at most; None: none set
    enough     where memory is the limit, the share of it that reaches the goal too; None: none does
    rivals     the peers that count for the goal; empty: all
    tolerance  of results, relative to the largest one
    alike      do all variants compute the same numbers? Otherwise only equal variants are compared
    budget     seconds that Gemel may take at most; None: none set
    rounds     samples at most
    """

    name: str
    group: str
    builders: Mapping[str, Callable[[], Job]]
    about: str = ""
    flops: float = 0
    traffic: float = 0
    goal: float | None = None
    enough: float | None = None
    rivals: tuple[str, ...] = ()
    tolerance: float = 1e-4
    alike: bool = True
    budget: float | None = None
    rounds: int = 1000


def numbers(name: str, shape: Sequence[int], scale: float = 1.0) -> np.ndarray:
    """Normal float32 values; the same for the same name in every process."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return (random.standard_normal(tuple(shape), np.float32) * np.float32(scale)).astype("f4")


def turns(inputs: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """The inputs twice, in memory of their own: products take them in turn, in every framework, so
    that nothing made of them can be kept."""
    return [list(inputs), [x.copy() for x in inputs]]


def weights(name: str, shape: Sequence[int], inputs: int = 0) -> np.ndarray:
    """Start of a parameter by its name: norms at one, biases at zero, the rest scaled by fan-in."""
    if len(shape) > 1:
        return numbers(name, shape, (2.0 / inputs) ** 0.5)
    whole = name.endswith(("weight", "gamma", "moving_variance", "running_var"))
    return np.full(tuple(shape), float(whole), np.float32)


def program(module: str, function: str, *arguments, **options) -> Callable[[], Job]:
    """A builder that imports its module of this folder, and with it a framework, when called."""

    def build() -> Job:
        home = importlib.import_module(f"{__package__}.{module}")
        return getattr(home, function)(*arguments, **options)

    return build
