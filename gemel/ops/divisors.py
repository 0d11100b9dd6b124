"""Greatest common divisor and least common multiple, as host calls."""

from __future__ import annotations

from math import prod

from gemel.graph.node import Node

from .elementwise import broadcast_shapes
from .host import Host
from .movement import expand, reshape

_GCD = Host("divisors.gcd")
_LCM = Host("divisors.lcm")


def _paired(host: Host, a: Node, b: Node) -> Node:
    shape = broadcast_shapes(host.name, a.form, b.form)
    flat = (prod(shape),)
    found = host(flat, a.dtype, *(reshape(expand(x, shape), flat) for x in (a, b)))
    return reshape(found, shape)


def gcd(a: Node, b: Node) -> Node:
    """Of whole numbers of one type; not negative."""
    return _paired(_GCD, a, b)


def lcm(a: Node, b: Node) -> Node:
    """Of whole numbers of one type; not negative."""
    return _paired(_LCM, a, b)
