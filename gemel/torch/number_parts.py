"""Numbers taken apart: divisors of whole ones, mantissa and exponent, neighbours."""

from __future__ import annotations

from gemel.graph.node import Node
from gemel.ops import divisors, float_parts
from gemel.ops.record import Call
from gemel.tensor import record_many

from . import return_types
from .checks import not_implemented
from .define import binary, into
from .promotion import as_float, promoted
from .tensor import Tensor, attach


def _whole(kernel: str):
    """Types of operations that are there for whole numbers only."""

    def types(*nodes: Node):
        nodes = promoted(*nodes)
        if nodes[0].dtype.kind not in "ui":
            raise not_implemented(kernel, nodes[0])
        return nodes

    return types


def _floats(*nodes: Node):
    nodes = promoted(*nodes)
    if nodes[0].dtype.kind != "f":
        raise not_implemented("nextafter_cpu", nodes[0])
    return nodes


gcd = binary("gcd", divisors.gcd, _whole("gcd_cpu"), numbers=False)
lcm = binary("lcm", divisors.lcm, _whole("lcm_cpu"), numbers=False)
nextafter = binary("nextafter", float_parts.next_after, _floats, numbers=False)
ldexp = binary("ldexp", float_parts.times_power_of_two, as_float, numbers=False)


def _frexp(attrs, x: Node):
    if x.dtype.kind != "f":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return float_parts.split(x)


FREXP = Call("frexp", _frexp)


@attach()
def frexp(input, *, out=None):
    """(mantissa, exponent): input = mantissa * 2 ** exponent, 0.5 <= |mantissa| < 1."""
    found = record_many(FREXP, Tensor, (input,), ())
    if out is not None:
        found = [into(o, f) for o, f in zip(out, found, strict=True)]
    return return_types.frexp(*found)
