"""Single operations as kernels inside of a program: Gemel's, repeated in machine code.

What a call from Python costs besides is no part of the time: so runs a kernel in a program. Its
operands count as new in every run, so packing them is part of it.
"""

from __future__ import annotations

from gemel.passes.observed import watching
from gemel.tensor import flush

from .kernels_torch import PROBLEMS
from .workload import Job


def repeated(kind: str, *arguments) -> Job:
    """The one program that the operation is."""
    f, inputs = PROBLEMS[kind](*arguments)
    flush()
    wanted = f(*inputs).detach().numpy()
    with watching() as calls:
        f(*inputs).data_ptr()
    if len(calls) != 1:
        raise RuntimeError(f"the operation is {len(calls)} programs")

    again = calls[0].repeater(fixed=False)

    def run(steps: int) -> None:
        again(steps)

    return Job(run, lambda: [wanted])
