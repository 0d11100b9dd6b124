"""The programs that are measured. Each is ordinary user code; `workload.py` says what a row is."""

from __future__ import annotations

from . import (
    convolutions,
    language,
    lower_precision,
    matmuls,
    policy,
    recurrent,
    rows,
    start,
    training,
)
from .workload import Workload

TABLES = (
    training,
    lower_precision,
    language,
    recurrent,
    policy,
    convolutions,
    matmuls,
    rows,
    start,
)


def every(sweeps: bool = True) -> list[Workload]:
    """All rows in the order of the table; `sweeps`: with the series over sizes behind it."""
    found = [w for table in TABLES for w in table.table()]
    if sweeps:
        found += [w for table in TABLES for w in table.sweep()]
    return found


def named(name: str) -> Workload:
    """The row of that name. Raises KeyError."""
    for workload in every():
        if workload.name == name:
            return workload
    raise KeyError(name)
