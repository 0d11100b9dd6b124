"""Single operations as PyTorch programs. Runs under PyTorch and under `gemel run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from .matmuls import operand_shapes
from .workload import Job, numbers

TURNING = ("matmul", "convolution")


def plain(kind: str, *arguments) -> Job:
    """The operation called again and again; each result is there before the next call.

    Products get other operands in every second call, so that nothing made of them can be kept.
    """
    calls = [PROBLEMS[kind](*arguments) for _ in range(2 if kind in TURNING else 1)]
    f, inputs = calls[0]

    def run(steps: int) -> None:
        for i in range(steps):
            f, inputs = calls[i % len(calls)]
            f(*inputs).data_ptr()

    return Job(run, lambda: [f(*inputs).detach().numpy()])


def compiled(kind: str, *arguments) -> Job:
    """The same through `torch.compile`."""
    f, inputs = PROBLEMS[kind](*arguments)
    turns = [inputs, *(PROBLEMS[kind](*arguments)[1] for _ in range(kind in TURNING))]
    g = torch.compile(f)

    def run(steps: int) -> None:
        for i in range(steps):
            g(*turns[i % len(turns)]).data_ptr()

    return Job(run, lambda: [g(*inputs).detach().numpy()])


def matmul(text: str) -> tuple[Callable, Sequence]:
    """A product by its sizes; see `matmuls.sizes`."""
    left, right, turn_left, turn_right = operand_shapes(text)
    a = _tensor("left", left)
    b = _tensor("right", right)
    a = a.transpose(-1, -2) if turn_left else a
    b = b.transpose(-1, -2) if turn_right else b
    return torch.matmul, (a, b)


def convolution(case, part: str) -> tuple[Callable, Sequence]:
    """A convolution, or one of its gradients; see `convolutions.Case`."""
    images, kernel, result = case.shapes
    x = _tensor("images", images)
    w = _tensor("kernel", kernel)
    g = _tensor("result", result)
    options = {"stride": case.stride, "padding": case.padding, "groups": case.groups}
    if part == "forward":
        return lambda x, w: F.conv2d(x, w, **options), (x, w)
    wanted = (x if part == "dx" else w).requires_grad_()
    y = F.conv2d(x, w, **options)
    return lambda g: torch.autograd.grad(y, wanted, g, retain_graph=True)[0], (g,)


def softmax(count: int, length: int) -> tuple[Callable, Sequence]:
    """Over the last axis of (count, length)."""
    return lambda x: torch.softmax(x, -1), (_cells(count, length),)


def log_softmax(count: int, length: int) -> tuple[Callable, Sequence]:
    """Over the last axis of (count, length)."""
    return lambda x: torch.log_softmax(x, -1), (_cells(count, length),)


def layer_norm(count: int, length: int) -> tuple[Callable, Sequence]:
    """Over the last axis of (count, length), with scale and shift."""
    scale = _tensor("scale", (length,))
    shift = _tensor("shift", (length,))
    x = _cells(count, length)
    return lambda x, a, b: F.layer_norm(x, (length,), a, b, 1e-5), (x, scale, shift)


def row_sum(count: int, length: int) -> tuple[Callable, Sequence]:
    """Over the last axis of (count, length)."""
    return lambda x: x.sum(-1), (_cells(count, length),)


def chain(count: int, length: int) -> tuple[Callable, Sequence]:
    """Ten operations that need one instruction or two each."""

    def f(x):
        x = torch.relu(x * 1.5 + 0.25)
        x = torch.abs(x - 2.0) * 0.5
        return torch.maximum(-x, x * x) + 1.0

    return f, (_cells(count, length),)


def chain_with_exp(count: int, length: int) -> tuple[Callable, Sequence]:
    """Ten operations, two of them exponential."""

    def f(x):
        x = torch.relu(torch.exp(x * 0.5) + 0.25)
        x = torch.tanh(x - 2.0) * 0.5
        return torch.maximum(-x, x * x) + 1.0

    return f, (_cells(count, length),)


def _cells(count: int, length: int):
    return _tensor("cells", (count, length))


def _tensor(name: str, shape: Sequence[int]):
    """A tensor with memory of its own."""
    return torch.from_numpy(numbers(name, shape)).clone()


PROBLEMS: dict[str, Callable[..., tuple[Callable, Sequence]]] = {
    "matmul": matmul,
    "convolution": convolution,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "layer_norm": layer_norm,
    "sum": row_sum,
    "chain": chain,
    "chain_with_exp": chain_with_exp,
}
