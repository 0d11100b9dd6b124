"""`jacrev`, `jacfwd`, `hessian`: whole matrices of derivatives, all rows in one pass."""

from __future__ import annotations

import functools
from collections.abc import Callable

from gemel import tensor as lazy

from ..autograd.levels import level
from ..joining import cat
from ..sequences import eye
from ..tensor import Tensor
from .derivatives import Chosen, Pushed, pulled, tensors_of, with_aux, zeros_for
from .trees import tree_map, unflatten


def basis(x: Tensor) -> Tensor:
    """The unit tensors of x's form: x.numel() of them, in front."""
    n = x.form.size
    return eye(n, dtype=x.dtype).reshape((n, *x.form.shape))


def _chunks(size: int, chunk: int | None) -> list[tuple[int, int]]:
    chunk = chunk or max(size, 1)
    return [(at, min(chunk, size - at)) for at in range(0, size, chunk)]


def _only_real(name: str, tensors: list[Tensor], what: str) -> None:
    """RuntimeError for complex tensors: their Jacobian would be of pairs."""
    for k, x in enumerate(tensors):
        if x.form.dtype.is_complex:
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened "
                f"input idx: {k}"
            )


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """The Jacobian by reverse mode, a row per value of the output: of shape output + input, for
    each output and each chosen argument. chunk_size: so many rows at a time."""
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def run(*args, **options):
        with level("jacrev") as lv:
            chosen = Chosen(lv, args, argnums)
            result, aux = with_aux(func(*chosen.args, **options), has_aux, "jacrev(f)(*args)")
            outputs, spec = tensors_of(result, "vjp(f, *primals)")
            _only_real("jacrev", chosen.inputs, "inputs")
            _only_real("jacrev", outputs, "outputs")
            create = lv.kept(*[y for y in outputs if lazy.requires_grad(y)])
            found = [rows(y, chosen.inputs, create, chunk_size) for y in outputs]
            made = [chosen.like([lv.sealed(g) for g in row]) for row in found]
            aux = tree_map(lv.sealed, aux)
        found = unflatten(made, spec)
        return (found, aux) if has_aux else found

    return run


def rows(y: Tensor, inputs: list[Tensor], create: bool, chunk: int | None) -> list[Tensor]:
    """The Jacobian of one output for each input."""
    size = y.form.size
    if not size or not lazy.requires_grad(y):
        return [zeros_for(x, y.form.shape) for x in inputs]
    with lazy.no_grad():
        units = basis(y)
    parts = [
        pulled([y], inputs, [units.narrow(0, at, n)], create, n) for at, n in _chunks(size, chunk)
    ]
    whole = [cat(list(p)) if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
    return [g.reshape((*y.form.shape, *x.form.shape)) for g, x in zip(whole, inputs, strict=True)]


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error") -> Callable:
    """The Jacobian by forward mode, a column per value of the input; as `jacrev`."""

    @functools.wraps(func)
    def run(*args, **options):
        with level("jacfwd") as lv:
            chosen = Chosen(lv, args, argnums, dual=True)
            result, aux = with_aux(func(*chosen.args, **options), has_aux, "jacfwd(f)(*args)")
            outputs, spec = tensors_of(result, "jvp(f, primals, tangents)")
            _only_real("jacfwd", chosen.inputs, "inputs")
            _only_real("jacfwd", outputs, "outputs")
            pushed = Pushed(lv, outputs, chosen.inputs)
            sides = [columns(pushed, k) for k in range(len(chosen.inputs))]
            made = [chosen.like(row) for row in zip(*sides, strict=True)]
            aux = tree_map(lv.sealed, aux)
        found = unflatten(made, spec)
        return (found, aux) if has_aux else found

    return run


def columns(pushed: Pushed, place: int) -> list[Tensor]:
    """The Jacobian of each output for one input."""
    inputs = pushed.push.inputs
    x = inputs[place]
    if not x.form.size:
        return [zeros_for(x, y.form.shape) for y in pushed.outputs]
    with lazy.no_grad():
        units = basis(x)
    tangents = [units if k == place else None for k in range(len(inputs))]
    found = pushed(tangents, lanes=x.form.size)
    return [
        g.movedim(0, -1).reshape((*y.form.shape, *x.form.shape))
        for g, y in zip(found, pushed.outputs, strict=True)
    ]


def hessian(func, argnums=0) -> Callable:
    """The matrix of second derivatives: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)
