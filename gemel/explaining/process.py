"""What the whole process holds of memory while a function runs, part by part.

The tensors of a program are planned, so their peak is known before it runs (`runtime/needs.py`).
The rest of the process lies there already when it runs, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemel.runtime import buffer, jit, kernel_objects, team

_SELF = Path("/proc/self")


@dataclass(frozen=True)
class Resident:
    """Bytes of memory that the process takes up at most while the function runs.

    tensors   of the program that needs most, its scratch included: known before it runs
    other     other values that are alive, and memory kept for reuse that it does not take
    code      compiled programs, and objects of their kernels for later ones
    compiler  LLVM's library, as far as it was used; clean pages, which the system takes back
    python    the interpreter, the modules that are loaded, and their objects
    """

    tensors: int
    other: int
    code: int
    compiler: int
    python: int

    @property
    def total(self) -> int:
        return self.tensors + self.other + self.code + self.compiler + self.python


class Watch:
    """Made before the function is called, asked after it."""

    def __init__(self) -> None:
        self.given = buffer.given_bytes()
        buffer.most_given_bytes(forget=True)

    def found(self, tensors: int, copied: int) -> Resident | None:
        """tensors: of the largest program; copied: bytes that were copied for the explanation and
        still are there. None where the system does not tell."""
        whole = resident_bytes()
        if whole is None:
            return None
        # what lay ready before serves the run, where its memory came from there
        given = max(self.given, buffer.most_given_bytes() - copied)
        code = jit.linked_bytes() + kernel_objects.held_bytes()
        compiler = library_bytes("llvmlite")
        values = buffer.given_bytes() + team.scratch_bytes()
        python = whole - values - code - compiler
        return Resident(tensors, max(0, given - tensors), code, compiler, max(0, python))


def resident_bytes() -> int | None:
    """Bytes of this process that lie in memory now."""
    for line in _lines("status"):
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    return None


def library_bytes(name: str) -> int:
    """Bytes in memory of the loaded files whose path has this name."""
    total, counts = 0, False
    for line in _lines("smaps"):
        words = line.split()
        if not words[0].endswith(":"):  # a mapping: addresses, rights, offset, device, number, path
            counts = len(words) > 5 and name in words[5]
        elif counts and words[0] == "Rss:":
            total += 1024 * int(words[1])
    return total


def _lines(name: str) -> list[str]:
    try:
        return (_SELF / name).read_text().splitlines()
    except OSError:
        return []
