"""`tf.config.threading`: how many threads programs run on. Settings hold from the next program on;
they change no result."""

from __future__ import annotations

import operator

from gemel.runtime import team

_inter = [0]
_intra = [0]


def get_intra_op_parallelism_threads() -> int:
    """What was set; 0 stands for as many as the process may use."""
    return _intra[0]


def set_intra_op_parallelism_threads(num_threads: int | None) -> None:
    """Run programs on this many threads; 0 or None for the default.

    TypeError for what is no integer, ValueError for a negative one."""
    count = _checked(num_threads)
    team.set_threads(count)
    _intra[0] = count


def get_inter_op_parallelism_threads() -> int:
    """What was set."""
    return _inter[0]


def set_inter_op_parallelism_threads(num_threads: int | None) -> None:
    """Kept, without effect: the parts of a program share its threads.

    TypeError for what is no integer, ValueError for a negative one."""
    _inter[0] = _checked(num_threads)


def from_session(config) -> None:
    """The process's setting from a session's ConfigProto, where that names one."""
    name = "intra_op_parallelism_threads"
    count = getattr(config, name, None) or getattr(config, "options", {}).get(name)
    if count:
        set_intra_op_parallelism_threads(count)


def _checked(count: int | None) -> int:
    if isinstance(count, bool):
        raise TypeError("a number of threads is an integer, not a boolean")
    number = 0 if count is None else operator.index(count)
    if number < 0:
        raise ValueError(f"a number of threads cannot be negative, got {number}")
    return number
