"""GEMEL_SHOW: what a program becomes at each level of the compiler, printed when it is compiled.

    compiles  a line on standard error per program: when, why again, what it cost
    graph     the nodes that were recorded, with the user's lines
    passes    the graph after each pass over it
    groups    what each kernel is made of: its nodes, in words and one by one
    kernels   the kernels as loop nests
    plans     how each kernel runs: tiles and blocks, stages of pieces, estimated time
    llvm, asm its code, as LLVM text and as machine code

Levels are separated by commas. From `groups` on, a colon and a kernel's name choose one kernel:
`GEMEL_SHOW=plans,asm:k3`. While anything but `compiles` is shown, no program comes from the
cache on disk.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from functools import cache

from gemel.codegen.llvm import Module
from gemel.codegen.nest import Kernel, show_kernel
from gemel.codegen.stages import kernel_plan
from gemel.graph.node import Node
from gemel.runtime import jit

from .costs import cost

VARIABLE = "GEMEL_SHOW"
OF_GRAPHS = ("compiles", "graph", "passes")
OF_KERNELS = ("groups", "kernels", "plans", "llvm", "asm")


@cache
def wanted(text: str) -> dict[str, frozenset[str]]:
    """Level -> names of the kernels to show; empty for all. Unknown levels are said once."""
    found: dict[str, set[str]] = {}
    whole: set[str] = set()
    for item in filter(None, text.replace(" ", "").split(",")):
        level, _, kernel = item.partition(":")
        if level not in (*OF_GRAPHS, *OF_KERNELS) or (kernel and level in OF_GRAPHS):
            known = ", ".join((*OF_GRAPHS, *OF_KERNELS))
            print(
                f"{VARIABLE}: {item!r} is not known; there are {known}, and from groups on one"
                " kernel of them, as in asm:k3",
                file=sys.stderr,
            )
            continue
        found.setdefault(level, set()).add(kernel)
        if not kernel:
            whole.add(level)
    return {n: frozenset() if n in whole else frozenset(kernels) for n, kernels in found.items()}


def levels() -> dict[str, frozenset[str]]:
    """What is asked for now."""
    return wanted(os.environ.get(VARIABLE, ""))


def show_kernels(kernels: Iterable[Kernel], module: Module) -> None:
    """Print the levels of kernels of the program that is the module."""
    asked = levels()
    for level in OF_KERNELS:
        if level not in asked:
            continue
        chosen = [k for k in kernels if not asked[level] or k.name in asked[level]]
        for name in sorted(asked[level] - {k.name for k in chosen}):
            print(f"--- {level}: this program has no kernel {name}")
        if chosen:
            _show_level(level, chosen, module, whole=not asked[level])


def _show_level(level: str, kernels: list[Kernel], module: Module, whole: bool) -> None:
    if level in ("llvm", "asm"):
        code = module.text() if level == "llvm" else jit.assembly(module.text())
        print(code if whole else "\n".join(_code_of(k, code, level) for k in kernels))
        return
    show = {"groups": _group, "kernels": show_kernel, "plans": _plan}[level]
    print("\n".join(map(show, kernels)))


def _group(kernel: Kernel) -> str:
    told = cost(kernel)
    where = f"  # {told.line[0]}:{told.line[1]}" if told.line else ""
    lines = [f"group {kernel.name}: {told.does}{where}"]
    return "\n".join([*lines, *(f"  {_node(n)}" for n in kernel.nodes)])


def _node(node: Node) -> str:
    text = repr(node)
    return f"{text:<72} # {node.where[0]}:{node.where[1]}" if node.where else text


def _plan(kernel: Kernel) -> str:
    plan = kernel_plan(kernel)
    pieces = " then ".join(map(str, plan.pieces()))
    code = f", code of {kernel.code}" if kernel.code.split("_")[0] != kernel.name else ""
    head = f"plan {kernel.name}: pieces {pieces}, about {plan.work / 1e3:.1f} us on one core{code}"
    return f"{head}\n  {plan.describe()}"


def _code_of(kernel: Kernel, code: str, level: str) -> str:
    """The kernel's own functions."""
    parts = [f"--- {level} of {kernel.name}"]
    for name in kernel.code.split():
        if level == "llvm":
            found = re.search(rf"^define [^\n]*@{name}\(.*?^\}}", code, re.M | re.S)
        else:
            found = re.search(rf"^_?{name}:.*?^\.?L?func_end\d+:", code, re.M | re.S)
        parts.append(found.group() if found else f"{name}: not found")
    return "\n".join(parts)
