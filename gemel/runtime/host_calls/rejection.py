"""Samplers that draw again until a value is accepted: Poisson, binomial and gamma distributions.

They take as many words of an MT19937 as the values ask for, so they are no composites. Method and
order of draws are PyTorch's: Hörmann's transformed rejection (1993) for large means, products or
sums of waiting times for small ones, Marsaglia and Tsang's rejection (2000) for gamma.

Each result is a row of words: the 625 of the new state, whether a normal is left over and that
normal as two words (gamma), then two words for each value, a float64; the high word comes first.
"""

from __future__ import annotations

import math

import numpy as np

from . import host_call

STATE = 625
HEAD = STATE + 3
_CHUNK = 4096


class _Words:
    """The words that follow a state, one after the other."""

    def __init__(self, state: np.ndarray):
        self.start = state
        self.source = _twister(state)
        self.ready: list[int] = []
        self.taken = 0

    def uniform(self) -> float:
        """A double of [0, 1) from two words."""
        high, low = self.next(), self.next()
        return ((high << 32 | low) & ((1 << 53) - 1)) * 2.0**-53

    def next(self) -> int:
        if not self.ready:
            self.ready = self.source.random_raw(_CHUNK)[::-1].tolist()
        self.taken += 1
        return self.ready.pop()

    def state(self) -> np.ndarray:
        """The state after what was taken."""
        if self.taken == 0:
            return self.start
        after = _twister(self.start)
        after.random_raw(self.taken, output=False)
        found = after.state["state"]
        return np.append(found["key"], found["pos"]).astype(np.uint32)


def _twister(state: np.ndarray) -> np.random.MT19937:
    made = np.random.MT19937()
    place = int(state[-1]) or STATE - 1  # a freshly seeded state is used up
    key = state[:-1].astype(np.uint32)
    made.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": place}}
    return made


def _finish(out: np.ndarray, words: _Words, values: list[float], left: float | None = None) -> None:
    out[:STATE] = words.state()
    out[STATE] = left is not None
    out[STATE + 1 : HEAD] = _split(np.array([left or 0.0]))
    out[HEAD:] = _split(np.array(values, np.float64))


def _split(values: np.ndarray) -> np.ndarray:
    """float64 values as words, the high one of each first."""
    return values.view(np.uint32).reshape(-1, 2)[:, ::-1].ravel()


# ---------- Poisson ----------
@host_call
def poisson(settings: tuple, out: np.ndarray, state: np.ndarray, rates: np.ndarray) -> None:
    """rates: float64 [n], not negative."""
    words = _Words(state)
    _finish(out, words, [_poisson(words, rate) for rate in rates.tolist()])


def _poisson(words: _Words, rate: float) -> float:
    if rate == 0:
        return 0.0
    if rate >= 10:
        return _poisson_by_rejection(words, rate)
    enough = math.exp(-rate)
    product, count = words.uniform(), 0
    while product > enough:
        product *= words.uniform()
        count += 1
    return float(count)


def _poisson_by_rejection(words: _Words, rate: float) -> float:
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    limit = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = words.uniform() - 0.5
        v = words.uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1.0
        if us >= 0.07 and v <= limit:
            return float(k)
        if k < 0 or us < 0.013 and v > us:
            continue
        left = _log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
        if left <= -rate + k * log_rate - math.lgamma(k + 1):
            return float(k)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


# ---------- binomial ----------
@host_call
def binomial(settings: tuple, out: np.ndarray, state: np.ndarray, counts, probabilities) -> None:
    """settings: (name of the element type that values are rounded to,); float64 [n] twice."""
    words = _Words(state)
    kind = np.dtype(settings[0]).type
    draw = _Binomial(words, lambda x: float(kind(x)))
    pairs = zip(counts.tolist(), probabilities.tolist(), strict=True)
    _finish(out, words, [draw.sample(count, p) for count, p in pairs])


# Stirling's formula less the logarithm of k!, for small k
_TAILS = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
    0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.010411265261972,
    0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _tail(k: float) -> float:
    if k <= 9:
        return _TAILS[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


class _Binomial:
    """rounded: to the element type, after each step."""

    def __init__(self, words: _Words, rounded):
        self.words = words
        self.rounded = rounded

    def sample(self, count: float, p: float) -> float:
        if count <= 0 or p <= 0:
            return 0.0
        if p >= 1:
            return count
        if math.isnan(p):
            return math.nan
        fewer = p <= 0.5
        p = p if fewer else self.rounded(1.0 - p)
        draw = self._by_rejection if self.rounded(count * p) >= 10.0 else self._by_waiting
        drawn = draw(count, p)
        return drawn if fewer else count - drawn

    def _by_waiting(self, count: float, p: float) -> float:
        """Geometric waiting times, as many as fit."""
        r = self.rounded
        log_missed = r(math.log1p(-p))
        total, found = 0.0, 0
        while True:
            wait = math.ceil(r(r(_log(r(self.words.uniform()))) / log_missed))
            total = r(total + wait)
            if total > count:
                return float(found)
            found += 1

    def _by_rejection(self, count: float, p: float) -> float:
        r = self.rounded
        spread = r(math.sqrt(r(r(count * p) * r(1 - p))))
        b = r(1.15 + 2.53 * spread)
        a = r(-0.0873 + 0.0248 * b + 0.01 * p)
        c = r(r(count * p) + 0.5)
        limit = r(0.92 - 4.2 / b)
        odds = r(p / r(1 - p))
        alpha = r((2.83 + 5.1 / b) * spread)
        mode = math.floor(r(r(count + 1) * p))
        while True:
            u = r(self.words.uniform() - 0.5)
            v = r(self.words.uniform())
            us = r(0.5 - abs(u))
            if us == 0:
                continue
            k = math.floor(r(r(r(r(2 * a) / us) + b) * u + c))
            if k < 0 or k > count:
                continue
            if us >= 0.07 and v <= limit:
                return float(k)
            v = r(_log(r(r(v * alpha) / r(r(a / r(us * us)) + b))))
            if v <= self._bound(count, odds, mode, k):
                return float(k)

    def _bound(self, count: float, odds: float, mode: float, k: float) -> float:
        r = self.rounded

        def log(x: float) -> float:
            return r(math.log(r(x)))

        total = (mode + 0.5) * log((mode + 1) / r(odds * (count - mode + 1)))
        total += r((count + 1) * log((count - mode + 1) / (count - k + 1)))
        total += (k + 0.5) * log(r(odds * (count - k + 1)) / (k + 1))
        for sign, n in ((1, mode), (1, count - mode), (-1, k), (-1, count - k)):
            total += sign * r(_tail(n))
        return r(total)


# ---------- gamma ----------
_THIRD = float(np.float32(1.0 / 3))  # PyTorch takes it in single precision


class _Normals:
    """Standard normals in pairs, as PyTorch draws them one by one."""

    def __init__(self, words: _Words, left: float | None):
        self.words = words
        self.left = left

    def next(self) -> float:
        if self.left is not None:
            found, self.left = self.left, None
            return found
        u, v = self.words.uniform(), self.words.uniform()
        radius = math.sqrt(-2.0 * math.log1p(-v))
        angle = 2.0 * math.pi * u
        self.left = radius * math.sin(angle)
        return radius * math.cos(angle)


@host_call
def gamma(settings: tuple, out: np.ndarray, state: np.ndarray, alphas, *left) -> None:
    """Samples of scale 1. settings: (name of alpha's element type,); alphas: float64 [n], positive;
    left: the normal left over, float64 []."""
    words = _Words(state)
    normals = _Normals(words, float(left[0]) if left else None)
    kind = np.dtype(settings[0]).type
    values = [_gamma(words, normals, kind(alpha)) for alpha in alphas.tolist()]
    _finish(out, words, values, normals.left)


def _gamma(words: _Words, normals: _Normals, alpha: np.floating) -> float:
    scale = 1.0
    one = type(alpha)(1)
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = (1 - words.uniform()) ** float(one / alpha)
        alpha += one
    d = float(alpha - type(alpha)(_THIRD))
    c = 1.0 / math.sqrt(9 * d)
    while True:
        x = normals.next()
        y = 1.0 + c * x
        if y <= 0:
            continue
        v = y * y * y
        u = 1 - words.uniform()
        square = x * x
        if u < 1.0 - 0.0331 * square * square:
            return scale * d * v
        if _log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return scale * d * v
