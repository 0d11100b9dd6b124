"""`functional.pad` and the padding modules: constant, reflecting, repeating the edge, circular."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops.elementwise import cast
from gemel.ops.movement import concat, expand, flip, narrow, update_slice
from gemel.ops.record import Call
from gemel.tensor import record1, record2
from gemel.torch.tensor import Tensor

_MODES = ("constant", "reflect", "replicate", "circular")


def _constant(attrs: tuple, x: Node, value: Node) -> Node:
    """x with (before, after) cells of the value per axis; negative widths cut."""
    (widths,) = attrs
    for axis, (before, after) in enumerate(widths):
        x = _cut(x, axis, before, after)
    grown = [(max(0, a), max(0, b)) for a, b in widths]
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, grown, strict=True))
    spec = [(a, a + n, 1) for n, (a, _) in zip(x.shape, grown, strict=True)]
    return update_slice(expand(cast(value, x.dtype), shape), x, spec)


def _around(x: Node, axis: int, before: int, after: int, mode: str) -> list[Node]:
    """The cells in front of the axis, x, and the cells behind it."""
    n = x.shape[axis]
    if mode == "circular":
        front, back = narrow(x, axis, n - before, before), narrow(x, axis, 0, after)
    elif mode == "reflect":
        front = flip(narrow(x, axis, 1, before), (axis,))
        back = flip(narrow(x, axis, n - 1 - after, after), (axis,))
    else:
        ends = ((0, before), (n - 1, after))
        front, back = (
            expand(narrow(x, axis, at, 1), (*x.shape[:axis], count, *x.shape[axis + 1 :]))
            for at, count in ends
        )
    return [part for part in (front, x, back) if part.shape[axis]]


def _cut(x: Node, axis: int, before: int, after: int) -> Node:
    """x without what negative widths take away."""
    start, stop = max(0, -before), x.shape[axis] + min(0, after)
    return narrow(x, axis, start, max(0, stop - start))


def _from_inside(attrs: tuple, x: Node) -> Node:
    """Negative widths cut: before x goes around, after what was mirrored or repeated."""
    widths, mode = attrs
    for axis, (before, after) in enumerate(widths):
        if mode == "circular":
            x = _cut(x, axis, before, after)
        if before > 0 or after > 0:
            x = concat(_around(x, axis, max(0, before), max(0, after), mode), axis)
        if mode != "circular":
            x = _cut(x, axis, before, after)
    return x


CONSTANT_PAD = Call("constant_pad", _constant)
PAD = Call("pad", _from_inside)


def _widths(shape: tuple, pad) -> tuple:
    """PyTorch's list (last axis first) as (before, after) per axis."""
    pad = tuple(int(p) for p in pad)
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * len(shape):
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {len(shape)}"
        )
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    return tuple([(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1])


def _check_inside(shape: tuple, widths: tuple, mode: str) -> None:
    for axis, (n, (before, after)) in enumerate(zip(shape, widths, strict=True)):
        if mode == "reflect" and max(before, after) >= max(n, 1) and (before or after):
            raise RuntimeError(
                "Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({before}, {after}) at dimension {axis} of input {list(shape)}"
            )
        if mode == "circular" and max(before, after) > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")


def pad(input: Tensor, pad, mode: str = "constant", value: float | None = None) -> Tensor:
    """input [...] with cells added around; `pad` gives (before, after) from the last axis on.

    mode: 'constant' (with `value`, 0 by default), 'reflect', 'replicate' or 'circular'.
    """
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    widths = _widths(input.form.shape, pad)
    for n, (before, after) in zip(input.form.shape, widths, strict=True):
        if n + before + after < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {before} and {after}, resulted in a "
                f"negative output size, which is invalid."
            )
    if mode == "constant":
        number = 0.0 if value is None else float(value)
        return record2(CONSTANT_PAD, input, number, (widths,))
    if value:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_inside(input.form.shape, widths, mode)
    return record1(PAD, input, (widths, mode))
