"""Conditions on values, checked when the program runs."""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.graph.form import uint8
from gemel.graph.node import Node

from .elementwise import NOT, cast, check_range
from .reduction import any_


def required(value: Node, holds: Node, fault: Fault) -> Node:
    """value; `fault` is raised where some cell of `holds` is false."""
    broken = check_range(cast(any_(NOT(holds)), uint8), 0, 1, fault)
    return value + cast(broken, value.dtype)  # adds nothing; ties the check to the value
