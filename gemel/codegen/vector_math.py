"""Elementary functions on vectors of float and double, any number of lanes.

Role: emit exp, log, ... for a `Value` of elem "float" or "double". Input: the builder and the
argument; output: a Value of the same type. Every function is within 2 units in the last place over
its whole domain (sin and cos too, also for huge arguments), keeps denormals, infinities, nan and
the sign of zero where C does. Nothing depends on the number of lanes: a value has the same bits in
a vector and alone.

Notation: `double-double` is an unevaluated sum of two doubles. Coefficients are in `polynomials`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

from gemel.codegen import polynomials as table
from gemel.codegen import wide_floats
from gemel.codegen.llvm import Function, Operand, Type, Value
from gemel.runtime.machine import machine

INF = math.inf
NAN = math.nan


class _Layout:
    """The bits of an element type."""

    def __init__(self, integer: str, fraction: int, bias: int, root_half: int, ln2: tuple):
        self.integer = integer
        self.fraction = fraction
        self.bias = bias
        # The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
        self.root_half = root_half
        # log(2) in two parts; multiples of the first by any exponent are exact.
        self.ln2_high, self.ln2_low = ln2
        # Adding this rounds to an integer, which is then in the low bits.
        self.rounder = 1.5 * 2.0**fraction
        self.rounder_bits = ((bias + fraction) << fraction) + (1 << (fraction - 1))
        self.least_normal = 2.0 ** (1 - bias)


FLOAT = _Layout("i32", 23, 127, 0x3F3504F3, (0.693145751953125, 1.42860682030941723e-06))
DOUBLE = _Layout("i64", 52, 1023, 0x3FE6A09E667F3BCD, (0.6931471803691238, 1.9082149292705877e-10))


def _layout(x: Value) -> _Layout:
    if not x.type.is_float:
        raise TypeError(f"vector mathematics needs float or double, got {x.type}")
    return FLOAT if x.elem == "float" else DOUBLE


def _polynomial(f: Function, x: Value, coefficients: Sequence[float]) -> Value:
    """Of floats from the highest power down: powers of x, which underflow from an x of 1e-5 on and
    then take the processor 100 cycles, do not appear. Of doubles, whose powers do not, pairs of
    neighbours first, so that the chain of dependent steps is short."""
    parts: list[Operand] = [f.lift(c, x.type) for c in coefficients]
    if x.elem == "float":
        return reduce(lambda value, c: f.fma(value, x, c), reversed(parts))
    while len(parts) > 1:
        joined = [f.fma(b, x, a) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = joined + parts[len(parts) // 2 * 2 :]
        if len(parts) > 1:
            x = x * x
    return parts[0]


def _power_of_two(f: Function, n: Value) -> Value:
    """2**n for integers n in the range of normal exponents."""
    layout = FLOAT if n.elem == "i32" else DOUBLE
    elem = "float" if n.elem == "i32" else "double"
    return f.bitcast((n + layout.bias) << layout.fraction, elem)


def _scaled(f: Function, x: Value, n: Value) -> Value:
    """x * 2**n, rounded once; x is near 1 and n may be outside the normal exponents."""
    if machine().vector_scale:
        return f.scale(x, f.convert(n, "i32"))
    half = n >> 1
    return x * _power_of_two(f, half) * _power_of_two(f, n - half)


def _two_sum(f: Function, a: Operand, b: Operand) -> tuple[Value, Value]:
    """a + b and the rounding error, if |a| >= |b|."""
    total = f.add(a, b)
    return total, f.sub(b, f.sub(total, a))


def _two_product(f: Function, a: Operand, b: Operand) -> tuple[Value, Value]:
    """a * b and the rounding error."""
    product = f.mul(a, b)
    return product, f.fma(a, b, -product)


# Exponentials.


def _reduce_exp(f: Function, x: Value) -> tuple[Value, Value, Value]:
    """n, r and the polynomial with exp(x) = 2**n (1 + r + r*r*q)."""
    bits, r, q = _split_exp(f, x)
    return bits - _layout(x).rounder_bits, r, q


def _split_exp(f: Function, x: Value) -> tuple[Value, Value, Value]:
    """`_reduce_exp` with the bits of the sum that rounds, of which the low ones are those of n."""
    layout = _layout(x)
    shifted = f.fma(x, 1 / math.log(2), layout.rounder)
    n = shifted - layout.rounder
    r = f.fma(n, -layout.ln2_low, f.fma(n, -layout.ln2_high, x))
    q = _polynomial(f, r, table.EXP_FLOAT if x.elem == "float" else table.EXP_DOUBLE)
    return f.bitcast(shifted, layout.integer), r, q


def _clamped(f: Function, x: Value, low: float, high: float) -> Value:
    """x within bounds; nan stays."""
    x = f.select(x > high, high, x)
    return f.select(x < low, low, x)


def exp(f: Function, x: Value) -> Value:
    """e to the x; overflows to inf, underflows through the denormals to 0."""
    bounds = (-104.0, 89.0) if x.elem == "float" else (-746.0, 710.0)
    if _wide(x):
        return _exp_or_zero(f, x, lambda x: f.select(x > bounds[1], bounds[1], x))
    n, r, q = _reduce_exp(f, _clamped(f, x, *bounds))
    value = f.fma(r * r, q, r) + 1.0
    return _scaled(f, value, n)


def exp_nonpositive(f: Function, x: Value) -> Value:
    """exp for x <= 0 that may flush denormal results; cheaper (softmax)."""
    if _wide(x):
        return _exp_or_zero(f, x, lambda x: x)
    return _exp_from(f, x, _EXP_FLOOR[x.elem])


def _exp_from(f: Function, x: Value, low: float) -> Value:
    """exp of numbers up to 0, and 0 below `low`, where results are still normal; nan stays."""
    layout = _layout(x)
    small = x < low
    bits, r, q = _split_exp(f, f.select(small, low, x))
    value = f.fma(f.fma(q, r, 1.0), r, 1.0)
    exponent = (bits << layout.fraction) + (layout.bias << layout.fraction)
    return f.select(small, 0.0, value * f.bitcast(exponent, x.elem))


def _exp_or_zero(f: Function, x: Value, bounded: Callable[[Value], Value]) -> Value:
    """exp, and 0 below the smallest number without computing it: underflow takes a hundred times
    as long, and masks are full of -inf."""
    below = x < -104.0
    return f.select(below, 0.0, _exp_by_table(f, bounded(f.select(below, 0.0, x))))


def _wide(x: Value) -> bool:
    return x.elem == "float" and machine().vector_scale


def exp_above(f: Function, x: Value, low: float) -> Value:
    """exp of numbers up to 0, and 0 below `low`, above which nothing underflows; nan stays."""
    if _wide(x) and x.lanes == wide_floats.WIDTH:
        return _exp_by_table(f, x, f.compare("uge", x, low))
    return _exp_from(f, x, low)


def _exp_by_table(f: Function, x: Value, some: Value | None = None) -> Value:
    """exp(x) = 2**floor(n) * 2**(n - floor(n)) * exp(r), n a multiple of 1/16; x is not huge.
    Lanes of a full register outside of the mask `some` are 0."""
    rounder = FLOAT.rounder / len(table.ROOTS_OF_TWO)

    def compute(x: Value) -> Value:
        shifted = f.fma(x, 1 / math.log(2), rounder)
        n = shifted - rounder
        r = f.fma(n, -FLOAT.ln2_low, f.fma(n, -FLOAT.ln2_high, x))
        p = f.fma(r * r, _polynomial(f, r, table.EXP_SHORT), r)
        roots = f.constants(table.ROOTS_OF_TWO, "float")
        root = wide_floats.look_up(f, roots, f.bitcast(shifted, "i32"))
        return wide_floats.scale(f, f.fma(root, p, root), n, some)

    return wide_floats.in_registers(f, x, compute)


_EXP_FLOOR = {"float": -87.3, "double": -708.3}


def expm1(f: Function, x: Value) -> Value:
    """exp(x) - 1, accurate near zero."""
    low, high = (-20.0, 89.0) if x.elem == "float" else (-40.0, 710.0)
    n, r, q = _reduce_exp(f, _clamped(f, x, low, high))
    curve = r * r * q
    # 2**(n-1), because 2**n may overflow while the result does not.
    scale = _power_of_two(f, n - 1)
    head, error = _two_sum(f, scale - 0.5, scale * r)
    value = head + f.fma(scale, curve, error)
    value = value + value
    plain = f.select(f.compare("==", n, 0), r + curve, value)
    return f.copysign(plain, x)


def _expm1_positive(f: Function, x: Value) -> Value:
    """expm1 for 0 <= x <= 60."""
    n, r, q = _reduce_exp(f, x)
    scale = _power_of_two(f, n)
    return f.fma(scale, f.fma(r * r, q, r), scale - 1.0)


def _divide(f: Function, numerator: Operand, high: Value, low: Value) -> Value:
    """numerator / (high + low) with one residual step: half the error of a plain quotient."""
    inverse = wide_floats.inverse(f, high) if _wide(high) else f.fdiv(1.0, high)
    quotient = f.mul(numerator, inverse)
    rest = f.fma(-low, quotient, f.fma(-high, quotient, numerator))
    return f.fma(rest, inverse, quotient)


def tanh(f: Function, x: Value) -> Value:
    """Hyperbolic tangent."""
    size = f.abs(x)
    if _wide(x):
        return _tanh_in_two(f, x, size)
    size = f.select(size > 24.0, 24.0, size)
    t = _expm1_positive(f, size + size)
    below, rest = _two_sum(f, f.maxnum(t, 2.0), f.minnum(t, 2.0))
    value = _divide(f, t, below, rest)
    return f.copysign(f.select(f.compare("uno", x, x), x, value), x)


def _tanh_in_two(f: Function, x: Value, size: Value) -> Value:
    """Near zero a polynomial, elsewhere 1 - 2 / (exp(2 x) + 1)."""
    z = x * x
    near = f.fma(x * z, _polynomial(f, z, table.TANH_NEAR), x)
    grown = _exp_by_table(f, f.select(size > 12.0, 12.0, size) * 2.0)
    far = f.fma(wide_floats.inverse(f, grown + 1.0), -2.0, 1.0)
    return f.copysign(f.select(size < 0.55, near, far), x)


def sigmoid(f: Function, x: Value) -> Value:
    """1 / (1 + exp(-x)), accurate in both tails."""
    away = -f.abs(x)
    small = exp_nonpositive(f, away) if _wide(x) else exp(f, away)
    below, rest = _two_sum(f, f.lift(1.0, x.type), small)
    return _divide(f, f.select(x >= 0.0, 1.0, small), below, rest)


# Logarithms.


def _split(f: Function, x: Value) -> tuple[Value, Value]:
    """Integers e and mantissas m with x = m * 2**e, m in [sqrt(1/2), sqrt(2)), x normal."""
    layout = _layout(x)
    bits = f.bitcast(x, layout.integer)
    e = (bits - layout.root_half) >> layout.fraction
    return e, f.bitcast(bits - (e << layout.fraction), x.elem)


def _split_any(f: Function, x: Value) -> tuple[Value, Value]:
    """`_split` for denormals too."""
    layout = _layout(x)
    tiny = x < layout.least_normal
    lift = float(layout.fraction)
    e, m = _split(f, f.select(tiny, x * 2.0**lift, x))
    return e - f.select(tiny, f.constant(layout.fraction, e.elem, e.lanes), 0), m


def _log_mantissa(f: Function, t: Value, e: Value, extra: Operand) -> Value:
    """log(1 + t) + e log(2) + extra for t in [sqrt(1/2) - 1, sqrt(2) - 1], extra tiny."""
    layout = _layout(t)
    if t.elem == "float":
        square = t * t
        p = f.fma(e, layout.ln2_low, square * t * _polynomial(f, t, table.LOG_FLOAT))
        p = f.fma(square, -0.5, f.add(p, extra))
        return f.fma(e, layout.ln2_high, t + p)
    # log(1 + t) = t - (t*t/2 - s (t*t/2 + s*s q)), s = t / (2 + t)
    s = t / (t + 2.0)
    z = s * s
    q = z * _polynomial(f, z, table.LOG_DOUBLE)
    half = t * t * 0.5
    p = f.fma(s, half + q, f.fma(e, layout.ln2_low, extra))
    return f.fma(e, layout.ln2_high, t - (half - p))


def _log_edges(f: Function, x: Value, value: Value) -> Value:
    """inf and nan pass through, below zero gives nan, zero gives -inf."""
    value = f.select(f.compare("ueq", x, INF), x, value)
    value = f.select(x < 0.0, NAN, value)
    return f.select(f.compare("==", x, 0.0), -INF, value)


def log(f: Function, x: Value) -> Value:
    """Natural logarithm."""
    e, m = _split_any(f, x)
    value = _log_mantissa(f, m - 1.0, f.convert(e, x.elem), 0.0)
    return _log_edges(f, x, value)


def log1p(f: Function, x: Value) -> Value:
    """log(1 + x), accurate near zero."""
    layout = _layout(x)
    u = x + 1.0
    e, m = _split(f, u)
    near = f.compare("==", e, 0)
    # What the addition lost: log(u + c) = log(u) + c / u, and 1 / m is near enough to 2 - m.
    lost = f.select(x > 1.0, 1.0 - (u - x), x - (u - 1.0))
    scale = f.bitcast((layout.bias - e) << layout.fraction, x.elem)
    extra = lost * scale * (2.0 - m)
    t = f.select(near, x, m - 1.0)
    extra = f.select(f.abs(lost) < 1.0, f.select(near, 0.0, extra), 0.0)
    value = _log_mantissa(f, t, f.convert(e, x.elem), extra)
    value = f.select(f.abs(x) < layout.least_normal, x, value)
    value = f.select(f.compare("ueq", x, INF), x, value)
    value = f.select(x < -1.0, NAN, value)
    return f.select(f.compare("==", x, -1.0), -INF, value)


# The error function.


def erf(f: Function, x: Value) -> Value:
    """Error function."""
    if _wide(x):
        return _erf_by_table(f, x)
    single = x.elem == "float"
    near = table.ERF_NEAR_FLOAT if single else table.ERF_NEAR_DOUBLE
    far = table.ERF_FAR_FLOAT if single else table.ERF_FAR_DOUBLE
    size = f.abs(x)
    top = 4.0 if single else 6.0
    size = f.select(size > top, top, size)
    middle = f.fma(x, _polynomial(f, x * x, near), x)
    outer = 1.0 - exp_nonpositive(f, _polynomial(f, size, far))
    return f.select(size < 0.927734375, middle, f.copysign(outer, x))


def _erf_by_table(f: Function, x: Value) -> Value:
    """A polynomial around the nearest multiple of a step; the coefficients are looked up."""
    step = table.ERF_STEP
    end = step * (len(table.ERF_PIECES[0]) - 1)

    def compute(x: Value) -> Value:
        size = f.abs(x)
        size = f.select(size > end, end, size)
        shifted = f.fma(size, 1 / step, FLOAT.rounder)
        t = f.fma(shifted - FLOAT.rounder, -step, size)
        piece = f.bitcast(shifted, "i32")
        start, *powers = (
            wide_floats.look_up(f, f.constants(row, "float"), piece) for row in table.ERF_PIECES
        )
        slope = reduce(lambda value, c: f.fma(value, t, c), reversed(powers))
        # the first piece is x + slope x and starts at 0; the other ones start above any t
        start = f.select(start > t, start, t)
        return f.copysign(f.fma(slope, t, start), x)

    return wide_floats.in_registers(f, x, compute)


# Trigonometry.

# pi / 2 as a sum of three doubles.
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
# Beyond this the sum of three doubles is not enough; the C library reduces exactly.
_FAR = 2.0**30
# pi / 2 as a sum of three floats, and how far it goes: further out floats are reduced as doubles.
_HALF_PI_FLOAT = (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15)
_NEAR_FLOAT = 2.0**14


def sin(f: Function, x: Value) -> Value:
    """Sine."""
    return _trigonometric(f, x, "sin")


def cos(f: Function, x: Value) -> Value:
    """Cosine."""
    return _trigonometric(f, x, "cos")


def _trigonometric(f: Function, x: Value, name: str) -> Value:
    single = x.elem == "float"
    value = _sin_of_float(f, x, name) if single else _sin_near(f, x, name)
    far = f.compare("uge", f.abs(x), _NEAR_FLOAT if single else _FAR)
    helper = _far_function(f, name, x.type)
    stage = f.alloca(x.elem, 2 * x.lanes)

    def exactly() -> list[Value]:
        f.store(x, stage)
        f.store(value, f.gep(stage, x.lanes, x.elem))
        f.call(helper, stage)
        return [f.load(f.gep(stage, x.lanes, x.elem), x.elem, x.lanes)]

    return f.if_else(f.any(far), exactly, lambda: [value])[0]


def _far_function(f: Function, name: str, type_: Type) -> Function:
    """`(pointer to arguments and results)`: replaces the results of huge arguments."""
    label = f"far_{name}_{type_.suffix}"
    if label in f.module.functions:
        return f.module.functions[label]
    g = f.module.function(label, [("ptr", "stage")], internal=True, inline=False)
    (stage,) = g.arguments
    if type_.elem == "float":
        x, results = g.load(stage, "float", type_.lanes), g.gep(stage, type_.lanes, "float")
        near = g.abs(x) < _NEAR_FLOAT
        value = g.select(near, g.load(results, "float", type_.lanes), _sin_in_double(g, x, name))
        g.store(value, results)
    with g.loop(0, type_.lanes) as loop:
        x = g.load(g.gep(stage, loop.index, type_.elem), type_.elem)
        with g.when(g.compare("uge", g.abs(x), _FAR)):
            exact = g.call_external(name, "double", g.convert(x, "double"))
            place = g.gep(stage, g.add(loop.index, type_.lanes), type_.elem)
            g.store(g.convert(exact, type_.elem), place)
    g.ret()
    return g


def _quadrant(f: Function, x: Value) -> tuple[Value, Value]:
    """The nearest multiple of pi/2 as a number and as the low bits of an integer."""
    layout = _layout(x)
    shifted = f.fma(x, 2 / math.pi, layout.rounder)
    return shifted - layout.rounder, f.bitcast(shifted, layout.integer)


def _by_quadrant(f: Function, name: str, n: Value, sine: Value, cosine: Value) -> Value:
    """sin or cos of r + n pi/2 from those of r."""
    if name == "cos":
        n = n + 1
    odd = f.compare("!=", n & 1, 0)
    value = f.select(odd, cosine, sine)
    sign = (n & 2) << (62 if n.elem == "i64" else 30)
    return f.bitcast(f.bitcast(value, n.elem) ^ sign, sine.elem)


def _sin_near(f: Function, x: Value, name: str) -> Value:
    """|x| below the bound: reduce by pi/2 to a double-double."""
    n, bits = _quadrant(f, x)
    high, middle, low = _HALF_PI
    # Exact: the difference has few enough bits.
    rough = f.fma(n, -high, x)
    part, error = _two_product(f, n, middle)
    r = rough - part
    rest = (rough - r) - part - f.fma(n, low, error)
    z = r * r
    sine = f.fma(z * r, _polynomial(f, z, table.SIN), f.fma(z * rest, -0.5, rest)) + r
    half = z * 0.5
    unit = 1.0 - half
    lost = (1.0 - unit) - half
    cosine = unit + f.fma(z * z, _polynomial(f, z, table.COS), f.fma(-r, rest, lost))
    value = _by_quadrant(f, name, bits, sine, cosine)
    return f.select(f.compare("==", x, 0.0), x, value) if name == "sin" else value


def _sin_of_float(f: Function, x: Value, name: str) -> Value:
    """|x| below 2**14: the first part of the reduction is exact, so each of the others adds at most
    half a unit."""
    n, bits = _quadrant(f, x)
    r = x
    for part in _HALF_PI_FLOAT:
        r = f.fma(n, -part, r)
    value = _by_quadrant(f, name, bits, *_short_pair(f, r))
    return f.select(f.compare("==", x, 0.0), x, value) if name == "sin" else value


def _short_pair(f: Function, r: Value) -> tuple[Value, Value]:
    """sin and cos of |r| <= pi/4, to the precision of floats."""
    z = r * r
    sine = f.fma(z * r, _polynomial(f, z, table.SIN_SHORT), r)
    cosine = f.fma(z * z, _polynomial(f, z, table.COS_SHORT), f.fma(z, -0.5, 1.0))
    return sine, cosine


def _sin_in_double(f: Function, x: Value, name: str) -> Value:
    """Of floats, with the reduction and short polynomials in double."""
    wide = f.convert(x, "double")
    n, bits = _quadrant(f, wide)
    r = f.fma(n, -_HALF_PI[1], f.fma(n, -_HALF_PI[0], wide))
    return f.convert(_by_quadrant(f, name, bits, *_short_pair(f, r)), "float")


# Powers.


def pow(f: Function, x: Value, y: Value) -> Value:
    """x to the y, with the special values of C."""
    size = f.abs(x)
    if x.elem == "float":
        # Doubles have bits to spare for single powers.
        logarithm = log(f, f.convert(size, "double"))
        value = f.convert(exp(f, logarithm * f.convert(y, "double")), "float")
    else:
        value = _pow_double(f, size, y)
    return _pow_edges(f, x, y, size, value)


def _log_long(f: Function, x: Value) -> tuple[Value, Value]:
    """log of a positive number as a double-double, relative error below 2**-64."""
    e, m = _split_any(f, x)
    e = f.convert(e, "double")
    t = m - 1.0
    below, below_low = _two_sum(f, f.lift(2.0, x.type), t)
    s = t / below
    s_low = f.fma(-s, below_low, f.fma(-s, below, t)) / below
    z, z_low = _two_product(f, s, s)
    z_low = f.fma(s + s, s_low, z_low)
    # s^3 (2/3 + s^2 P): the first term of the series needs more than a double too.
    cube, cube_low = _two_product(f, z, s)
    cube_low = f.fma(z, s_low, f.fma(z_low, s, cube_low))
    third, third_low = _two_product(f, cube, 2 / 3)
    third_low = third_low + f.fma(cube, 3.700743415417188e-17, cube_low * (2 / 3))
    tail = cube * z * _polynomial(f, z, table.LOG_LONG)
    first, first_low = _two_sum(f, s + s, third)
    first_low = first_low + (s_low + s_low) + third_low + tail
    scaled, scaled_low = _two_product(f, e, _LN2_LONG[0])
    high, low = _two_sum(f, scaled, first)
    # e = 0 breaks the order of magnitudes, but then the sum is exact.
    low = low + (f.fma(e, _LN2_LONG[1], scaled_low) + first_low)
    return _two_sum(f, high, low)


_LN2_LONG = (0.6931471805599453, 2.3190468138462996e-17)


def _pow_double(f: Function, size: Value, y: Value) -> Value:
    high, low = _log_long(f, size)
    product, product_low = _two_product(f, high, y)
    product_low = f.fma(low, y, product_low)
    # An infinite product has no meaningful error term.
    finite = f.abs(product) < 800.0
    product_low = f.select(finite, product_low, 0.0)
    product = _clamped(f, product, -800.0, 800.0)
    value, n = _exp_long(f, product, product_low)
    return _scaled(f, value, n)


def _exp_long(f: Function, x: Value, low: Value) -> tuple[Value, Value]:
    """exp(x + low) as mantissa and exponent, low tiny, |x| <= 800."""
    n, r, q = _reduce_exp(f, x)
    head, error = _two_sum(f, f.lift(1.0, x.type), r)
    tail = f.fma(r * r, q, error)
    # exp(low) = 1 + low: low is up to half a unit of x, which is many units of the result.
    return head + f.fma(head + tail, low, tail), n


def _pow_edges(f: Function, x: Value, y: Value, size: Value, value: Value) -> Value:
    whole = f.compare("==", f.trunc(y), y)
    # Odd whole numbers are below 2**(fraction + 1); their half is not whole.
    half = y * 0.5
    odd = whole & f.compare("!=", f.trunc(half), half)
    infinite = f.compare("==", f.abs(y), INF)
    # zero and infinity: the sign of y decides.
    down = y < 0.0
    value = f.select(f.compare("==", size, 0.0), f.select(down, INF, f.lift(0.0, x.type)), value)
    value = f.select(f.compare("==", size, INF), f.select(down, f.lift(0.0, x.type), INF), value)
    grows = f.compare("!=", size > 1.0, down)
    endless = f.select(grows, INF, f.lift(0.0, x.type))
    value = f.select(infinite, f.select(f.compare("==", size, 1.0), 1.0, endless), value)
    value = f.select(odd, f.copysign(value, x), value)
    negative = (x < 0.0) & f.compare("!=", size, INF) & f.compare("!=", x, 0.0)
    value = f.select(negative & ~whole & ~infinite, NAN, value)
    value = f.select(f.compare("uno", x, y), NAN, value)
    plain = f.compare("==", y, 0.0) | f.compare("==", x, 1.0)
    return f.select(plain, 1.0, value)
