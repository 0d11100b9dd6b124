"""Rows of whole networks: training steps, inference, and the update of all parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .workload import Job, Workload, numbers, program

SMALL = (64, 64, 10)
LARGE = (784, 512, 512, 10)
PYTORCH = ("PyTorch", "PyTorch fused")


def table() -> list[Workload]:
    """The networks of the project's goals."""
    return [*_perceptrons(), _cnn(), _resnet_training(), _resnet_inference(), _update()]


def sweep() -> list[Workload]:
    """Perceptrons by width and batch."""
    return [
        Workload(
            f"sweep mlp {width}-{width}-10 batch {batch}",
            "sweep",
            _mlp_builders((width, width, 10), batch, 16, ("torch", "torch compiled", "jax")),
            flops=_mlp_flops((width, width, 10), batch),
        )
        for width in (16, 64, 256, 1024)
        for batch in (1, 32, 256)
    ]


def _perceptrons() -> list[Workload]:
    user = ("torch", "torch fused", "keras")
    return [
        Workload(
            "mlp 64-64-10",
            "training",
            _mlp_builders(SMALL, 32, 64, user),
            "a user-written training loop, batch 32, Adam",
            _mlp_flops(SMALL, 32),
            goal=0.15,
            rivals=PYTORCH,
            alike=False,
        ),
        Workload(
            "mlp 64-64-10 compiled",
            "training",
            _mlp_builders(SMALL, 32, 64, ("torch compiled", "torch bulk", "jax")),
            "the same, the whole step compiled; in bulk: 64 steps a call",
            _mlp_flops(SMALL, 32),
            goal=0.15,
            rivals=("JAX",),
        ),
        Workload(
            "mlp 64-64-10 fit",
            "training",
            _mlp_builders(SMALL, 32, 64, ("keras",)),
            "the same, Keras's fit; an epoch is 64 batches",
            _mlp_flops(SMALL, 32),
            goal=0.02,
            rivals=("Keras on TF",),
        ),
        Workload(
            "mlp 784-512-512-10",
            "training",
            _mlp_builders(LARGE, 128, 128, (*user, "torch compiled", "jax")),
            "batch 128, Adam",
            _mlp_flops(LARGE, 128),
            goal=0.85,
            alike=False,
        ),
    ]


def _mlp_builders(widths, batch: int, count: int, variants: Sequence[str]) -> dict:
    def build(module: str, **options) -> Callable[[], Job]:
        def job() -> Job:
            images = np.abs(numbers("images", (count, batch, widths[0])))
            labels = _labels(count, batch)
            return program(module, "train_mlp", widths, images, labels, **options)()

        return job

    made = {
        "torch": build("networks_torch"),
        "torch fused": build("networks_torch", fused=True),
        "torch compiled": build("networks_torch", compiled=True),
        "torch bulk": build("networks_torch", bulk=True),
        "jax": build("networks_jax"),
        "keras": build("networks_keras"),
    }
    return {variant: made[variant] for variant in variants}


def _image_builders(function: str, shape: tuple[int, ...], count: int) -> dict:
    """Training on images (count, *shape), channels last."""

    def build(module: str, **options) -> Callable[[], Job]:
        def job() -> Job:
            images = numbers("images", (count, *shape))
            return program(module, function, images, _labels(count, shape[0]), **options)()

        return job

    return {
        "torch": build("networks_torch"),
        "torch compiled": build("networks_torch", compiled=True),
        "keras": build("networks_keras"),
    }


def _labels(count: int, batch: int) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 10, (count, batch)).astype(np.int64)


def _cnn() -> Workload:
    first, second, dense = _cnn_flops()
    return Workload(
        "cnn 28x28",
        "training",
        _image_builders("train_cnn", (64, 28, 28, 1), 8),
        "conv 32, conv 64, pool, dense 128, 10; batch 64, Adam",
        # the images need no gradient
        64 * (2 * first + 3 * second + 3 * dense),
        goal=0.75,
        tolerance=1e-3,
        alike=False,
    )


def _resnet_training() -> Workload:
    forward, first = _resnet_flops(32, True)
    return Workload(
        "resnet-18 32x32",
        "training",
        _image_builders("train_resnet", (32, 32, 32, 3), 2),
        "batch 32, SGD with momentum",
        32 * (3 * forward - first),
        goal=0.93,
        tolerance=2e-2,
        alike=False,
    )


def _resnet_inference() -> Workload:
    def build(module: str, **options) -> Callable[[], Job]:
        def job() -> Job:
            images = numbers("images", (1, 224, 224, 3))
            return program(module, "infer_resnet", images, **options)()

        return job

    return Workload(
        "resnet-18 224x224 inference",
        "inference",
        {
            "torch": build("networks_torch"),
            "torch compiled": build("networks_torch", compiled=True),
            "keras": build("networks_keras"),
        },
        "batch 1",
        _resnet_flops(224, False)[0],
        goal=0.7,
        tolerance=1e-3,
        alike=False,
    )


def _update() -> Workload:
    shapes = list(resnet_parameters(1000, False))
    count = sum(int(np.prod(shape)) for _, shape in shapes)
    return Workload(
        "adam over resnet-18",
        "rows",
        {
            "torch": program("networks_torch", "update"),
            "torch fused": program("networks_torch", "update", fused=True),
            "torch compiled": program("networks_torch", "update", compiled=True),
            "jax": program("networks_jax", "update", shapes),
        },
        f"{count / 1e6:.1f} million parameters, gradients given",
        # parameter and both moments are read and written, the gradient is read
        traffic=4 * count * 7,
        goal=0.8,
        enough=0.8,
    )


# ---------- how much there is to do ----------
def _mlp_flops(widths: Sequence[int], batch: int) -> float:
    layers = [2.0 * batch * a * b for a, b in zip(widths, widths[1:], strict=False)]
    return 3 * sum(layers) - layers[0]


def _cnn_flops() -> tuple[float, float, float]:
    """Per image: the first convolution, the second, the dense layers."""
    first, second = 26 * 26 * 32 * 9, 24 * 24 * 64 * 32 * 9
    return 2.0 * first, 2.0 * second, 2.0 * (9216 * 128 + 128 * 10)


def resnet_parameters(classes: int, small: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of ResNet-18's parameters, in PyTorch's order."""
    size = 3 if small else 7
    yield "conv1.weight", (64, 3, size, size)
    yield from _norm("bn1", 64)
    for name, inputs, outputs, stride in _blocks():
        yield f"{name}.conv1.weight", (outputs, inputs, 3, 3)
        yield from _norm(f"{name}.bn1", outputs)
        yield f"{name}.conv2.weight", (outputs, outputs, 3, 3)
        yield from _norm(f"{name}.bn2", outputs)
        if stride > 1 or inputs != outputs:
            yield f"{name}.way.0.weight", (outputs, inputs, 1, 1)
            yield from _norm(f"{name}.way.1", outputs)
    yield "fc.weight", (classes, 512)
    yield "fc.bias", (classes,)


def _norm(name: str, channels: int) -> list[tuple[str, tuple[int, ...]]]:
    return [(f"{name}.weight", (channels,)), (f"{name}.bias", (channels,))]


def _blocks() -> Iterator[tuple[str, int, int, int]]:
    """(name, channels in, channels out, stride)"""
    inputs = 64
    for i, outputs in enumerate((64, 64, 128, 128, 256, 256, 512, 512)):
        yield f"blocks.{i}", inputs, outputs, 2 if i in (2, 4, 6) else 1
        inputs = outputs


def _resnet_flops(side: int, small: bool) -> tuple[float, float]:
    """Of one image's forward pass, and of its first convolution."""
    classes = 10 if small else 1000
    side = side if small else side // 2
    first = 2.0 * side * side * 64 * 3 * (9 if small else 49)
    side = side if small else side // 2
    total = first + 2.0 * 512 * classes
    for _, inputs, outputs, stride in _blocks():
        side //= stride
        taps = 9 * inputs + 9 * outputs
        if stride > 1 or inputs != outputs:
            taps += inputs
        total += 2.0 * side * side * outputs * taps
    return total, first
