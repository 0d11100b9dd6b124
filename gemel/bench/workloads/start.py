"""Rows of whole processes: the first training step, from a cold and from a warm cache."""

from __future__ import annotations

from .workload import Workload, program

ROUNDS = 3
NETWORKS = (  # by name: title, seconds with a cold cache
    ("mlp", "mlp 64-64-10", 0.3),
    ("gpt", "gpt", 4.0),
    ("resnet", "resnet-18", 6.0),
    ("lstm", "lstm language model", 3.0),
)


def table() -> list[Workload]:
    """First steps; PyTorch has no cache, so both are the same to it."""
    return [
        Workload(
            f"first step {title}, {'warm' if warm else 'cold'} cache",
            "start",
            {"torch": program("first_steps", "job", network, warm)},
            f"without the import{', beyond a later step' if warm else ''}",
            budget=0.3 if warm else cold,
            tolerance=1e-3,
            rounds=ROUNDS,
        )
        for network, title, cold in NETWORKS
        for warm in (False, True)
    ]


def sweep() -> list[Workload]:
    """None."""
    return []
