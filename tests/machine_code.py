"""Loops in machine code: what tests look for in the instructions of a module."""

from __future__ import annotations

import re

import pytest

from gemel.codegen.llvm import Module
from gemel.runtime.jit import assembly


def innermost_loops(text):
    """The instructions of each loop of an assembler's text that has no loop inside."""
    places, loops = {}, []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        label = re.match(r"(\.\w+):", line)
        jump = re.match(r"\s+j\w+\s+(\.\w+)$", line)
        if label:
            places[label[1]] = number
        elif jump and jump[1] in places:
            first = places[jump[1]]
            if not any(begun >= first for begun, _ in loops):
                loops.append((first, number))
    return [lines[first:last] for first, last in loops]


def loop_of_multiply_adds(module: Module, least: int) -> list[str]:
    """The lines of the loop that consists of multiply-adds of vectors most; skips where no loop has
    so many."""
    loops = innermost_loops(assembly(module.text()))
    counts = [sum("vfmadd" in line for line in lines) for lines in loops]
    found = [(n / len(lines), lines) for n, lines in zip(counts, loops, strict=True) if n >= least]
    if not found:
        pytest.skip("a processor without multiply-adds of vectors")
    return max(found)[1]


def spilled(lines: list[str]) -> list[str]:
    """Vectors that are put on the stack, or computed with where they lie there."""
    stores = r"%[yz]mm\d+, \S*\(%r[sb]p\)$"
    loads = r"\(%rsp\), %[yz]mm"
    return [line for line in lines if re.search(f"{stores}|{loads}", line)]
