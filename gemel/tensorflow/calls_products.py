"""TensorFlow's matrix products as calls. Role and conventions as in `calls_math`."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import movement as mv
from gemel.ops.contraction import contract, matmul
from gemel.ops.reduction import sum_

from .calls_array import axis_of
from .calls_math import FaceCall, require, same_type
from .errors import ShapeMismatch
from .shape import show


def _matmul(attrs, a, b):
    """attrs: (transpose_a, transpose_b)"""
    same_type("MatMul", a, b, "b", "a")
    require("MatMul", a, "fiuc", "a")
    for i, x in enumerate((a, b)):
        if x.ndim < 2:
            raise ShapeMismatch(
                f"In[{i}] ndims must be >= 2: Shape must be rank 2 but is rank {x.ndim} "
                f"({show(x.shape)})"
            )
    shapes = f"In[0]: {show(a.shape)}, In[1]: {show(b.shape)}"
    a = mv.swap(a) if attrs[0] else a
    b = mv.swap(b) if attrs[1] else b
    if a.shape[-1] != b.shape[-2]:
        raise ShapeMismatch(f"Matrix size-incompatible: {shapes}")
    for n, m in zip(a.shape[-3::-1], b.shape[-3::-1], strict=False):
        if n != m and 1 not in (n, m):
            raise ShapeMismatch(f"{shapes}: batch dimensions do not broadcast")
    return matmul(a, b)


def _tensor_dot(attrs, a, b):
    """attrs: (axes of a, axes of b)"""
    same_type("Tensordot", a, b, "b", "a")
    axes_a = [axis_of(x, a.ndim) for x in attrs[0]]
    axes_b = [axis_of(x, b.ndim) for x in attrs[1]]
    for i, j in zip(axes_a, axes_b, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeMismatch(
                f"Matrix size-incompatible: axis {i} of {show(a.shape)} against axis {j} of "
                f"{show(b.shape)}"
            )
    la = list(range(a.ndim))
    lb = [a.ndim + d for d in range(b.ndim)]
    for i, j in zip(axes_a, axes_b, strict=True):
        lb[j] = la[i]
    out = [x for i, x in enumerate(la) if i not in axes_a]
    out += [x for j, x in enumerate(lb) if j not in axes_b]
    return contract(a, b, la, lb, out)


def _matvec(attrs, a, v):
    same_type("MatVec", a, v, "b", "a")
    if a.ndim < 2 or v.ndim < 1 or a.shape[-1] != v.shape[-1]:
        raise ShapeMismatch(
            f"Matrix size-incompatible: In[0]: {show(a.shape)}, In[1]: {show(v.shape)}"
        )
    out = matmul(a, mv.reshape(v, v.shape + (1,)))
    return mv.reshape(out, out.shape[:-1])


def _einsum(attrs, *xs):
    """attrs: (equation,)"""
    terms, labels, out = _equation(attrs[0], xs)
    first = xs[0]
    if len(xs) == 1:
        return _einsum_of_one(first, terms[0], out)
    la, lb = terms
    same_type("Einsum", first, xs[1], "y", "x")
    b = xs[1]
    first, la = _summed(first, la, set(lb) | set(out))
    b, lb = _summed(b, lb, set(la) | set(out))
    number = {c: i for i, c in enumerate(labels)}
    return contract(first, b, *([number[c] for c in t] for t in (la, lb, out)))


def _equation(text: str, xs) -> tuple[list[str], list[str], str]:
    """(labels of each operand, all labels, labels of the result); an ellipsis is spelt out."""
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(xs) or len(xs) > 2:
        raise ShapeMismatch(f"Expected {len(terms)} inputs (one or two) in '{text}', got {len(xs)}")
    rest = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=True)]
    spare = "".join(chr(0x391 + i) for i in range(max(rest, default=0)))
    terms = [
        t.replace("...", spare[len(spare) - n :] if n > 0 else "")
        for t, n in zip(terms, rest, strict=True)
    ]
    for t, x in zip(terms, xs, strict=True):
        if len(t) != x.ndim or len(set(t)) != len(t):
            raise ShapeMismatch(f"'{t}' of '{text}' does not label the axes of {show(x.shape)}")
    every = "".join(terms)
    if not arrow:
        out = "".join(sorted(c for c in set(every) if every.count(c) == 1))
    return terms, list(dict.fromkeys(every)), out.replace("...", spare)


def _summed(x: Node, labels: str, kept: set) -> tuple[Node, str]:
    """x without the axes that nobody else has."""
    gone = tuple(i for i, c in enumerate(labels) if c not in kept)
    return (sum_(x, gone), "".join(c for c in labels if c in kept)) if gone else (x, labels)


def _einsum_of_one(x: Node, labels: str, out: str) -> Node:
    x, labels = _summed(x, labels, set(out))
    return mv.permute(x, [labels.index(c) for c in out])


EINSUM = FaceCall("Einsum", _einsum)
MATMUL = FaceCall("MatMul", _matmul)
TENSOR_DOT = FaceCall("Tensordot", _tensor_dot)
MATVEC = FaceCall("MatVec", _matvec)

