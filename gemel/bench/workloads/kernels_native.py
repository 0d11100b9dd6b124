"""Single operations as kernels inside of a program: Gemel's, repeated in machine code.

What a call from Python costs besides is no part of the time: so runs a kernel in a program. Its
operands count as new in every run, so packing them is part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gemel.passes.observed import watching
from gemel.tensor import flush

from .kernels_torch import PROBLEMS, TURNING
from .workload import Job

LONG = 1e-4  # seconds of a run
MANY = 64  # shorter ones in a row: reading the clock takes time too


def repeated(kind: str, *arguments) -> Job:
    """The one program that the operation is, on two sets of operands in turn as everywhere."""
    f, inputs = PROBLEMS[kind](*arguments)
    flush()
    wanted = f(*inputs).detach().numpy()
    sets = [inputs, *(PROBLEMS[kind](*arguments)[1] for _ in range(kind in TURNING))]
    runs = [_alone(f, operands) for operands in sets]
    turn = 1 if runs[0](1) > LONG else MANY

    def run(steps: int) -> float:
        spent = 0.0
        for number, done in enumerate(range(0, steps, turn)):
            several = min(turn, steps - done)
            spent += runs[number % len(runs)](several) * several
        return spent

    return Job(run, lambda: [wanted])


def _alone(f: Callable, inputs: Sequence) -> Callable[[int], float]:
    """Runs the operation's program so many times, and gives the seconds of one."""
    flush()
    with watching() as calls:
        f(*inputs).data_ptr()
    if len(calls) != 1:
        raise RuntimeError(f"the operation is {len(calls)} programs")
    return calls[0].repeater(fixed=False)
