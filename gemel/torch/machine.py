"""What a program asks about the machine: threads, back ends."""

from __future__ import annotations

from types import SimpleNamespace

from gemel.runtime import team

_interop: list[int] = []


def get_num_threads() -> int:
    """How many threads run a program of much work: what was set, else GEMEL_NUM_THREADS, else the
    cores that the process may use."""
    return team.size()


def set_num_threads(count: int) -> None:
    """Run programs on this many threads from now on; no result depends on it. RuntimeError for
    what is no positive integer."""
    team.set_threads(_checked("set_num_threads", count))


def get_num_interop_threads() -> int:
    return _interop[0] if _interop else team.size()


def set_num_interop_threads(count: int) -> None:
    """Kept, without effect: the parts of a program share its threads. Once only, as in PyTorch."""
    count = _checked("set_num_interop_threads", count)
    if _interop:
        raise RuntimeError("the number of interop threads can be set only once")
    _interop.append(count)


def _checked(name: str, count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int):
        raise RuntimeError(f"{name} expects an int, but got {type(count).__name__}")
    if count <= 0:
        raise RuntimeError(f"{name} expects a positive integer")
    return count


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
