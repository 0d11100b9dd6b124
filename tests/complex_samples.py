"""Rows of the op table over complex values, which the rows are given as pairs of real ones.

Inputs are real arrays of shape S + (2,), so the generic tests (compiled against reference,
gradients against differences, PyTorch) cover the rules of complex numbers, too.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel.graph.form import int64
from gemel.ops import complex_arithmetic as arith
from gemel.ops import contraction as con
from gemel.ops import elementwise as el
from gemel.ops import indexing as ind
from gemel.ops import inverse_trigonometry as arc
from gemel.ops import movement as mov
from gemel.ops import reduction as red
from gemel.ops import transcendental as tran
from gemel.ops.complex import as_complex, as_real, conjugate
from gemel.ops.record import const

ONE = [((2,),), ((3, 5, 2),)]
TWO = [((5, 2), (5, 2)), ((2, 1, 3, 2), (4, 1, 2))]


def _pairs(y):
    return as_real(y) if y.dtype.is_complex else y


def _torch_pairs(t, y):
    return t.view_as_real(y.resolve_conj()) if y.is_complex() else y


def rows(Sample: type) -> list:
    """The rows; Sample is the op table's class."""

    def row(name: str, build: Callable, torch: Callable | None, shapes, **more):
        def pairs(*xs):
            return _pairs(build(*map(as_complex, xs)))

        def expression(t, *xs):
            return _torch_pairs(t, torch(t, *map(t.view_as_complex, xs)))

        return Sample("complex_" + name, pairs, shapes, torch=torch and expression, **more)

    one = [
        row("exp", el.EXP, lambda t, z: t.exp(z), ONE),
        row("expm1", el.EXPM1, lambda t, z: t.expm1(z), ONE),
        row("log", el.LOG, lambda t, z: t.log(z), ONE),
        row("log1p", el.LOG1P, lambda t, z: t.log1p(z), ONE, low=-0.4, high=0.4),
        row("sqrt", el.SQRT, lambda t, z: t.sqrt(z), ONE),
        row("sin", el.SIN, lambda t, z: t.sin(z), ONE),
        row("cos", el.COS, lambda t, z: t.cos(z), ONE),
        row("tan", tran.tan, lambda t, z: t.tan(z), ONE),
        row("sinh", tran.sinh, lambda t, z: t.sinh(z), ONE),
        row("cosh", tran.cosh, lambda t, z: t.cosh(z), ONE),
        row("tanh", el.TANH, lambda t, z: t.tanh(z), ONE),
        row("sigmoid", el.SIGMOID, lambda t, z: t.sigmoid(z), ONE),
        row("asin", arc.asin, lambda t, z: t.asin(z), ONE),
        row("acos", arc.acos, lambda t, z: t.acos(z), ONE),
        row("atan", arc.atan, lambda t, z: t.atan(z), ONE),
        row("asinh", tran.asinh, lambda t, z: t.asinh(z), ONE),
        row("acosh", tran.acosh, lambda t, z: t.acosh(z), ONE),
        row("atanh", tran.atanh, lambda t, z: t.atanh(z), ONE),
        row("abs", el.ABS, lambda t, z: t.abs(z), ONE),
        row("angle", arith.angle, lambda t, z: t.angle(z), ONE),
        row("direction", arith.direction, lambda t, z: t.sgn(z), ONE),
        row("conjugate", conjugate, lambda t, z: z.conj(), ONE),
        row("power_3", lambda z: el.power(z, 3), lambda t, z: z**3, ONE),
        row("sum", lambda z: red.sum_(z, 0), lambda t, z: z.sum(0), [((3, 5, 2),)]),
        row("prod", lambda z: red.prod(z, 1), lambda t, z: z.prod(1), [((3, 5, 2),)]),
        row("flip", lambda z: mov.flip(z, (0,)), lambda t, z: z.flip(0), [((3, 5, 2),)]),
    ]
    two = [
        row("product", lambda a, b: a * b, lambda t, a, b: a * b, TWO),
        row("quotient", lambda a, b: a / b, lambda t, a, b: a / b, TWO),
        row("power", lambda a, b: el.POW(*_spread(a, b)), lambda t, a, b: a**b, TWO, low=0.2),
        row("matmul", con.matmul, lambda t, a, b: a @ b, [((3, 4, 2), (4, 5, 2))]),
        row(
            "same",
            lambda a, b: el.where(el.eq(a, b), a, b * const(2j, b.dtype)),
            lambda t, a, b: t.where(a == b, a, b * 2j),
            TWO[:1],
        ),
        row(
            "rows",
            lambda a, b: ind.gather(mov.concat([a, b], 0), mov.arange(7, int64), 0),
            lambda t, a, b: t.cat([a, b])[:7],
            TWO[:1],
        ),
    ]
    return one + two


def _spread(a, b):
    shape = el.broadcast_shapes("power", a.form, b.form)
    return mov.expand(a, shape), mov.expand(b, shape)
