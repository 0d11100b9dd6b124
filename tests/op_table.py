"""One table of op samples: it drives every generic test of the engine's operations.

A row names an operation, gives it as a function over graph nodes, the shapes it is tried on, the
kinds of element types it takes, the range of its inputs, and the PyTorch expression that it equals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import complex_samples

from gemel.graph.form import bool_, dtype_of, float32, float64, int32, int64
from gemel.ops import activations as act
from gemel.ops import contraction as con
from gemel.ops import elementwise as el
from gemel.ops import indexing as ind
from gemel.ops import linear as lin
from gemel.ops import losses as loss
from gemel.ops import movement as mov
from gemel.ops import reduction as red
from gemel.ops import statistics as stat
from gemel.ops.record import const

PAIRS = [((5,), (5,)), ((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((33, 17), (33, 17)), ((), (3,))]
ONES = [((7,),), ((3, 5),), ((),), ((2, 3, 17),), ((65,),), ((0, 3),)]


@dataclass
class Sample:
    """One row. `build` maps nodes to a node; `torch` the same on PyTorch tensors (t = torch)."""

    name: str
    build: Callable
    shapes: list = field(default_factory=lambda: list(ONES))
    kinds: str = "f"
    low: float = -2.0
    high: float = 2.0
    torch: Callable | None = None
    differentiable: bool = True
    twice: bool = True
    labels: int = 0  # the last argument is an int64 tensor of values below this


def unary(name, build, torch=None, **more):
    return Sample(name, build, torch=torch, **more)


def binary(name, build, torch=None, **more):
    return Sample(name, build, list(PAIRS), torch=torch, **more)


ELEMENTWISE = [
    unary("neg", lambda x: -x, lambda t, x: -x, kinds="fi"),
    unary("abs", el.ABS, lambda t, x: t.abs(x), kinds="fi", low=0.1),
    unary("exp", el.EXP, lambda t, x: t.exp(x)),
    unary("log", el.LOG, lambda t, x: t.log(x), low=0.1),
    unary("log1p", el.LOG1P, lambda t, x: t.log1p(x), low=-0.9),
    unary("expm1", el.EXPM1, lambda t, x: t.expm1(x)),
    unary("sqrt", el.SQRT, lambda t, x: t.sqrt(x), low=0.1),
    unary("rsqrt", el.rsqrt, lambda t, x: t.rsqrt(x), low=0.1),
    unary("sin", el.SIN, lambda t, x: t.sin(x)),
    unary("cos", el.COS, lambda t, x: t.cos(x)),
    unary("tanh", el.TANH, lambda t, x: t.tanh(x)),
    unary("sigmoid", el.SIGMOID, lambda t, x: t.sigmoid(x)),
    unary("erf", el.ERF, lambda t, x: t.erf(x)),
    unary("floor", el.floor, lambda t, x: t.floor(x), differentiable=False),
    unary("ceil", el.ceil, lambda t, x: t.ceil(x), differentiable=False),
    unary("trunc", el.trunc, lambda t, x: t.trunc(x), differentiable=False),
    unary("round", el.ROUND, lambda t, x: t.round(x), differentiable=False),
    unary("sign", el.sign, lambda t, x: t.sign(x), kinds="fi", differentiable=False),
    unary("square", el.square, lambda t, x: x * x, kinds="fi"),
    unary("power_3", lambda x: el.power(x, 3), lambda t, x: x**3, kinds="fi"),
    unary("power_half", lambda x: el.power(x, 2.5), lambda t, x: x**2.5, low=0.1),
    unary("to_int", lambda x: el.cast(x, int32), lambda t, x: x.int(), differentiable=False),
    unary(
        "to_bool",
        lambda x: el.cast(x, bool_),
        lambda t, x: x.bool(),
        kinds="fi",
        differentiable=False,
    ),
    unary("to_float64", lambda x: el.cast(x, float64), lambda t, x: x.double(), kinds="fi"),
    unary(
        "to_float32",
        lambda x: el.cast(x, float32),
        lambda t, x: x.float(),
        kinds="i",
        differentiable=False,
    ),
    unary("is_nan", el.is_nan, lambda t, x: t.isnan(x), differentiable=False),
    unary(
        "bits",
        lambda x: el.xor(el.shl(x, 2), el.and_(x, 5)),
        lambda t, x: (x << 2) ^ (x & 5),
        kinds="i",
        differentiable=False,
    ),
    unary(
        "or",
        lambda x: el.or_(x, 9),
        lambda t, x: x | 9,
        kinds="i",
        differentiable=False,
    ),
    unary(
        "same_bits",
        lambda x: (
            el.BITCAST(
                x, attrs=(dtype_of(f"{'int' if x.dtype.is_float else 'float'}{x.dtype.bits}"),)
            )
            if x.dtype.itemsize > 1
            else x
        ),
        kinds="fi",
        differentiable=False,
    ),
    unary(
        "shift_right", lambda x: el.shr(x, 1), lambda t, x: x >> 1, kinds="i", differentiable=False
    ),
    binary("add", lambda a, b: a + b, lambda t, a, b: a + b, kinds="fi"),
    binary("sub", lambda a, b: a - b, lambda t, a, b: a - b, kinds="fi"),
    binary("mul", lambda a, b: a * b, lambda t, a, b: a * b, kinds="fi"),
    binary("div", lambda a, b: a / b, lambda t, a, b: a / b, low=0.3),
    binary("mod", el.mod, lambda t, a, b: t.remainder(a, b), low=0.3, twice=False),
    binary("pow", el.POW, lambda t, a, b: t.pow(a, b), low=0.3),
    binary("maximum", el.maximum, lambda t, a, b: t.maximum(a, b), kinds="fi"),
    binary("minimum", el.minimum, lambda t, a, b: t.minimum(a, b), kinds="fi"),
    binary("lt", el.lt, lambda t, a, b: a < b, kinds="fi", differentiable=False),
    binary("le", el.le, lambda t, a, b: a <= b, kinds="fi", differentiable=False),
    binary("eq", el.eq, lambda t, a, b: a == b, kinds="fi", differentiable=False),
    binary("ne", el.ne, lambda t, a, b: a != b, kinds="fi", differentiable=False),
    binary("gt", el.gt, lambda t, a, b: a > b, kinds="fi", differentiable=False),
    binary("ge", el.ge, lambda t, a, b: a >= b, kinds="fi", differentiable=False),
    binary(
        "where",
        lambda a, b: el.where(el.lt(a, 0), a, b),
        lambda t, a, b: t.where(a < 0, a, b),
        kinds="fi",
    ),
    Sample(
        "fma", el.FMA, [((5,), (5,), (5,)), ((3, 4), (4,), ())], torch=lambda t, a, b, c: a * b + c
    ),
]

ACTIVATIONS = [
    unary("relu", act.relu, lambda t, x: t.relu(x)),
    unary("relu6", act.relu6, lambda t, x: t.nn.functional.relu6(x * 4 / 4)),
    unary(
        "leaky_relu",
        lambda x: act.leaky_relu(x, 0.1),
        lambda t, x: t.nn.functional.leaky_relu(x, 0.1),
    ),
    unary("elu", act.elu, lambda t, x: t.nn.functional.elu(x)),
    unary("selu", act.selu, lambda t, x: t.selu(x)),
    unary("gelu", act.gelu, lambda t, x: t.nn.functional.gelu(x)),
    unary(
        "gelu_tanh",
        lambda x: act.gelu(x, True),
        lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    ),
    unary("silu", act.silu, lambda t, x: t.nn.functional.silu(x)),
    unary("softplus", act.softplus, lambda t, x: t.nn.functional.softplus(x)),
    unary("softsign", act.softsign, lambda t, x: t.nn.functional.softsign(x)),
    unary("mish", act.mish, lambda t, x: t.nn.functional.mish(x)),
    unary("log_sigmoid", act.log_sigmoid, lambda t, x: t.nn.functional.logsigmoid(x)),
    unary("hard_swish", act.hard_swish, lambda t, x: t.nn.functional.hardswish(x)),
    Sample(
        "softmax",
        lambda x: act.softmax(x, x.ndim - 1),
        [((5,),), ((3, 10),), ((2, 4, 65),), ((7, 300),)],
        torch=lambda t, x: t.softmax(x, -1),
    ),
    Sample(
        "softmax_first",
        lambda x: act.softmax(x, 0),
        [((5, 3),), ((9, 40),)],
        torch=lambda t, x: t.softmax(x, 0),
    ),
    Sample(
        "log_softmax",
        lambda x: act.log_softmax(x, x.ndim - 1),
        [((5,),), ((3, 10),), ((7, 300),)],
        torch=lambda t, x: t.log_softmax(x, -1),
    ),
    Sample(
        "log_sum_exp",
        lambda x: act.log_sum_exp(x, (0,)),
        [((5,),), ((3, 10),)],
        torch=lambda t, x: t.logsumexp(x, 0),
    ),
]

REDUCED = [((7,),), ((3, 5),), ((2, 3, 17),), ((4, 130),), ((130, 4),), ((1, 6),), ((6, 1),)]
REDUCTIONS = [
    Sample("sum", lambda x: red.sum_(x), REDUCED, "fi", torch=lambda t, x: x.sum()),
    Sample("sum_first", lambda x: red.sum_(x, 0), REDUCED, "fi", torch=lambda t, x: x.sum(0)),
    Sample(
        "sum_last_kept",
        lambda x: red.sum_(x, -1, True),
        REDUCED,
        "fi",
        torch=lambda t, x: x.sum(-1, keepdim=True),
    ),
    Sample(
        "sum_outer",
        lambda x: red.sum_(x, (0, 2)),
        [((2, 3, 17),), ((4, 5, 6),)],
        "fi",
        torch=lambda t, x: x.sum((0, 2)),
    ),
    Sample(
        "sum_middle",
        lambda x: red.sum_(x, 1),
        [((2, 3, 17),), ((4, 5, 6),)],
        "fi",
        torch=lambda t, x: x.sum(1),
    ),
    Sample(
        "prod",
        lambda x: red.prod(x, 0),
        REDUCED,
        torch=lambda t, x: x.prod(0),
        twice=False,
        low=0.5,
    ),
    Sample("max", lambda x: red.amax(x, 0), REDUCED, "fi", torch=lambda t, x: x.amax(0)),
    Sample("max_last", lambda x: red.amax(x, -1), REDUCED, "fi", torch=lambda t, x: x.amax(-1)),
    Sample("min", lambda x: red.amin(x), REDUCED, "fi", torch=lambda t, x: x.amin()),
    Sample("argmax", lambda x: red.argmax(x, 0), REDUCED, "fi", torch=None, differentiable=False),
    Sample("argmax_last", lambda x: red.argmax(x, -1), REDUCED, "fi", differentiable=False),
    Sample("argmin_all", lambda x: red.argmin(x), REDUCED, "fi", differentiable=False),
    Sample(
        "any",
        lambda x: red.any_(el.gt(x, 1), 0),
        REDUCED,
        differentiable=False,
        torch=lambda t, x: (x > 1).any(0),
    ),
    Sample(
        "all",
        lambda x: red.all_(el.gt(x, -1), 0),
        REDUCED,
        differentiable=False,
        torch=lambda t, x: (x > -1).all(0),
    ),
    Sample("mean", lambda x: stat.mean(x, -1), REDUCED, torch=lambda t, x: x.mean(-1)),
    Sample(
        "variance",
        lambda x: stat.variance(x, 0, correction=1),
        REDUCED[:5],
        torch=lambda t, x: x.var(0),
    ),
    Sample(
        "layer_norm",
        lambda x, w, b: stat.layer_norm(x, (-1,), w, b, 1e-5),
        [((3, 10), (10,), (10,)), ((2, 3, 130), (130,), (130,))],
        torch=lambda t, x, w, b: t.nn.functional.layer_norm(x, w.shape, w, b),
    ),
]

MOVEMENT = [
    Sample(
        "reshape",
        lambda x: mov.reshape(x, (6, 4)) * 2.0,
        [((2, 3, 4),), ((24,),)],
        torch=lambda t, x: x.reshape(6, 4) * 2,
    ),
    Sample(
        "transpose",
        lambda x: mov.swap(x) * 2.0,
        [((3, 5),), ((2, 3, 4),)],
        torch=lambda t, x: x.transpose(-1, -2) * 2,
    ),
    Sample(
        "transpose_alone",
        lambda x: mov.swap(x),
        [((3, 5),), ((2, 3, 34),)],
        torch=lambda t, x: x.transpose(-1, -2),
    ),
    Sample(
        "transpose_reshape",
        lambda x: mov.reshape(mov.swap(el.EXP(x)), (15,)),
        [((3, 5),)],
        torch=lambda t, x: t.exp(x).t().reshape(15),
    ),
    Sample(
        "plus_transpose",
        lambda x: el.EXP(x) + mov.swap(el.EXP(x)),
        [((5, 5),)],
        torch=lambda t, x: t.exp(x) + t.exp(x).t(),
    ),
    Sample(
        "expand",
        lambda x: mov.expand(x, (3, *x.shape)),
        [((2, 5),), ((),)],
        torch=lambda t, x: x.expand(3, *x.shape),
    ),
    Sample(
        "slice",
        lambda x: mov.slice_(x, ((1, 4, 1), (4, 0, -2))) * 3.0,
        [((5, 6),)],
        torch=lambda t, x: x[1:4, [4, 2]] * 3,
    ),
    Sample(
        "update", lambda x, v: mov.update_slice(x, v, ((1, 3, 1), (0, 5, 2))), [((4, 5), (2, 3))]
    ),
    Sample(
        "pad",
        lambda x: mov.pad(x, ((1, 2), (0, 3))),
        [((3, 4),), ((2, 40),)],
        torch=lambda t, x: t.nn.functional.pad(x, (0, 3, 1, 2)),
    ),
    Sample(
        "concat",
        lambda a, b: mov.concat([a, b * 2.0], 1),
        [((2, 3), (2, 5))],
        torch=lambda t, a, b: t.cat([a, b * 2], 1),
    ),
    Sample(
        "stack",
        lambda a, b: mov.stack([a, b], 0),
        [((2, 3), (2, 3))],
        torch=lambda t, a, b: t.stack([a, b]),
    ),
    Sample("flip", lambda x: mov.flip(x, (0,)), [((5,),), ((3, 4),)], torch=lambda t, x: x.flip(0)),
    Sample(
        "iota", lambda x: x + el.cast(mov.iota(x.shape, 0, int64), x.dtype), [((5,),), ((3, 4),)]
    ),
]

CONTRACTIONS = [
    Sample(
        "matmul",
        con.matmul,
        [
            ((3, 4), (4, 5)),
            ((4,), (4,)),
            ((3, 4), (4,)),
            ((4,), (4, 5)),
            ((2, 3, 4), (4, 5)),
            ((2, 3, 4), (2, 4, 5)),
            ((2, 1, 3, 4), (5, 4, 6)),
            ((33, 65), (65, 18)),
            ((1, 1), (1, 7)),
        ],
        torch=lambda t, a, b: t.matmul(a, b),
    ),
    Sample(
        "matmul_int",
        con.matmul,
        [((3, 4), (4, 5)), ((17, 33), (33, 20))],
        "i",
        differentiable=False,
        torch=lambda t, a, b: t.matmul(a, b),
    ),
    Sample(
        "matmul_transposed",
        lambda a, b: con.matmul(mov.swap(a), b),
        [((4, 3), (4, 5))],
        torch=lambda t, a, b: a.t() @ b,
    ),
    Sample(
        "linear",
        lin.linear,
        [((3, 4), (5, 4), (5,)), ((2, 3, 4), (5, 4), (5,)), ((4,), (5, 4), (5,))],
        torch=lambda t, x, w, b: t.nn.functional.linear(x, w, b),
    ),
    Sample(
        "linear_relu",
        lambda x, w, b: act.relu(lin.linear(x, w, b)),
        [((32, 64), (48, 64), (48,))],
        torch=lambda t, x, w, b: t.relu(t.nn.functional.linear(x, w, b)),
    ),
    Sample("outer", con.outer, [((3,), (4,))], torch=lambda t, a, b: t.outer(a, b)),
]

INDEXING = [
    Sample(
        "gather",
        lambda x, i: ind.gather(x, i, 0),
        [((5, 3), (4,)), ((5,), (2, 3)), ((6, 40), (7,))],
        labels=5,
        torch=lambda t, x, i: x[i],
    ),
    Sample(
        "gather_last",
        lambda x, i: ind.gather(x, i, 1),
        [((3, 5), (4,)), ((20, 5), (2, 3))],
        labels=5,
        torch=lambda t, x, i: x[:, i],
    ),
    Sample(
        "scatter_add",
        lambda x, v, i: ind.scatter_add(x, i, v, 0),
        [((5, 3), (4, 3), (4,)), ((5,), (9,), (9,)), ((5, 33), (4, 33), (4,))],
        labels=5,
        torch=lambda t, x, v, i: x.index_add(0, i, v),
    ),
    Sample(
        "scatter_set",
        lambda x, v, i: ind.scatter_set(x, i, v, 1),
        [((3, 5), (3, 1), (1,))],
        labels=5,
        torch=lambda t, x, v, i: x.index_copy(1, i, v),
    ),
]

LOSSES = [
    Sample(
        "cross_entropy",
        lambda x, y: stat.mean(loss.cross_entropy(x, y)),
        [((4, 10), (4,)), ((7, 300), (7,)), ((1, 10), (1,))],
        labels=10,
        torch=lambda t, x, y: t.nn.functional.cross_entropy(x, y),
    ),
    Sample(
        "cross_entropy_2d",
        lambda x, y: loss.cross_entropy(x, y),
        [((2, 5, 3), (2, 3))],
        labels=5,
        torch=lambda t, x, y: t.nn.functional.cross_entropy(x, y, reduction="none"),
    ),
    Sample(
        "soft_cross_entropy",
        lambda x, y: stat.mean(loss.soft_cross_entropy(x, act.softmax(y, 1))),
        [((4, 10), (4, 10))],
        torch=lambda t, x, y: t.nn.functional.cross_entropy(x, t.softmax(y, 1)),
    ),
    Sample(
        "mse",
        lambda x, y: stat.mean(loss.squared_error(x, y)),
        [((4, 5), (4, 5))],
        torch=lambda t, x, y: t.nn.functional.mse_loss(x, y),
    ),
    Sample(
        "huber",
        lambda x, y: loss.huber(x, y, 1.0),
        [((4, 5), (4, 5))],
        torch=lambda t, x, y: t.nn.functional.huber_loss(x, y, reduction="none"),
    ),
    Sample(
        "bce",
        lambda x, y: loss.binary_cross_entropy(x, y),
        [((4, 5), (4, 5))],
        low=0.1,
        high=0.9,
        torch=lambda t, x, y: t.nn.functional.binary_cross_entropy(x, y, reduction="none"),
    ),
    Sample(
        "bce_logits",
        loss.binary_cross_entropy_logits,
        [((4, 5), (4, 5))],
        low=0.1,
        high=0.9,
        torch=lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(
            x, y, reduction="none"
        ),
    ),
]

CHAINS = [
    Sample(
        "softmax_times",
        lambda x, y: red.sum_(act.softmax(x, 1) * y, 0),
        [((9, 10), (9, 10)), ((9, 100), (9, 100))],
        torch=lambda t, x, y: (t.softmax(x, 1) * y).sum(0),
    ),
    Sample(
        "two_sums",
        lambda x: red.sum_(el.EXP(x), 0) * red.sum_(x, 0) + red.sum_(x),
        [((5, 7),), ((40, 70),)],
        torch=lambda t, x: t.exp(x).sum(0) * x.sum(0) + x.sum(),
    ),
    Sample(
        "mlp",
        lambda x, w, v: con.matmul(el.TANH(con.matmul(x, w)), v),
        [((6, 5), (5, 17), (17, 3))],
        torch=lambda t, x, w, v: t.tanh(x @ w) @ v,
    ),
    Sample(
        "normalised_rows",
        lambda x: x / el.SQRT(red.sum_(x * x, 1, True) + const(1.0, x.dtype)),
        [((5, 7),), ((4, 200),)],
        torch=lambda t, x: x / ((x * x).sum(1, keepdim=True) + 1).sqrt(),
    ),
]

SAMPLES = [
    *ELEMENTWISE,
    *ACTIVATIONS,
    *REDUCTIONS,
    *MOVEMENT,
    *CONTRACTIONS,
    *INDEXING,
    *LOSSES,
    *CHAINS,
    *complex_samples.rows(Sample),
]
