"""The LLVM text builder: every emitted form is compiled and run."""

import ctypes
import math

import numpy as np
import pytest

from gemel.codegen.llvm import Module, literal
from gemel.runtime.jit import assembly, load
from gemel.runtime.machine import machine, usable_cores


def run(build, *arrays, result=None, numbers=()):
    """Build a function over pointers and i64 numbers, call it, return its result."""
    module = Module()
    parameters = [("ptr", f"p{i}") for i in range(len(arrays))]
    parameters += [("i64", f"n{i}") for i in range(len(numbers))]
    f = module.function("run", parameters, result or "void")
    build(f, *f.arguments)
    kinds = [ctypes.c_void_p] * len(arrays) + [ctypes.c_int64] * len(numbers)
    returned = {None: None, "i64": ctypes.c_int64, "i32": ctypes.c_int32}[result]
    call = load(module.text(), ["run"]).function("run", returned, *kinds)
    return call(*[a.ctypes.data for a in arrays], *numbers)


@pytest.mark.parametrize("elem,dtype", [("float", np.float32), ("double", np.float64)])
def test_float_constants_are_exact(elem, dtype):
    info = np.finfo(dtype)
    numbers = [0.0, -0.0, 1 / 3, math.pi, -1e-30, math.inf, -math.inf, math.nan]
    numbers += [float(info.max), float(info.tiny), float(info.smallest_subnormal)]
    out = np.zeros(len(numbers), dtype)

    def build(f, p):
        for i, number in enumerate(numbers):
            f.store(f.constant(number, elem), f.gep(p, i, elem))
        f.ret()

    run(build, out)
    wanted = np.array(numbers).astype(dtype)
    np.testing.assert_array_equal(out, wanted)
    np.testing.assert_array_equal(np.signbit(out)[:-4], np.signbit(wanted)[:-4])


def test_constants_out_of_range():
    with pytest.raises(ValueError, match="does not fit i8"):
        literal(300, "i8")
    assert literal(1e300, "float") == literal(math.inf, "float")
    assert literal(255, "i8") == "255"


def test_integers_known_at_compile_time_fold():
    f = Module().function("f", [("i64", "n")])
    (n,) = f.arguments
    assert f.add(2, 3) == 5 and f.mul(4, 5) == 20 and f.sub(1, 3) == -2
    assert f.udiv(17, 5) == 3 and f.urem(17, 5) == 2 and f.min(3, 4) == 3 and f.max(3, 4) == 4
    assert f.add(n, 0) is n and f.mul(n, 1) is n and f.mul(n, 0) == 0 and f.sub(n, 0) is n
    assert f.urem(n, 1) == 0 and f.udiv(n, 1) is n


def test_adding_a_float_zero_is_kept():
    """-0.0 + 0.0 is 0.0: a float is not folded."""
    data = np.array([-0.0], np.float32)

    def build(f, p):
        f.store(f.add(f.load(p, "float"), 0), p)
        f.ret()

    run(build, data)
    assert not np.signbit(data[0])


ELEMENTS = [
    ("float", np.float32), ("double", np.float64), ("i8", np.int8), ("i16", np.int16),
    ("i32", np.int32), ("i64", np.int64), ("i1", np.bool_),
]  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 2, 8, 16, 64])
@pytest.mark.parametrize("elem,dtype", ELEMENTS)
def test_masked_copy(elem, dtype, lanes):
    count = 37
    source = (np.arange(count + 64) % 5).astype(dtype)
    target = np.zeros(count + 64, dtype)

    def build(f, p, q, n):
        with f.loop(0, n, lanes) as loop:
            live = f.lanes_below(n - loop.index, lanes)
            value = f.load(f.gep(p, loop.index, elem), elem, lanes, mask=live)
            f.store(value, f.gep(q, loop.index, elem), mask=live)
        f.ret()

    run(build, source, target, numbers=[count])
    np.testing.assert_array_equal(target[:count], source[:count])
    assert not target[count:].any()


def _known_masks(lanes, seed):
    """Masks that are partly known at compile time: ends, whole halves, nothing, any lanes."""
    r = np.random.default_rng(seed)
    masks = [r.integers(0, 2, lanes).astype(bool) for _ in range(3)]
    masks[0].sort()
    masks[1] = np.sort(masks[1])[::-1]
    if seed % 2:
        masks[2][lanes // 2 :] = False
    return [*masks, np.arange(lanes) < lanes // 2, np.zeros(lanes, bool)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lanes", [3, 8, 16, 32])
@pytest.mark.parametrize("elem,dtype", [("float", np.float32), ("i64", np.int64)])
def test_masks_that_are_known_in_part(elem, dtype, lanes, seed):
    """LLVM finds constants in masks, and must read and write what these allow all the same."""
    masks = _known_masks(lanes, seed)
    p = np.arange(1, 100 * len(masks) + 1).astype(dtype)
    read, written = np.zeros((2, lanes), dtype), np.full((len(masks), 100), 77, dtype)

    def build(f, p, read, written, live):
        with f.loop(0, 2) as loop:
            below = f.lanes_below(f.add(live, loop.index), lanes)
            value = None
            for i, known in enumerate(masks):
                mask = f.constants(known.tolist(), "i1") & below
                place = f.gep(p, 100 * i, elem)
                value = f.load(place, elem, lanes, mask=mask, other=value)
                f.store(f.load(place, elem, lanes), f.gep(written, 100 * i, elem), mask=mask)
            f.store(value, f.gep(read, f.mul(loop.index, lanes), elem))
        f.ret()

    for live in (0, 1, lanes // 2, lanes - 1):
        run(build, p, read, written, numbers=(live,))
        wanted = np.zeros((2, lanes), dtype)
        for i, known in enumerate(masks):
            for turn in range(2):
                allowed = known & (np.arange(lanes) < live + turn)
                wanted[turn][allowed] = p[100 * i :][:lanes][allowed]
        np.testing.assert_array_equal(read, wanted)
    for i, known in enumerate(masks):  # the last run allowed all that is known
        np.testing.assert_array_equal(written[i, :lanes][known], p[100 * i :][:lanes][known])
        assert (written[i, :lanes][~known] == 77).all() and (written[i, lanes:] == 77).all()


@pytest.mark.parametrize("lanes", [3, 8, 13, 16])
@pytest.mark.parametrize("elem,dtype", [("float", np.float32), ("i64", np.int64)])
def test_masks_that_are_known(elem, dtype, lanes):
    """Exactly what they hold is written; where masks are signs, without a masked store."""
    masks = [*_known_masks(lanes, 1), np.ones(lanes, bool), np.arange(lanes) % 3 == 1]
    p, written = np.arange(1, 101).astype(dtype), np.full((len(masks), 100), 77, dtype)
    texts = []

    def build(f, p, written):
        for i, known in enumerate(masks):
            mask = f.constants(known.tolist(), "i1")
            f.store(f.load(p, elem, lanes), f.gep(written, 100 * i, elem), mask=mask)
        f.ret()
        texts.append(f.module.text())

    run(build, p, written)
    for row, known in zip(written, masks, strict=True):
        wanted = np.full(100, 77, dtype)
        wanted[:lanes][known] = p[:lanes][known]
        np.testing.assert_array_equal(row, wanted)
    assert not machine().sign_masks or "maskstore" not in texts[0]


def test_masked_load_gives_other():
    """Lanes outside the mask give `other`."""
    page = np.zeros(4096, np.float32)
    out = np.zeros(16, np.float32)

    def build(f, p, q):
        mask = f.lanes_below(2, 16)
        other = f.constant(9.0, "float", 16)
        f.store(f.load(f.gep(p, 4094, "float"), "float", 16, mask=mask, other=other), q)
        f.ret()

    run(build, page, out)
    np.testing.assert_array_equal(out, [0, 0] + [9] * 14)


@pytest.mark.parametrize("elem,dtype", [("float", np.float32), ("i64", np.int64), ("i1", np.bool_)])
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_gather_and_scatter(elem, dtype, lanes):
    source = (np.arange(64) % 7 % 2).astype(dtype) if elem == "i1" else np.arange(64, dtype=dtype)
    target = np.zeros(64, dtype)

    def build(f, p, q):
        index = f.constants([3 * i for i in range(lanes)], "i32")
        mask = f.lanes_below(max(1, lanes - 1), lanes)
        f.scatter(f.gather(p, index, elem, mask), q, index, mask)
        f.ret()

    run(build, source, target)
    places = 3 * np.arange(max(1, lanes - 1))
    wanted = np.zeros(64, dtype)
    wanted[places] = source[places]
    np.testing.assert_array_equal(target, wanted)


def test_conversions():
    x = np.array([-3.7, 0.0, 2.5, 200.0], np.float32)
    ints, wide, flags, back = (np.zeros(4, t) for t in (np.int32, np.float64, np.bool_, np.float32))

    def build(f, *p):
        value = f.load(p[0], "float", 4)
        whole = f.convert(value, "i32")
        f.store(whole, p[1])
        f.store(f.convert(value, "double"), p[2])
        f.store(f.convert(value, "i1"), p[3])
        f.store(f.convert(f.convert(whole, "i64"), "float"), p[4])
        f.ret()

    run(build, x, ints, wide, flags, back)
    np.testing.assert_array_equal(ints, [-3, 0, 2, 200])
    np.testing.assert_array_equal(wide, x.astype(np.float64))
    np.testing.assert_array_equal(flags, [True, False, True, True])
    np.testing.assert_array_equal(back, [-3, 0, 2, 200])


def test_unsigned_conversion_and_comparison():
    x = np.array([200, 5, 128, 255], np.uint8)
    wide, more = np.zeros(4, np.float32), np.zeros(4, np.bool_)

    def build(f, *p):
        value = f.load(p[0], "i8", 4)
        f.store(f.convert(value, "float", signed=False), p[1])
        f.store(f.compare(">", value, 127, unsigned=True), p[2])
        f.ret()

    run(build, x, wide, more)
    np.testing.assert_array_equal(wide, x)
    np.testing.assert_array_equal(more, x > 127)


def test_comparisons_with_nan_are_pythons():
    x = np.array([1.0, math.nan, 3.0, math.nan], np.float32)
    y = np.array([1.0, 1.0, math.nan, math.nan], np.float32)
    operators = ["==", "!=", "<", "<=", ">", ">="]
    out = np.zeros((6, 4), np.bool_)

    def build(f, p, q, o):
        a, b = f.load(p, "float", 4), f.load(q, "float", 4)
        for i, op in enumerate(operators):
            f.store(f.compare(op, a, b), f.gep(o, 4 * i, "i1"))
        f.ret()

    run(build, x, y, out)
    np.testing.assert_array_equal(out, [x == y, x != y, x < y, x <= y, x > y, x >= y])


@pytest.mark.parametrize("high,wanted", [(10, 45), (1, 0), (0, 7), (-3, 7)])
def test_loop_carries_values(high, wanted):
    """`out` is the start value when the loop does not run."""

    def build(f, n):
        with f.loop(0, n, 1, carry=[f.constant(7 if high <= 0 else 0, "i64")]) as loop:
            loop.next = [loop.values[0] + loop.index]
        f.ret(loop.out[0])

    assert run(build, result="i64", numbers=[high]) == wanted


def test_nested_loops_and_branches():
    def build(f, n):
        with f.loop(0, n, carry=[f.constant(0, "i64")]) as outer:
            with f.loop(0, outer.index, 2, carry=outer.values) as inner:
                odd = f.compare("!=", f.urem(inner.index, 4), 0)
                total = inner.values[0]
                chosen = f.if_else(odd, lambda total=total: [total + 10], lambda t=total: [t + 1])
                inner.next = chosen
            outer.next = inner.out
        with f.when(f.compare(">", outer.out[0], 1000)):
            f.ret(-1)
        f.ret(outer.out[0])

    total = sum(10 if i % 4 else 1 for j in range(9) for i in range(0, j, 2))
    assert run(build, result="i64", numbers=[9]) == total
    assert run(build, result="i64", numbers=[200]) == -1


def test_shuffles_reductions_and_lanes():
    x = np.arange(8, dtype=np.float32)
    out = np.zeros(12, np.float32)

    def build(f, p, q):
        value = f.load(p, "float", 8)
        f.store(f.reduce(f.add, value), q)
        f.store(f.reduce(f.maxnum, value), f.gep(q, 1, "float"))
        f.store(f.extract(value, 5), f.gep(q, 2, "float"))
        f.store(f.shuffle(value, None, range(7, -1, -1)), f.gep(q, 3, "float"))
        any_above = f.convert(f.any(value > 6.5), "float", signed=False)
        f.store(any_above, f.gep(q, 11, "float"))
        f.ret()

    run(build, x, out)
    np.testing.assert_array_equal(out, [28, 7, 5, *range(7, -1, -1), 1])


def test_calls_tables_and_stack():
    module = Module()
    helper = module.function("triple", [("i64", "x")], "i64", internal=True, inline=False)
    helper.ret(helper.arguments[0] * 3)
    f = module.function("run", [("i64", "n")], "i64")
    (n,) = f.arguments
    stack = f.alloca("i64", 4)
    f.clear_bytes(stack, 32)
    f.copy_bytes(f.gep(stack, 1, "i64"), f.table("i64", [5, 6, 7]), 24)
    at = f.load(f.gep(stack, n, "i64"), "i64")
    f.ret(f.call(helper, at))
    call = load(module.text(), ["run"]).function("run", ctypes.c_int64, ctypes.c_int64)
    assert [call(i) for i in range(4)] == [0, 15, 18, 21]


def test_external_calls_reach_the_c_library():
    out = np.zeros(1)

    def build(f, p):
        f.store(f.call_external("exp", "double", f.constant(0.0, "double")), p)
        f.ret()

    run(build, out)
    assert out[0] == 1.0


def test_trial_leaves_nothing_behind():
    module = Module()
    f = module.function("f", [("i64", "n")])
    (n,) = f.arguments
    before = f.text()

    def body():
        with f.loop(0, n) as loop:
            f.add(loop.index, 1)

    assert f.trial(body) > 3
    assert f.text() == before


def test_type_errors_name_the_types():
    f = Module().function("f", [("i64", "n"), ("double", "x")])
    n, x = f.arguments
    with pytest.raises(TypeError, match="i64 where double"):
        f.add(x, n)
    with pytest.raises(ValueError, match="already has a function"):
        f.module.function("f")
    with pytest.raises(RuntimeError, match="LLVM IR"):
        load("define void @f() { nonsense }", ["f"])


def test_machine_is_plausible():
    host = machine()
    assert host.vector_bytes in (16, 32, 64) and host.vector_registers in (16, 32)
    assert host.l1 <= host.l2 <= host.l3
    assert host.cores == usable_cores() >= 1
    assert host.lanes(4) == host.vector_bytes // 4


def test_fused_multiply_add_is_one_instruction():
    module = Module()
    f = module.function("f", [("ptr", "p")])
    (p,) = f.arguments
    value = f.load(p, "float", machine().lanes(4))
    f.store(f.fma(value, value, value), p)
    f.ret()
    text = assembly(module.text())
    assert "fmadd" in text or "fmla" in text
