"""`host`: a function in NumPy as a primitive.

Role: what a kernel cannot reasonably be generated for (LAPACK's factorisations, transforms of odd
sizes) is called by name. Several results are packed: each batch has one row of numbers, in which
they lie one after the other. A `Host` names a function of `runtime.host_calls` and says how
gradients go through it.

Invariant: leading axes are batches, the same in all arguments and in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from gemel.graph.errors import DTypeError
from gemel.graph.form import DType, Form, form
from gemel.graph.node import Node
from gemel.runtime.host_calls import find
from gemel.runtime.host_entry import seen

from .elementwise import stop_gradient
from .movement import narrow, reshape
from .record import Primitive

HOSTS: dict[str, Host] = {}


class Host:
    """A function that programs call.

    name      "module.function" in `runtime.host_calls`
    gradient  (cotangent, node, *args) -> one gradient per argument; None: no gradient flows
    """

    def __init__(self, name: str, gradient: Callable[..., list[Node]] | None = None):
        self.name = name
        self.gradient = gradient
        HOSTS[name] = self

    def __call__(
        self,
        shape: tuple[int, ...],
        dtype: DType,
        *args: Node,
        settings: tuple = (),
        paired: tuple[bool, ...] = (),
    ) -> Node:
        """The function's result. paired: per argument, whether its last axis holds the real and
        the imaginary part of complex numbers, which the function is given."""
        if self.gradient is None:
            args = tuple(map(stop_gradient, args))
        paired = paired or (False,) * len(args)
        return HOST(*args, attrs=(self.name, settings, form(tuple(shape), dtype), paired))

    def made(self, node: Node) -> bool:
        """Is the node an application of this function?"""
        return node.op is HOST and node.attrs[0] == self.name


def _infer(attrs, *forms: Form) -> Form:
    paired = attrs[3]
    if len(paired) != len(forms):
        raise DTypeError("host", f"{len(paired)} arguments are described", forms)
    for f, pair in zip(forms, paired, strict=True):
        if f.dtype.kind == "c" or pair and (f.shape[-1:] != (2,) or f.dtype.kind != "f"):
            raise DTypeError("host", "complex numbers are given as pairs", forms)
    return attrs[2]


def _gradient(g: Node, y: Node, *args: Node) -> list[Node]:
    rule = HOSTS[y.attrs[0]].gradient
    if rule is None:
        raise NotImplementedError(f"no gradient flows through the host call {y.attrs[0]}")
    return rule(g, y, *args)


def _reference(attrs, *arrays):
    name, settings, result, paired = attrs
    out = np.empty(result.shape, result.dtype.numpy)
    find(name)(settings, out, *seen([np.ascontiguousarray(x) for x in arrays], paired))
    return out


# attrs: (name, settings, Form of the result, per argument: is it pairs?)
HOST = Primitive("host", "host", -1, _infer, _gradient, _reference)


def unpacked(row: Node, *shapes: tuple[int, ...]) -> list[Node]:
    """The values that lie one after the other along the last axis, each as its shape in place of
    that axis."""
    lead = row.shape[:-1]
    found = []
    at = 0
    for shape in shapes:
        size = prod(shape)
        found.append(reshape(narrow(row, row.ndim - 1, at, size), (*lead, *shape)))
        at += size
    return found
