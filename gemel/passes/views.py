"""Affine views: a movement node as an offset and strides into the memory of another node."""

from __future__ import annotations

from dataclasses import dataclass

from gemel.graph.node import Node


@dataclass(frozen=True)
class View:
    """Cell index -> element `offset + sum(index * strides)` of the row-major value of `root`."""

    root: Node
    offset: int
    strides: tuple[int, ...]

    def is_whole(self, shape) -> bool:
        """Does the view read root's memory as it lies?"""
        return self.offset == 0 and self.strides == row_major(shape)


def row_major(shape) -> tuple[int, ...]:
    """Strides of contiguous memory; zero along axes of one cell."""
    out = []
    step = 1
    for n in reversed(shape):
        out.append(step if n != 1 else 0)
        step *= n
    return tuple(reversed(out))


def view_of(node: Node, is_root) -> View | None:
    """The node as a view of the nearest root below it; None where a reshape needs a copy.

    is_root(node): does the node's value lie in memory of its own?
    """
    if is_root(node):
        return View(node, 0, row_major(node.shape))
    function = _STEPS.get(node.op.name)
    if function is None:
        return View(node, 0, row_major(node.shape))
    below = view_of(node.args[0], is_root)
    return None if below is None else function(node, below)


def _permute(node: Node, v: View) -> View:
    return View(v.root, v.offset, tuple(v.strides[a] for a in node.attrs[0]))


def _expand(node: Node, v: View) -> View:
    shape = node.args[0].shape
    lead = node.ndim - len(shape)
    sizes = zip(v.strides, shape, node.shape[lead:], strict=True)
    inner = (s if n == m else 0 for s, n, m in sizes)
    return View(v.root, v.offset, (0,) * lead + tuple(inner))


def _slice(node: Node, v: View) -> View:
    offset = v.offset
    strides = []
    for (start, _, step), s, n in zip(node.attrs[0], v.strides, node.shape, strict=True):
        offset += start * s if n else 0
        strides.append(s * step if n != 1 else 0)
    return View(v.root, offset, tuple(strides))


def _reshape(node: Node, v: View) -> View | None:
    strides = regroup(node.args[0].shape, v.strides, node.shape)
    return None if strides is None else View(v.root, v.offset, strides)


def _after(node: Node, v: View) -> View:
    return v


_STEPS = {
    "permute": _permute,
    "expand": _expand,
    "slice": _slice,
    "reshape": _reshape,
    "after": _after,
}


def regroup(shape, strides, new_shape) -> tuple[int, ...] | None:
    """Strides of the same cells under another shape; None where no strides can say it."""
    if 0 in shape:
        return (0,) * len(new_shape)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    out: list[int] = []
    i = 0
    pending = [(n, k) for k, n in enumerate(new_shape) if n != 1]
    found = [0] * len(new_shape)
    while pending:
        taken = [pending.pop(0)]
        have = [old[i]]
        i += 1
        a, b = taken[0][0], have[0][0]
        while a != b:
            if a < b:
                taken.append(pending.pop(0))
                a *= taken[-1][0]
            else:
                have.append(old[i])
                i += 1
                b *= have[-1][0]
        if any(p[1] != q[0] * q[1] for p, q in zip(have, have[1:], strict=False)):
            return None
        step = have[-1][1]
        for n, k in reversed(taken):
            found[k] = step
            step *= n
    out = found
    return tuple(out)
