"""An explanation as a table: plain text as wide as the terminal, or HTML for a notebook."""

from __future__ import annotations

import os
import shutil
from html import escape
from typing import TYPE_CHECKING

from gemel.runtime.needs import advice, value_line

from .quantities import count, duration

if TYPE_CHECKING:
    from .explanation import Explanation, KernelReport, ProgramReport

NARROWEST = 72
SHOWN = 4  # of the largest values
FIXED = 66  # columns of everything but the line and the description
STYLE = """
<style>
.gemel-explain { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.gemel-explain th, .gemel-explain td { padding: 3px 10px; text-align: right;
  border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.gemel-explain .t { text-align: left; }
.gemel-explain i { display: inline-block; height: 9px; border-radius: 2px; background: #4d86e8;
  margin-right: 6px; min-width: 1px; }
.gemel-explain caption { text-align: left; padding: 4px 10px; opacity: .75; }
</style>
"""


def as_text(told: Explanation, width: int | None = None) -> str:
    """The table; kernels in running order, a part for each program."""
    width = max(NARROWEST, width or shutil.get_terminal_size((120, 24)).columns)
    lines = []
    for i, program in enumerate(told.programs):
        if len(told.programs) > 1:
            lines.append(f"program {i}" + (f", run {program.calls} times" * (program.calls > 1)))
        lines += [*_program_lines(program, width), *memory_lines(program)]
    return "\n".join([*lines, *resident_lines(told), *totals(told), *compile_lines(told)])


def compile_lines(told: Explanation) -> list[str]:
    """What the first call compiled."""
    if told.compiles is None:
        return []
    if not told.compiles:
        return ["the call compiled nothing"]
    return ["the call compiled or loaded:", *(f"  {one}" for one in told.compiles)]


def _program_lines(program: ProgramReport, width: int) -> list[str]:
    room = max(12, width - FIXED)
    place = max(8, min(room // 3, max(len(where(k)) for k in program.kernels)))
    does = room - place
    lines = [
        f"{'':>3s}  {'line':{place}s}  {'what it does':{does}s}  {'flops':>7s} {'bytes':>8s}"
        f" {'time':>8s} {'GF/s':>6s} {'GB/s':>6s} {'of limit':>8s}  pieces"
    ]
    for k in program.kernels:
        text = _cut(k.does, does)
        lines.append(
            f"{k.number:3d}  {where(k)[-place:]:{place}s}  {text:{does}s}  {count(k.flops):>7s}"
            f" {count(k.bytes, 'B'):>8s} {duration(k.seconds):>8s} {k.gflops:6.1f}"
            f" {k.gbytes:6.1f} {k.share:8.0%}  {_pieces(k)}"
        )
    return lines


def memory_lines(program: ProgramReport) -> list[str]:
    """What a run needs of memory, and what most of it is."""
    needs = program.memory
    parts = (
        (needs.leaves, "it reads"),
        (needs.results, "results"),
        (needs.arena, "between kernels"),
        (needs.packed, "packed weights"),
        (needs.scratch, "scratch"),
    )
    told = ", ".join(f"{count(size, 'B')} {what}" for size, what in parts if size)
    lines = [f"memory at most {count(needs.peak, 'B')}, known before it runs: {told}"]
    lines += [value_line(row) for row in program.largest[:SHOWN]]
    return lines + advice(list(program.kept))


def resident_lines(told: Explanation) -> list[str]:
    """What the whole process takes, and what that is."""
    found = told.resident
    if found is None:
        return []
    parts = (
        (found.tensors, "tensors of the program that needs most, known before it runs"),
        (found.other, "other values, and memory kept for reuse"),
        (found.code, "compiled code"),
        (found.compiler, "LLVM's library, which the system takes back when it needs room"),
        (found.python, "Python, its modules and objects"),
    )
    named = [f"  {count(size, 'B'):>8s}  {what}" for size, what in parts if size]
    return [f"the process takes {count(found.total, 'B')} at most:", *named]


def totals(told: Explanation) -> list[str]:
    """Sums: of the kernels, of the programs, and what the call takes from Python."""
    kernels = sum(p.calls * p.sum for p in told.programs)
    many = f"{told.threads} threads" if told.threads > 1 else "one thread"
    peak, memory = told.peaks["float32"], told.peaks["levels"]["memory"]["copy"]
    lines = [
        f"kernels {duration(kernels)}, programs {duration(told.seconds)},"
        f" {count(told.flops)} operations: {told.flops / told.seconds / 1e9:.1f} GF/s on {many}",
    ]
    if told.wall is not None:
        outside = max(told.wall - told.seconds, 0.0)
        lines.append(
            f"a call from Python takes {duration(told.wall)}: {duration(outside)} outside of"
            " programs"
        )
    lines.append(f"limits: {peak:.0f} GF/s in float32, {memory:.0f} GB/s copied in memory")
    return lines


def where(kernel: KernelReport) -> str:
    """The kernel's line, its file without folders."""
    if kernel.line is None:
        return ""
    return f"{os.path.basename(kernel.line[0])}:{kernel.line[1]}"


def _pieces(kernel: KernelReport) -> str:
    return "+".join(map(str, kernel.pieces))


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 2] + ".."


def as_html(told: Explanation) -> str:
    """The same as HTML; a bar shows each kernel's part of the time, tooltips what is left out."""
    longest = max((k.seconds for k in told.kernels), default=1.0)
    parts = [STYLE]
    for program in told.programs:
        rows = "".join(_row(k, longest) for k in program.kernels)
        heads = "".join(f"<th>{h}</th>" for h in ("GF/s", "GB/s", "of limit", "pieces"))
        many = f"run {program.calls} times" if program.calls > 1 else ""
        parts.append(
            f'<table class="gemel-explain"><caption>{many}</caption><tr><th></th>'
            '<th class="t">line</th><th class="t">what it does</th><th>flops</th><th>bytes</th>'
            f'<th class="t">time</th>{heads}</tr>{rows}</table>'
        )
    return "".join(parts) + "".join(
        f"<div>{escape(line)}</div>" for line in [*resident_lines(told), *totals(told)]
    )


def _row(k: KernelReport, longest: float) -> str:
    full = "" if k.line is None else f"{k.line[0]}:{k.line[1]}"
    bar = f'<i style="width:{80 * k.seconds / longest:.0f}px"></i>'
    cells = [f"{k.gflops:.1f}", f"{k.gbytes:.1f}", f"{k.share:.0%} {k.bound}", _pieces(k)]
    return (
        f'<tr><td>{k.number}</td><td class="t" title="{escape(full)}">{escape(where(k))}</td>'
        f'<td class="t" title="{escape(k.plan)}">{escape(k.does)}</td><td>{count(k.flops)}</td>'
        f'<td>{count(k.bytes, "B")}</td><td class="t">{bar}{duration(k.seconds)}</td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )
