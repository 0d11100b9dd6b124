"""What memory or exp bounds: row kernels, column sums, chains, copies, optimizers; on one core.

    python benchmarks/rows.py [GROUP ...] [--values N] [--only TEXT] [--compiled]

Groups: softmax, norm, sums, chains, channels, moves, optimizers. Each row: Gemel's median time, its
bandwidth relative to a plain copy of as many bytes in the same run, each peer's time relative to
Gemel's (above 1: Gemel is faster), and Gemel's time relative to the best peer's. A mark says that a
row is neither at 0.8 of the best peer's time nor at 0.8 of a copy's bandwidth. The same PyTorch
source runs under Gemel's face and under PyTorch, eager and (with --compiled) compiled; JAX runs its
own under jit.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable

from timing import in_turn, pin

pin()

import numpy as np  # noqa: E402

import gemel.torch  # noqa: E402

COLUMNS = (10, 65, 128, 1000, 4096, 50257)
SAMPLE = 1e-3  # seconds that one sample lasts at least
RESNET_18 = [(64, 3, 7, 7), (64,), (64,)] + [
    shape
    for before, after, shortcut in [
        (64, 64, False), (64, 64, False), (64, 128, True), (128, 128, False),
        (128, 256, True), (256, 256, False), (256, 512, True), (512, 512, False),
    ]
    for shape in [(after, before, 3, 3), (after,), (after,)]
    + [(after, after, 3, 3), (after,), (after,)]
    + [(after, before, 1, 1), (after,), (after,)] * shortcut
] + [(1000, 512), (1000,)]  # fmt: skip


class Case:
    """One computation. torch(module, *tensors), jax(*arrays); `moved`: bytes read and written."""

    def __init__(self, name: str, arrays: list, torch: Callable, jax: Callable, moved: int):
        self.name = name
        self.arrays = arrays
        self.torch = torch
        self.jax = jax
        self.moved = moved


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


# ---------- the cases ----------
def softmax(values: int):
    """Rows of every length, in as many rows as give the number of values."""
    import jax

    for columns in COLUMNS:
        x = normal(max(1, values // columns), columns)
        for name in ("softmax", "log_softmax"):
            yield Case(
                f"{name} {x.shape[0]}x{columns}",
                [x],
                lambda t, x, name=name: getattr(t, name)(x, -1),
                lambda x, name=name: getattr(jax.nn, name)(x, -1),
                2 * x.nbytes,
            )


def norm(values: int):
    """Layer norm, and with its gradients."""
    import jax

    def forward(x, w, b):
        mean = x.mean(-1, keepdims=True)
        rest = x - mean
        return rest * jax.lax.rsqrt((rest * rest).mean(-1, keepdims=True) + 1e-5) * w + b

    def both(x, w, b, g):
        y, back = jax.vjp(forward, x, w, b)
        return (y, *back(g))

    for n in COLUMNS:
        x, w, b = normal(max(1, values // n), n), normal(n), normal(n)
        name = f"{x.shape[0]}x{n}"
        yield Case(f"layer norm {name}", [x, w, b], _layer_norm, forward, 2 * x.nbytes)
        yield Case(
            f"layer norm, gradients {name}",
            [x, w, b, x[::-1].copy()],
            _layer_norm_gradients,
            both,
            4 * x.nbytes,
        )


def _layer_norm(t, x, w, b):
    return t.nn.functional.layer_norm(x, (x.shape[-1],), w, b)


def _layer_norm_gradients(t, x, w, b, g):
    x, w, b = (v.detach().requires_grad_() for v in (x, w, b))
    y = _layer_norm(t, x, w, b)
    return (y, *t.autograd.grad(y, (x, w, b), g))


def sums(values: int):
    """Sums over columns, rows and everything."""
    for n in (10, 65, 128, 1000, 4096, 50257):
        x = normal(max(1, values // n), n)
        name = f"{x.shape[0]}x{n}"
        yield Case(f"row sums {name}", [x], lambda t, x: x.sum(1), lambda x: x.sum(1), x.nbytes)
        yield Case(f"column sums {name}", [x], lambda t, x: x.sum(0), lambda x: x.sum(0), x.nbytes)
    yield Case(f"sum of {x.size}", [x], lambda t, x: x.sum(), lambda x: x.sum(), x.nbytes)


def chains(values: int):
    """Ten elementwise operations, cheap ones and dear ones; and operands spread along an axis."""
    import jax.numpy as jnp

    def cheap(x, y, where):
        z = x * 1.5 + y
        z = z * z - x
        z = abs(z) + 0.25
        z = where(z > y, z, y)
        return (z * 0.5 - x) * y

    for n in (1 << 16, 1 << 20, 1 << 24):
        x, y = normal(n), normal(n)[::-1].copy()
        yield Case(
            f"ten operations, {n}",
            [x, y],
            lambda t, x, y: cheap(x, y, t.where),
            lambda x, y: cheap(x, y, jnp.where),
            3 * x.nbytes,
        )
    yield from _functions(normal(values))
    x, row, column = normal(values // 1000, 1000), normal(1000), normal(values // 1000, 1)
    yield Case(
        f"x * row + column {x.shape}",
        [x, row, column],
        lambda t, x, r, c: x * r + c,
        lambda x, r, c: x * r + c,
        2 * x.nbytes,
    )


def _functions(x):
    import jax

    pairs = {
        "gelu": (lambda t, x: t.nn.functional.gelu(x), lambda x: jax.nn.gelu(x, approximate=False)),
        "tanh": (lambda t, x: t.tanh(x), jax.numpy.tanh),
        "sigmoid": (lambda t, x: t.sigmoid(x), jax.nn.sigmoid),
        "exp": (lambda t, x: t.exp(x), jax.numpy.exp),
    }
    for name, (torch, other) in pairs.items():
        yield Case(f"{name}, {x.size}", [x], torch, other, 2 * x.nbytes)


def channels(values: int):
    """Mean and variance of each channel, planes first and channels last."""
    for shape in [(32, 64, 56, 56), (32, 512, 7, 7)]:
        turned = (shape[0], *shape[2:], shape[1])
        for x, axes in ((normal(*shape), (0, 2, 3)), (normal(*turned), (0, 1, 2))):
            yield Case(
                f"channel statistics {x.shape}",
                [x],
                lambda t, x, axes=axes: t.var_mean(x, axes, correction=0),
                lambda x, axes=axes: (x.var(axes), x.mean(axes)),
                x.nbytes,
            )


def moves(values: int):
    """Transposed and permuted copies."""
    x = normal(values // 1000, 1000)
    yield Case(
        f"transpose {x.shape}",
        [x],
        lambda t, x: (x.t() * 2.0).contiguous(),
        lambda x: x.T * 2.0,
        2 * x.nbytes,
    )
    for shape, axes in [
        ((32, 64, 56, 56), (0, 2, 3, 1)),
        ((32, 56, 56, 64), (0, 3, 1, 2)),
        ((32, 128, 8, 64), (0, 2, 1, 3)),
    ]:
        x = normal(*shape)
        yield Case(
            f"permute {shape} {axes}",
            [x],
            lambda t, x, axes=axes: (x.permute(*axes) * 2.0).contiguous(),
            lambda x, axes=axes: x.transpose(axes) * 2.0,
            2 * x.nbytes,
        )


def optimizers(values: int):
    """Updates of all parameters of ResNet-18; here PyTorch's fused way is the peer."""
    arrays = [normal(*shape) for shape in RESNET_18]
    count = sum(x.size for x in arrays)
    for name, extra, moved in [("Adam", {}, 28), ("AdamW", {}, 28), ("SGD", {"momentum": 0.9}, 20)]:
        step = _steps(name, extra)
        yield Case(f"{name}, {count} parameters", arrays, step, None, moved * count)


def _steps(name: str, extra: dict) -> Callable:
    """A function whose calls update the same parameters again and again."""
    optimizers: dict = {}

    def step(t, *tensors):
        if t not in optimizers:
            for p in tensors:
                p.requires_grad_()
                p.grad = p.detach() * 0.1
            way = {} if t is gemel.torch else {"fused": True}
            optimizers[t] = getattr(t.optim, name)(tensors, lr=1e-3, **extra, **way)
        optimizers[t].step()
        return tensors[0]

    return step


GROUPS = {f.__name__: f for f in (softmax, norm, sums, chains, channels, moves, optimizers)}


# ---------- measuring ----------
def torch_call(module, function, arrays):
    tensors = [module.tensor(x) for x in arrays]

    def call():
        out = function(module, *tensors)
        for o in out if isinstance(out, tuple | list) else (out,):
            if module is gemel.torch:
                o.data_ptr()

    return call


def candidates(case: Case, compiled: bool) -> dict[str, Callable]:
    calls = {"gemel": torch_call(gemel.torch, case.torch, case.arrays)}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        calls["torch"] = torch_call(torch, case.torch, case.arrays)
        if compiled and case.jax:
            made = torch.compile(lambda *tensors: case.torch(torch, *tensors))
            calls["compiled"] = torch_call(torch, lambda _, *tensors: made(*tensors), case.arrays)
    if case.jax and importlib.util.find_spec("jax"):
        import jax

        inputs, function = [jax.numpy.asarray(x) for x in case.arrays], jax.jit(case.jax)
        calls["jax"] = lambda: jax.block_until_ready(function(*inputs))
    source = np.zeros(case.moved // 8, np.float32)
    target = np.zeros_like(source)
    calls["copy"] = lambda: np.copyto(target, source)
    return calls


def measure(case: Case, compiled: bool) -> None:
    """Print the case's row."""
    calls = candidates(case, compiled)
    steps = {name: _steps_of(call) for name, call in calls.items()}
    repeated = {
        name: lambda call=call, n=steps[name]: [call() for _ in range(n)]
        for name, call in calls.items()
    }
    taken = in_turn(repeated, 1, rounds=9)
    seconds = {name: s / steps[name] for name, s in taken.items()}
    ours, copy = seconds.pop("gemel"), seconds.pop("copy")
    best = min(seconds.values())
    peers = "  ".join(f"{name} {s / ours:5.2f}" for name, s in seconds.items())
    mark = "  " if ours <= 0.8 * best or copy >= 0.8 * ours else "! "
    print(
        f"{mark}{case.name:42} {ours * 1e6:9.1f} us  {copy / ours:4.2f} of a copy's"
        f" {case.moved / copy / 1e9:4.1f} GB/s  {peers}  {ours / best:5.2f} of the best",
        flush=True,
    )


def _steps_of(call: Callable) -> int:
    """How many calls make a sample, after two that warm up."""
    call()
    call()
    start = time.perf_counter()
    call()
    return max(1, int(SAMPLE / (time.perf_counter() - start)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", default=[])
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too")
    arguments = parser.parse_args()
    for name in arguments.groups or GROUPS:
        for case in GROUPS[name](arguments.values):
            if arguments.only in case.name:
                measure(case, arguments.compiled)


if __name__ == "__main__":
    main()
