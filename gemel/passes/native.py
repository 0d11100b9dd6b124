"""Native programs: found by their graph, in memory or on disk, or built by the pipeline.

The key of a program is its graph as text with the forms of its inputs. A warm process finds the
object on disk and loads it: neither the passes nor the code generator are even imported.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from gemel.graph.node import Node, order
from gemel.graph.printer import show
from gemel.runtime import jit, object_cache
from gemel.runtime.host_entry import part_names
from gemel.runtime.program import Program

from .compiles import Stopwatch
from .outlines import Outline, Structure, outline

ENTRY = "gemel_program"
LOADED = 512  # libraries kept for programs that are asked for again; older ones may be freed
STRUCTURES = 4096  # of which the last graphs are remembered
_loaded: dict[str, tuple] = {}
_structures: dict[str, Structure] = {}


def compile_cpu(
    leaves: list[Node], scalars: list[Node], outputs: list[Node], updates: dict[int, Node]
) -> Program:
    """A native program; see `compile.compile_graph` for the arguments."""
    results = [*outputs, *updates.values()]
    watch = Stopwatch()
    faults = faults_of(results)
    key = hashlib.sha256(_text(leaves, scalars, results, updates).encode()).hexdigest()
    shown = levels() - {"compiles"}
    if "graph" in shown:
        print(show(results))
    how, found = "memory", None if shown else _loaded.get(key)
    if found is None and not shown:
        how, found = "disk", _from_disk(key)
    seen = outline_of(leaves, scalars, outputs, updates)
    known = _structure(seen)
    if found is None and known.outlines and not shown:
        how, found = "sizes", _instance(known, seen, leaves, outputs, updates, faults)
    if found is None:
        found = _built(key, leaves, outputs, updates, faults)
    known.note(seen)
    _remember(key, found)
    library, facts = found
    watch.stop(how, leaves, results, len(facts["kernels"]), known.told if how == "sizes" else "")
    return Program(library, ENTRY, facts, faults, number_kinds(scalars))


def number_kinds(scalars: list[Node]) -> str:
    """Of the run-time numbers, as `struct` has them."""
    return "".join("d" if s.dtype.is_float else "q" for s in scalars)


def outline_of(leaves, scalars, outputs, updates) -> Outline:
    """What the program of a graph depends on, apart from its sizes, and those."""
    results = [*outputs, *updates.values()]
    return outline(_head(leaves, scalars, results, updates), results)


def structure_of(seen: Outline) -> Structure | None:
    """What is known of graphs of the same structure, if there were any."""
    return _structures.get(seen.structure)


def levels() -> set[str]:
    """What GEMEL_SHOW asks for, without the kernels it names."""
    items = os.environ.get("GEMEL_SHOW", "").replace(" ", "").split(",")
    return {item.partition(":")[0] for item in items if item}


def _structure(seen: Outline) -> Structure:
    """What is known of graphs like this one; the oldest are forgotten."""
    known = _structures.setdefault(seen.structure, Structure())
    if len(_structures) > STRUCTURES:
        del _structures[next(iter(_structures))]
    return known


def _remember(key: str, found: tuple) -> None:
    """The most recent libraries; one that no program uses any more is freed with its code."""
    _loaded.pop(key, None)
    _loaded[key] = found
    for kept in (_loaded, _structures):
        while len(kept) > LOADED:
            kept.pop(next(iter(kept)), None)


def _instance(known: Structure, seen, leaves, outputs, updates, faults) -> tuple | None:
    """By a program that serves many sizes, where the structure has come with others."""
    from . import templates

    return templates.found(known, seen, leaves, outputs, updates, faults)


def _text(leaves, scalars, results, updates) -> str:
    """The graph as text with everything that the code depends on."""
    head = [f"leaves {[leaf.form for leaf in leaves]}", _head(leaves, scalars, results, updates)]
    return "\n".join([*head, show(results, lines=False)])


def _head(leaves, scalars, results, updates) -> str:
    """What the graph does not tell, apart from sizes."""
    kinds = [(leaf.form.dtype, leaf.form.ndim) for leaf in leaves]
    head = [f"leaves {kinds}", f"scalars {[s.form for s in scalars]}"]
    return "\n".join([*head, f"updates {list(updates)} of {len(results)}"])


def faults_of(results: list[Node]) -> list[tuple]:
    """Every (fault, user's line) of the graph, in its order: number n is entry n - 1."""
    return list(dict.fromkeys((n.attrs[2], n.where) for n in _checks(results)))


def _checks(results: Iterable[Node]) -> Iterator[Node]:
    """All checks, those in the bodies of loops among them."""
    for node in order(results):
        if node.op.name == "check_range":
            yield node
        elif node.op.name == "loop":
            yield from _checks(node.attrs[0].results)


def _from_disk(key: str) -> tuple | None:
    entry = object_cache.lookup(key)
    if entry is None:
        return None
    facts, image = entry
    return jit.load_object(image, part_names(ENTRY, facts), facts["objects"]), facts


def _built(key: str, leaves, outputs, updates, faults) -> tuple:
    from .pipeline import build  # passes and code generator: only where there is something to build

    facts, image = build(ENTRY, len(leaves), outputs, updates, faults)
    object_cache.store(key, facts, image)
    return jit.load_object(image, part_names(ENTRY, facts), facts["objects"]), facts
