"""Errors that depend on values: raised when the program runs, without looking before."""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.ops import requirements
from gemel.ops.record import Call
from gemel.tensor import record2

from .tensor import Tensor

REQUIRE = Call(
    "require",
    lambda attrs, value, holds: requirements.required(value, holds, Fault(RuntimeError, attrs[0])),
)


def require(value: Tensor, holds: Tensor, what: str) -> Tensor:
    """`value`; a RuntimeError that says `what` unless all of `holds` is true."""
    return record2(REQUIRE, value, holds, (what,))
