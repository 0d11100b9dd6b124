"""The passes, in order, and the way from a graph to a native program.

    simplify           equal nodes become one, constants are folded, what does nothing goes
    duplicate_cheap    cheap values read in several places are computed in each
    lay_out            copies where a value must lie whole in memory
    schedule           fusion into groups, groups into kernels, kernels in order, updates in place
    plan_memory        arena, outputs, donated leaves

Compiled objects are kept on disk, keyed by the graph as text: a warm process does the first line
of this and loads code.
"""

from __future__ import annotations

import hashlib
import os

from gemel.codegen.kernels import emit_program
from gemel.codegen.nest import show_kernel, verify_kernel
from gemel.graph.node import Node, order
from gemel.graph.printer import show
from gemel.graph.verifier import verify
from gemel.runtime import jit, object_cache
from gemel.runtime.program import Program

from .fuse import duplicate_cheap
from .layout import lay_out
from .memory import Plan, plan_memory
from .schedule import Schedule, schedule
from .simplify import simplify

# whole-graph passes from graph to graph: name and function
GRAPH_PASSES = [
    ("simplify", simplify),
    ("duplicate_cheap", duplicate_cheap),
    ("lay_out", lay_out),
]

ENTRY = "gemel_program"
VERIFY = bool(os.environ.get("GEMEL_VERIFY"))
_loaded: dict[str, tuple] = {}
compiled_count = [0]  # modules compiled by this process (a fact that tests assert)


def shown() -> set[str]:
    """The levels that GEMEL_SHOW asks for: graph, passes, kernels, llvm, asm."""
    return set(os.environ.get("GEMEL_SHOW", "").split(",")) - {""}


def compile_cpu(
    leaves: list[Node], scalars: list[Node], outputs: list[Node], updates: dict[int, Node]
) -> Program:
    """A native program; see `compile.compile_graph` for the arguments."""
    results = [*outputs, *updates.values()]
    faults = _faults(results)
    text = _text(leaves, scalars, results, updates)
    key = hashlib.sha256(text.encode()).hexdigest()
    if shown():
        print(show(results))
    found = _loaded.get(key) or _from_disk(key)
    if found is None:
        found = _build(key, leaves, outputs, updates, faults)
    _loaded[key] = found
    library, facts = found
    kinds = "".join("d" if s.dtype.is_float else "q" for s in scalars)
    return Program(library, ENTRY, facts, faults, kinds)


def _text(leaves, scalars, results, updates) -> str:
    """The graph as text with everything that the code depends on."""
    head = [f"leaves {[leaf.form for leaf in leaves]}", f"scalars {[s.form for s in scalars]}"]
    head.append(f"updates {list(updates)} of {len(results)}")
    return "\n".join([*head, show(results, lines=False)])


def _faults(results: list[Node]) -> list[tuple]:
    """Every (fault, user's line) of the graph, in its order: number n is entry n - 1."""
    checks = [n for n in order(results) if n.op.name == "check_range"]
    return list(dict.fromkeys((n.attrs[2], n.where) for n in checks))


def _from_disk(key: str):
    if shown() & {"kernels", "llvm", "asm", "passes"}:
        return None  # somebody wants to see the compiler at work
    entry = object_cache.lookup(key)
    if entry is None:
        return None
    facts, image = entry
    return jit.load_object(image, [ENTRY]), facts


def _build(key: str, leaves, outputs, updates, faults) -> tuple:
    outputs, updates = _through_passes(outputs, updates)
    planned = schedule(outputs, updates)
    plan = plan_memory(planned, len(leaves), outputs, updates)
    numbers = {fault: i + 1 for i, fault in enumerate(faults)}
    if VERIFY:
        for kernel in planned.kernels:
            verify_kernel(kernel)
    text = emit_program(
        ENTRY, planned.kernels, plan.slots, plan.scalars_entry, plan.arena_entry, numbers.get
    )
    _show_code(planned, text)
    image = jit.compile_object(text)
    compiled_count[0] += 1
    facts = _facts(len(leaves), plan, planned, updates)
    object_cache.store(key, facts, image)
    return jit.load_object(image, [ENTRY]), facts


def _through_passes(outputs: list[Node], updates: dict[int, Node]):
    """The graph passes, verified in between where asked."""
    results = [*outputs, *updates.values()]
    for name, function in GRAPH_PASSES:
        results = function(results)
        if VERIFY:
            verify(results)
        if "passes" in shown():
            print(f"--- {name}\n{show(results)}")
    count = len(outputs)
    return results[:count], dict(zip(updates, results[count:], strict=True))


def _show_code(planned: Schedule, text: str) -> None:
    if "kernels" in shown():
        print("\n".join(map(show_kernel, planned.kernels)))
    if "llvm" in shown():
        print(text)
    if "asm" in shown():
        print(jit.assembly(text))


def _facts(leaves: int, plan: Plan, planned: Schedule, updates) -> dict:
    """What a program must know besides its code; goes to disk with it."""
    return {
        "leaves": leaves,
        "updates": list(updates),
        "out_bytes": plan.out_bytes,
        "arena_bytes": plan.arena_bytes,
        "results": plan.results,
        "kernels": [{"name": k.name, "flops": k.flops} for k in planned.kernels],
    }
