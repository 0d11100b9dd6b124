"""Rows of whole processes: imports, and first steps from a cold and from a warm cache."""

from __future__ import annotations

from .workload import Workload


def table() -> list[Workload]:
    return []


def sweep() -> list[Workload]:
    return []
