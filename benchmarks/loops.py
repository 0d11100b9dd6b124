"""Training loops as users write them, against PyTorch: the 64-64-10 network, batch 32.

The loops are those of `tests/torch_loop_cases.py`: own update rules, clipped gradients, losses that
are looked at early, several networks. The bound is the goal of the plain loop. Names of loops as
arguments: those alone.
"""

import sys
from collections.abc import Callable
from typing import Any

from timing import ROOT, in_turn, pin, ratio_row

sys.path.insert(0, str(ROOT / "tests"))
STEPS = 32
ROUNDS = 7
BOUND = 0.15
WARM = 48  # steps before the clock runs


def main() -> None:
    """Print each loop's time of a step beside PyTorch's."""
    pin()
    import torch
    import torch_loop_cases

    import gemel.torch

    torch.set_num_threads(1)
    for name in sys.argv[1:] or torch_loop_cases.LOOPS:
        loop = torch_loop_cases.LOOPS[name]
        rivals = (("gemel", gemel.torch), ("PyTorch", torch))
        candidates = {who: runner(loop, which, torch_loop_cases) for who, which in rivals}
        ratio_row(name.replace("_", " "), in_turn(candidates, STEPS, ROUNDS), "PyTorch", BOUND)


def runner(loop: Callable, torch: Any, cases: Any) -> Callable[[], None]:
    """STEPS steps of the loop; the last loss is looked at."""
    step, data = loop(torch), cases.batches(torch)

    def run(steps: int = STEPS) -> None:
        for k in range(steps):
            loss = step(*data[k % len(data)])
        loss.item()

    run(WARM)
    return run


if __name__ == "__main__":
    main()
