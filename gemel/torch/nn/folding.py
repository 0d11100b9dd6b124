"""`functional.unfold`, `fold`, `pixel_shuffle` and `pixel_unshuffle`: cells that change places."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import pooling
from gemel.ops.movement import permute, reshape
from gemel.ops.record import Call
from gemel.tensor import record1
from gemel.torch.checks import wrong_argument
from gemel.torch.tensor import Tensor

from .convolution import each


def _pool(sizes, window, dilation, padding, stride) -> pooling.Pool:
    """The windows; where they do not fit, the number of steps is below 1."""
    rows = zip(sizes, window, dilation, padding, stride, strict=True)
    steps = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in rows)
    return pooling.Pool((2, 3), window, stride, dilation, padding, steps)


def _unfold(attrs, x: Node) -> Node:
    window, dilation, padding, stride = attrs
    if x.ndim == 3:
        y = _unfold(attrs, reshape(x, (1, *x.shape)))
        return reshape(y, y.shape[1:])
    if x.ndim != 4:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(x.shape)}"
        )
    pool = _pool(x.shape[2:], window, dilation, padding, stride)
    if min(pool.steps) < 1:
        raise RuntimeError(
            f"Given input with spatial size {x.shape[2:]}, kernel_size={window}, "
            f"dilation={dilation}, padding={padding}, calculated shape of the array of sliding "
            f"blocks as {pool.steps}, but its components must be at least one."
        )
    return pooling.unfold(x, pool)


def _fold(attrs, columns: Node) -> Node:
    sizes, window, dilation, padding, stride = attrs
    if columns.ndim == 2:
        y = _fold(attrs, reshape(columns, (1, *columns.shape)))
        return reshape(y, y.shape[1:])
    if columns.ndim != 3:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(columns.shape)}"
        )
    if columns.shape[1] % (window[0] * window[1]):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={columns.shape[1]} and kernel_size={window}."
        )
    pool = _pool(sizes, window, dilation, padding, stride)
    high, wide = pool.steps
    if columns.shape[2] != high * wide:
        raise RuntimeError(
            f"Given output_size={sizes}, kernel_size={window}, dilation={dilation}, "
            f"padding={padding}, stride={stride}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {high} * {wide} = {high * wide}, but got "
            f"input.size(2)={columns.shape[2]}."
        )
    return pooling.fold(columns, sizes, pool)


def _shuffle(attrs, x: Node) -> Node:
    (r,) = attrs
    *lead, channels, high, wide = x.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(lead)
    x = reshape(x, (*lead, channels // (r * r), r, r, high, wide))
    x = permute(x, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(x, (*lead, channels // (r * r), high * r, wide * r))


def _unshuffle(attrs, x: Node) -> Node:
    (r,) = attrs
    *lead, channels, high, wide = x.shape
    for what, place, size in (("height", -2, high), ("width", -1, wide)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"input.size({place})={size} is not divisible by {r}"
            )
    n = len(lead)
    x = reshape(x, (*lead, channels, high // r, r, wide // r, r))
    x = permute(x, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(x, (*lead, channels * r * r, high // r, wide // r))


def _channel_shuffle(attrs, x: Node) -> Node:
    (groups,) = attrs
    if x.ndim < 3:
        raise RuntimeError(
            "channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(x.shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, channels, *rest = x.shape
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and "
            f"{groups} groups."
        )
    grouped = reshape(x, (n, groups, channels // groups, *rest))
    return reshape(permute(grouped, (0, 2, 1, *range(3, grouped.ndim))), x.shape)


CHANNEL_SHUFFLE = Call("channel_shuffle", _channel_shuffle)
UNFOLD = Call("unfold", _unfold)
FOLD = Call("fold", _fold)
PIXEL_SHUFFLE = Call("pixel_shuffle", _shuffle)
PIXEL_UNSHUFFLE = Call("pixel_unshuffle", _unshuffle)


def _recorded(call: Call, input, attrs) -> Tensor:
    if not isinstance(input, Tensor):
        raise wrong_argument(call.name, "input", 1, input)
    return record1(call, input, attrs)


def unfold(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """The windows of [N, C, H, W] as columns: [N, C * taps, windows]."""
    settings = tuple(each(v, 2) for v in (kernel_size, dilation, padding, stride))
    return _recorded(UNFOLD, input, settings)


def fold(input: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """Columns [N, C * taps, windows] added up at their places in [N, C, *output_size]."""
    given = (output_size, kernel_size, dilation, padding, stride)
    return _recorded(FOLD, input, tuple(each(v, 2) for v in given))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """[..., C r^2, H, W] to [..., C, H r, W r] (Shi et al. 2016)."""
    return _recorded(PIXEL_SHUFFLE, input, (upscale_factor,))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """[..., C, H r, W r] to [..., C r^2, H, W]."""
    return _recorded(PIXEL_UNSHUFFLE, input, (downscale_factor,))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """[N, groups C, ...] with one channel of each group after the other (Zhang et al. 2018)."""
    return _recorded(CHANNEL_SHUFFLE, input, (groups,))


native_channel_shuffle = channel_shuffle
