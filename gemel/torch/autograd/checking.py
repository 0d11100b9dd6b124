"""`gradcheck` and `gradgradcheck`: derivatives against finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from gemel import tensor as lazy

from ..creation import zeros
from ..func.derivatives import Pushed
from ..tensor import Tensor
from .levels import level


class GradcheckError(RuntimeError):
    """The derivatives differ."""


def _outputs(result) -> list[Tensor]:
    """The outputs with a derivative."""
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [y for y in found if isinstance(y, Tensor) and y.form.dtype.is_smooth]


def _inputs(inputs) -> tuple:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _watched(inputs: tuple) -> list[int]:
    """Positions of the inputs to be checked. ValueError where there are none."""
    found = [k for k, x in enumerate(inputs) if isinstance(x, Tensor) and lazy.requires_grad(x)]
    if not found:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the "
            "them have requires_grad=True."
        )
    for k in found:
        if inputs[k].form.dtype.name not in ("float64", "complex128"):
            warnings.warn(
                f"Input #{k} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=3,
            )
    return found


class _Check:
    """One comparison of a function's derivatives at some inputs."""

    def __init__(self, func: Callable, inputs: tuple, eps, atol, rtol, masked: bool):
        self.func = func
        self.inputs = inputs
        self.places = _watched(inputs)
        self.eps, self.atol, self.rtol = eps, atol, rtol

    def values(self, moved: dict[int, Tensor]) -> list[Tensor]:
        """The outputs with other tensors in some places."""
        with lazy.no_grad():
            given = [
                moved.get(k, x.detach().clone() if isinstance(x, Tensor) else x)
                for k, x in enumerate(self.inputs)
            ]
        return _outputs(self.func(*given))

    def called(self) -> list[Tensor]:
        return _outputs(self.func(*self.inputs))

    # ---------- numerical ----------
    def slope(self, place: int, direction: Tensor) -> list[Tensor]:
        """The change of each output when an input moves, in the middle."""
        x = self.inputs[place].detach()
        sides = []
        for step in (self.eps, -self.eps):
            moved = (x + direction * step).detach()
            sides.append([y.detach().clone() for y in self.values({place: moved})])
        return [(a - b) / (2 * self.eps) for a, b in zip(*sides, strict=True)]

    def units(self, place: int):
        """The directions in which an input can move: each value, its parts apart."""
        x = self.inputs[place]
        for k in range(x.form.size):
            for one in (1, 1j) if x.form.dtype.is_complex else (1,):
                unit = zeros(x.form.size, dtype=x.dtype)
                unit[k] = one
                yield unit.reshape(x.form.shape)

    # ---------- comparisons ----------
    def backward(self, ys: list[Tensor], one, weights=None) -> None:
        """Reverse mode: in each direction, the change of what `one` makes of an output."""
        xs = [self.inputs[k] for k in self.places]
        for i, y in enumerate(ys):
            for w in self._weights(y) if weights is None else [weights[i]]:
                found = self._pulled(y, xs, w)
                for place, g in zip(self.places, found, strict=True):
                    self._one_row(i, place, w, g, one)

    @staticmethod
    def _pulled(y: Tensor, xs: list[Tensor], w: Tensor) -> list[Tensor | None]:
        if not lazy.requires_grad(y):
            return [None] * len(xs)
        return lazy.grad([y], xs, [w], True, False, True)

    def _weights(self, y: Tensor):
        for k in range(y.form.size):
            for one in (1, 1j) if y.form.dtype.is_complex else (1,):
                w = zeros(y.form.size, dtype=y.dtype)
                w[k] = one
                yield w.reshape(y.form.shape)

    def _one_row(self, i: int, place: int, w: Tensor, g: Tensor | None, one) -> None:
        for unit, slopes in one[place]:
            numerical = _inner(w, slopes[i])
            analytical = _inner(g, unit) if g is not None else 0.0
            self.compare(i, place, numerical, analytical, "")

    def forward(self, one) -> None:
        """Forward mode: the tangent of each output in each direction."""
        with level("gradcheck") as lv:
            inputs = [lv.leaf(x) if k in self.places else x for k, x in enumerate(self.inputs)]
            ys = _outputs(self.func(*inputs))
            pushed = Pushed(lv, ys, [inputs[k] for k in self.places])
            for place in self.places:
                for unit, slopes in one[place]:
                    tangents = [unit if k == place else None for k in self.places]
                    for i, t in enumerate(pushed(tangents)):
                        for k in range(t.form.size):
                            a, b = (x.detach().reshape(-1)[k].item() for x in (slopes[i], t))
                            self.compare(i, place, a, b, " computed with forward mode")

    def compare(self, i: int, place: int, numerical, analytical, how: str) -> None:
        if abs(analytical - numerical) <= self.atol + self.rtol * abs(numerical):
            return
        if numerical != numerical and analytical != analytical:
            return
        raise GradcheckError(
            f"Jacobian{how} mismatch for output {i} with respect to input {place},\n"
            f"numerical:{numerical}\nanalytical:{analytical}\n"
        )

    def repeatable(self, ys: list[Tensor], tolerance: float) -> None:
        """The same gradient twice."""
        xs = [self.inputs[k] for k in self.places]
        for y in ys:
            if not lazy.requires_grad(y):
                continue
            w = lazy.fill(y.form.shape, 1, y.form.dtype, Tensor)
            rounds = [lazy.grad([y], xs, [w], True, False, True) for _ in range(2)]
            for a, b in zip(*rounds, strict=True):
                if a is not None and float((a - b).abs().max() if a.numel() else 0) > tolerance:
                    raise GradcheckError(
                        "Backward is not reentrant, i.e., running backward with same input and "
                        "grad_output multiple times gives different values, although analytical "
                        "gradient matches numerical gradient."
                    )


def _inner(a: Tensor, b: Tensor) -> float:
    """The real inner product, as of pairs for complex values."""
    product = (a.detach() * b.detach().conj()).sum()
    return float(product.real if product.is_complex() else product)


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True,
              nondet_tol=0.0, check_undefined_grad=True, check_grad_dtypes=False,
              check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False,
              check_backward_ad=True, fast_mode=False, masked=None) -> bool:  # fmt: skip
    """Compare the derivatives of func at the inputs (float64 or complex128, those that require
    grad) with finite differences. fast_mode: along one random direction instead of all.

    GradcheckError where they differ; False without raise_exception. ValueError for nothing to do.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    given = _inputs(inputs)
    try:
        check = _Check(func, given, eps, atol, rtol, bool(masked))
        _all_checks(check, fast_mode, check_forward_ad, check_backward_ad, nondet_tol)
        if check_batched_grad:
            _batched(check)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _all_checks(check: _Check, fast: bool, forward: bool, backward: bool, tolerance) -> None:
    ys = check.called()
    if fast:
        directions = {k: [_random_like(check.inputs[k])] for k in check.places}
    else:
        directions = {k: list(check.units(k)) for k in check.places}
    one = {k: [(u, check.slope(k, u)) for u in us] for k, us in directions.items()}
    if backward:
        weights = [_random_like(y) for y in ys] if fast else None
        check.backward(ys, one, weights)
        check.repeatable(ys, tolerance)
    if forward:
        check.forward(one)


def _random_like(x: Tensor) -> Tensor:
    from ..drawing import rand_like

    return (rand_like(x.detach()) + 0.5).detach()


def _batched(check: _Check) -> None:
    """Several gradients at once equal one after the other."""
    xs = [check.inputs[k] for k in check.places]
    for y in check.called():
        if not lazy.requires_grad(y):
            continue
        rows = [_random_like(y) for _ in range(2)]
        from ..joining import stack

        wide = lazy.grad([y], xs, [stack(rows)], True, False, True, lanes=2)
        each = [lazy.grad([y], xs, [r], True, False, True) for r in rows]
        for a, parts in zip(wide, zip(*each, strict=True), strict=True):
            if a is not None and not a.allclose(stack(list(parts)), check.rtol, check.atol):
                raise GradcheckError(
                    "While computing batched gradients, got values that differ from those "
                    "computed one by one"
                )


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3,
                  gen_non_contig_grad_outputs=False, raise_exception=True, nondet_tol=0.0,
                  check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False,
                  check_fwd_over_rev=False, check_rev_over_rev=True, fast_mode=False,
                  masked=False) -> bool:  # fmt: skip
    """`gradcheck` of the gradients themselves, as functions of the inputs and of the gradients of
    the outputs (random ones where not given)."""
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
        )
    given = _inputs(inputs)
    places = _watched(given)
    if grad_outputs is None:
        ys = [y for y in _outputs(func(*given)) if lazy.requires_grad(y)]
        weights = tuple(_random_like(y).requires_grad_() for y in ys)
    else:
        weights = _inputs(grad_outputs)

    def slopes(*args):
        xs, ws = args[: len(given)], args[len(given) :]
        xs = tuple(
            x if k not in places or lazy.requires_grad(x) else x.requires_grad_()
            for k, x in enumerate(xs)
        )
        ys = [y for y in _outputs(func(*xs)) if lazy.requires_grad(y)]
        with lazy.enable_grad():
            found = lazy.grad(ys, [xs[k] for k in places], list(ws), True, True, True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        slopes, given + weights, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_batched_grad=check_batched_grad, fast_mode=fast_mode,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev,
    )  # fmt: skip
