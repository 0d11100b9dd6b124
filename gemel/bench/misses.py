"""Rows that miss their goal, and what stands in the way: Python, arithmetic, or memory."""

from __future__ import annotations

from gemel.explaining.quantities import duration

from . import record as records

KERNEL = "Gemel kernel"
NOTABLE = 0.25  # of the kernel's time: what passes beside it is worth a word


def miss_lines(record: dict) -> list[str]:
    """How many rows miss their goal, and a line for each."""
    missed = [row for row in record["rows"] if records.misses(row)]
    if not missed:
        return []
    head = f"{len(missed)} of {len(record['rows'])} rows miss their goal (marked !)"
    return [head, *(f"  {_title(row)}: {why(row)}" for row in missed)]


def _title(row: dict) -> str:
    return f"{row['name']}, {row['threads']} thread(s)"


def why(row: dict) -> str:
    """What was reached, what was wanted, and what limits."""
    label = records.own(row)
    if label is None:
        return "not done"
    seconds = records.measured(row)[label]["median"]
    if row["budget"] is not None:
        return f"{duration(seconds)}, {duration(row['budget'])} wanted"
    peer = records.best_peer(row)
    reached = f"{records.ratio(row):.2f} x {peer}, {row['goal']:g} wanted"
    return "; ".join([reached, *_reasons(row, seconds, peer)])


def _reasons(row: dict, seconds: float, peer: str | None) -> list[str]:
    times = records.measured(row)
    found = []
    own = "Gemel"
    if KERNEL in times:
        kernel = times[KERNEL]["median"]
        beside = seconds - kernel
        if beside > NOTABLE * kernel:
            found.append(f"{duration(beside)} of {duration(seconds)} pass beside the kernel")
            own, seconds = "the kernel", kernel
    if row["limit"] is not None:
        theirs = f", {peer} at {row['limit'] / times[peer]['median']:.0%}" if peer else ""
        found.append(
            f"{own} is at {row['limit'] / seconds:.0%} of the limit ({row['limited_by']}){theirs}"
        )
    return found
