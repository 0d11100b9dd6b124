"""Factors L D L^T of symmetric matrices, which NumPy lacks, as LAPACK's sytrf packs them.

Bunch and Kaufman, Some stable methods for calculating inertia and solving symmetric linear systems
(1977): D has blocks of one or two rows; a pivot below zero marks a row of a block of two.
"""

from __future__ import annotations

import math

import numpy as np

from . import host_call
from .triangular import flat, pack

_ALPHA = (1 + math.sqrt(17)) / 8


@host_call
def ldl(settings, out, a) -> None:
    """settings: (hermitian,): a row of L and D in one (the lower triangle), pivots, and info."""
    (hermitian,) = settings
    lead, n = a.shape[:-2], a.shape[-1]
    factors = np.tril(a)
    pivots = np.zeros((*lead, n), np.int64)
    info = np.zeros((*lead, 1), np.int64)
    with np.errstate(all="ignore"):
        for at in np.ndindex(*lead):
            info[at] = _factor(factors[at], pivots[at], hermitian)
    pack(out, flat(factors), pivots, info)


def _size(x: np.ndarray) -> np.ndarray:
    return np.abs(x.real) + np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)


def _factor(a: np.ndarray, pivots: np.ndarray, hermitian: bool) -> int:
    """In place; answers the first zero of D, from 1, or 0."""
    n = len(a)
    info = k = 0
    while k < n:
        step, other = _choice(a, k, hermitian)
        if step == 0:
            info = info or k + 1
            pivots[k] = k + 1
            if hermitian:
                a[k, k] = a[k, k].real
            k += 1
            continue
        _exchange(a, k + step - 1, other, k, hermitian)
        if step == 1:
            _eliminate_one(a, k, hermitian)
            pivots[k] = other + 1
        else:
            _eliminate_two(a, k, hermitian)
            pivots[k : k + 2] = -(other + 1)
        k += step
    return info


def _choice(a: np.ndarray, k: int, hermitian: bool) -> tuple[int, int]:
    """(rows of the next block, which row comes to its end); 0 rows where the column is zero."""
    n = len(a)
    own = abs(a[k, k].real) if hermitian else float(_size(a[k, k]))
    below = _size(a[k + 1 :, k])
    largest = float(below.max()) if k + 1 < n else 0.0
    if max(own, largest) == 0 or math.isnan(own):
        return 0, k
    if own >= _ALPHA * largest:
        return 1, k
    row = k + 1 + int(np.argmax(below))
    sides = [_size(a[row, k:row]), _size(a[row + 1 :, row])]
    widest = max((float(side.max()) for side in sides if len(side)), default=0.0)
    if own >= _ALPHA * largest * (largest / widest):
        return 1, k
    there = abs(a[row, row].real) if hermitian else float(_size(a[row, row]))
    return (1, row) if there >= _ALPHA * widest else (2, row)


def _exchange(a: np.ndarray, here: int, there: int, k: int, hermitian: bool) -> None:
    """Rows and columns of what is left, in the lower triangle."""
    if here == there:
        return
    a[there + 1 :, [here, there]] = a[there + 1 :, [there, here]]
    between = a[here + 1 : there, here].copy()
    a[here + 1 : there, here] = _turned(a[there, here + 1 : there], hermitian)
    a[there, here + 1 : there] = _turned(between, hermitian)
    if hermitian:
        a[there, here] = a[there, here].conj()
    a[here, here], a[there, there] = a[there, there], a[here, here]
    if here > k:
        a[here, k], a[there, k] = a[there, k], a[here, k]


def _turned(x: np.ndarray, hermitian: bool) -> np.ndarray:
    return x.conj() if hermitian else x


def _eliminate_one(a: np.ndarray, k: int, hermitian: bool) -> None:
    if hermitian:
        a[k, k] = a[k, k].real
    column = a[k + 1 :, k].copy()
    scaled = column / a[k, k]
    _subtract(a, k + 1, np.outer(scaled, _turned(column, hermitian)), hermitian)
    a[k + 1 :, k] = scaled


def _eliminate_two(a: np.ndarray, k: int, hermitian: bool) -> None:
    if hermitian:
        a[k, k], a[k + 1, k + 1] = a[k, k].real, a[k + 1, k + 1].real
    if k + 2 >= len(a):
        return
    block = a[k : k + 2, k : k + 2].copy()
    block[0, 1] = _turned(block[1, 0], hermitian)
    columns = a[k + 2 :, k : k + 2].copy()
    scaled = np.linalg.solve(block.T, columns.T).T
    _subtract(a, k + 2, scaled @ _turned(columns, hermitian).T, hermitian)
    a[k + 2 :, k : k + 2] = scaled


def _subtract(a: np.ndarray, start: int, update: np.ndarray, hermitian: bool) -> None:
    """From the lower triangle of what is left."""
    rows = np.tril_indices(len(a) - start)
    a[start:, start:][rows] -= update[rows]
    if hermitian:
        at = np.arange(start, len(a))
        a[at, at] = a[at, at].real


# ---------- solutions ----------
@host_call
def ldl_solve(settings, out, a, pivots, b) -> None:
    """settings: (hermitian,): x of the system whose factors `ldl` gave."""
    (hermitian,) = settings
    x = np.array(b)
    with np.errstate(all="ignore"):
        for at in np.ndindex(*a.shape[:-2]):
            _solve(a[at], pivots[at].astype(np.int64), x[at], hermitian)
    pack(out, flat(x))


def _solve(a: np.ndarray, pivots: np.ndarray, x: np.ndarray, hermitian: bool) -> None:
    blocks = _blocks(pivots)
    for k, step in blocks:
        _swap(x, k + step - 1, abs(pivots[k]) - 1)
        x[k + step :] -= a[k + step :, k : k + step] @ x[k : k + step]
    for k, step in blocks:
        block = a[k : k + step, k : k + step].copy()
        if step == 1:
            x[k] /= block[0, 0]
        else:
            block[0, 1] = _turned(block[1, 0], hermitian)
            x[k : k + 2] = np.linalg.solve(block, x[k : k + 2])
    for k, step in reversed(blocks):
        x[k : k + step] -= _turned(a[k + step :, k : k + step], hermitian).T @ x[k + step :]
        _swap(x, k + step - 1, abs(pivots[k]) - 1)


def _blocks(pivots: np.ndarray) -> list[tuple[int, int]]:
    found = []
    k = 0
    while k < len(pivots):
        step = 1 if pivots[k] > 0 or k + 1 == len(pivots) else 2
        found.append((k, step))
        k += step
    return found


def _swap(x: np.ndarray, i: int, j: int) -> None:
    if i != j:
        x[[i, j]] = x[[j, i]]
