"""What a run of a program needs of memory: known before it runs, and refused where there is less.

The limit is GEMEL_MEMORY_LIMIT bytes of Gemel's own memory where that is set, else what the machine
and the process's control group have left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from . import buffer

LARGE = 1 << 26  # bytes from which on each run looks whether they are there
_GROUP = Path("/sys/fs/cgroup")


class DoesNotFit(MemoryError):
    """A program needs more memory than there is; nothing of it has run."""


@dataclass(frozen=True)
class Needs:
    """Bytes of one run.

    leaves   what it reads: inputs, parameters, optimizer state
    results  what it gives back in new memory
    arena    values between its kernels, at their most, and what threads share
    packed   weights kept in the order in which kernels read them
    scratch  of the other threads
    """

    leaves: int
    results: int
    arena: int
    packed: int
    scratch: int

    @property
    def new(self) -> int:
        """What is asked for when it runs."""
        return self.results + self.arena + self.packed + self.scratch

    @property
    def peak(self) -> int:
        return self.leaves + self.new


def needs(facts: dict, leaf_bytes: int, threads: int = 1) -> Needs:
    """Of a program's facts. leaf_bytes: of what it is called with."""
    return Needs(
        leaves=leaf_bytes,
        results=sum(facts["out_bytes"]),
        arena=facts["arena_bytes"],
        packed=(facts["kept"] or {}).get("bytes", 0),
        scratch=facts["scratch_bytes"] * (threads - 1) if facts["team"] else 0,
    )


def check(facts: dict, held: int = 0) -> None:
    """Raise DoesNotFit where a run cannot have its memory; held: bytes that it has already."""
    wanted = needs(facts, 0).new - held
    limit = _own_limit()
    if limit is not None:
        free = limit - (buffer.given_bytes() - buffer.pooled_bytes())
    elif wanted < LARGE:
        return
    else:
        free = available_bytes() + buffer.pooled_bytes()
    if wanted > free:
        raise DoesNotFit(_message(facts, wanted, free, limit is not None))
    if limit is None and wanted > free - buffer.pooled_bytes():
        buffer.release_pool()  # pieces of other sizes


def _own_limit() -> int | None:
    return _number("GEMEL_MEMORY_LIMIT")


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    if not text:
        return None
    if not text.isdigit():
        raise ValueError(f"{name} must be a number of bytes, got {text!r}")
    return int(text)


def waiting_share() -> int:
    """Bytes of values that may wait to be computed: GEMEL_WAITING_LIMIT, or a quarter of
    GEMEL_MEMORY_LIMIT or of the memory that the process may use."""
    limit = _number("GEMEL_WAITING_LIMIT")
    if limit is not None:
        return limit
    whole = _own_limit()
    return (total_bytes() if whole is None else whole) // 4


def total_bytes() -> int:
    """The memory of the machine, or of the process's control group where that is less."""
    found = [1 << 62]
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemTotal:"):
            found.append(int(line.split()[1]) * 1024)
    most = _lines(_GROUP / "memory.max")
    if most and most[0].isdigit():
        found.append(int(most[0]))
    return min(found)


def available_bytes() -> int:
    """What the machine can still give to this process; very much where the system does not say."""
    found = [1 << 62]
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    most, used = _lines(_GROUP / "memory.max"), _lines(_GROUP / "memory.current")
    if most and used and most[0].isdigit():
        found.append(int(most[0]) - int(used[0]))
    return min(found)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _message(facts: dict, wanted: int, free: int, limited: bool) -> str:
    whose = "under GEMEL_MEMORY_LIMIT" if limited else "on this machine"
    lines = [f"this needs {megabytes(wanted)} more memory, and {megabytes(free)} are free {whose}"]
    told = facts.get("peak") or {"largest": [], "kept": [0, 0]}
    if told["largest"]:
        lines.append("the largest values when most is in use:")
        lines += [value_line(row) for row in told["largest"]]
    lines += advice(told["kept"])
    return "\n".join(lines)


def value_line(row: list) -> str:
    """A value as text: bytes, form, what computes it, and the user's line."""
    size, form, name, where = row
    place = f"  {where[0]}:{where[1]}" if where else ""
    return f"  {megabytes(size):>10s}  {form} {name}{place}"


def advice(kept: list[int]) -> list[str]:
    """What checkpoints would save. n values of a chain need about 2 sqrt(n) (Chen et al. 2016,
    Training Deep Nets with Sublinear Memory Cost)."""
    count, size = kept
    if count < 9:
        return []
    saved = int(size * (1 - 2 / sqrt(count)))
    return [
        f"{megabytes(size)} of it are kept for the way back; torch.utils.checkpoint, "
        f"tf.recompute_grad or keras.RematScope would save up to about {megabytes(saved)}"
    ]


def megabytes(size: int) -> str:
    return f"{max(size, 0) / 1e6:.1f} MB"
