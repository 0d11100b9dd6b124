"""What a program asks about the machine: threads, CUDA, back ends."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

_threads = [1]


def get_num_threads() -> int:
    """The number that was asked for last; programs run on one thread in this version."""
    return _threads[0]


def set_num_threads(count: int) -> None:
    """Ask for a number of threads. Programs run on one thread in this version: other counts are
    kept for `get_num_threads` and change no result."""
    if not isinstance(count, int) or count <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    _say_unused(count)
    _threads[0] = count


def _say_unused(count: int) -> None:
    if count > 1:
        warnings.warn(
            f"Gemel runs programs on one thread in this version; {count} threads are not used",
            stacklevel=3,
        )


def get_num_interop_threads() -> int:
    return 1


def set_num_interop_threads(count: int) -> None:
    if count <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _say_unused(count)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Results are always the same bits; nothing changes."""


def are_deterministic_algorithms_enabled() -> bool:
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Products of float32 are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"unknown precision {precision!r}")


def get_float32_matmul_precision() -> str:
    return "highest"


def _no(*args, **options) -> bool:
    return False


def _nothing(*args, **options) -> None:
    return None


# on a machine without a GPU a program may ask, seed and synchronise
cuda = SimpleNamespace(
    is_available=_no,
    device_count=lambda: 0,
    manual_seed=_nothing,
    manual_seed_all=_nothing,
    empty_cache=_nothing,
    synchronize=_nothing,
    is_initialized=_no,
)
backends = SimpleNamespace(
    cudnn=SimpleNamespace(
        enabled=False, deterministic=True, benchmark=False, is_available=_no, version=_nothing
    ),
    mps=SimpleNamespace(is_available=_no, is_built=_no),
    mkldnn=SimpleNamespace(is_available=_no),
    cuda=SimpleNamespace(is_built=_no),
)
mps = SimpleNamespace(is_available=_no, manual_seed=_nothing)
version = SimpleNamespace(cuda=None, hip=None, git_version="")
