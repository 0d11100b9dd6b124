"""Python time of recording: microseconds per recorded call and per training step.

Programs are replaced by an executor that does nothing (it returns ready buffers), so what is
measured is the tape alone: recording, finding the program, binding and storing. Prints best and
median of several runs.
"""

from __future__ import annotations

import gc
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))

import mini_face as face  # noqa: E402

import gemel.tensor as core  # noqa: E402
from gemel.passes.compile import device  # noqa: E402
from gemel.tensor import plan as plans  # noqa: E402

BATCH, WIDTH, CLASSES, STEPS = 32, 64, 10, 64


class Null:
    """Stands for a program: runs it once, then returns the same buffers; updates are in place."""

    kernels = ()

    def __init__(self, program):
        self.program = program
        self.updates = program.updates
        self.donated = frozenset(program.updates)
        self.out = None

    def __call__(self, buffers, scalars):
        if self.out is None:
            count = len(self.updates)
            out = self.program(buffers, scalars)
            self.out = out[: len(out) - count] + [None] * count
        return self.out


def use_null_programs() -> None:
    compile_graph = plans.compile_graph
    plans.compile_graph = lambda *args: Null(compile_graph(*args))


def best(f, n: int, runs: int = 15) -> tuple[float, float]:
    """Best and median microseconds of f() / n."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        f()
        times.append((time.perf_counter() - begin) / n * 1e6)
    times.sort()
    return times[0], times[len(times) // 2]


def show(name: str, f, n: int, budget: float | None = None) -> None:
    f()
    f()
    low, middle = best(f, n)
    print(f"{name:44s} {low:7.2f} best {middle:7.2f} median", end="")
    print(f"   budget {budget}" if budget else "")


def repeat(f, n: int = 200):
    """f() n times with a flush after; the flush's own time is small beside."""

    def run():
        kept = [f() for _ in range(n)]
        core.flush()
        return kept

    return run


def steps(model, optimizer, batches, layers=None):
    def run():
        for x, y in batches:
            loss = face.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def steps_looking(model, optimizer, batches):
    def run():
        for x, y in batches:
            loss = face.cross_entropy(model(x), y)
            loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def own_update(model, params, batches):
    def run():
        for x, y in batches:
            face.cross_entropy(model(x), y).backward()
            with core.no_grad():
                for p in params:
                    p -= 0.01 * p.grad
                    p.grad = None

    return run


def inference(model, batches):
    def run():
        with core.no_grad():
            for x, _ in batches:
                core.array_of(model(x).argmax(1))

    return run


def network(rng, sizes):
    def layer(i, o):
        return face.Linear(rng.uniform(-0.1, 0.1, (o, i)), rng.uniform(-0.1, 0.1, o))

    layers = [layer(i, o) for i, o in zip(sizes, sizes[1:], strict=False)]

    def model(x):
        for one in layers[:-1]:
            x = one(x).relu()
        return layers[-1](x).softmax(1)

    return model, [p for one in layers for p in (one.weight, one.bias)]


def traced_step(model, optimizer, batches):
    def step(x, y):
        loss = face.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return [loss]

    traced = core.trace(step, batches[0])

    def run():
        for x, y in batches:
            traced(x, y)

    return run


def main() -> None:
    rng = np.random.default_rng(1)
    use_null_programs()
    gc.disable()
    a, b = face.tensor(np.ones((4, 4))), face.tensor(np.ones((4, 4)))
    show("a + b", repeat(lambda: a + b), 200, 0.6)
    show("a * 2.0", repeat(lambda: a * 2.0), 200, 0.6)
    show("a.softmax(1)", repeat(lambda: a.softmax(1)), 200, 0.6)
    show("a.view(-1), not read", repeat(lambda: core.look(a, ("reshape", (16,)))), 200, 2)
    view = core.look(a, ("reshape", (16,)))
    show("view + 1.0, a view read again", repeat(lambda: view + 1.0), 200, 0.6)
    show("a[1:3] + 1.0", repeat(lambda: a[1:3] + 1.0), 200)
    show("a.add_(b)", repeat(lambda: a.add_(b)), 200, 2)
    show("a[0] += 1.0", repeat(lambda: core.inplace(face.ADD, a[0], 1.0)), 200)

    data = [
        (face.tensor(rng.standard_normal((BATCH, WIDTH)).astype("f4")),
         face.tensor(rng.integers(0, CLASSES, BATCH)))
        for _ in range(STEPS)
    ]  # fmt: skip
    model, params = network(rng, (WIDTH, WIDTH, CLASSES))
    adam = face.Adam(params)
    show("step of the MLP with Adam", steps(model, adam, data), STEPS, 20)
    show("the same, loss.item() before backward", steps_looking(model, adam, data), STEPS)
    show("own update under no_grad", own_update(model, params, data), STEPS)
    show("inference, read back", inference(model, data), STEPS)
    show("the same step, traced", traced_step(model, adam, data), STEPS)
    wide, params = network(rng, (WIDTH,) * 31 + (CLASSES,))
    show("31 layers, 62 parameters", steps(wide, face.Adam(params), data), STEPS)


if __name__ == "__main__":
    with device("reference"):
        main()
