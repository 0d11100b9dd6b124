"""Rows of training in bfloat16, beside the same in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .workload import Job, Workload, numbers, program

WIDTHS = (784, 512, 512, 10)
OWN_FLOAT32 = "Gemel float32"


def table() -> list[Workload]:
    """The rows of the project's goals."""
    return [
        _row("mlp 784-512-512-10 bfloat16", "batch 128, Adam", _perceptron),
        _row("resnet-18 32x32 bfloat16", "batch 32, SGD with momentum", _residual),
    ]


def sweep() -> list[Workload]:
    """None."""
    return []


def _row(name: str, about: str, build: Callable[[bool], Job]) -> Workload:
    return Workload(
        name,
        "training",
        {"torch": lambda: build(True), "float32": lambda: build(False)},
        f"{about}; under autocast, against the same without",
        goal=0.65,
        rivals=(OWN_FLOAT32,),
        tolerance=5e-2,
    )


def _labels(count: int, batch: int) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 10, (count, batch)).astype(np.int64)


def _perceptron(lower: bool) -> Job:
    images = np.abs(numbers("images", (32, 128, WIDTHS[0])))
    labels = _labels(32, 128)
    return program("lower_precision_torch", "train_mlp", WIDTHS, images, labels, lower)()


def _residual(lower: bool) -> Job:
    images = numbers("images", (2, 32, 32, 32, 3))
    return program("lower_precision_torch", "train_resnet", images, _labels(2, 32), lower)()
