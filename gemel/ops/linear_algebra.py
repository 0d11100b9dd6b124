"""Matrices in the last two axes: transposes, diagonals, and functions of NumPy's LAPACK as nodes.

A `Factorisation` is a function of matrices with several results, real or complex. The host call
behind it works on real numbers only, so complex matrices are given and results taken as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from gemel.graph.form import bool_, int64
from gemel.graph.node import Node

from .complex import as_complex, as_real, conjugate, imaginary, part_type, real
from .contraction import matmul
from .elementwise import and_, broadcast_shapes, cast, check_range, eq, where
from .host import Host, unpacked
from .movement import concat, expand, iota, reshape, swap, zeros
from .ordering import identity, take_diagonal, triangle
from .reduction import sum_

# kinds of a result: of the matrices' type, of the type of its parts, complex in any case
SAME, REAL, COMPLEX = "same", "real", "complex"
Layout = list[tuple[tuple[int, ...], str]]


# ---------- matrices ----------
def adjoint(x: Node) -> Node:
    """The conjugate transpose."""
    return conjugate(swap(x))


def product(*factors: Node) -> Node:
    """The product of matrices, from the left."""
    found = factors[0]
    for factor in factors[1:]:
        found = matmul(found, factor)
    return found


def lower(x: Node, offset: int = 0) -> Node:
    """Zeros above a diagonal."""
    return triangle(x, offset, True)


def upper(x: Node, offset: int = 0) -> Node:
    """Zeros below a diagonal."""
    return triangle(x, offset, False)


def diagonal_of(x: Node) -> Node:
    """The main diagonals, as last axis."""
    m, n = x.shape[-2:]
    size = min(m, n)
    spec = x if m == n else first(first(x, size, -1), size, -2)
    return take_diagonal(spec, x.ndim - 2, x.ndim - 1)


def diagonal_matrix(values: Node) -> Node:
    """Square matrices with these diagonals."""
    n = values.shape[-1]
    spread = reshape(values, (*values.shape, 1))
    return where(on_diagonal((*values.shape, n)), spread, zeros((), values.dtype))


def on_diagonal(shape: tuple[int, ...]) -> Node:
    """Truth values: is a cell on the main diagonal?"""
    return eq(iota(shape, len(shape) - 2, int64), iota(shape, len(shape) - 1, int64))


def unit_matrix(n: int, like: Node) -> Node:
    """Ones on the diagonal, for each batch of `like`."""
    eye = cast(identity(n, n, part_type(like.dtype)), like.dtype)
    return expand(eye, (*like.shape[:-2], n, n))


def first(x: Node, count: int, axis: int) -> Node:
    """The first cells along an axis."""
    return part(x, 0, count, axis)


def part(x: Node, start: int, count: int, axis: int) -> Node:
    from .movement import narrow

    return narrow(x, axis % x.ndim, start, count)


def columns_times(x: Node, values: Node) -> Node:
    """Each column times a number."""
    return x * like_type(reshape(values, (*values.shape[:-1], 1, values.shape[-1])), x)


def rows_times(values: Node, x: Node) -> Node:
    """Each row times a number."""
    return like_type(reshape(values, (*values.shape, 1)), x) * x


def like_type(x: Node, like: Node) -> Node:
    """x in the element type of another value; a real one may become complex."""
    return cast(x, like.dtype)


def halved(x: Node) -> Node:
    """x / 2."""
    return x * _number(0.5, x)


def _number(value: float, like: Node) -> Node:
    from .record import const

    return const(value, like.dtype)


def hermitian_part(x: Node) -> Node:
    """(x + x^H) / 2."""
    return halved(x + adjoint(x))


def where_not_zero(divisor: Node, x: Node) -> Node:
    """x / divisor, zero where the divisor is."""
    zero = eq(divisor, zeros((), divisor.dtype))
    safe = where(zero, _number(1.0, divisor), divisor)
    return where(zero, zeros((), x.dtype), x / like_type(safe, x))


def off_diagonal(x: Node) -> Node:
    """x with zeros on the main diagonal."""
    return where(on_diagonal(x.shape), zeros((), x.dtype), x)


def real_as(x: Node, like: Node) -> Node:
    """x, or its real part where `like` is real: the gradient for a real value."""
    return x if like.dtype.is_complex else real(x)


def all_finite(x: Node) -> Node:
    """Truth value per matrix."""
    total = sum_(real(x) * 0.0 + imaginary(x) * 0.0, (x.ndim - 2, x.ndim - 1))
    return and_(eq(total, total), cast(zeros(total.shape, int64) + 1, bool_))


def in_one_batch(*values: Node, cores: Sequence[int]) -> list[Node]:
    """The values with their leading axes broadcast. cores: the axes of each that are no batch."""
    from gemel.graph.form import form

    leads = [form(x.shape[: x.ndim - core], x.dtype) for x, core in zip(values, cores, strict=True)]
    lead = broadcast_shapes("batches", *leads)
    return [
        expand(x, (*lead, *x.shape[x.ndim - core :])) for x, core in zip(values, cores, strict=True)
    ]


# ---------- functions of NumPy ----------
class Factorisation:
    """A host function with several results.

    name      in `runtime.host_calls`
    layout    (settings, *shapes of the arguments without batches) -> (shape, kind) of each result
    gradient  (settings, cotangents, results, arguments) -> a gradient per argument; None: none
              flows
    cores     axes of each argument that are no batch
    """

    def __init__(
        self,
        name: str,
        layout: Callable[..., Layout],
        gradient: Callable[..., list[Node | None]] | None = None,
        cores: tuple[int, ...] = (2,),
    ):
        self.layout = layout
        self.gradient = gradient
        self.cores = cores
        self.host = Host(name, None if gradient is None else self._pull)

    def __call__(self, *arguments: Node, settings: tuple = ()) -> list[Node]:
        """The results; batches broadcast."""
        given = in_one_batch(*arguments, cores=self.cores)
        lead = given[0].shape[: given[0].ndim - self.cores[0]]
        paired = tuple(x.dtype.is_complex for x in given)
        layout = self._layout(settings, given)
        width = sum(prod(shape) * (1 + (kind == COMPLEX)) for shape, kind in layout)
        row = self.host(
            (*lead, width),
            part_type(given[0].dtype),
            *(as_real(x) if x.dtype.is_complex else x for x in given),
            settings=settings,
            paired=paired,
        )
        return _split(row, layout)

    def _layout(self, settings: tuple, arguments: Sequence[Node]) -> Layout:
        """Shapes with kinds REAL and COMPLEX only."""
        pairs = zip(arguments, self.cores, strict=True)
        found = self.layout(settings, *(x.shape[x.ndim - core :] for x, core in pairs))
        own = COMPLEX if arguments[0].dtype.is_complex else REAL
        return [(shape, own if kind == SAME else kind) for shape, kind in found]

    def _pull(self, g: Node, y: Node, *args: Node) -> list[Node]:
        _, settings, _, paired = y.attrs
        given = [as_complex(a) if p else a for a, p in zip(args, paired, strict=True)]
        layout = self._layout(settings, given)
        assert self.gradient is not None
        found = self.gradient(settings, _split(g, layout), _split(y, layout), given)
        return [
            zeros(a.shape, a.dtype) if d is None else as_real(d) if p else real(d)
            for a, d, p in zip(args, found, paired, strict=True)
        ]


def _split(row: Node, layout: Layout) -> list[Node]:
    shapes = [(*shape, 2) if kind == COMPLEX else shape for shape, kind in layout]
    found = unpacked(row, *shapes)
    return [
        as_complex(x) if kind == COMPLEX else x for x, (_, kind) in zip(found, layout, strict=True)
    ]


def beside(*blocks: Node) -> Node:
    """Matrices next to each other."""
    return concat(blocks, blocks[0].ndim - 1)


def stacked(*blocks: Node) -> Node:
    """Matrices below each other."""
    return concat(blocks, blocks[0].ndim - 2)


def guarded(numbers: Node, fault, *values: Node) -> list[Node]:
    """The values where the number of each matrix is 0; where one is not, the program stops with
    the fault of that number. Leading axes of the values are those of the numbers."""
    count = numbers.form.size
    if not count:
        return list(values)
    checked = check_range(reshape(cast(numbers, int64), (count,)), 0, 1, fault)
    well = eq(reshape(checked, numbers.shape), 0)
    return [_where_well(well, x) for x in values]


def _where_well(well: Node, x: Node) -> Node:
    shape = (*well.shape, *(1,) * (x.ndim - well.ndim))
    return where(reshape(well, shape), x, zeros((), x.dtype))
