"""Convolutions and their gradients as contractions of windows, with their results in float64.

Role: shared by the tests and benchmarks of window strategies. A `Case` holds the arrays of one
convolution; `forward`, `weights` and `image` are its three contractions. Arrays are guarded.
"""

import ctypes
import itertools
from dataclasses import dataclass, field
from math import gcd, prod

import numpy as np

from gemel.codegen.llvm import Module
from gemel.codegen.products.contraction import Access, Bound, Contraction, Pointers
from gemel.runtime.jit import load

ELEMS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
GUARD = 64


@dataclass
class Case:
    """A convolution: sizes per group; `last`: channels last, kernels as [taps][in][out]."""

    images: int
    channels: int
    outputs: int
    places: tuple[int, ...]
    taps: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    groups: int = 1
    last: bool = False
    dtype: type = np.float32
    seed: int = 0
    steps: tuple[int, ...] = field(init=False)

    def __post_init__(self):
        windows = zip(self.places, self.taps, self.strides, self.dilations, self.pads, strict=True)
        self.steps = tuple(
            max(0, (n + 2 * p - d * (k - 1) - 1) // s + 1) for n, k, s, d, p in windows
        )
        rng = np.random.default_rng(self.seed)
        self.x = self._image(rng, self.channels, self.places)
        self.y = self._image(rng, self.outputs, self.steps)
        shape = (self.groups, self.outputs, self.channels, *self.taps)
        if self.last:
            stored = _random(
                rng, (*self.taps, self.channels, self.groups, self.outputs), self.dtype
            )
            dims = len(self.taps)
            self.w = stored.transpose(dims + 1, dims + 2, dims, *range(dims))
        else:
            self.w = _random(rng, shape, self.dtype)
        assert self.w.shape == shape

    def _image(self, rng, channels, places):
        """(images, groups, channels, *places), whatever lies in memory."""
        if not self.last:
            return _random(rng, (self.images, self.groups, channels, *places), self.dtype)
        stored = _random(rng, (self.images, *places, self.groups, channels), self.dtype)
        dims = len(places)
        return stored.transpose(0, dims + 1, dims + 2, *range(1, dims + 1))

    @property
    def flops(self) -> int:
        channels = self.groups * self.outputs * self.channels
        return 2 * self.images * channels * prod(self.steps) * prod(self.taps)

    def taps_of(self):
        """(index of the tap, slices of the bordered image that meet it)."""
        for tap in itertools.product(*(range(k) for k in self.taps)):
            spans = zip(tap, self.dilations, self.strides, self.steps, strict=True)
            yield tap, tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, s, n in spans)

    def bordered(self, x):
        return np.pad(x, [(0, 0)] * 3 + [(p, p) for p in self.pads])

    def expected(self, way: str) -> np.ndarray:
        """The result in float64."""
        x, w, y = (a.astype(np.float64) for a in (self.x, self.w, self.y))
        return self._sums(way, x, w, y)

    def scale(self, way: str) -> np.ndarray:
        """The sum of magnitudes: what rounding errors are measured by."""
        x, w, y = (np.abs(a.astype(np.float64)) for a in (self.x, self.w, self.y))
        return self._sums(way, x, w, y)

    def _sums(self, way, x, w, y):
        x = self.bordered(x)
        made = {"forward": y, "weights": w, "image": x}[way] * 0.0
        for tap, spans in self.taps_of() if prod(self.steps) else ():
            seen, kernel = x[(..., *spans)], w[(..., *tap)]
            if way == "forward":
                made += np.einsum("ngc...,goc->ngo...", seen, kernel)
            elif way == "weights":
                made[(..., *tap)] = np.einsum("ngcz,ngoz->goc", _flat(seen), _flat(y))
            else:
                made[(..., *spans)] += np.einsum("ngo...,goc->ngc...", y, kernel)
        if way == "image":
            inner = (slice(p, p + n) for p, n in zip(self.pads, self.places, strict=True))
            made = made[(..., *inner)]
        return made

    # The contractions, over the axes n, g, o, c, places or steps..., taps...

    def forward(self):
        """[(spec, left array, its offset, right array, offset of the result)] for y = x * w."""
        spec = self._plain_spec("forward", self.y)
        return [(spec, self.x, self._before(), self.w, 0, 0)]

    def weights(self):
        spec = self._plain_spec("weights", self.w)
        return [(spec, self.x, self._before(), self.y, 0, 0)]

    def _before(self) -> int:
        strides = _strides(self.x)[3:]
        return -sum(p * s for p, s in zip(self.pads, strides, strict=True))

    def _plain_spec(self, way, result):
        dims = len(self.taps)
        sizes = (self.images, self.groups, self.outputs, self.channels, *self.steps, *self.taps)
        x, w, y = (_strides(a) for a in (self.x, self.w, self.y))
        zeros = (0,) * dims
        along = tuple(a * b for a, b in zip(x[3:], self.strides, strict=True))
        taps = tuple(a * b for a, b in zip(x[3:], self.dilations, strict=True))
        found = []
        for i in range(dims):
            steps = [0] * len(sizes)
            steps[4 + i], steps[4 + dims + i] = self.strides[i], self.dilations[i]
            found.append(Bound(tuple(steps), -self.pads[i], self.places[i]))
        elem = ELEMS[np.dtype(self.dtype)]
        image = Access(elem, (x[0], x[1], 0, x[2], *along, *taps), True, tuple(found))
        kernel = Access(elem, (0, w[0], w[1], w[2], *zeros, *w[3:]))
        out = Access(elem, (y[0], y[1], y[2], 0, *y[3:], *zeros))
        if way == "forward":
            reduced = (False, False, False, True, *(False,) * dims, *(True,) * dims)
            return Contraction(sizes, reduced, elem, (image,), (kernel,), (out,))
        reduced = (True, False, False, False, *(True,) * dims, *(False,) * dims)
        return Contraction(sizes, reduced, elem, (image,), (out,), (kernel,))

    def image(self):
        """dx, phase by phase (places without taps are left out)."""
        ways = [list(self._phases(i)) for i in range(len(self.taps))]
        return [self._phase(chosen) for chosen in itertools.product(*ways)]

    def _phases(self, i):
        """(places, first place, stride, taps, first tap, step of taps, first step, back)."""
        s, d, p, k = self.strides[i], self.dilations[i], self.pads[i], self.taps[i]
        every = s // gcd(s, d)
        for r in range(min(s, self.places[i])):
            first = next((t for t in range(every) if (r + p - d * t) % s == 0), k)
            if first < k:
                count = -(-(self.places[i] - r) // s)
                back = every * d // s
                yield (
                    count,
                    r,
                    -(-(k - first) // every),
                    first,
                    every,
                    (r + p - d * first) // s,
                    back,
                )

    def _phase(self, ways):
        dims = len(ways)
        sizes = (
            self.images, self.groups, self.outputs, self.channels,
            *(way[0] for way in ways), *(way[2] for way in ways),
        )  # fmt: skip
        x, w, y = (_strides(a) for a in (self.x, self.w, self.y))
        found, at_x, at_w, at_y = [], 0, 0, 0
        for i, (_, r, _, first, _, start, back) in enumerate(ways):
            steps = [0] * len(sizes)
            steps[4 + i], steps[4 + dims + i] = 1, -back
            found.append(Bound(tuple(steps), start, self.steps[i]))
            at_x, at_w, at_y = at_x + r * x[3 + i], at_w + first * w[3 + i], at_y + start * y[3 + i]
        elem, zeros = ELEMS[np.dtype(self.dtype)], (0,) * dims
        back = tuple(-way[6] * stride for way, stride in zip(ways, y[3:], strict=True))
        image = Access(elem, (y[0], y[1], y[2], 0, *y[3:], *back), True, tuple(found))
        wide = tuple(way[4] * stride for way, stride in zip(ways, w[3:], strict=True))
        kernel = Access(elem, (0, w[0], w[1], w[2], *zeros, *wide))
        out = tuple(self.strides[i] * x[3 + i] for i in range(dims))
        result = Access(elem, (x[0], x[1], 0, x[2], *out, *zeros))
        reduced = (False, False, True, False, *(False,) * dims, *(True,) * dims)
        spec = Contraction(sizes, reduced, elem, (image,), (kernel,), (result,))
        return spec, self.y, at_y, self.w, at_w, at_x


def _random(rng, shape, dtype):
    count = prod(shape)
    raw = np.full(count + 32, np.nan, dtype)
    start = -raw.ctypes.data % 64 // raw.itemsize
    raw[start : start + count] = rng.standard_normal(count)
    return raw[start : start + count].reshape(shape)


def _flat(a):
    return a.reshape(*a.shape[:3], -1)


def _strides(a):
    return [s // a.itemsize if n > 1 else 0 for s, n in zip(a.strides, a.shape, strict=True)]


def guarded(like):
    """An array of the same shape and layout inside of a larger one, and that one."""
    count = like.size
    whole = np.full(count + 2 * GUARD, 77, like.dtype)
    order = np.argsort([-s for s in like.strides], kind="stable")
    inner = whole[GUARD : GUARD + count].reshape([like.shape[i] for i in order])
    return whole, inner.transpose(np.argsort(order))


class Compiled:
    """A strategy as a call over fixed addresses; its memory is guarded."""

    def __init__(
        self, strategy, left, right, tiles, epilogue=None, joins=(None, None), reverse=False
    ):
        """`left`, `right`, `tiles`: addresses. `reverse`: the pieces of a stage run backwards."""
        self.strategy = strategy
        counts = len(left), len(right), len(tiles)
        self.module = module = Module()
        f = module.function("run", [("ptr", "table")])
        (table,) = f.arguments
        p = [f.load(f.gep(table, i, "ptr"), "ptr") for i in range(sum(counts) + 2)]
        a, b = counts[0], counts[0] + counts[1]
        where = Pointers(p[:a], p[a:b], p[b:-2], p[-2], p[-1])
        store = epilogue or (lambda tile, value: tile.store(0, value))
        for stage, pieces in enumerate(strategy.stages):
            with f.loop(0, pieces) as loop:
                piece = f.sub(pieces - 1, loop.index) if reverse else loop.index
                strategy.emit(f, stage, piece, where, store, joins)
        f.ret()
        self.rooms = [_room(n) for n in (strategy.scratch_bytes, strategy.shared_bytes)]
        addresses = [*left, *right, *tiles, *(start for _, start in self.rooms)]
        self.table = (ctypes.c_void_p * len(addresses))(*addresses)
        self.native = load(module.text(), ["run"]).function("run", None, ctypes.c_void_p)

    def __call__(self):
        self.native(ctypes.addressof(self.table))

    def check(self):
        sizes = (self.strategy.scratch_bytes, self.strategy.shared_bytes)
        for (whole, start), size in zip(self.rooms, sizes, strict=True):
            at = start - whole.ctypes.data
            assert (whole[:at] == 0xFF).all() and (whole[at + size :] == 0xFF).all(), "overrun"


def _room(size):
    """Memory of a size with guards around it, aligned to 64 bytes."""
    whole = np.full(size + 256, 0xFF, np.uint8)
    return whole, whole.ctypes.data + 64 + -whole.ctypes.data % 64


def address(array, offset):
    return array.ctypes.data + offset * array.itemsize


def run_case(case, way, choose, reverse=False):
    """Run one direction with `choose(spec) -> strategy`, compare; the strategies used."""
    result = {"forward": case.y, "weights": case.w, "image": case.x}[way]
    whole, out = guarded(result)
    used = []
    if way == "image":
        out[...] = 0  # places that no tap meets
    for spec, left, at_left, right, at_right, at_out in getattr(case, way)():
        strategy = choose(spec)
        used.append(strategy)
        addresses = [address(left, at_left)], [address(right, at_right)], [address(out, at_out)]
        call = Compiled(strategy, *addresses, reverse=reverse)
        call()
        call.check()
    close(case, way, out)
    assert (whole[:GUARD] == 77).all() and (whole[-GUARD:] == 77).all(), "overrun"
    return used


def close(case, way, out):
    depth = {
        "forward": case.channels * prod(case.taps),
        "weights": case.images * prod(case.steps),
        "image": case.outputs * prod(case.taps),
    }[way]
    bound = (16 + depth / 4) * np.finfo(case.dtype).eps
    error = np.abs(out - case.expected(way))
    assert (error <= bound * case.scale(way)).all(), float(np.nanmax(error))
