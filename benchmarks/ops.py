"""Operations one by one: 20 in a row, looked at once, on Gemel and on PyTorch in turn.

    python benchmarks/ops.py [--size small,middle,large] [--only PATTERN] [--rounds 7] [--alone]

Sizes: 64 elements, 64 K, 16 M. A result of its input's form is the input of the next call; where it
has another form, the next call has an input of its own. Prints each operation's median times and
ratio, the geometric mean over all, and those that lose. `--alone`: one call, looked at. One thread
on both sides.
"""

import argparse
import fnmatch
import math
import statistics
import time

import torch as theirs
from op_rows import rows

import gemel.torch as ours

SIZES = {"small": 64, "middle": 1 << 16, "large": 1 << 24}
CHAIN = 20
ENOUGH = 0.02  # seconds of a sample, where a chain is shorter


def main() -> None:
    """Print the table of each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="small,middle,large")
    parser.add_argument("--only", default="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    for face in (ours, theirs):
        face.set_num_threads(1)
    for size in options.size.split(","):
        table(size, options)


def table(size: str, options) -> None:
    """Every row at one size, then the mean and the losers."""
    found = {}
    for name, expression, needs in rows():
        if not fnmatch.fnmatchcase(name, options.only):
            continue
        try:
            pair = measured(expression, needs, SIZES[size], options)
        except Exception as error:
            print(f"{size:7} {name:22} {type(error).__name__}: {str(error)[:80]}", flush=True)
            continue
        found[name] = pair[0] / pair[1]
        print(f"{size:7} {name:22} {pair[0] * 1e6:12.2f} us {pair[1] * 1e6:12.2f} us"
              f" {found[name]:6.2f} x", flush=True)  # fmt: skip
    if found:
        mean = math.exp(statistics.fmean(map(math.log, found.values())))
        losing = sorted((r, n) for n, r in found.items() if r > 1)
        print(f"{size}: geometric mean {mean:.2f} of PyTorch's time over {len(found)} operations")
        print(f"{size}: loses {', '.join(f'{n} {r:.2f}' for r, n in reversed(losing))}\n")


def measured(expression: str, needs: str, n: int, options) -> tuple[float, float]:
    """Medians of seconds of (Gemel, PyTorch), in turn."""
    runs = [prepared(face, expression, needs, n, options.alone) for face in (ours, theirs)]
    steps = [1, 1]
    for i, run in enumerate(runs):
        run()
        run()
        steps[i] = max(1, min(1000, round(ENOUGH / max(timed(run, 1), 1e-7))))
    samples: list[list[float]] = [[], []]
    for turn in range(options.rounds):
        for i in (0, 1) if turn % 2 else (1, 0):
            samples[i].append(timed(runs[i], steps[i]))
    return statistics.median(samples[0]), statistics.median(samples[1])


def timed(run, steps: int) -> float:
    """Seconds of a step."""
    begun = time.perf_counter()
    for _ in range(steps):
        run()
    return (time.perf_counter() - begun) / steps


def prepared(face, expression: str, needs: str, n: int, alone: bool):
    """A function that runs the chain (or one call) and looks at its end."""
    code = compile(expression, "<row>", "eval")
    given = operands(face, needs, n)
    inputs = [given["x"]]
    count = 1 if alone else CHAIN

    def chained(result) -> bool:
        return result.shape == inputs[0].shape and result.dtype == inputs[0].dtype

    def run():
        names, results = dict(given), []
        with face.no_grad():
            for i in range(count):
                result = eval(code, names)
                if chained(result):
                    names["x"], results = result, [result]
                else:
                    names["x"] = inputs[(i + 1) % len(inputs)]
                    results.append(result)
            for result in results:
                looked(result)

    with face.no_grad():
        if count > 1 and not chained(eval(code, dict(given))):
            inputs += [another(given["x"]) for _ in range(count - 1)]
    return run


def another(x):
    """The same values in memory of their own."""
    made = x.clone()
    looked(made)
    return made


def looked(x) -> None:
    """Have the values in memory."""
    x.data_ptr()


def operands(face, needs: str, n: int) -> dict:
    """Tensors of the row's names."""
    face.manual_seed(0)
    columns = 64 if n > 64 else 8
    shape = n // columns, columns
    x, y = face.randn(shape), face.randn(shape)
    if needs == "positive":
        x, y = x.abs() + 1.1, y.abs() + 0.1
    if needs == "bool":
        x = x > 10
    made = {
        "x": x, "y": y, "square": face.randn(columns, columns) * 0.1,
        "rows": face.randint(0, shape[0], (shape[0],)), "columns": face.randint(0, columns, shape),
        "classes": face.randint(0, columns, (shape[0],)),
    }  # fmt: skip
    for tensor in made.values():
        looked(tensor)
    return {**made, "torch": face, "F": face.nn.functional, "_first": first}


def first(found):
    """The values of a result with places."""
    return found[0] if isinstance(found, tuple) else found


if __name__ == "__main__":
    main()
