"""Some eigenvalues of symmetric matrices at one end of the spectrum, by LOBPCG.

Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned
conjugate gradient method (2001); the basis is made orthonormal as a whole in each step, with what
does not add to it left out, after Duersch et al., A robust and efficient implementation of LOBPCG
(2018).
"""

from __future__ import annotations

import numpy as np

from . import host_call
from .triangular import flat, pack

_DEPENDENT = 1e-10  # what is left of a direction that adds nothing to the basis


@host_call
def lobpcg(settings, out, a, x, b, inverse) -> None:
    """settings: (pairs, most steps or -1, tolerance, largest?, is there a b?, a preconditioner?):
    a row of the eigenvalues, and of the vectors of a v = e b v. a, b, preconditioner [m, m];
    x [m, n] are vectors to begin with."""
    pairs, steps, tolerance, largest, has_b, has_inverse = settings
    lead = a.shape[:-2]
    values = np.empty((*lead, pairs))
    vectors = np.empty((*lead, a.shape[-1], pairs))
    for at in np.ndindex(*lead):
        a_, x_, b_, inverse_ = (y[at].astype(np.float64) for y in (a, x, b, inverse))
        search = _Search(a_, b_ if has_b else None, inverse_ if has_inverse else None, largest)
        values[at], vectors[at] = search.run(x_, pairs, steps, tolerance)
    pack(out, values, flat(vectors))


class _Search:
    """The matrices, and which end of the spectrum is wanted."""

    def __init__(self, a, b, inverse, largest: bool):
        self.a, self.b, self.inverse, self.largest = a, b, inverse, largest

    def weighted(self, x: np.ndarray) -> np.ndarray:
        return x if self.b is None else self.b @ x

    def run(self, x, pairs: int, steps: int, tolerance: float):
        """Steps until the residuals of the first pairs are small, or as many as there may be."""
        scale_a, scale_b = (np.linalg.norm(y) / np.linalg.norm(x)
                            for y in (self.a @ x, self.weighted(x)))  # fmt: skip
        values, x, _ = self.best(x, x.shape[1], 0)
        before = np.zeros((len(x), 0))
        step = 0
        while step != steps:
            rest = self.a @ x - self.weighted(x) * values
            allowed = np.linalg.norm(x, axis=0) * (scale_a + np.abs(values) * scale_b)
            error = np.linalg.norm(rest, axis=0) / np.where(allowed > 0, allowed, 1)
            if not np.isfinite(error).all() or (error[:pairs] <= tolerance).all():
                break
            ahead = rest if self.inverse is None else self.inverse @ rest
            basis = np.concatenate([x, ahead, before], 1)
            values, x, before = self.best(basis, x.shape[1], x.shape[1])
            step += 1
        return values[:pairs], x[:, :pairs]

    def best(self, basis, count: int, old: int):
        """(values, vectors, what they have beside the first `old` directions) of the best `count`
        vectors in the span of the basis."""
        basis = self.orthonormal(basis)
        small = basis.T @ self.a @ basis
        values, turned = np.linalg.eigh((small + small.T) / 2)
        order = slice(None, -count - 1, -1) if self.largest else slice(count)
        values, turned = values[order], turned[:, order]
        return values, basis @ turned, basis[:, old:] @ turned[old:]

    def orthonormal(self, basis: np.ndarray) -> np.ndarray:
        """The columns made orthonormal one block after the other: what comes first stays first."""
        kept = np.zeros((len(basis), 0))
        for column in basis.T:
            size = self.length(column)
            for _ in range(2):  # twice is enough (Giraud et al. 2005)
                column = column - kept @ (kept.T @ self.weighted(column))
            rest = self.length(column)
            if rest > size * _DEPENDENT:
                kept = np.concatenate([kept, (column / rest)[:, None]], 1)
        return kept

    def length(self, x: np.ndarray) -> float:
        return float(np.sqrt(max(x @ self.weighted(x), 0.0)))
