"""The passes, in order: how a graph that no cache knows becomes native code.

find_attention     products around a softmax become one node, where scores are read by nothing else
simplify           equal nodes become one, constants are folded, what does nothing goes
join_pieces        arrays of pieces that do not overlap are written once
add_rows           rows of a gradient are added to the table that they update
take_sums_apart    sums that hold other sums need fewer passes
duplicate_truths   truth values are computed in each reader
read_halves        products read bfloat16 as it is stored, where the machine multiplies it
lay_out            copies where a value must lie whole in memory
schedule           fusion into groups, groups into kernels, kernels in order, updates in place
plan_memory        arena, outputs, donated leaves
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from functools import reduce

from gemel.codegen.kernels import Code, Slot, emit_program, steps_of
from gemel.codegen.nest import Kernel, verify_kernel
from gemel.codegen.parts import cut
from gemel.codegen.sizes import Space, most
from gemel.codegen.stages import kernel_plan
from gemel.graph.node import Node
from gemel.graph.printer import show
from gemel.graph.verifier import verify
from gemel.runtime import jit, kernel_objects
from gemel.runtime.kernel_objects import KernelObject

from .attention import find_attention
from .bodies import plan_bodies
from .compiles import timed
from .costs import cost
from .half_products import read_halves
from .layout import lay_out, root_of
from .memory import Plan, plan_memory
from .peak import at_peak
from .pieces import join_pieces
from .recompute import duplicate_truths
from .rows import add_rows
from .schedule import Schedule, schedule
from .showing import levels, show_kernels
from .simplify import simplify
from .sums import take_sums_apart

# whole-graph passes from graph to graph: name and function
GRAPH_PASSES = [
    ("find_attention", find_attention),
    ("simplify", simplify),
    ("join_pieces", join_pieces),
    ("add_rows", add_rows),
    ("take_sums_apart", take_sums_apart),
    ("duplicate_truths", duplicate_truths),
    ("read_halves", read_halves),
    ("lay_out", lay_out),
]

VERIFY = bool(os.environ.get("GEMEL_VERIFY"))
compiled_count = [0]  # modules compiled by this process (a fact that tests assert)


def build(
    entry: str,
    leaves: int,
    outputs: list[Node],
    updates: dict[int, Node],
    faults: list[tuple],
    separate: bool = False,
    space: Space | None = None,
) -> tuple[dict, bytes]:
    """(facts, objects) of a graph with `leaves` inputs; `entry` names the exported function.

    faults    (fault, user's line) by number - 1
    separate  also export `entry`_kernel, which runs one kernel by its number, and tell what each
              kernel costs and does
    space     of the sizes that are known when the program runs: where it is given, the facts hold
              sizes, and what `templates` must know to give the program its own
    """
    outputs, updates = _through_passes(outputs, updates)
    with timed("schedule"):
        planned = schedule(outputs, updates)
    with timed("plan_bodies"):
        plan_bodies(planned.kernels, _through_passes)
    with timed("plan_memory"):
        plan = plan_memory(planned, leaves, outputs, updates, separate, space)
    numbers = {fault: i + 1 for i, fault in enumerate(faults)}
    if VERIFY:
        for kernel in planned.kernels:
            verify_kernel(kernel)
    with timed("emit"):
        code = emit_program(entry, planned.kernels, plan.places, numbers.get, separate)
    show_kernels(planned.kernels, code.module)
    compiled_count[0] += 1
    facts = _facts(leaves, plan, planned, updates)
    results = {root_of(r) for r in (*outputs, *updates.values())}
    elsewhere = results | set(planned.in_place.values())
    facts["peak"] = at_peak(planned.kernels, elsewhere, plan.arena_bytes)
    if space is not None:
        facts |= {"given": plan.places.given, "lives": plan.lives, "guards": list(space.guards)}
    if separate:
        for kernel, told in zip(planned.kernels, facts["kernels"], strict=True):
            told.update(asdict(cost(kernel)))
    images = _compiled(code)
    facts["objects"] = [len(image) for image in images]
    return facts, b"".join(images)


def _compiled(code: Code) -> list[bytes]:
    """The objects of a program; those of kernels that other programs have are there already."""
    linked: list[KernelObject] = []

    def known(heads: dict[str, int]) -> Iterable[str]:
        linked.extend(kernel_objects.holding(heads))
        return (name for each in linked for name in each.heads)

    parts = cut(code.module, code.heads, known)
    images = jit.compile_objects([part.text for part in parts])
    made = [KernelObject(*pair) for pair in zip(images, (p.heads for p in parts), strict=True)]
    kernel_objects.keep([each for each in made if each.heads])
    return [*images, *(each.image for each in linked)]


def _through_passes(outputs: list[Node], updates: dict[int, Node]):
    """The graph passes, verified in between where asked."""
    results = [*outputs, *updates.values()]
    for name, function in GRAPH_PASSES:
        with timed(name):
            results = function(results)
        if VERIFY:
            verify(results)
        if "passes" in levels():
            print(f"--- {name}\n{show(results)}")
    count = len(outputs)
    return results[:count], dict(zip(updates, results[count:], strict=True))


def _facts(leaves: int, plan: Plan, planned: Schedule, updates) -> dict:
    """What a program must know besides its code; goes to disk with it."""
    plans = [kernel_plan(k) for k in planned.kernels]
    return {
        "leaves": leaves,
        "updates": list(updates),
        "out_bytes": plan.out_bytes,
        "arena_bytes": plan.arena_bytes,
        "results": plan.results,
        "team": plan.places.team is not None,
        "kept": plan.kept,
        "scratch_bytes": reduce(most, (p.scratch_bytes for p in plans), 0),
        "kernels": [_kernel_facts(k) for k in planned.kernels],
        "hosts": _host_calls(planned.kernels, plan.places.slots),
    }


def _host_calls(kernels: list[Kernel], slots: list[list[Slot]]) -> list[dict]:
    """What `runtime.host_entry` must know of each call of a NumPy function, in running order."""
    found = []
    for number, kernel in enumerate(kernels):
        call = kernel.host
        if call is None:
            continue
        name, settings, _, paired = call.attrs
        forms = [*call.argument_forms, call.result_form]
        at = [slots[number][i] for i in (*call.arguments, call.result)]
        places = [
            (s.entry, s.offset, f.shape, f.dtype.name) for s, f in zip(at, forms, strict=True)
        ]
        found.append(
            {
                "name": name,
                "kernel": number,
                "settings": settings,
                "paired": paired,
                "arguments": places[:-1],
                "result": places[-1],
            }
        )
    return found


def _kernel_facts(kernel: Kernel) -> dict:
    """What people may want to know of a kernel. work: estimated nanoseconds on one core;
    bytes: of the memory that it reads and writes; pieces: per stage, of a loop those of a step."""
    plan = kernel_plan(kernel)
    return {
        "name": kernel.name,
        "flops": kernel.flops,
        "bytes": sum(node.form.nbytes for node in kernel.buffers),
        "work": round(plan.work),
        "pieces": _pieces(kernel),
        "lines": kernel.lines,
        "about": plan.describe(),
    }


def _pieces(kernel: Kernel) -> list[int]:
    steps = steps_of(kernel)
    return [n for k in steps for n in _pieces(k)] if steps else kernel_plan(kernel).pieces()
