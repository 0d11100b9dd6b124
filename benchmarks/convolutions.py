"""Convolutions and both gradients against the machine's FMA peak and PyTorch, on one core.

    python benchmarks/convolutions.py [--peers] [--plans] [--last] [--way forward|image|weights] ...

One row per case and direction (`image`: gradient of the image, `weights`: gradient of the
weights): the share of the FMA peak, GF/s and milliseconds of Gemel's kernels, compile time, and
the time relative to PyTorch's (below 1: Gemel is faster). `--last`: channels last. Weights are
packed in every call here, as in training. Sampling is that of `matmul.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from matmul import Peak, repeated, sampled

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from window_specs import Case, Compiled, address  # noqa: E402

from gemel.codegen.strategy import choose  # noqa: E402
from gemel.runtime.machine import machine  # noqa: E402

# images, channels, height = width, outputs, taps, stride, padding, groups
CASES = [
    (32, 64, 56, 64, 3, 1, 1, 1),
    (32, 128, 28, 128, 3, 1, 1, 1),
    (32, 256, 14, 256, 3, 1, 1, 1),
    (32, 512, 7, 512, 3, 1, 1, 1),
    (1, 64, 56, 64, 3, 1, 1, 1),
    (64, 1, 28, 32, 3, 1, 0, 1),
    (64, 32, 26, 64, 3, 1, 0, 1),
    (32, 3, 224, 64, 7, 2, 3, 1),
    (32, 64, 56, 64, 3, 1, 1, 64),
    (32, 256, 56, 64, 1, 1, 0, 1),
    (32, 64, 56, 128, 3, 2, 1, 1),
    (1, 512, 7, 512, 3, 1, 1, 1),
]
WAYS = ("forward", "image", "weights")


def made(sizes: tuple[int, ...], last: bool) -> Case:
    images, channels, side, outputs, taps, stride, pad, groups = sizes
    pairs = [(n, n) for n in (side, taps, stride, 1, pad)]
    return Case(images, channels // groups, outputs // groups, *pairs, groups, last)


class Kernel:
    """One direction of a case as machine code: one strategy, or one per phase of the gradient."""

    def __init__(self, case: Case, way: str):
        result = {"forward": case.y, "weights": case.w, "image": case.x}[way]
        out = result.copy(order="K")
        self.held = [out]
        self.parts: list[Compiled] = []
        started = time.perf_counter()
        for spec, left, at_left, right, at_right, at_out in getattr(case, way)():
            places = address(left, at_left), address(right, at_right), address(out, at_out)
            strategy = choose(spec, machine())
            self.parts.append(Compiled(strategy, *([place] for place in places)))
        self.compiled = time.perf_counter() - started

    def __call__(self) -> None:
        for part in self.parts:
            part()

    def plans(self) -> list[str]:
        return sorted({part.strategy.describe() for part in self.parts})


def peer(sizes: tuple[int, ...], case: Case, way: str) -> Callable[[], object]:
    import torch

    torch.set_num_threads(1)
    _, _, _, _, _, stride, pad, groups = sizes
    layout = torch.channels_last if case.last else torch.contiguous_format

    def image(a):
        return torch.from_numpy(a.reshape(a.shape[0], -1, *a.shape[3:]).copy()).contiguous(
            memory_format=layout
        )

    weights = torch.from_numpy(case.w.reshape(-1, *case.w.shape[2:]).copy())
    x, y, w = image(case.x), image(case.y), weights.contiguous(memory_format=layout)
    if way == "forward":

        def forward() -> object:
            with torch.no_grad():
                return torch.nn.functional.conv2d(x, w, None, stride, pad, 1, groups)

        return forward
    needed = [way == "image", way == "weights", False]
    gradient = torch.ops.aten.convolution_backward
    places = [stride] * 2, [pad] * 2, [1] * 2, False, [0, 0], groups
    return lambda: gradient(y, x, w, None, *places, needed)


def line(sizes: tuple[int, ...], way: str, options: argparse.Namespace, peak: Peak) -> None:
    case = made(sizes, options.last)
    kernel = Kernel(case, way)
    calls = {"gemel": repeated(kernel), "peak": repeated(peak.call)}
    if options.peers:
        calls["torch"] = repeated(peer(sizes, case, way))
    seconds = sampled(calls, options.seconds)
    speed = case.flops / seconds["gemel"] / 1e9
    share = speed / (peak.flops / seconds["peak"] / 1e9)
    images, channels, side, outputs, taps, stride, _, groups = sizes
    name = f"{images}x{channels}x{side}x{side} -> {outputs} {taps}x{taps}"
    name += f" /{stride}" * (stride > 1) + f" groups {groups}" * (groups > 1)
    text = f"{name:36s} {way:8s} {share:5.0%} {speed:6.1f} GF/s {seconds['gemel'] * 1e3:8.3f} ms"
    text += f" {kernel.compiled * 1e3:5.0f} ms"
    if options.peers:
        text += f"   torch {seconds['gemel'] / seconds['torch']:5.2f}"
    print(text, flush=True)
    if options.plans:
        print("".join(f"      {plan}\n" for plan in kernel.plans()), end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--last", action="store_true")
    parser.add_argument("--way", choices=WAYS, action="append")
    parser.add_argument("--case", type=int, action="append", help="number of a case, from 0")
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    peak = Peak()
    for number in options.case or range(len(CASES)):
        for way in options.way or WAYS:
            line(CASES[number], way, options, peak)


if __name__ == "__main__":
    main()
