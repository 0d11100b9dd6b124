"""The driver: graph in, program out. What the tensor layer calls when it meets a new structure."""

from __future__ import annotations

import os
from contextlib import contextmanager

from gemel.graph.node import Node, order
from gemel.ops.complex import over_reals
from gemel.runtime.interpreter import Interpreted

from .loops import close_loops

DEVICES = ("cpu", "reference", "observed")
DEVICE = [os.environ.get("GEMEL_DEVICE", "cpu")]


def default_device() -> str:
    return DEVICE[0]


@contextmanager
def device(name: str):
    """Programs compiled inside run on this device: "cpu", "reference" (the NumPy interpreter), or
    "observed" ("cpu", with every call noted; see `observed.watching`)."""
    if name not in DEVICES:
        raise ValueError(f"unknown device {name!r}; there are: {', '.join(DEVICES)}")
    before = DEVICE[0]
    DEVICE[0] = name
    try:
        yield
    finally:
        DEVICE[0] = before


def compile_graph(
    leaves: list[Node],
    scalars: list[Node],
    outputs: list[Node],
    updates: dict[int, Node],
    device: str | None = None,
):
    """A program for the graph.

    leaves, scalars  the inputs, in the order in which the program is given them
    outputs          nodes whose values the program returns
    updates          leaf position -> the node that is its new value
    """
    name = device or DEVICE[0]
    leaves, outputs, updates = before_devices(leaves, outputs, updates)
    if name == "reference":
        return Interpreted(order([*outputs, *updates.values()]), outputs, updates)
    if name == "observed":
        from .observed import Observed

        return Observed(leaves, scalars, outputs, updates)
    if name != "cpu":
        raise ValueError(f"unknown device {name!r}; there are: {', '.join(DEVICES)}")
    from .native import compile_cpu

    return compile_cpu(leaves, scalars, outputs, updates)


def before_devices(leaves: list[Node], outputs: list[Node], updates: dict[int, Node]):
    """What is done for every device: (leaves, outputs, updates)."""
    leaves, outputs, updates = _over_reals(leaves, outputs, updates)
    return leaves, *_closed(outputs, updates)


def _closed(outputs: list[Node], updates: dict[int, Node]):
    """Loops know all that is taken from them from here on."""
    results = close_loops([*outputs, *updates.values()])
    count = len(outputs)
    return results[:count], dict(zip(updates, results[count:], strict=True))


def _over_reals(leaves: list[Node], outputs: list[Node], updates: dict[int, Node]):
    """Complex values are pairs of real ones from here on."""
    leaves, results = over_reals(leaves, [*outputs, *updates.values()])
    count = len(outputs)
    return leaves, results[:count], dict(zip(updates, results[count:], strict=True))
