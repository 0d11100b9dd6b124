"""The reference interpreter: a program that evaluates its graph with the NumPy references.

It is a device (`device="reference"`), an oracle for tests and the answer to "engine or code
generator?". It is never used unless asked for.
"""

from __future__ import annotations

import numpy as np

from .buffer import Buffer


def evaluated(nodes, values: dict) -> dict:
    """The values of nodes in topological order; `values` holds those of leaves, and is filled."""
    for node in nodes:
        if node not in values:
            found = node.op.reference(node.attrs, *(values[a] for a in node.args))
            values[node] = _shaped(node, found)
    return values


def _shaped(node, value):
    """An array of the node's form; a loop's value is no array."""
    if node.op.name == "loop":
        return value
    return np.asarray(value, node.dtype.numpy).reshape(node.shape)


class Interpreted:
    """Same interface as a compiled program; updates are never in place."""

    donated: frozenset[int] = frozenset()
    kernels: tuple = ()

    def __init__(self, nodes, outputs, updates):
        """nodes: all, in topological order. updates: leaf position -> node."""
        self.nodes = list(nodes)
        self.updates = tuple(sorted(updates))
        self.results = list(outputs) + [updates[k] for k in self.updates]

    def __call__(self, buffers: list[Buffer], scalars: list) -> list[Buffer | None]:
        values: dict = {}
        for node in self.nodes:
            values[node] = self._value(node, values, buffers, scalars)
        return [Buffer.of(values[r]) for r in self.results]

    def _value(self, node, values, buffers, scalars):
        if node.op.name == "leaf":
            return buffers[node.attrs[0]].array(node.form)
        if node.op.name == "scalar":
            return np.asarray(scalars[node.attrs[0]], node.dtype.numpy)
        try:
            value = node.op.reference(node.attrs, *(values[a] for a in node.args))
        except Exception as error:
            if node.where and node.op.name == "check_range":
                place = f"{node.where[0]}:{node.where[1]}"
                told = type(error)(f"{error} (first recorded at {place})")
                told.refused = node.attrs[2], node.where  # type: ignore[attr-defined]
                raise told from None
            raise
        return _shaped(node, value)
