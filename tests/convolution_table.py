"""A generated table of convolutions and contractions, and what they must give, in float64 NumPy.

The NumPy here knows nothing of labels or windows: it walks over the taps of a padded array.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Case:
    """One convolution; `sizes` are the places of its input."""

    batch: int
    groups: int
    inputs: int  # channels of a group
    outputs: int
    sizes: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    widths: tuple[tuple[int, int], ...]
    channels_last: bool = False
    kernel_last: bool = False
    dtype: str = "float32"
    lies: str = "plain"  # how the operands lie in memory: plain, permuted, sliced, expanded

    def __str__(self) -> str:
        def listed(values):
            return "x".join(map(str, values))

        channels = f"{self.groups}({self.inputs}-{self.outputs})"
        pads = listed(f"{a}.{b}" for a, b in self.widths)
        text = f"{self.batch},{channels},{listed(self.sizes)}k{listed(self.window)}"
        text += f"s{listed(self.strides)}d{listed(self.dilations)}p{pads}"
        text += "".join("cl"[last] for last in (self.channels_last, self.kernel_last))
        return f"{text},{self.dtype},{self.lies}"

    @property
    def steps(self) -> tuple[int, ...]:
        rows = zip(self.sizes, self.window, self.strides, self.dilations, self.widths, strict=True)
        return tuple(max(0, (n + a + b - (k - 1) * d - 1) // s + 1) for n, k, s, d, (a, b) in rows)

    def x_shape(self) -> tuple[int, ...]:
        return self._value(self.groups * self.inputs, self.sizes)

    def y_shape(self) -> tuple[int, ...]:
        return self._value(self.groups * self.outputs, self.steps)

    def _value(self, channels: int, places) -> tuple[int, ...]:
        last = self.channels_last
        return (self.batch, *places, channels) if last else (self.batch, channels, *places)

    def kernel_shape(self) -> tuple[int, ...]:
        outputs = self.groups * self.outputs
        if self.kernel_last:
            return (*self.window, self.inputs, outputs)
        return (outputs, self.inputs, *self.window)

    # ---------- the same values in one order: groups first, places last ----------
    def _grouped(self, x, channels: int):
        """[batch, groups, channels, places...]"""
        x = np.moveaxis(x, -1, 1) if self.channels_last else x
        return x.reshape(x.shape[0], self.groups, channels, *x.shape[2:])

    def _ungrouped(self, x):
        x = x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:])
        return np.moveaxis(x, 1, -1) if self.channels_last else x

    def _kernel(self, w):
        """[groups, outputs, inputs, window...]"""
        w = np.moveaxis(w, (-1, -2), (0, 1)) if self.kernel_last else w
        return w.reshape(self.groups, self.outputs, self.inputs, *self.window)

    def _kernel_back(self, w):
        w = w.reshape(self.groups * self.outputs, self.inputs, *self.window)
        return np.moveaxis(w, (0, 1), (-1, -2)) if self.kernel_last else w

    def _taps(self):
        """(index of the tap, the cells of the padded input that its steps meet)"""
        for at in product(*map(range, self.window)):
            rows = zip(at, self.strides, self.dilations, self.steps, strict=True)
            cells = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, s, d, n in rows)
            yield (..., *at), (..., *cells)

    def expected(self, x, w, g):
        """(result, gradient of x, gradient of w) for the result's cotangent g."""
        x, g = self._grouped(x, self.inputs), self._grouped(g, self.outputs)
        w = self._kernel(w)
        y, dw = np.zeros_like(g), np.zeros_like(w)
        places = "xyz"[: len(self.sizes)]
        padded = np.pad(x, ((0, 0), (0, 0), (0, 0), *self.widths))
        dx = np.zeros_like(padded)
        if y.size:
            for tap, cells in self._taps():
                y += np.einsum("ngi...,goi->ngo...", padded[cells], w[tap])
                dx[cells] += np.einsum("ngo...,goi->ngi...", g, w[tap])
                dw[tap] = np.einsum(f"ngi{places},ngo{places}->goi", padded[cells], g)
        inside = tuple(slice(a, a + n) for n, (a, _) in zip(self.sizes, self.widths, strict=True))
        return self._ungrouped(y), self._ungrouped(dx[(..., *inside)]), self._kernel_back(dw)


CHANNELS = ((1, 3, 5), (1, 1, 4), (1, 4, 1), (2, 2, 3), (3, 1, 2), (4, 1, 1), (1, 17, 9))
LAYOUTS = ((False, False), (True, True), (False, True), (True, False))
DTYPES = ("float32",) * 4 + ("float64",) * 2
LIES = ("plain",) * 3 + ("permuted", "sliced", "expanded")


def _drawn(rank: int, count: int, **sizes) -> list[Case]:
    """Different cases with settings drawn per place; windows that do not fit are left out."""
    draw = random.Random(rank)
    found: dict[Case, None] = {}
    while len(found) < count:
        case = _case(rank, draw, sizes)
        if min(case.steps) > 0:
            found.setdefault(case)
    return list(found)


def _case(rank: int, draw: random.Random, sizes: dict) -> Case:
    def each(name):
        return tuple(draw.choice(sizes[name]) for _ in range(rank))

    groups, inputs, outputs = draw.choice(CHANNELS)
    widths = tuple((p, p + draw.choice((0, 0, 1))) for p in each("pad"))
    return Case(draw.choice(sizes["batch"]), groups, inputs, outputs, each("sizes"),
                each("window"), each("strides"), each("dilations"), widths, *draw.choice(LAYOUTS),
                draw.choice(DTYPES), draw.choice(LIES))  # fmt: skip


def _one_dimension() -> list[Case]:
    """Every small stride, dilation, padding and window along one axis."""
    settings = product((1, 2, 3, 5), (1, 2), (0, 1, 4), (1, 2, 3, 5))
    found = []
    for i, (s, d, p, k) in enumerate(settings):
        layout = LAYOUTS[i % 4]
        case = Case(2, 1, 3, 4, (9 + i % 3,), (k,), (s,), (d,), ((p, p),), *layout)
        if min(case.steps) > 0:
            found.append(case)
    return found


def _few_cells() -> list[Case]:
    """Dimensions of one cell and of none."""
    one = ((1, 1),) * 2
    plain = {"strides": (1, 1), "dilations": (1, 1), "widths": one}
    rows = [(1, 1, 1, (1, 1), (3, 3)), (1, 2, 3, (1, 5), (3, 3)), (1, 1, 2, (4, 1), (1, 3)),
            (0, 2, 3, (4, 4), (3, 3)), (2, 0, 3, (4, 4), (3, 3)), (2, 3, 0, (4, 4), (3, 3)),
            (2, 1, 1, (5, 5), (1, 1)), (1, 1, 1, (2, 2), (4, 4))]  # fmt: skip
    found = []
    for batch, inputs, outputs, sizes, window in rows:
        for layout in LAYOUTS[:2]:
            case = Case(batch, 1, inputs, outputs, sizes, window, **plain)
            found.append(_with(case, channels_last=layout[0], kernel_last=layout[1]))
    return found


def _with(case: Case, **changes) -> Case:
    return Case(**{**case.__dict__, **changes})


def _as_networks_have() -> list[Case]:
    """Shapes of known networks, with fewer cells: what the fast ways are chosen for."""
    same, none = ((1, 1),) * 2, ((0, 0),) * 2
    rows = [
        (2, 1, 16, 32, (14, 14), (3, 3), (1, 1), same),
        (2, 1, 32, 16, (28, 28), (3, 3), (1, 1), same),
        (3, 1, 48, 32, (7, 7), (3, 3), (1, 1), same),
        (2, 1, 1, 32, (28, 28), (3, 3), (1, 1), none),
        (2, 1, 32, 20, (13, 13), (3, 3), (1, 1), none),
        (1, 1, 3, 16, (32, 32), (7, 7), (2, 2), ((3, 3),) * 2),
        (2, 1, 24, 40, (14, 14), (1, 1), (1, 1), none),
        (2, 1, 24, 40, (14, 14), (1, 1), (2, 2), none),
        (2, 1, 16, 32, (16, 16), (3, 3), (2, 2), same),
        (2, 24, 1, 1, (20, 20), (3, 3), (1, 1), same),
        (2, 24, 1, 1, (20, 20), (3, 3), (2, 2), same),
        (2, 16, 1, 1, (18, 18), (5, 5), (1, 1), ((2, 2),) * 2),
        (2, 4, 8, 8, (12, 12), (3, 3), (1, 1), same),
        (1, 1, 8, 16, (16, 16), (2, 2), (2, 2), none),
        (1, 1, 3, 24, (16, 16), (4, 4), (4, 4), none),
        (1, 1, 64, 64, (8, 8), (3, 3), (1, 1), same),
    ]
    cases = [Case(*row[:7], (1, 1), row[7]) for row in rows]
    last = [_with(case, channels_last=True, kernel_last=True) for case in cases]
    dilated = [_with(cases[0], dilations=(2, 2), widths=((2, 2),) * 2)]
    return cases + last + dilated + [_with(c, dtype="float64") for c in (cases[0], cases[8])]


def _integers() -> list[Case]:
    rows = _drawn(2, 12, batch=(1, 2), sizes=(5, 6, 7), window=(1, 2, 3), strides=(1, 2),
                  dilations=(1, 2), pad=(0, 1))  # fmt: skip
    types = ("int32", "int64", "uint8")
    return [_with(case, dtype=types[i % 3], lies="plain") for i, case in enumerate(rows)]


def convolutions() -> list[Case]:
    """The table."""
    two = _drawn(2, 124, batch=(1, 2, 3), sizes=(3, 5, 6, 7, 8), window=(1, 2, 3, 4),
                 strides=(1, 1, 1, 2, 2, 3, 4), dilations=(1, 1, 2, 3),
                 pad=(0, 1, 2, 4))  # fmt: skip
    three = _drawn(3, 24, batch=(1, 2), sizes=(2, 3, 4, 5), window=(1, 2, 3), strides=(1, 1, 2),
                   dilations=(1, 1, 2), pad=(0, 1, 2))  # fmt: skip
    table = [*_one_dimension(), *_few_cells(), *_as_networks_have(), *two, *three, *_integers()]
    return list(dict.fromkeys(table))


# ---------- contractions without windows ----------
@dataclass(frozen=True)
class Plain:
    """An einsum of two operands: labels as in NumPy, sizes by letter."""

    form: str
    sizes: tuple[tuple[str, int], ...]
    dtype: str = "float32"
    lies: str = "plain"

    def __str__(self) -> str:
        sizes = ",".join(f"{a}{n}" for a, n in self.sizes)
        return f"{self.form},{sizes},{self.dtype},{self.lies}"

    def labels(self) -> list[str]:
        operands, result = self.form.split("->")
        return [*operands.split(","), result]

    def shapes(self) -> list[tuple[int, ...]]:
        sizes = dict(self.sizes)
        return [tuple(sizes[a] for a in labels) for labels in self.labels()]

    def expected(self, x, w, g):
        a, b, result = self.labels()
        return (
            np.einsum(f"{a},{b}->{result}", x, w),
            np.einsum(f"{result},{b}->{a}", g, w),
            np.einsum(f"{result},{a}->{b}", g, x),
        )


FORMS = ("ik,kj->ij", "ik,jk->ij", "ki,kj->ij", "ki,jk->ji", "bik,bkj->bij", "bik,kj->bij",
         "ik,bjk->bij", "k,kj->j", "ik,k->i", "k,k->", "i,j->ij", "bi,bi->bi", "bi,bi->b",
         "abik,abjk->abij", "aibk,kajb->ij", "bhik,bhjk->bhij", "ibk,jbk->bij")  # fmt: skip


def contractions() -> list[Plain]:
    draw = random.Random(7)
    found = []
    for form in FORMS:
        letters = sorted(set(form) & set("abhijk"))
        for number in range(14):
            most = (1, 3, 5, 9, 17, 33, 20)[number % 7]
            sizes = [(a, draw.randint(1, most if a in "ijk" else min(most, 4))) for a in letters]
            if number % 7 == 6:
                sizes[draw.randrange(len(sizes))] = (letters[0], 0)
                sizes = list({**dict.fromkeys(letters, 2), **dict(sizes)}.items())
            lies = ("plain", "permuted", "sliced")[number % 3]
            dtype = ("float32", "float64", "float32", "int64")[number % 4]
            found.append(Plain(form, tuple(sizes), dtype, lies))
    return list(dict.fromkeys(found))
