"""The operators that Gemel has builders for, by domain, name and version.

A builder is a function `build(node, *inputs)`. There are three kinds:
    graph    inputs and results are nodes of the graph: runs when the operator is recorded. Inputs
             that are declared `static` are given as `node.static[i]`, a NumPy array, and None
    host     inputs and results are NumPy arrays: for results whose shape depends on values
    control  inputs are `Value`s; runs subgraphs (`node.graph(name)`)
An input that is left out is None. A builder is good for the versions from `since` on, up to the
next one of the same name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from gemel.graph.node import Node

# the builders, grouped as the values go
HOMES = (
    "elementwise", "activations", "constants", "shapes", "indexing", "data_dependent",
    "reductions", "products", "windows", "normalization", "resizing", "recurrent", "quantization",
    "signal", "vision", "training", "trees", "control",
)  # fmt: skip


class Operator(NamedTuple):
    kind: str  # 'graph', 'host' or 'control'
    since: int
    build: Callable[..., Any]
    static: tuple[int, ...]
    extras: Callable[..., Any] | None


_TABLE: dict[tuple[str, str], list[Operator]] = {}


def operator(
    *names: str,
    since: int = 1,
    static: tuple[int, ...] = (),
    kind: str = "graph",
    domain: str = "",
    extras: Callable[..., Any] | None = None,
) -> Callable:
    """Decorator: the function builds the operators of these names.

    extras(node, *forms) gives arrays that are computed ahead (weights of an interpolation, say);
    the builder gets them as nodes, in its argument `extras`. forms: of the inputs that are not
    static, None for the others.
    """

    def put(build: Callable) -> Callable:
        for name in names:
            rows = _TABLE.setdefault((domain, name), [])
            rows.append(Operator(kind, since, build, static, extras))
            rows.sort(key=lambda row: row.since)
        return build

    return put


def simple(name: str, function: Callable[..., Node], since: int = 1) -> None:
    """An operator without attributes, which a function of the engine computes."""
    operator(name, since=since)(lambda node, *inputs: function(*inputs))


def find(domain: str, name: str, version: int) -> Operator | None:
    """The builder of an operator in a version of its domain."""
    _load()
    rows = _TABLE.get((domain, name), ())
    return next((row for row in reversed(rows) if row.since <= version), None)


def supported() -> list[str]:
    """Names of the operators with builders of their own, with the domain where it has a name."""
    _load()
    return sorted(f"{domain}.{name}" if domain else name for domain, name in _TABLE)


_LOADED: list[str] = []


def _load() -> None:
    """Import the builders, which put themselves into the table."""
    if not _LOADED:
        _LOADED.extend(HOMES)
        for home in HOMES:
            importlib.import_module(f"{__package__}.{home}")
