"""What bounds a task on this machine: arithmetic at the peak, or bytes at the bandwidth."""

from __future__ import annotations

from .peaks import LEVELS


def limit(
    flops: float, traffic: float, peaks: dict, peak: float | None = None
) -> tuple[float | None, str]:
    """(seconds, what bounds) of a task; (None, "") when it says neither.

    peaks  as `peaks.measure` gives them
    peak   GFLOP/s seen while the task was measured, where that is known
    """
    times = []
    if flops and peaks:
        times.append((flops / (peak or peaks["float32"]) / 1e9, "arithmetic"))
    if traffic and peaks:
        level = level_of(traffic, peaks)
        times.append((traffic / peaks["levels"][level]["copy"] / 1e9, level))
    return max(times, default=(None, ""))


def level_of(traffic: float, peaks: dict) -> str:
    """The level of the memory that so many bytes fit into."""
    sizes = peaks.get("caches", {})
    for level in LEVELS[:-1]:
        if traffic <= sizes.get(level, 0):
            return level
    return LEVELS[-1]


def attainable(intensity: float, peaks: dict, level: str) -> float:
    """GFLOP/s that so many operations a byte can reach from a level of the memory."""
    return min(peaks["float32"], intensity * peaks["levels"][level]["copy"])
