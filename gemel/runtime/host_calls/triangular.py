"""Triangular systems and pivoted triangular factors in NumPy, for stacks of matrices.

Work is done in blocks, so that nearly all of it is products of matrices.
"""

from __future__ import annotations

import math

import numpy as np

from . import host_call

BLOCK = 24  # columns that are worked on one by one


def lower_solution(a: np.ndarray, b: np.ndarray, unit: bool) -> np.ndarray:
    """x of a x = b for lower triangular a [..., n, n]; what lies above the diagonal is not read."""
    x = np.array(b)
    _solve_lower(a, x, unit)
    return x


def _solve_lower(a: np.ndarray, x: np.ndarray, unit: bool) -> None:
    n = a.shape[-1]
    if n > BLOCK:
        half = n // 2
        _solve_lower(a[..., :half, :half], x[..., :half, :], unit)
        x[..., half:, :] -= a[..., half:, :half] @ x[..., :half, :]
        _solve_lower(a[..., half:, half:], x[..., half:, :], unit)
        return
    for i in range(n):
        row = x[..., i : i + 1, :]
        if i:
            row -= a[..., i : i + 1, :i] @ x[..., :i, :]
        if not unit:
            row /= a[..., i : i + 1, i : i + 1]


@host_call
def solve_triangular(settings, out, a, b) -> None:
    """settings: (upper, unit): x of a x = b with the triangle's system."""
    upper, unit = settings
    with np.errstate(all="ignore"):
        if upper:  # read from the end, it is a lower triangle
            x = lower_solution(a[..., ::-1, ::-1], b[..., ::-1, :], unit)[..., ::-1, :]
        else:
            x = lower_solution(a, b, unit)
    pack(out, flat(x))


@host_call
def cholesky_solve(settings, out, b, factor) -> None:
    """settings: (upper,): x of a x = b, for a = L L^H or U^H U given by its factor."""
    (upper,) = settings
    lower = np.swapaxes(factor, -2, -1).conj() if upper else factor
    with np.errstate(all="ignore"):
        inner = lower_solution(lower, b, False)
        turned = np.swapaxes(lower, -2, -1).conj()[..., ::-1, ::-1]
        x = lower_solution(turned, inner[..., ::-1, :], False)[..., ::-1, :]
    pack(out, flat(x))


# ---------- with row exchanges ----------
def lu_factors(a: np.ndarray, pivot: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lu, pivots, info) of matrices [..., m, n]: unit lower and upper factor in one, the rows
    exchanged at each step (from 0), and the number of the first zero pivot or 0."""
    m, n = a.shape[-2:]
    lead = a.shape[:-2]
    lu = a.reshape(math.prod(lead), m, n).copy()
    steps = min(m, n)
    pivots = np.zeros((len(lu), steps), np.int64)
    info = np.zeros(len(lu), np.int64)
    with np.errstate(all="ignore"):
        for start in range(0, steps, BLOCK):
            stop = min(start + BLOCK, steps)
            _factor_panel(lu, start, stop, pivots, info, pivot)
            if stop < n:
                top, left = lu[:, start:stop, stop:], lu[:, start:stop, start:stop]
                top[...] = lower_solution(left, top, True)
                lu[:, stop:, stop:] -= lu[:, stop:, start:stop] @ top
    return lu.reshape(a.shape), pivots.reshape(*lead, steps), info.reshape(lead)


def _factor_panel(lu, start: int, stop: int, pivots, info, pivot: bool) -> None:
    every = np.arange(len(lu))
    for k in range(start, stop):
        found = k + np.argmax(_size(lu[:, k:, k]), 1) if pivot else np.full(len(lu), k)
        pivots[:, k] = found
        rows = lu[every, found].copy()
        lu[every, found] = lu[:, k]
        lu[:, k] = rows
        head = lu[:, k, k]
        zero = head == 0
        info[zero & (info == 0)] = k + 1
        below = lu[:, k + 1 :, k]
        below /= np.where(zero, 1, head)[:, None]
        lu[:, k + 1 :, k + 1 : stop] -= below[:, :, None] * lu[:, k : k + 1, k + 1 : stop]


def _size(x: np.ndarray) -> np.ndarray:
    """What LAPACK compares pivots by; NaN counts as nothing there."""
    found = np.abs(x.real) + np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)
    return np.nan_to_num(found, nan=-1.0, posinf=np.inf)


def rows_after(pivots: np.ndarray, m: int) -> np.ndarray:
    """Which row lies where after the exchanges: [..., m]."""
    lead = pivots.shape[:-1]
    flat = pivots.reshape(math.prod(lead), pivots.shape[-1])
    rows = np.tile(np.arange(m), (len(flat), 1))
    every = np.arange(len(flat))
    for k in range(flat.shape[1]):
        found = flat[:, k]
        rows[every, found], rows[:, k] = rows[:, k].copy(), rows[every, found].copy()
    return rows.reshape(*lead, m)


@host_call
def row_order(settings, out, pivots) -> None:
    """pivots [..., k] from 1: the order of `out.shape[-1]` rows after the exchanges."""
    out[...] = rows_after(pivots.astype(np.int64) - 1, out.shape[-1])


@host_call
def lu(settings, out, a) -> None:
    """settings: (pivot,): a row of LU, pivots from 1, row order, info."""
    (pivot,) = settings
    m, n = a.shape[-2:]
    factors, pivots, info = lu_factors(a, pivot)
    lead = a.shape[:-2]
    pack(
        out,
        factors.reshape(*lead, m * n),
        pivots + 1,
        rows_after(pivots, m),
        info[..., None],
    )


# ---------- results in one row ----------
def pack(out: np.ndarray, *parts: np.ndarray) -> None:
    """The parts one after the other along the last axis of `out`; complex ones as pairs."""
    at = 0
    for part in parts:
        if np.iscomplexobj(part):
            part = np.ascontiguousarray(part).view(out.dtype)
        size = part.shape[-1]
        out[..., at : at + size] = part
        at += size


def flat(x: np.ndarray) -> np.ndarray:
    """The last two axes as one."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
