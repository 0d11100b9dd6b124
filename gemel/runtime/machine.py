"""The machine description that every generator reads its widths from.

Role: one record of what the host offers. Input: LLVM's host features, sysfs, the affinity mask and
the cgroup quota. Output: `machine()`. Invariant: nothing else in the project asks which CPU this
is, and no generator tests a CPU's name; a test may pass its own `Machine` to a generator.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# the system call, its request for a state of the processor, and which state
_ARCH_PRCTL, _REQUEST_STATE, _TILE_DATA = 158, 0x1023, 18

_DEFAULT_CACHES = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}


@dataclass(frozen=True)
class Machine:
    """Sizes in bytes; caches are data or unified ones, as one core sees them.

    `vector_scale`: x * 2**n on a vector is one instruction.
    `sign_masks`: vectors are masked by the signs of other vectors (AVX), not by bits.
    `matrix_tiles`: there are tile registers that multiply bfloat16, and this process may use them.
    """

    cpu: str
    features: str
    vector_bytes: int
    vector_registers: int
    vector_scale: bool
    l1: int
    l2: int
    l3: int
    cores: int
    matrix_tiles: bool = False
    sign_masks: bool = False

    def lanes(self, itemsize: int) -> int:
        """How many elements of a size fill one vector register."""
        return self.vector_bytes // itemsize


@cache
def machine() -> Machine:
    """The host. The first call loads LLVM."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    width, registers = _vectors(features)
    sizes = _cache_sizes()
    return Machine(
        cpu=llvm.get_host_cpu_name(),
        features=features.flatten(),
        vector_bytes=width,
        vector_registers=registers,
        vector_scale=bool(features.get("avx512f") and features.get("avx512vl")),
        l1=sizes[1],
        l2=sizes[2],
        l3=sizes[3],
        cores=usable_cores(),
        matrix_tiles=bool(features.get("amx-bf16")) and _tiles_are_granted(),
        sign_masks=bool(features.get("avx")) and width < 64,
    )


def _vectors(features: dict[str, bool]) -> tuple[int, int]:
    """Register width in bytes and number of registers."""
    if features.get("avx512f") and features.get("avx512vl"):
        return 64, 32
    if features.get("avx2"):
        return 32, 16
    wide_file = platform.machine().lower() in ("aarch64", "arm64")
    return 16, 32 if wide_file else 16


def _tiles_are_granted() -> bool:
    """Ask the system for tile registers, which it keeps for processes that want them."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    libc = ctypes.CDLL(None)
    return libc.syscall(_ARCH_PRCTL, _REQUEST_STATE, _TILE_DATA) == 0


def _cache_sizes() -> dict[int, int]:
    """Level to bytes; a level the system does not tell gets a cautious default."""
    sizes = dict(_DEFAULT_CACHES)
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind = (index / "type").read_text().strip()
            level = int((index / "level").read_text())
            text = (index / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        if kind != "Instruction" and text.endswith("K"):
            sizes[level] = int(text[:-1]) << 10
    return sizes


def usable_cores() -> int:
    """Cores this process may use: the affinity mask, limited by the cgroup quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """Cores granted by the control groups that this process is in, or None without a limit.

    root: where /proc and /sys are looked for.
    """
    found = [q for folder in _cgroup_folders(root) if (q := _quota_of(folder)) is not None]
    return min(found, default=None)


def _cgroup_folders(root: Path) -> list[Path]:
    """Folders of this process's groups (version 2, then version 1) and of those around them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    folders = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/cpu"]
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds and "cpu" not in kinds.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if kinds else "")
        inner = Path(path.lstrip("/"))
        folders += [top / part for part in (inner, *inner.parents)]
    return list(dict.fromkeys(folders))


def _quota_of(folder: Path) -> float | None:
    """Cores granted by one group, or None."""
    try:
        limit, length = (folder / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(length)
    except (OSError, ValueError):
        pass
    try:
        granted = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return granted / period if granted > 0 and period > 0 else None
