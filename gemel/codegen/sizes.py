"""Sizes that are known only when a program runs.

Role: a `Size` stands wherever a plain int could, from a graph's shapes to a loop's bound. It is a
polynomial in the symbols of its `Space`, written in one way only, so that equal polynomials are
equal; quotients, remainders, the least and the most of some are symbols of their own. Beside it
stands its value for the sizes at hand (the hint).

Whoever decides by a size decides for all sizes that the code will meet. What follows from the
polynomials needs nothing; else the answer is that of the hint and becomes a *guard*: the code
serves those sizes alone that give the same answer. A size that turns into a plain number is such
a decision too. Estimates, for which any answer is right, ask under `guessing()`.

    space = Space()
    n = space.symbol("s0", 100)
    n * 4 == 4 * n          True, for all sizes
    n * 4 > n               True: a symbol is at least 2
    n > 64                  True, and a guard
    range(n)                a guard too: n is 100
    f.loop(0, n)            a loop to a run-time number

Invariant: text of a size is Python, which gives its value where the symbols have theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import gcd
from typing import Any

LEAST = 2  # of a symbol: what is 0 or 1 is structure (broadcasting, empty arrays)

_Terms = dict[tuple[str, ...], int]


class Space:
    """The symbols of one program, and what was decided by them.

    guards   texts that must hold, in the order in which they were met
    numbers  how many numbers the program is given before its sizes
    kept     what others keep as long as the space
    """

    def __init__(self) -> None:
        self.atoms: dict[str, tuple[int, int | None]] = {}  # text -> hint, lower bound
        self.guards: dict[str, None] = {}
        self.numbers = 0
        self.kept: dict = {}

    def symbol(self, name: str, hint: int, low: int | None = LEAST) -> Any:
        """A size of its own."""
        self.atoms.setdefault(name, (hint, low))
        return _made(self, {(name,): 1})


def evaluator(names: Iterable[str], texts: Iterable[str]) -> Callable[..., tuple]:
    """A function of the values of named symbols that gives the values of texts of sizes."""
    items = "".join(f"{text}, " for text in texts)
    return eval(f"lambda {', '.join(names)}: ({items})", {"min": min, "max": max, "abs": abs})


class NeedsConstants(Exception):
    """There is no code yet for sizes that are known only when the program runs. Its text says
    why, for people."""


_guesses = [0]


@contextmanager
def guessing() -> Iterator[None]:
    """Inside, sizes are their hints and nothing becomes a guard: any answer has to be right."""
    _guesses[0] += 1
    try:
        yield
    finally:
        _guesses[0] -= 1


class Size:
    """See the module. `terms`: product of symbols -> its factor; `low`: a lower bound or None."""

    __slots__ = ("space", "terms", "text", "hint", "low")
    __class__ = int  # type: ignore[assignment]  # `isinstance(n, int)` holds

    def __init__(self, space: Space, terms: _Terms):
        self.space = space
        self.terms = terms
        self.text = _text(terms)
        self.hint = sum(c * _product(space, m, 0) for m, c in terms.items())
        self.low = _low(space, terms)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return format(self.text, spec)

    # ---------- arithmetic ----------
    def __add__(self, other):
        if not isinstance(other, int):
            return _beside(self, other, "__add__")
        terms = dict(self.terms)
        for m, c in _terms(other).items():
            terms[m] = terms.get(m, 0) + c
        return _made(self.space, terms)

    __radd__ = __add__

    def __neg__(self):
        return _made(self.space, {m: -c for m, c in self.terms.items()})

    def __pos__(self):
        return self

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if not isinstance(other, int):
            return _beside(self, other, "__mul__")
        terms: _Terms = {}
        for m, c in self.terms.items():
            for n, d in _terms(other).items():
                product = tuple(sorted(m + n))
                terms[product] = terms.get(product, 0) + c * d
        return _made(self.space, terms)

    __rmul__ = __mul__

    def __pow__(self, other):
        if other.__class__ is int and other == 2:
            return self * self
        return int(self) ** other

    def __floordiv__(self, other):
        if not isinstance(other, int):
            return _beside(self, other, "__floordiv__")
        return _quotient(self.space, self, other)

    def __rfloordiv__(self, other):
        if not isinstance(other, int):
            return other // int(self)
        return _quotient(self.space, other, self)

    def __mod__(self, other):
        if not isinstance(other, int):
            return _beside(self, other, "__mod__")
        return _remainder(self.space, self, other)

    def __rmod__(self, other):
        if not isinstance(other, int):
            return NotImplemented
        return _remainder(self.space, other, self)

    def __divmod__(self, other):
        return self // other, self % other

    def __rdivmod__(self, other):
        return other // self, other % self

    def __abs__(self):
        if self.low is not None and self.low >= 0:
            return self
        return -self if (-self) >= 0 else self

    def __truediv__(self, other):
        return float(self) / float(other)

    def __rtruediv__(self, other):
        return float(other) / float(self)

    # ---------- decisions ----------
    def __eq__(self, other) -> bool:
        if not isinstance(other, (int, float)):
            return False
        if type(other) is Size:
            if other.space is not self.space:
                return False
            if self.text == other.text:
                return True
        if _guesses[0]:
            return self.hint == hint(other)
        d = self - other if isinstance(other, int) else None
        if d is not None and type(d) is not Size:
            return d == 0
        if d is not None and _nonzero(d):
            return False
        if d is None or _has_remainder(d):
            return _decided(self.space, f"{self.text} == {other!r}", self.hint == hint(other))
        # Different polynomials count as different: what is right for different sizes is right
        # where they happen to be equal. (In a graph no size is 0 or 1.)
        return False

    def __ne__(self, other) -> bool:
        return not self == other

    def __lt__(self, other) -> bool:
        return _below(self, other)

    def __ge__(self, other) -> bool:
        return not _below(self, other)

    def __gt__(self, other) -> bool:
        return _below(other, self)

    def __le__(self, other) -> bool:
        return not _below(other, self)

    def __bool__(self) -> bool:
        return self != 0

    # ---------- plain numbers ----------
    def __index__(self) -> int:
        if not _guesses[0]:
            self.space.guards[f"{self.text} == {self.hint}"] = None
        return self.hint

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.__index__())

    def bit_length(self) -> int:
        return self.__index__().bit_length()


def is_size(n: object) -> bool:
    """Is it known only when the program runs?"""
    return type(n) is Size


def is_symbol(n: object) -> bool:
    """Is it one size of the graph, no product or sum?"""
    return type(n) is Size and n.text.isidentifier()


def hint(n):
    """The number for the sizes at hand, for estimates."""
    return n.hint if type(n) is Size else n


def divides(k: int, n) -> bool:
    """Is n a multiple of k, for all sizes that the code may meet?"""
    if type(n) is Size:
        return all(c % k == 0 for c in n.terms.values())
    return n % k == 0


def common_divisor(n, k: int) -> int:
    """The largest number that divides k, and n for all sizes that the code may meet."""
    return gcd(k, *n.terms.values()) if type(n) is Size else gcd(n, k)


def surely_below(a, b) -> bool:
    """Is a < b, for all sizes that the code may meet?"""
    d = b - a
    return (d.low is not None and d.low > 0) if type(d) is Size else d > 0


def least(a, b):
    """The smaller one, without a decision."""
    return _chosen("min", a, b)


def most(a, b):
    """The larger one, without a decision."""
    return _chosen("max", a, b)


def _chosen(name: str, a, b):
    """min or max of the two; one of them, where the order is certain."""
    plain = {"min": min, "max": max}[name]
    if not (type(a) is Size or type(b) is Size):
        return plain(a, b)
    if not surely_below(b, a + 1):  # else b <= a
        a, b = b, a
    if surely_below(b, a + 1):
        return b if name == "min" else a
    lows = [n.low if type(n) is Size else n for n in (a, b)]
    known = [low for low in lows if low is not None]
    low = plain(known) if len(known) == 2 else known[0] if known and name == "max" else None
    space = a.space if type(a) is Size else b.space
    a, b = sorted((a, b), key=repr)
    return space.symbol(f"{name}({a!r}, {b!r})", plain(hint(a), hint(b)), low)


# ---------- polynomials ----------
def _terms(n) -> _Terms:
    return n.terms if type(n) is Size else {(): int(n)} if n else {}


def _made(space: Space, terms: _Terms):
    terms = {m: c for m, c in terms.items() if c}
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return terms[()]
    return Size(space, terms)


def _text(terms: _Terms) -> str:
    parts = []
    for m, c in sorted(terms.items(), reverse=True):
        factors = [*m] if c == 1 and m else [str(c), *m]
        parts.append("*".join(factors))
    text = " + ".join(parts)
    return text if text.isidentifier() else f"({text})"


def _product(space: Space, symbols: tuple[str, ...], which: int) -> int:
    value = 1
    for name in symbols:
        value *= space.atoms[name][which]  # type: ignore[operator]
    return value


def _low(space: Space, terms: _Terms) -> int | None:
    """Symbols are bounded from below only, so what is subtracted must be part of a product that is
    added: n * m - n is at least n."""
    left, total = dict(terms), 0
    for m, c in terms.items():
        if m and c < 0:
            for other, d in left.items():
                rest = _without(other, m) if d > 0 else None
                if rest and d * _product(space, rest, 1) + c >= 0:
                    total += (d * _product(space, rest, 1) + c) * _product(space, m, 1)
                    left[other] = left[m] = 0
                    break
            else:
                return None
    for m, c in left.items():
        if c and any(space.atoms[name][1] is None for name in m):
            return None
        total += c * _product(space, m, 1)
    return total


def _without(symbols: tuple[str, ...], taken: tuple[str, ...]) -> tuple[str, ...] | None:
    """The rest of a product, where it holds the other one."""
    rest = list(symbols)
    for name in taken:
        if name not in rest:
            return None
        rest.remove(name)
    return tuple(rest)


def _low_of(n) -> int | None:
    return n.low if type(n) is Size else n


def _quotient(space: Space, a, b):
    if type(b) is not Size:
        if b < 0:
            return _quotient(space, -a, -b)
        whole, rest = {}, {}
        for m, c in _terms(a).items():
            q = c // b if c >= 0 else -(-c // b)
            whole[m], rest[m] = q, c - q * b
        left = _made(space, rest)
        return _made(space, whole) + (
            0 if type(left) is int and left == 0 else _symbol_quotient(space, left, b)
        )
    exact = _exact(space, a, b)
    return exact if exact is not None else _symbol_quotient(space, a, b)


def _symbol_quotient(space: Space, a, b):
    """Of what does not divide; -x // k is -((x + k - 1) // k)."""
    if type(a) is not Size and type(b) is not Size:
        return a // b
    if all(c < 0 for m, c in _terms(a).items() if m) and _terms(a):
        return -_quotient_up(space, -a, b)
    value = hint(a) // hint(b)
    low = 0 if (_low_of(a) or 0) >= 0 and _low_of(a) is not None else None
    if low is not None and type(b) is not Size:
        low = _low_of(a) // b  # type: ignore[operator]
    return space.symbol(f"({a!r} // {b!r})", value, low)


def _quotient_up(space: Space, a, b):
    top = a + b - 1
    if any(m and c < 0 for m, c in _terms(top).items()):
        return space.symbol(f"({top!r} // {b!r})", hint(top) // hint(b), None)
    return _symbol_quotient(space, top, b) if type(b) is Size else top // b


def _exact(space: Space, a, b):
    """a / b where b is one product and divides every term."""
    if len(b.terms) != 1:
        return 1 if type(a) is Size and a.text == b.text else None
    ((symbols, factor),) = b.terms.items()
    terms: _Terms = {}
    for m, c in _terms(a).items():
        rest = _without(m, symbols)
        if rest is None or c % factor:
            return None
        terms[rest] = c // factor
    return _made(space, terms)


def _remainder(space: Space, a, b):
    if type(b) is Size:
        if _exact(space, a, b) is not None:
            return 0
    else:
        a = _made(space, {m: c % b for m, c in _terms(a).items()})
        if type(a) is not Size:
            return a % b
    return space.symbol(f"({a!r} % {b!r})", hint(a) % hint(b), 0)


# ---------- decisions ----------
def _beside(size: Size, other, operation: str):
    """With a float the size is a float too."""
    if isinstance(other, float):
        return getattr(float(size), operation)(other)
    return NotImplemented


def _decided(space: Space, text: str, answer: bool) -> bool:
    """What holds for the sizes at hand has to hold for all."""
    if not _guesses[0]:
        space.guards[text if answer else f"not ({text})"] = None
    return answer


def _nonzero(d: Size) -> bool:
    if d.low is not None and d.low > 0:
        return True
    low = _low(d.space, {m: -c for m, c in d.terms.items()})
    return low is not None and low > 0


def _has_remainder(n) -> bool:
    return type(n) is Size and any("%" in name for m in n.terms for name in m)


def _below(a, b) -> bool:
    """a < b; the order of two polynomials follows from their difference."""
    if isinstance(a, float) or isinstance(b, float):
        space = a.space if type(a) is Size else b.space
        return _decided(space, f"{a!r} < {b!r}", hint(a) < hint(b))
    d = b - a
    if type(d) is not Size:
        return d > 0
    if d.low is not None and d.low > 0:
        return True
    other = -d
    if other.low is not None and other.low >= 0:
        return False
    return _decided(d.space, f"{d.text} > 0", d.hint > 0)
