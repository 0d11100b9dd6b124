"""Contractions against NumPy: layouts, sizes, element types, prologues, epilogues, blocking."""

import ctypes
import dataclasses
import itertools
import random

import numpy as np
import pytest
from machine_code import loop_of_multiply_adds, spilled

from gemel.codegen import vector_math
from gemel.codegen.llvm import Module
from gemel.codegen.products.contraction import Access, Contraction, Pointers
from gemel.codegen.strategy import choose
from gemel.runtime.jit import load
from gemel.runtime.machine import machine

ELEMS = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
    np.dtype(np.int8): "i8",
    np.dtype(np.bool_): "i1",
}
GUARD = 64
# what is decided by sizes is asked of the same machine everywhere; its vectors run on narrower ones
WIDE = dataclasses.replace(
    machine(), vector_bytes=64, vector_registers=32, l1=48 << 10, l2=2 << 20, l3=32 << 20
)


def access(array, labels, order):
    """The strides of a NumPy view along the labels of the whole contraction."""
    strides = [0] * len(order)
    for label, stride, size in zip(labels, array.strides, array.shape, strict=True):
        strides[order.index(label)] = 0 if size == 1 else stride // array.itemsize
    return Access(ELEMS[array.dtype], tuple(strides))


def sizes_of(order, *arrays):
    sizes = {}
    for array, labels in arrays:
        for label, size in zip(labels, array.shape, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    return tuple(sizes[label] for label in order)


def store_plain(tile, value):
    tile.store(0, value)


def compile_and_run(chosen, left, right, tiles, epilogue, joins=(None, None), order=None):
    """Emit a function per stage over a table of addresses; call its pieces, in `order`."""
    arrays = [*left, *right, *tiles]
    first, second = len(left), len(left) + len(right)
    module = Module()
    for stage in range(len(chosen.stages)):
        f = module.function(f"run{stage}", [("ptr", "table"), ("i64", "piece")])
        table, piece = f.arguments
        pointers = [f.load(f.gep(table, i, "ptr"), "ptr") for i in range(len(arrays) + 2)]
        lists = pointers[:first], pointers[first:second], pointers[second:-2]
        chosen.emit(f, stage, piece, Pointers(*lists, *pointers[-2:]), epilogue, joins)
        f.ret()
    rooms = [guarded_room(chosen.scratch_bytes), guarded_room(chosen.shared_bytes)]
    addresses = [array.ctypes.data for array in arrays] + [start for _, start, _ in rooms]
    held = (ctypes.c_void_p * len(addresses))(*addresses)
    names = [f"run{stage}" for stage in range(len(chosen.stages))]
    library = load(module.text(), names)
    for name, pieces in zip(names, chosen.stages, strict=True):
        call = library.function(name, None, ctypes.c_void_p, ctypes.c_int64)
        for piece in (order or list)(range(pieces)):
            call(ctypes.addressof(held), piece)
    for room, _, tail in rooms:
        assert (room[tail:] == 0xFF).all(), "memory overrun"


def guarded_room(size):
    """Memory full of nans, its aligned address, and where it should end."""
    room = np.full(size + 256, 0xFF, np.uint8)
    start = -room.ctypes.data % 64
    return room, room.ctypes.data + start, start + size


def guarded(shape, dtype, fill):
    """An output inside a larger buffer whose ends are checked."""
    count = int(np.prod(shape))
    whole = np.full(count + 2 * GUARD, fill, dtype)
    return whole, whole[GUARD : GUARD + count].reshape(shape)


def einsum_check(a, b, la, lb, lo, result_dtype=None, host=None):
    order = lo + "".join(sorted(set(la + lb) - set(lo)))
    dtype = np.dtype(result_dtype or a.dtype)
    sizes = sizes_of(order, (a, la), (b, lb))
    shape = [sizes[order.index(label)] for label in lo]
    whole, out = guarded(shape, dtype, 77)
    spec = Contraction(
        sizes=sizes,
        reduced=tuple(label not in lo for label in order),
        elem=ELEMS[dtype],
        left=(access(a, la, order),),
        right=(access(b, lb, order),),
        tile=(access(out, lo, order),),
    )
    chosen = choose(spec, host or machine())
    compile_and_run(chosen, [a], [b], [out], store_plain)
    if len(chosen.stages) > 1 or max(chosen.stages, default=1) > 1:
        first = out.copy()
        out[...] = 0
        compile_and_run(chosen, [a], [b], [out], store_plain, order=reversed)
        np.testing.assert_array_equal(out, first)
    wide = np.float64 if dtype.kind == "f" else dtype
    expected = np.einsum(f"{la},{lb}->{lo}", a.astype(wide), b.astype(wide))
    if dtype.kind == "f":
        # Each sum may be off by a few roundings of the sum of magnitudes.
        scale = np.einsum(f"{la},{lb}->{lo}", np.abs(a.astype(wide)), np.abs(b.astype(wide)))
        depth = np.prod([n for n, label in zip(sizes, order, strict=True) if label not in lo])
        bound = (16 + depth / 4) * np.finfo(dtype).eps
        assert (np.abs(out - expected) <= bound * scale).all()
    else:
        np.testing.assert_array_equal(out, expected)
    assert (whole[:GUARD] == 77).all() and (whole[len(whole) - GUARD :] == 77).all(), "overrun"
    return chosen


def array(shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(-50, 50, shape).astype(dtype)


def laid_out(m, k, transposed, dtype=np.float32, seed=0):
    return array((k, m), dtype, seed).T if transposed else array((m, k), dtype, seed)


SHAPES = [(1, 1, 1), (3, 5, 7), (17, 33, 65), (32, 10, 64), (100, 10, 64), (65, 16, 48), (8, 32, 0)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ta,tb", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_matmul_layouts(shape, ta, tb):
    m, n, k = shape
    einsum_check(laid_out(m, k, ta), laid_out(k, n, tb, seed=1), "mk", "kn", "mn")


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64])
@pytest.mark.parametrize("ta,tb", [(0, 0), (0, 1), (1, 0)])
def test_element_types(dtype, ta, tb):
    for m, n, k in [(33, 47, 29), (96, 80, 200)]:
        a, b = laid_out(m, k, ta, dtype), laid_out(k, n, tb, dtype, 1)
        einsum_check(a, b, "mk", "kn", "mn")


@pytest.mark.parametrize(
    "shape", [(200, 300, 170), (256, 100, 90), (130, 70, 1100), (513, 65, 257)]
)
@pytest.mark.parametrize("ta,tb", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_packed_and_blocked(shape, ta, tb):
    m, n, k = shape
    einsum_check(laid_out(m, k, ta), laid_out(k, n, tb, seed=1), "mk", "kn", "mn")


@pytest.mark.parametrize("vector_bytes,registers", [(16, 16), (32, 16), (16, 32)])
def test_narrow_machines(vector_bytes, registers):
    host = dataclasses.replace(
        machine(), vector_bytes=vector_bytes, vector_registers=registers, l1=8 << 10, l2=64 << 10
    )
    for dtype, tb in itertools.product((np.float32, np.float64), (0, 1)):
        a, b = laid_out(70, 150, not tb, dtype), laid_out(150, 90, tb, dtype, 1)
        einsum_check(a, b, "mk", "kn", "mn", host=host)


def test_small_caches_force_every_block():
    host = dataclasses.replace(machine(), l1=4 << 10, l2=24 << 10, l3=64 << 10)
    for ta, tb in itertools.product((0, 1), repeat=2):
        a, b = laid_out(150, 333, ta), laid_out(333, 201, tb, seed=1)
        chosen = einsum_check(a, b, "mk", "kn", "mn", host=host)
        blocks = chosen.plan
        assert blocks.k_blocks > 1 and blocks.column_block < blocks.column_panels
        assert len(chosen.stages) == 2 and chosen.stages[1] > 1


@pytest.mark.parametrize(
    "labels,sizes,asked",
    [
        (("oc", "ncp", "nop"), dict(n=3, o=30, c=41, p=700), "columns"),
        (("mk", "nk", "mn"), dict(m=30, n=2001, k=150), "columns"),
        (("mk", "nk", "mn"), dict(m=30, n=201, k=150), "columns"),
        (("mk", "nk", "nm"), dict(m=32, n=2005, k=150), "rows"),
        (("mk", "kn", "mn"), dict(m=1003, k=130, n=16), "rows"),
    ],
)
def test_operands_beyond_the_caches_are_asked_for(labels, sizes, asked):
    la, lb, lo = labels
    host = dataclasses.replace(WIDE, l1=32 << 10, l2=256 << 10)
    a, b = (array([sizes[x] for x in part], seed=i) for i, part in enumerate((la, lb)))
    chosen = einsum_check(a, b, la, lb, lo, host=host)
    assert chosen.plan.ask_columns == (asked == "columns")
    assert chosen.plan.ask_rows == (asked == "rows")


@pytest.mark.parametrize("m,n,shared", [(64, 64, True), (256, 512, False)])
def test_sums_of_small_results_are_cut_into_shares(m, n, shared):
    """Shares of a large result take longer to add than they save."""
    a, b = array((m, 4096)), array((n, 4096), seed=1)
    chosen = einsum_check(a, b, "mk", "nk", "mn", host=WIDE)
    assert ("shares" in chosen.describe()) == shared


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("m,k,n", [(130, 200, 700), (130, 203, 701), (331, 130, 1000)])
def test_matrices_are_packed_as_they_lie(m, k, n, dtype):
    """Several of their rows together, past the caches where those cannot hold them."""
    host = dataclasses.replace(machine(), l1=16 << 10, l2=64 << 10)
    a, b = array((m, k), dtype), array((k, n), dtype, seed=1)
    chosen = einsum_check(a, b, "mk", "kn", "mn", host=host)
    assert chosen.plan.packs_across()[1] and chosen.plan.columns_past
    assert chosen.stages[0] > 1


@pytest.mark.parametrize("m,k,n", [(301, 200, 300), (302, 203, 301)])
def test_both_matrices_are_packed_as_they_lie(m, k, n):
    host = dataclasses.replace(machine(), l1=16 << 10, l2=64 << 10)
    a, b = laid_out(m, k, True), array((k, n), seed=1)
    chosen = einsum_check(a, b, "mk", "kn", "mn", host=host)
    assert chosen.plan.packs_across() == (True, True)


@pytest.mark.parametrize("m,k,n,ahead", [(300, 100, 64, 0), (303, 120, 96, 12), (301, 99, 80, 0)])
def test_matrices_that_the_cache_holds_are_read_as_they_lie(m, k, n, ahead):
    host = dataclasses.replace(machine(), vector_bytes=64, l1=16 << 10, l2=128 << 10)
    chosen = einsum_check(array((m, k)), array((k, n), seed=1), "mk", "kn", "mn", host=host)
    assert not chosen.plan.pack_right and chosen.plan.prefetch == ahead


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("turns", [0, 9])
def test_large_results_are_stored_past_the_caches(shift, turns):
    """Aligned or not, at once or one vector after the other."""
    host = dataclasses.replace(machine(), l2=256 << 10)
    n, o, c, p = 9, 29, 40, 1024
    x, w = array((n, c, p)), array((o, c), seed=1)
    room = np.full(n * o * p + 64, 77, np.float32)
    start = -room.ctypes.data % 64 // 4 + shift
    out = room[start : start + n * o * p].reshape(n, o, p)
    spec = Contraction(
        (n, o, p, c),
        (False, False, False, True),
        "float",
        (access(w, "oc", "nopc"),),
        (access(x, "ncp", "nopc"),),
        (access(out, "nop", "nopc"),),
    )

    def epilogue(tile, value):
        for _ in range(turns):
            value = tile.function.maxnum(value * 1.0, value)
        tile.store(0, value)

    chosen = choose(spec, host)
    assert chosen.plan.past == (0,)
    compile_and_run(chosen, [w], [x], [out], epilogue)
    np.testing.assert_allclose(out, np.einsum("oc,ncp->nop", w, x), rtol=1e-4, atol=1e-4)
    assert (room[:start] == 77).all() and (room[start + out.size :] == 77).all()


# Pieces: of rows and columns, of few rows, of batches, of a long sum, of odd columns, of both.
CUT = [
    ("mk", "kn", "mn", dict(m=300, n=301, k=300)),
    ("mk", "nk", "mn", dict(m=257, n=300, k=290)),
    ("km", "kn", "mn", dict(m=310, n=257, k=280)),
    ("mk", "kn", "mn", dict(m=100, n=333, k=777)),
    ("km", "nk", "mn", dict(m=100, n=333, k=777)),
    ("bmk", "bkn", "bmn", dict(b=40, m=50, n=40, k=60)),
    ("bmk", "bnk", "bmn", dict(b=3, m=130, n=140, k=150)),
    ("mk", "kn", "mn", dict(m=30, n=40, k=9001)),
    ("km", "kn", "mn", dict(m=64, n=10, k=6100)),
    ("mk", "kn", "mn", dict(m=1030, n=65, k=200)),
    ("km", "kn", "mn", dict(m=200, n=65, k=2050)),
    ("mk", "nk", "nm", dict(m=900, n=66, k=170)),
    ("k", "kn", "n", dict(k=2000, n=1100)),
    ("k", "nk", "n", dict(k=2001, n=1100)),
    ("k", "nk", "n", dict(k=256, n=1024)),
    ("k", "nk", "n", dict(k=1024, n=256)),
    ("mk", "nk", "mn", dict(m=3, k=500, n=901)),
    ("k", "k", "", dict(k=1000003)),
    ("mhk", "hkn", "mn", dict(m=20, h=3000, k=5, n=33)),
    ("mhk", "hnk", "mn", dict(m=600, h=64, k=9, n=33)),
]


@pytest.mark.parametrize("la,lb,lo,sizes", CUT)
def test_pieces_in_any_order(la, lb, lo, sizes):
    """The same bits whatever the order of the pieces; `einsum_check` compares both."""
    a = array([sizes[x] for x in la])
    b = array([sizes[x] for x in lb], seed=1)
    chosen = einsum_check(a, b, la, lb, lo)
    assert max(chosen.stages) > 1


@pytest.mark.parametrize("k,n,pieces", [(256, 256, 1), (256, 768, 2), (256, 1024, 2)])
def test_weights_that_one_row_meets_are_cut_by_their_bytes(k, n, pieces):
    chosen = einsum_check(array((k,)), array((n, k), seed=1), "k", "nk", "n", host=WIDE)
    assert chosen.stages == (pieces,)


EINSUMS = [
    ("bmk", "bkn", "bmn", dict(b=3, m=9, n=20, k=13)),
    ("bmk", "kn", "bmn", dict(b=3, m=9, n=20, k=13)),
    ("bhmk", "bhnk", "bhmn", dict(b=2, h=3, m=17, n=18, k=16)),
    ("bmhk", "bnhk", "bhmn", dict(b=2, h=3, m=17, n=18, k=16)),
    ("bhmn", "bnhk", "bmhk", dict(b=2, h=3, m=17, n=18, k=16)),
    ("mhk", "hkn", "mn", dict(m=20, h=3, k=5, n=33)),
    ("mk", "hkd", "hmd", dict(m=20, h=3, k=21, d=10)),
    ("k", "k", "", dict(k=1000)),
    ("mk", "k", "m", dict(m=77, k=130)),
    ("k", "kn", "n", dict(k=130, n=300)),
    ("mk", "nk", "nm", dict(m=30, n=40, k=24)),
    ("m", "n", "mn", dict(m=30, n=41)),
    ("nm", "nm", "nm", dict(n=4, m=35)),
    ("ab", "bc", "ca", dict(a=31, b=17, c=9)),
    ("kxy", "knyx", "n", dict(k=4, x=5, y=6, n=7)),
    ("mk", "nk", "mn", dict(m=2, n=37, k=203)),
    ("qk", "qk", "", dict(q=3, k=17)),
]


@pytest.mark.parametrize("la,lb,lo,sizes", EINSUMS)
def test_einsum(la, lb, lo, sizes):
    a = array([sizes[x] for x in la])
    b = array([sizes[x] for x in lb], seed=1)
    einsum_check(a, b, la, lb, lo)


def test_random_views():
    """Axes permuted, cut, repeated; sizes odd."""
    draw = random.Random(5)
    for seed in range(25):
        sizes = {x: draw.choice([1, 2, 3, 5, 8, 16, 17, 31, 40]) for x in "bmnpkq"}
        la = "".join(draw.sample("bmpkq", draw.randint(2, 5)))
        lb = "".join(draw.sample("bnkq", draw.randint(2, 4)))
        kept = [x for x in dict.fromkeys(la + lb) if x in "bmnp" or draw.random() < 0.2]
        lo = "".join(draw.sample(kept, len(kept)))
        views = []
        for labels in (la, lb):
            shape = [sizes[x] for x in labels]
            steps = [draw.choice([1, 1, 2]) for _ in labels]
            order = draw.sample(range(len(labels)), len(labels))
            stored = array([shape[i] * steps[i] for i in order], seed=seed)
            view = stored.transpose(np.argsort(order))
            views.append(view[tuple(slice(0, None, s) for s in steps)])
        einsum_check(*views, la, lb, lo)


def test_windows_are_strides():
    """An unpadded convolution: the k axes overlap the column axes."""
    images, weights = array((2, 3, 12, 15)), array((5, 3, 3, 3), seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    einsum_check(weights, windows, "ocyx", "nchwyx", "nohw")
    einsum_check(weights, windows[:, :, ::2, ::2], "ocyx", "nchwyx", "nohw")


def test_narrow_integers_widen():
    a, b = array((9, 20), np.int8), array((20, 18), np.int8, 1)
    einsum_check(a, b, "mk", "kn", "mn", np.int32)


@pytest.mark.parametrize("shape", [(33, 40, 20), (64, 64, 64), (100, 300, 1100), (2, 37, 50)])
@pytest.mark.parametrize("tb", [0, 1])
def test_epilogue_reads_and_writes_several_arrays(shape, tb):
    m, n, k = shape
    x, w = array((m, k)), laid_out(k, n, tb, seed=1)
    bias, scale, residual = array((n,), seed=2), array((m, 1), seed=3), array((m, n), seed=4)
    mask = np.zeros((m, n), np.bool_)
    out = residual.copy()
    order = "mnk"
    tiles = [(out, "mn"), (bias, "n"), (scale, "mu"), (mask, "mn")]
    spec = Contraction(
        sizes=(m, n, k),
        reduced=(False, False, True),
        elem="float",
        left=(access(x, "mk", order),),
        right=(access(w, "kn", order),),
        tile=tuple(access(t, labels, order + "u") for t, labels in tiles),
    )
    spec = dataclasses.replace(spec, tile=tuple(Access(t.elem, t.strides[:3]) for t in spec.tile))

    def epilogue(tile, value):
        f = tile.function
        value = value * tile.load(2) + tile.load(1)
        tile.store(3, value > 0.0)
        tile.store(0, f.maxnum(value, 0.0) + tile.load(0))

    chosen = choose(spec, machine())
    compile_and_run(chosen, [x], [w], [t for t, _ in tiles], epilogue)
    value = (x.astype(np.float64) @ w) * scale + bias
    np.testing.assert_allclose(out, np.maximum(value, 0) + residual, rtol=1e-4, atol=1e-3)
    sure = np.abs(value) > 1e-3
    np.testing.assert_array_equal(mask[sure], (value > 0)[sure])


@pytest.mark.parametrize("shape", [(20, 30, 40), (200, 300, 170), (2, 40, 33)])
@pytest.mark.parametrize("ta,tb", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_prologues_combine_arrays(shape, ta, tb):
    m, n, k = shape
    x, gate = laid_out(m, k, ta), laid_out(m, k, ta, seed=3)
    w = laid_out(k, n, tb, np.float64, seed=1)
    out = np.zeros((m, n), np.float32)
    order = "mnk"
    spec = Contraction(
        sizes=(m, n, k),
        reduced=(False, False, True),
        elem="float",
        left=(access(x, "mk", order), access(gate, "mk", order)),
        right=(access(w, "kn", order),),
        tile=(access(out, "mn", order),),
    )

    def gated(f, values):
        x, gate = values
        return f.select(gate > 0.0, x, f.zero(x.type))

    def halved(f, values):
        return f.convert(values[0] * 0.5, "float")

    chosen = choose(spec, machine(), joined=(True, True))
    compile_and_run(chosen, [x, gate], [w], [out], store_plain, (gated, halved))
    expected = np.where(gate > 0, x, 0).astype(np.float64) @ (w * 0.5)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


def test_missing_memory_is_named():
    a = array((300, 300))
    spec = Contraction(
        (300, 300, 300),
        (False, False, True),
        "float",
        (Access("float", (300, 0, 1)),),
        (Access("float", (0, 1, 300)),),
        (Access("float", (300, 1, 0)),),
    )
    chosen = choose(spec, machine())
    assert chosen.shared_bytes > 0
    module = Module()
    f = module.function("run", [("ptr", "a")])
    (p,) = f.arguments
    with pytest.raises(ValueError, match="bytes of shared memory"):
        chosen.emit(f, 0, 0, Pointers([p], [p], [p]), store_plain)
    assert a is not None


def test_sums_stay_in_registers_before_a_long_epilogue():
    """Its constants are many, and tiles have few rows: they are what waits on the stack."""
    a, b = array((96, 232)), array((96, 232))
    tiles = [np.zeros((96, 96), np.float32), np.zeros((96, 96), np.float32)]
    spec = Contraction(
        sizes=(96, 96, 232),
        reduced=(False, False, True),
        elem="float",
        left=(access(a, "mk", "mnk"),),
        right=(access(b, "nk", "mnk"),),
        tile=tuple(access(t, "mn", "mnk") for t in tiles),
    )

    def epilogue(tile, value):
        tile.store(0, vector_math.erf(tile.function, value))
        tile.store(1, vector_math.exp(tile.function, value))

    chosen = choose(spec, machine())
    module = Module()
    f = module.function("run", [("i64", "piece"), *[("ptr", f"p{i}") for i in range(6)]])
    piece, left, right, first, second, scratch, shared = f.arguments
    pointers = Pointers([left], [right], [first, second], scratch, shared)
    chosen.emit(f, len(chosen.stages) - 1, piece, pointers, epilogue)
    f.ret()
    sums = loop_of_multiply_adds(module, 16)
    assert spilled(sums) == []
