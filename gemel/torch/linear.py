"""Products of vectors and matrices: matmul and its special cases, outer, einsum."""

from __future__ import annotations

from gemel.graph.form import bool_, int64
from gemel.graph.node import Node
from gemel.ops import contraction
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record2, record_n

from . import dtypes
from .checks import (
    broadcast_shape,
    c_name,
    check_expands,
    dimension,
    not_implemented,
    times,
    wrong_argument,
)
from .define import _foreign, into, stored
from .tensor import Tensor, attach
from .writing import inplace


def _one_type(op: str, *nodes: Node) -> None:
    first = nodes[0].dtype
    for n in nodes[1:]:
        if n.dtype is not first:
            raise RuntimeError(
                f"{op} : expected both tensors to have same dtype, but found "
                f"{dtypes.short_name(first)} and {dtypes.short_name(n.dtype)}"
            )
    if first is bool_:
        raise not_implemented(f"{op}_impl_cpu_", nodes[0])


def _check_matrix_types(a: Node, b: Node) -> None:
    if a.dtype is not b.dtype:
        first, second = ("long int" if n.dtype is int64 else c_name(n.dtype) for n in (a, b))
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {first} != {second}"
        )
    if a.dtype is bool_:
        raise not_implemented("addmm_impl_cpu_", a)


def _check_matrices(a: Node, b: Node) -> None:
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({times(a.shape)} and {times(b.shape)})"
        )


# ---------- checks of matmul by the ranks of its operands ----------
def check_dot(a: Node, b: Node) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{dtypes.short_name(a.dtype)} and {dtypes.short_name(b.dtype)}"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(a.shape)} and src {list(b.shape)} to "
            f"have the same number of elements, but got {a.form.size} and {b.form.size} elements "
            "respectively"
        )


def _check_matrix_vector(a: Node, b: Node) -> None:
    if a.shape[-1] != b.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({a.shape[-2]}), mat ({times(a.shape[-2:])}), vec "
            f"({b.shape[0]})"
        )


def _check_batches(a: Node, b: Node) -> None:
    broadcast_shape(a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        if b.ndim == 2:
            rows = a.form.size // max(a.shape[-1], 1)
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a.shape[-1]} and "
                f"{times(b.shape)})"
            )
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"[{broadcast_batch(a, b)}, {a.shape[-1]}] but got: "
            f"[{broadcast_batch(a, b)}, {b.shape[-2]}]."
        )


def broadcast_batch(a: Node, b: Node) -> int:
    """The number of products in a batched matmul."""
    n = 1
    for size in broadcast_shape(a.shape[:-2], b.shape[:-2]):
        n *= size
    return n


def _matmul(attrs, a, b):
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    if a.ndim == 1 and b.ndim == 1:
        check_dot(a, b)
        return contraction.matmul(a, b)
    _check_matrix_types(a, b)
    if b.ndim == 1:
        _check_matrix_vector(a, b)
    elif a.ndim == 1:
        if a.shape[0] != b.shape[-2]:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied (1x{a.shape[0]} and "
                f"{times(b.shape[-2:])})"
            )
    elif a.ndim == 2 and b.ndim == 2:
        _check_matrices(a, b)
    else:
        _check_batches(a, b)
    return contraction.matmul(a, b)


MATMUL = Call("matmul", _matmul)


def matmul(input, other, *, out=None) -> Tensor:
    """The product of vectors, matrices or batches of matrices; batch dimensions broadcast."""
    if not isinstance(input, Tensor):
        raise wrong_argument("matmul", "input", 1, input)
    if not isinstance(other, Tensor):
        raise wrong_argument("matmul", "other", 2, other)
    product = record2(MATMUL, input, other)
    return product if out is None else into(out, product, input, other, types="same", name="matmul")


@attach("matmul")
def _matmul_method(self, other):
    if not isinstance(other, Tensor):
        raise wrong_argument("matmul", "other", 1, other)
    return record2(MATMUL, self, other)


@attach("__matmul__")
def _matmul_operator(self, other):
    if isinstance(other, Tensor):
        return record2(MATMUL, self, other)
    if isinstance(other, (int, float, bool, complex)):
        return NotImplemented
    return _foreign(MATMUL, self, other, False)


@attach("__rmatmul__")
def _matmul_reflected(self, other):
    if isinstance(other, Tensor):
        return record2(MATMUL, other, self)
    if isinstance(other, (int, float, bool, complex)):
        return NotImplemented
    return _foreign(MATMUL, self, other, True)


# ---------- special cases ----------
def _mm(attrs, a, b):
    if a.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if b.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    _check_matrices(a, b)
    _check_matrix_types(a, b)
    return contraction.matmul(a, b)


def _bmm(attrs, a, b):
    for name, x in (("batch1", a), ("batch2", b)):
        if x.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, "
            f"{a.shape[2]}] but got: [{b.shape[0]}, {b.shape[1]}]."
        )
    _one_type("bmm", a, b)
    return contraction.matmul(a, b)


def _mv(attrs, a, b):
    if a.ndim != 2 or b.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {a.ndim}, {b.ndim}")
    _check_matrix_vector(a, b)
    _one_type("mv", a, b)
    return contraction.matmul(a, b)


def _dot(attrs, a, b):
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    check_dot(a, b)
    return contraction.matmul(a, b)


def _outer(attrs, a, b):
    from .promotion import promoted

    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(
            f"outer: Expected 1-D argument, but got {a.ndim}-D and {b.ndim}-D tensors"
        )
    return contraction.outer(*promoted(a, b))


def _product(name: str, expand, second: str):
    """The function and method of a product of two tensors."""
    call = Call(name, expand)

    def function(input, other, *, out=None):
        for place, (argument, x) in enumerate((("input", input), (second, other)), 1):
            if not isinstance(x, Tensor):
                raise wrong_argument(name, argument, place, x)
        return into(out, record2(call, input, other), input, other, types="same", name=name)

    function.__name__ = function.__qualname__ = name
    function.call = call
    setattr(Tensor, name, function)
    return function


mm = _product("mm", _mm, "mat2")
bmm = _product("bmm", _bmm, "mat2")
mv = _product("mv", _mv, "vec")
dot = _product("dot", _dot, "tensor")
inner = _product("inner", lambda attrs, a, b: _inner(a, b), "other")
outer = _product("outer", _outer, "vec2")
ger = outer


def _inner(a: Node, b: Node) -> Node:
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    la = tuple(range(1, a.ndim)) + (0,)
    lb = tuple(range(a.ndim, a.ndim + b.ndim - 1)) + (0,)
    return contraction.contract(a, b, la, lb, la[:-1] + lb[:-1])


# ---------- product and sum ----------
def _with_sum(name: str, product, promotes: bool = False) -> Call:
    """beta * input + alpha * product; attrs: (is beta a number, is alpha one, is beta 0); the
    numbers follow. With beta = 0 it does not matter what the input holds."""

    def expand(attrs, base, a, b, *factors):
        y = product((), a, b)
        check_expands(base.shape, y.shape)
        base, y = _of_one_type(name, base, y, factors, promotes)
        factors = list(factors)
        if attrs[0]:
            base = base * cast(factors.pop(0), base.dtype)
        if attrs[1]:
            y = y * cast(factors.pop(0), y.dtype)
        return y if attrs[2] else y + base

    return Call(name, expand)


def _of_one_type(name: str, base: Node, y: Node, factors, promotes: bool) -> tuple[Node, Node]:
    from .promotion import promoted

    if not promotes:
        _one_type(name, base, y)
        return base, y
    base, y = promoted(base, y)
    if y.dtype.kind in "bui" and any(n.dtype.kind == "f" for n in factors):
        raise RuntimeError(
            "For integral input tensors, argument beta or alpha must not be a floating point "
            "number."
        )
    return base, y


ADDMM = _with_sum("addmm", _mm)
ADDMV = _with_sum("addmv", _mv)
BADDBMM = _with_sum("baddbmm", _bmm)
ADDR = _with_sum("addr", _outer, promotes=True)


def _summed(call: Call):
    target = stored(call)

    def arguments(beta, alpha):
        flags = (beta != 1 and beta != 0, alpha != 1)
        given = [x for x, on in zip((beta, alpha), flags, strict=True) if on]
        return (*flags, beta == 0), given

    def function(input, a, b, *, beta=1, alpha=1, out=None):
        attrs, factors = arguments(beta, alpha)
        made = record_n(call, Tensor, (input, a, b, *factors), attrs)
        return into(out, made, a, b, types="same", name=call.name)

    def write(self, a, b, *, beta=1, alpha=1):
        attrs, factors = arguments(beta, alpha)
        return inplace(target, self, a, b, *factors, attrs=attrs)

    function.__name__ = function.__qualname__ = call.name
    function.__doc__ = "beta * input + alpha * (a @ b)."
    setattr(Tensor, call.name, function)
    setattr(Tensor, call.name + "_", write)
    return function


addmm = _summed(ADDMM)
addmv = _summed(ADDMV)
baddbmm = _summed(BADDBMM)
addr = _summed(ADDR)


# ---------- einsum ----------
def _einsum(attrs, *operands):
    from .einstein import expand

    return expand(attrs[0], operands)


EINSUM = Call("einsum", _einsum)


def einsum(equation: str, *operands) -> Tensor:
    """Sums of products by the Einstein convention: einsum('bij,bjk->bik', a, b)."""
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    return record_n(EINSUM, Tensor, operands, (equation.replace(" ", ""),))


# ---------- products of two vectors, of blocks ----------


def kron(input, other) -> Tensor:
    """The Kronecker product: every element of input times the whole of other."""
    n = max(input.form.ndim, other.form.ndim)
    left = (1,) * (n - input.form.ndim) + input.form.shape
    right = (1,) * (n - other.form.ndim) + other.form.shape
    wide = input.reshape([m for k in left for m in (k, 1)])
    tall = other.reshape([m for k in right for m in (1, k)])
    return (wide * tall).reshape([k * m for k, m in zip(left, right, strict=True)])


def chain_matmul(*matrices) -> Tensor:
    """The product of several matrices, from the left."""
    found = matrices[0]
    for m in matrices[1:]:
        found = found @ m
    return found


for _function in (kron, ger):
    setattr(Tensor, _function.__name__, _function)


def tensordot(a, b, dims=2) -> Tensor:
    """Sums of products over the last `dims` axes of a and the first of b, or over pairs listed."""
    if isinstance(dims, int):
        left = list(range(a.form.ndim - dims, a.form.ndim))
        right = list(range(dims))
    else:
        left, right = ([x] if isinstance(x, int) else list(x) for x in dims)
    left = [dimension(x, a.form.ndim) for x in left]
    right = [dimension(x, b.form.ndim) for x in right]
    sizes = [(a.form.shape[i], b.form.shape[j]) for i, j in zip(left, right, strict=True)]
    # a size of one goes with any other, which is then summed by itself
    a = _summed_over(a, [i for i, (n, m) in zip(left, sizes, strict=True) if m == 1 != n])
    b = _summed_over(b, [j for j, (n, m) in zip(right, sizes, strict=True) if n == 1 != m])
    return record2(TENSORDOT, a, b, (tuple(left), tuple(right)))


def _summed_over(x: Tensor, dims: list[int]) -> Tensor:
    return x.sum(dims, True) if dims else x


def _tensordot(attrs, a, b):
    left, right = attrs
    for i, j in zip(left, right, strict=True):
        if a.shape[i] != b.shape[j]:
            raise RuntimeError(
                "contracted dimensions need to match, but first has size "
                f"{a.shape[i]} in dim {i} and second has size {b.shape[j]} in dim {j}"
            )
    _one_type("tensordot", a, b)
    la = [left.index(i) if i in left else len(left) + i for i in range(a.ndim)]
    start = len(left) + a.ndim
    lb = [right.index(i) if i in right else start + i for i in range(b.ndim)]
    lo = [x for x in la if x >= len(left)] + [x for x in lb if x >= len(left)]
    return contraction.contract(a, b, la, lb, lo)


TENSORDOT = Call("tensordot", _tensordot)
