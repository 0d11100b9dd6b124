"""`functional`'s pooling: one call each, with PyTorch's checks and words."""

from __future__ import annotations

from gemel.graph.form import int64
from gemel.graph.node import Node
from gemel.ops import pooling
from gemel.ops.record import Call
from gemel.tensor import record1, record_many
from gemel.torch.checks import not_implemented, wrong_argument
from gemel.torch.tensor import Tensor

from .convolution import each


def _listed(shape, sizes) -> str:
    return "x".join(map(str, (shape, *sizes)))


def _steps(n: int, k: int, s: int, p: int, d: int, ceil: bool) -> int:
    """Windows along one dimension; with `ceil` also one that starts inside but ends outside."""
    free = n + 2 * p - d * (k - 1) - 1
    steps = (free + (s - 1 if ceil else 0)) // s + 1
    return steps - 1 if ceil and (steps - 1) * s >= n + p else steps


def _check_input(name: str, x: Node, rank: int) -> None:
    if rank == 1:
        if x.ndim in (2, 3):
            return
        if name.startswith("max"):
            raise RuntimeError(
                f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size "
                f"for input, but got:{list(x.shape)}"
            )
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {x.ndim}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input"
        )


def _check_sizes(name: str, x: Node, rank: int, plain: bool) -> None:
    """Only the batch may be empty."""
    sizes = x.shape[x.ndim - rank - 1 :]
    if 0 not in sizes:
        return
    if rank == 3 and name.startswith("max"):
        raise RuntimeError(
            f"{name}(): Expected input's non-batch dimensions to have positive length, but input "
            f"has a shape of {list(x.shape)} and non-batch dimension {sizes.index(0)} has length "
            "zero!"
        )
    start = f"{name}: Expected 2D or 3D" if plain else f"Expected {max(rank, 2) + 1}D or "
    start += "" if plain else f"{max(rank, 2) + 2}D"
    shape = x.shape if rank > 1 or plain else (*x.shape[:-1], 1, x.shape[-1])
    raise RuntimeError(
        f"{start} (batch mode) tensor with optional 0 dim batch size for input, but "
        f"got:{list(shape)}"
    )


def _check_settings(name: str, rank: int, window, stride, padding, dilation, plain: bool) -> None:
    """plain: the rule and words of max_pool1d without places."""
    count = ("one int", "two ints", "three ints")[rank - 1]
    for what, given in (("kernel_size", window), ("stride", stride), ("padding", padding),
                        ("dilation", dilation)):  # fmt: skip
        if len(given) != rank:
            raise RuntimeError(f"{name}: {what} must either be a single int, or a tuple of {count}")
    if plain:
        for what, (n,) in (("kernel_size", window), ("stride", stride), ("dilation", dilation)):
            if n <= 0:
                raise RuntimeError(f"{name}() {what} must be greater than zero, but got {n}")
    if 0 in stride:
        raise RuntimeError("stride should not be zero")
    if min(window) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {list(window)}")
    if min(dilation) <= 0:
        axes = zip("THW"[3 - rank :], dilation, strict=True)
        listed = " ".join(f"dilation{axis}: {d}" for axis, d in axes)
        raise RuntimeError(f"dilation should be greater than zero, but got {listed}")
    for k, p, d in zip(window, padding, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if plain and 2 * p > k:
            raise RuntimeError(
                f"{name}() padding should be at most half of kernel size, but got padding={p} and "
                f"kernel_size={k}"
            )
        if 2 * p > d * (k - 1) + 1:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )


def _pool(
    name: str, x: Node, rank: int, window, stride, padding, dilation, ceil, plain=False
) -> pooling.Pool:
    """The windows over the last `rank` axes; RuntimeError where there are none."""
    _check_input(name, x, rank)
    _check_settings(name, rank, window, stride, padding, dilation, plain)
    _check_sizes(name, x, rank, plain)
    axes = tuple(range(x.ndim - rank, x.ndim))
    sizes = x.shape[x.ndim - rank :]
    rows = zip(sizes, window, stride, padding, dilation, strict=True)
    steps = tuple(_steps(*row, ceil) for row in rows)
    if min(steps) < 1:
        if plain:
            raise RuntimeError(f"{name}() Invalid computed output size: {steps[0]}")
        flat = (1,) * (rank == 1)
        channels = x.shape[x.ndim - rank - 1]
        raise RuntimeError(
            f"Given input size: ({_listed(channels, (*flat, *sizes))}). Calculated output size: "
            f"({_listed(channels, (*flat, *(max(0, s) for s in steps)))}). Output size is too small"
        )
    return pooling.Pool(axes, window, stride, dilation, padding, steps)


def _max_pool(attrs, x: Node):
    name, rank, *settings, indices = attrs
    pool = _pool(name, x, rank, *settings, plain=rank == 1 and not indices)
    return pooling.largest_with_places(x, pool) if indices else pooling.largest(x, pool)


def _avg_pool(attrs, x: Node) -> Node:
    name, rank, window, stride, padding, ceil, padded, divisor = attrs
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    if x.dtype.kind != "f" and x.dtype is not int64:
        raise not_implemented(f"{name}_out_frame", x)
    pool = _pool(name, x, rank, window, stride, padding, (1,) * rank, ceil)
    if padded or divisor is not None:
        return pooling.average_of_padded(x, pool, padding, divisor)
    return pooling.average(x, pool)


def _adaptive(attrs, x: Node):
    name, rank, sizes, indices = attrs
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got {list(x.shape)}"
        )
    if len(sizes) != rank:
        if rank == 1:
            raise RuntimeError(f"{name}(): argument 'output_size' should contain one int")
        if "max" in name:
            raise RuntimeError(f"{name}(): internal error: output_size.size() must be {rank}")
        raise RuntimeError(f"{name}: output_size must be {rank}")
    axes = tuple(range(x.ndim - rank, x.ndim))
    sizes = tuple(x.shape[a] if n is None else n for a, n in zip(axes, sizes, strict=True))
    if min(sizes) < 0:
        if "max" in name:
            raise RuntimeError(f"Trying to create tensor with negative dimension {min(sizes)}")
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0 ")
    if indices:
        return pooling.adaptive_largest_with_places(x, axes, sizes)
    build = pooling.adaptive_largest if "max" in name else pooling.adaptive_average
    return build(x, axes, sizes)


MAX_POOL = Call("max_pool", _max_pool)
AVG_POOL = Call("avg_pool", _avg_pool)
ADAPTIVE_POOL = Call("adaptive_pool", _adaptive)


def _window(name: str, value, rank: int) -> tuple[int, ...]:
    if isinstance(value, bool) or not isinstance(value, int | tuple | list):
        kind = type(value).__name__
        raise TypeError(
            f"{name}(): argument 'kernel_size' (position 2) must be tuple of ints, not {kind}"
        )
    return each(value, rank)


def _named(function, name: str, text: str):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def _max(rank: int):
    name = f"max_pool{rank}d"

    def function(input: Tensor, kernel_size, stride=None, padding=0, dilation=1,
                 ceil_mode: bool = False, return_indices: bool = False):
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        window = _window(name, kernel_size, rank)
        stride = window if stride is None or stride in ([], ()) else each(stride, rank)
        settings = (window, stride, each(padding, rank), each(dilation, rank), bool(ceil_mode))
        if return_indices:
            return tuple(record_many(MAX_POOL, Tensor, [input], (name, rank, *settings, True)))
        return record1(MAX_POOL, input, (name, rank, *settings, False))

    return _named(function, name, f"""The largest value of each window over the last {rank}
    dimension(s); the gradient goes to the first of equal ones. With `return_indices` also its
    flat place in them (int64). RuntimeError where a window does not fit.
    """)  # fmt: skip


def _avg(rank: int):
    name = f"avg_pool{rank}d"

    def function(input: Tensor, kernel_size, stride=None, padding=0, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None):
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        window = _window(name, kernel_size, rank)
        stride = window if stride is None or stride in ([], ()) else each(stride, rank)
        settings = (window, stride, each(padding, rank), bool(ceil_mode))
        attrs = (name, rank, *settings, bool(count_include_pad), divisor_override)
        return record1(AVG_POOL, input, attrs)

    return _named(function, name, f"""The mean of each window over the last {rank} dimension(s).
    Padding counts as zeros unless `count_include_pad` is False; `divisor_override` takes the
    place of the window's size. RuntimeError where a window does not fit.
    """)  # fmt: skip


def _adaptive_pool(kind: str, rank: int):
    name = f"adaptive_{kind}_pool{rank}d"

    def function(input: Tensor, output_size, return_indices: bool = False):
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        sizes = (output_size,) * rank
        if isinstance(output_size, tuple | list):
            sizes = tuple(output_size)
            if rank > 1 and input.ndim <= len(sizes):
                raise ValueError(f"Input dimension should be at least {len(sizes) + 1}")
        if return_indices:
            attrs = (name, rank, sizes, True)
            return tuple(record_many(ADAPTIVE_POOL, Tensor, [input], attrs))
        return record1(ADAPTIVE_POOL, input, (name, rank, sizes, False))

    return _named(function, name, f"""Pooling to a given size of the last {rank} dimension(s);
    None keeps a size. Window i goes from floor(i n / m) to ceil((i + 1) n / m). Of maxima,
    `return_indices` also gives the flat places (int64).
    """)  # fmt: skip


max_pool1d, max_pool2d, max_pool3d = (_max(rank) for rank in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_avg(rank) for rank in (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    _adaptive_pool("avg", rank) for rank in (1, 2, 3)
)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (
    _adaptive_pool("max", rank) for rank in (1, 2, 3)
)


def _with_indices(name: str, pool):
    def function(input: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        kwargs.pop("return_indices", None)
        return pool(input, *args, **kwargs, return_indices=True)

    text = f"{pool.__name__} and the flat places of its values (int64)."
    return _named(function, name, text)


max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = (
    _with_indices(f"{pool.__name__}_with_indices", pool)
    for pool in (max_pool1d, max_pool2d, max_pool3d)
)
adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices = (
    _with_indices(f"{pool.__name__}_with_indices", pool)
    for pool in (adaptive_max_pool1d, adaptive_max_pool2d)
)
adaptive_max_pool3d_with_indices = _with_indices(
    "adaptive_max_pool3d_with_indices", adaptive_max_pool3d
)
