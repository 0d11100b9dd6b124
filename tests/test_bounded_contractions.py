"""Contractions of bounded accesses against NumPy in float64: random axes, bounds, steps, types."""

import ctypes
import dataclasses
import random

import numpy as np
import pytest
from window_specs import Case, run_case

from gemel.codegen.llvm import Module
from gemel.codegen.products.contraction import Access, Contraction, Pointers
from gemel.codegen.products.contraction_spec import Bound
from gemel.codegen.strategy import choose
from gemel.codegen.windows.convolution import convolution
from gemel.codegen.windows.convolution_last import convolution_last
from gemel.codegen.windows.convolution_pack import transposes
from gemel.codegen.windows.gathered import Gathered
from gemel.codegen.windows.pack import Reader
from gemel.runtime.jit import load
from gemel.runtime.machine import machine

ELEMS = {np.float32: "float", np.float64: "double", np.int32: "i32", np.int64: "i64"}
GUARD = 96


class Array:
    """A NumPy array amid guard elements; every dimension is an index form over the axes."""

    def __init__(self, dims, dtype, rng):
        # dims: (start, steps, size, bounded)
        self.dims = dims
        shape = [size for _, _, size, _ in dims]
        count = int(np.prod(shape))
        poison = np.nan if np.dtype(dtype).kind == "f" else 99
        self.whole = np.full(count + 2 * GUARD, poison, dtype)
        self.data = self.whole[GUARD : GUARD + count].reshape(shape)
        self.data[...] = rng.integers(-4, 5, shape) if poison == 99 else rng.standard_normal(shape)
        self.dtype = dtype

    def strides(self):
        out, step = [], 1
        for _, _, size, _ in reversed(self.dims):
            out.append(step)
            step *= size
        return out[::-1]

    def access(self, count):
        along = self.strides()
        strides = [0] * count
        for stride, (_, steps, _, _) in zip(along, self.dims, strict=True):
            for axis in range(count):
                strides[axis] += stride * steps[axis]
        bounds = tuple(
            Bound(tuple(steps), start, size) for start, steps, size, bounded in self.dims if bounded
        )
        return Access(ELEMS[self.dtype], tuple(strides), bounds=bounds)

    def address(self):
        first = sum(s * start for s, (start, *_) in zip(self.strides(), self.dims, strict=True))
        return self.data.ctypes.data + first * self.data.itemsize

    def values(self, grid):
        """The element at every combination of indices, 0 outside, in float64 or int64."""
        index, good = [], True
        for start, steps, size, _ in self.dims:
            place = start + sum(g * step for g, step in zip(grid, steps, strict=True))
            good = good & (place >= 0) & (place < size)
            index.append(np.clip(place, 0, max(0, size - 1)))
        if self.data.size == 0:
            return np.zeros(np.broadcast(*grid).shape)
        wide = np.float64 if np.dtype(self.dtype).kind == "f" else np.int64
        return np.where(good, self.data[tuple(index)], 0).astype(wide)

    def intact(self):
        left, right = self.whole[:GUARD], self.whole[len(self.whole) - GUARD :]
        return all((np.isnan(x) if x.dtype.kind == "f" else x == 99).all() for x in (left, right))


def run(spec, strategy, arrays, epilogue=None, joins=(None, None), fill=0xFF):
    """Emit every stage over a table of addresses and call it."""
    module = Module()
    f = module.function("run", [("ptr", "table")])
    (table,) = f.arguments
    held = [a.address() for a in arrays]
    pointers = [f.load(f.gep(table, i, "ptr"), "ptr") for i in range(len(held) + 2)]
    first, second = len(spec.left), len(spec.left) + len(spec.right)
    where = Pointers(
        pointers[:first], pointers[first:second], pointers[second:-2], pointers[-2], pointers[-1]
    )
    epilogue = epilogue or (lambda tile, value: tile.store(0, value))
    for stage, pieces in enumerate(strategy.stages):
        with f.loop(0, pieces) as loop:
            # Pieces are independent: backwards is as good.
            piece = f.sub(pieces - 1, loop.index)
            strategy.emit(f, stage, piece, where, epilogue, joins)
    f.ret()
    rooms = []
    for size in (strategy.scratch_bytes, strategy.shared_bytes):
        room = np.full(size + 256, fill, np.uint8)
        start = 64 + -room.ctypes.data % 64
        rooms.append((room, start + size))
        held.append(room.ctypes.data + start)
    cells = (ctypes.c_void_p * len(held))(*held)
    load(module.text(), ["run"]).function("run", None, ctypes.c_void_p)(ctypes.addressof(cells))
    for room, end in rooms:
        assert (room[end:] == fill).all() and (room[:64] == fill).all(), "scratch overrun"


def operand(draw, axes, sizes, dtype, rng):
    """An array whose dimensions are random forms of the axes; some are bounded."""
    axes = draw.sample(axes, len(axes))
    dims = []
    while axes:
        taken = [axes.pop() for _ in range(min(len(axes), draw.choice([1, 1, 2])))]
        steps = [0] * len(sizes)
        for axis in taken:
            steps[axis] = draw.choice([1, 1, 1, 2, 3, -1])
        low = sum(min(0, s * max(0, n - 1)) for s, n in zip(steps, sizes, strict=True))
        high = sum(max(0, s * max(0, n - 1)) for s, n in zip(steps, sizes, strict=True))
        if draw.random() < 0.6:
            size = max(1, high - low + 1 - draw.choice([0, 1, 2, 3]))
            dims.append((draw.randint(-3, 3) - draw.choice([0, low]), steps, size, True))
        else:
            dims.append((-low, steps, high - low + 1, False))
    return Array(dims or [(0, [0] * len(sizes), 1, False)], dtype, rng)


def result(draw, axes, sizes, dtype, rng):
    """A dense array over the axes in some order, now and then every second element of one."""
    dims = []
    for axis in draw.sample(axes, len(axes)):
        steps = [0] * len(sizes)
        steps[axis] = draw.choice([1, 1, 1, 2])
        dims.append((0, steps, max(1, steps[axis] * sizes[axis]), False))
    return Array(dims or [(0, [0] * len(sizes), 1, False)], dtype, rng)


def random_spec(seed):
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    dtype = draw.choice([np.float32, np.float32, np.float64, np.int32, np.int64])
    names = draw.choice(
        ["rcckk", "rccckkk", "brcckk", "rrccckk", "rck", "bck", "ck", "brc", "rrck"]
    )
    while True:
        sizes = [draw.choice([1, 2, 3, 4, 5, 7, 17, 20]) for _ in names]
        if draw.random() < 0.03:
            sizes[draw.randrange(len(sizes))] = 0
        if np.prod(sizes) < 60_000:
            break
    where = {name: [i for i, n in enumerate(names) if n == name] for name in "brck"}
    left = operand(draw, where["b"] + where["r"] + where["k"], sizes, dtype, rng)
    right = operand(draw, where["b"] + where["c"] + where["k"], sizes, dtype, rng)
    out = result(draw, where["b"] + where["r"] + where["c"], sizes, dtype, rng)
    return names, sizes, left, right, out, dtype


def check(names, sizes, left, right, out, dtype, strategy_of):
    spec = Contraction(
        sizes=tuple(sizes),
        reduced=tuple(name == "k" for name in names),
        elem=ELEMS[dtype],
        left=(left.access(len(sizes)),),
        right=(right.access(len(sizes)),),
        tile=(out.access(len(sizes)),),
    )
    untouched = out.data.copy()
    strategy = strategy_of(spec)
    run(spec, strategy, [left, right, out])
    grid = np.ogrid[tuple(slice(0, n) for n in sizes)]
    a, b = left.values(grid), right.values(grid)
    summed = tuple(i for i, name in enumerate(names) if name == "k")
    expected = (a * b).sum(summed, keepdims=True)
    bound = (np.abs(a) * np.abs(b)).sum(summed, keepdims=True)
    flags = zip(names, sizes, strict=True)
    kept = np.ogrid[tuple(slice(0, 1 if name == "k" else n) for name, n in flags)]
    place = tuple(
        np.broadcast_to(sum(g * s for g, s in zip(kept, steps, strict=True)), expected.shape)
        for _, steps, _, _ in out.dims
    )
    got = out.data[place]
    if np.dtype(dtype).kind == "f":
        depth = np.prod([n for n, name in zip(sizes, names, strict=True) if name == "k"])
        limit = (4 + depth / 4) * np.finfo(dtype).eps * bound
        assert (np.abs(got - expected) <= limit).all(), strategy.describe()
    else:
        np.testing.assert_array_equal(got, expected)
    seen = np.zeros(out.data.shape, bool)
    seen[place] = True
    np.testing.assert_array_equal(out.data[~seen], untouched[~seen])
    assert out.intact()


@pytest.mark.parametrize("seed", range(40))
def test_gathered_is_right_for_every_spec(seed):
    check(*random_spec(seed), lambda spec: Gathered(spec, machine()))


@pytest.mark.parametrize("seed", range(100, 140))
def test_what_is_chosen_is_right(seed):
    check(*random_spec(seed), lambda spec: choose(spec, machine()))


def lanes_strategy(spec, host=None):
    host = host or machine()
    return convolution(spec, host, False) or choose(spec, host)


def rows_strategy(spec, host=None):
    host = host or machine()
    return convolution_last(spec, host, False) or lanes_strategy(spec, host)


@pytest.mark.parametrize("vector_bytes,registers", [(16, 16), (32, 16), (64, 32)])
def test_other_machines(vector_bytes, registers):
    """Narrow vectors, and caches so small that everything is cut into blocks."""
    host = dataclasses.replace(
        machine(), vector_bytes=vector_bytes, vector_registers=registers, l1=2 << 10, l2=16 << 10
    )
    for seed in range(200, 206):
        check(*random_spec(seed), lambda spec: Gathered(spec, host))
        check(*convolution_spec(seed), lambda spec: lanes_strategy(spec, host))
        check(*convolution_spec(seed + 50), lambda spec: rows_strategy(spec, host))


@pytest.mark.parametrize("seed", range(300, 340))
def test_implicit_products_of_random_specs(seed):
    check(*random_spec(seed), lanes_strategy)


def convolution_spec(seed, dtype=None, small=False):
    """A convolution or an input gradient: 1 to 3 dimensions, any stride, dilation and layout."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    dtype = dtype or draw.choice([np.float32, np.float32, np.float64, np.int32])
    ranks = draw.choice([1, 2, 2, 3])
    images, groups = draw.choice([1, 2, 3]), draw.choice([1, 1, 1, 2, 3])
    rows, channels = draw.choice([1, 3, 8, 10, 17, 33]), draw.choice([1, 2, 3, 16, 20, 70])
    places = [draw.choice([1, 2, 3, 5, 7, 14, 19, 33]) for _ in range(ranks)]
    taps = [draw.choice([1, 2, 3, 3, 5]) for _ in range(ranks)]
    while np.prod([images, groups, rows, channels, *places, *taps]) > 300_000:
        places = [max(1, p // 2) for p in places]
        channels, rows = max(1, channels // 2), max(1, rows * 2 // 3)
    names = "c" + "b" + "r" + "c" * ranks + "k" + "k" * ranks
    sizes = [images, groups, rows, *places, channels, *taps]
    stride, dilation = draw.choice([1, 1, 1, 2, 3]), draw.choice([1, 1, 1, 2, -1, -2])

    def unit(axis, step=1):
        return [step if i == axis else 0 for i in range(len(sizes))]

    image = {"n": (0, unit(0), images, False), "g": (0, unit(1), groups, False)}
    image["c"] = (0, unit(3 + ranks), channels, False)
    weights = {"g": (0, unit(1), groups, False), "o": (0, unit(2), rows, False)}
    weights["c"] = image["c"]
    result = {"n": image["n"], "g": image["g"], "o": weights["o"]}
    for i, label in enumerate("zyx"[3 - ranks :]):
        step, tap = unit(3 + i, stride), unit(4 + ranks + i, dilation)
        reach = stride * (places[i] - 1) + abs(dilation) * (taps[i] - 1) + 1
        low, high = draw.choice([(0, 0), (1, 1), (1, 0), (2, 1), (-1, -1)])
        size = max(1, reach - low - high)
        start = -low + (abs(dilation) * (taps[i] - 1) if dilation < 0 else 0)
        image[label] = (start, [a + b for a, b in zip(step, tap, strict=True)], size, True)
        weights[label] = (0, unit(4 + ranks + i), taps[i], False)
        result[label] = (0, unit(3 + i), places[i], False)
    orders = {"first": ["ngc", "go", "go"], "last": ["n", "", ""]}[draw.choice(["first", "last"])]
    spatial = "zyx"[3 - ranks :]
    made = []
    for order, dims in zip(orders, (image, weights, result), strict=True):
        labels = order + "".join(x for x in dims if x in spatial)
        labels += "".join(x for x in dims if x not in labels and x not in spatial)
        if dims is result:
            labels = "n" + labels if "n" not in labels else labels
            labels = "".join(dict.fromkeys(labels))
        if draw.random() < 0.2:
            labels = "".join(draw.sample(labels, len(labels)))
        made.append(Array([dims[x] for x in labels], dtype, rng))
    x, w, y = made
    left, right = (x, w) if draw.random() < 0.5 else (w, x)
    names = names if left is w else names.translate(str.maketrans("rc", "cr"))
    return names, sizes, left, right, y, dtype


@pytest.mark.parametrize("seed", range(60))
def test_convolutions(seed):
    check(*convolution_spec(seed), lanes_strategy)


@pytest.mark.parametrize("seed", range(100, 160))
def test_convolutions_channels_last(seed):
    check(*convolution_spec(seed), rows_strategy)


class Held:
    """What a kernel is given for an array: the address of an element of it."""

    def __init__(self, a, first=0):
        self.a, self.first = a, first

    def address(self):
        return self.a.ctypes.data + self.first * self.a.itemsize


def strides_of(a):
    return [s // a.itemsize for s in a.strides]


def image_specification(image, kernel, wholes, stride):
    """A 3x3 convolution with a border of 1, which also touches `wholes` and two numbers per row.

    Axes: image, output channel, y, x, channel, tap y, tap x.
    """
    sn, sc, sy, sx = strides_of(image)
    bounds = tuple(
        Bound(tuple(stride if i == axis else int(i == axis + 3) for i in range(7)), -1, size)
        for axis, size in ((2, image.shape[2]), (3, image.shape[3]))
    )
    read = Access("float", (sn, 0, sy * stride, sx * stride, sc, sy, sx), bounds=bounds)
    so, sk, sv, su = strides_of(kernel)
    weights = Access("float", (0, so, 0, 0, sk, sv, su))
    elems = {np.dtype(np.float32): "float", np.dtype(np.int32): "i32"}
    full = [Access(elems[a.dtype], (*strides_of(a), 0, 0, 0)) for a in wholes]
    row = Access("float", (0, 1, 0, 0, 0, 0, 0))
    sizes = (*wholes[0].shape, *kernel.shape[1:])
    flags = (False,) * 4 + (True,) * 3
    return Contraction(sizes, flags, "float", (weights,), (read,), (*full, row, row))


def scaled_and_rectified(tile, value):
    """The epilogue: scale, bias, residual and relu, and which results are positive."""
    f = tile.function
    value = value * tile.load(4) + tile.load(3) + tile.load(1)
    tile.store(2, f.select(value > 0.0, *(f.constant(i, "i32", value.lanes) for i in (1, 0))))
    tile.store(0, f.maxnum(value, 0.0))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_epilogues_and_prologues(last, stride):
    """Bias, scale, residual and relu; the image is negated on its way in."""
    n, c, o, h, w, k = 3, 20, 21, 11, 13, 3
    rng = np.random.default_rng(0)
    out_h, out_w = (h - 1) // stride + 1, (w - 1) // stride + 1
    x, weights = rng.standard_normal((n, c, h, w)), rng.standard_normal((o, c, k, k))
    x, weights = x.astype(np.float32), weights.astype(np.float32)
    bias, scale = (rng.standard_normal(o).astype(np.float32) for _ in range(2))
    residual = rng.standard_normal((n, o, out_h, out_w)).astype(np.float32)
    order = (0, 2, 3, 1) if last else (0, 1, 2, 3)

    def stored(a):
        return np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order))

    x = stored(x)
    wholes = [stored(np.zeros_like(residual)), stored(residual)]
    wholes.append(stored(np.zeros(residual.shape, np.int32)))
    spec = image_specification(x, weights, wholes, stride)
    before = sum(strides_of(x)[2:])
    arrays = [Held(weights), Held(x, -before), *(Held(a) for a in (*wholes, bias, scale))]
    joins = (None, lambda f, values: -values[0])
    strategy = choose(spec, machine(), joined=(True, True))
    run(spec, strategy, arrays, scaled_and_rectified, joins)

    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    value = -np.einsum("ncyxij,ocij->noyx", windows[:, :, ::stride, ::stride], weights)
    value = value * scale[:, None, None] + bias[:, None, None] + residual
    got, _, signs = wholes
    np.testing.assert_allclose(got, np.maximum(value, 0), rtol=1e-4, atol=1e-4)
    sure = np.abs(value) > 1e-3
    np.testing.assert_array_equal(signs[sure] == 1, value[sure] > 0)


@pytest.mark.parametrize("channels,outputs", [(32, 48), (80, 32), (16, 144)])
def test_weights_contiguous_along_k_are_transposed(channels, outputs):
    case = Case(2, channels, outputs, (5, 6), (3, 3), (1, 1), (1, 1), (1, 1), last=True)
    (strategy,) = run_case(case, "image", lambda spec: choose(spec, machine()))
    reader = Reader(strategy.groups.right, [], "float", None)
    assert transposes(reader, strategy.groups.columns, strategy.depth, strategy.shape.lanes)


def test_channels_that_lie_backwards():
    """A tap that cannot fall outside is read like a channel, here with a negative stride."""
    rows, taps = 20, 2
    sizes = [rows, 17, 3, 5, taps]  # place, output channel, tap, channel, backward tap

    def form(*steps):
        return [dict(steps).get(axis, 0) for axis in range(len(sizes))]

    rng = np.random.default_rng(0)
    image = Array(
        [
            (-1, form((0, 1), (2, 1)), rows, True),
            (taps - 1, form((4, -1)), taps, False),
            (0, form((3, 1)), 5, False),
        ],
        np.float32,
        rng,
    )
    unit = [(0, form((axis, 1)), sizes[axis], False) for axis in range(len(sizes))]
    weights = Array([unit[2], unit[4], unit[3], unit[1]], np.float32, rng)
    result = Array([unit[0], unit[1]], np.float32, rng)
    names = "rckkk"
    check(names, sizes, image, weights, result, np.float32, rows_strategy)
