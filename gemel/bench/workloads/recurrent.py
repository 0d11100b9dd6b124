"""Rows of recurrent networks: a language model's training step, and inference on one sequence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .workload import Job, Workload, program

WORDS, WIDTH, BATCH, STEPS = 1000, 256, 32, 64
LONG = 100


def table() -> list[Workload]:
    """The rows of the project's goals."""
    return [_training(), *(_inference(kind, gates) for kind, gates in (("LSTM", 4), ("GRU", 3)))]


def sweep() -> list[Workload]:
    """None."""
    return []


def _training() -> Workload:
    # a layer multiplies what it is given and its state, all gates at once; there and twice back
    layers = 2 * 2 * 2.0 * BATCH * STEPS * WIDTH * 4 * WIDTH
    decoder = 2.0 * BATCH * STEPS * WIDTH * WORDS
    return Workload(
        "lstm language model",
        "training",
        {"torch": _language_model},
        "2 layers of 256, 1000 words, batch 32, 64 steps, Adam",
        3 * (layers + decoder),
        goal=0.85,
        tolerance=1e-3,
    )


def _language_model() -> Job:
    texts = np.random.RandomState(0).randint(0, WORDS, (4, BATCH, STEPS + 1)).astype(np.int64)
    return program("recurrent_torch", "train_lstm", texts, WORDS, WIDTH)()


def _inference(kind: str, gates: int) -> Workload:
    build: Callable[[], Job] = program("recurrent_torch", "infer", kind, LONG, WIDTH)
    return Workload(
        f"{kind.lower()} inference",
        "inference",
        {"torch": build},
        f"{WIDTH} wide, one sequence of {LONG} steps",
        2 * 2.0 * LONG * WIDTH * gates * WIDTH,
        goal=0.5,
        tolerance=1e-3,
    )
