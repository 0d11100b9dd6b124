"""The row of a policy that learns from its own actions, one state at a time."""

from __future__ import annotations

from .workload import Workload, program

LENGTHS = [23, 57, 40, 80]  # steps of the episodes, again and again


def table() -> list[Workload]:
    forward = 2.0 * (4 * 128 + 128 * 2)
    return [
        Workload(
            "policy gradient 4-128-2",
            "training",
            {"torch": program("policy_torch", "train_policy", LENGTHS)},
            "one state at a time: sample, log-probability; per step of an episode",
            3 * forward,
            goal=0.35,
            rivals=("PyTorch",),
        )
    ]


def sweep() -> list[Workload]:
    return []
