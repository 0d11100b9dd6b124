"""Products that compute their operands from what they load: casts, scales and shifts of leaves."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.torch as torch
from gemel.graph.form import bool_, float32, form, int8, uint8
from gemel.ops.contraction import matmul
from gemel.ops.elementwise import cast
from gemel.ops.movement import permute, reshape
from gemel.ops.record import const, leaf, scalar
from gemel.passes import prologue
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer

LARGE = 1024  # squared, of 4 bytes: as large as an operand has to be


def run(leaves, outputs, arrays, numbers=(), new=None, scalars=()):
    """The results, and how many kernels they took."""
    program = compile_graph(leaves, list(scalars), outputs, new or {}, device="cpu")
    found = program([Buffer.of(a) for a in arrays], list(numbers))
    return [b.array(o.form).copy() for b, o in zip(found, outputs, strict=True)], len(
        program.kernels
    )


def leaves_of(*arrays):
    kinds = {"float32": float32, "int8": int8, "uint8": uint8, "bool": bool_}
    return [leaf(i, form(a.shape, kinds[a.dtype.name])) for i, a in enumerate(arrays)]


def given(rows: int, depth: int = LARGE, columns: int = LARGE, seed: int = 0):
    random = np.random.RandomState(seed)
    x = random.randn(rows, depth).astype("f4")
    w = random.randint(-120, 120, (depth, columns)).astype("i1")
    return x, w, random.rand(columns).astype("f4"), random.rand(depth).astype("f4")


def close(found, wanted):
    scale = np.abs(wanted).max()
    assert np.abs(found - wanted).max() <= 2e-6 * scale


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 7, 16, 33, 64])
@pytest.mark.parametrize("layout", ["nn", "nt"])
@pytest.mark.parametrize("scaled", ["not", "columns", "depth"])
def test_narrow_weights_are_read_as_they_lie(rows, layout, scaled):
    x, w, by_column, by_depth = given(rows, LARGE + 16, LARGE + 3)
    stored = np.ascontiguousarray(w.T) if layout == "nt" else w
    scale = by_column if scaled == "columns" else by_depth
    a, b, s = leaves_of(x, stored, scale)
    wide = cast(b, float32)
    along = (scaled == "columns") == (layout == "nn")
    wide = wide * (s if along else reshape(s, (s.shape[0], 1))) if scaled != "not" else wide
    y = matmul(a, permute(wide, (1, 0)) if layout == "nt" else wide)
    (found,), kernels = run([a, b, s], [y], [x, stored, scale])
    exact = w.astype("f8")
    if scaled != "not":
        exact = exact * (scale if scaled == "columns" else scale[:, None])
    close(found, x.astype("f8") @ exact)
    assert kernels == 1


@pytest.mark.parametrize("rows, columns", [(1500, 10), (1500, 64), (1031, 3), (2000, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_pictures_are_normalised_as_they_are_read(rows, columns, turned):
    random = np.random.RandomState(1)
    pictures = random.randint(0, 256, (rows, 784)).astype("u1")
    weights = random.randn(columns, 784).astype("f4")
    a, b = leaves_of(pictures.T.copy() if turned else pictures, weights)
    plain = cast(a, float32) / const(255.0, float32) - const(0.5, float32)
    y = matmul(permute(plain, (1, 0)) if turned else plain, permute(b, (1, 0)))
    (found,), kernels = run([a, b], [y], [pictures.T.copy() if turned else pictures, weights])
    close(found, (pictures / 255.0 - 0.5) @ weights.T.astype("f8"))
    assert kernels == 1


def test_a_number_of_the_run_reaches_the_prologue():
    x, w, *_ = given(2)
    a, b = leaves_of(x, w)
    t = scalar(0, float)
    program = compile_graph(
        [a, b], [t], [matmul(a, cast(b, float32) * cast(t, float32))], {}, device="cpu"
    )
    assert len(program.kernels) == 1
    for number in (1.0, -3.5):
        (found,) = program([Buffer.of(x), Buffer.of(w)], [number])
        close(found.array(form((2, LARGE), float32)), number * (x.astype("f8") @ w))


@pytest.mark.parametrize("rows", [1, 3, 7, 40])
@pytest.mark.parametrize("layout", ["nn", "nt"])
def test_truth_values_are_operands(rows, layout):
    x, w, *_ = given(rows, LARGE + 16, LARGE + 3)
    mask = w > 0
    stored = np.ascontiguousarray(mask.T) if layout == "nt" else mask
    a, b = leaves_of(x, stored)
    wide = cast(b, float32) * const(2.0, float32) - const(1.0, float32)
    y = matmul(a, permute(wide, (1, 0)) if layout == "nt" else wide)
    (found,), kernels = run([a, b], [y], [x, stored])
    close(found, x.astype("f8") @ (2.0 * mask - 1.0))
    assert kernels == 1


def test_batches():
    random = np.random.RandomState(2)
    x = random.randn(6, 2, 512).astype("f4")
    w = random.randint(-9, 9, (6, 512, 300)).astype("i1")
    a, b = leaves_of(x, w)
    (found,), kernels = run([a, b], [matmul(a, cast(b, float32))], [x, w])
    close(found, x.astype("f8") @ w)
    assert kernels == 1


@pytest.mark.parametrize("why", ["small", "read elsewhere", "a result", "many meetings", "exp"])
def test_what_is_better_put_into_memory(why):
    small = {"depth": 64, "columns": 64} if why == "small" else {}
    x, w, *_ = given(prologue.MOST_MEETINGS + 1 if why == "many meetings" else 2, **small)
    a, b = leaves_of(x, w)
    wide = cast(b, float32) * const(0.01, float32)
    if why == "exp":
        from gemel.ops.elementwise import EXP

        wide = EXP(wide)
    outputs = [matmul(a, wide)]
    if why == "read elsewhere":
        from gemel.ops.reduction import sum_

        outputs.append(sum_(wide, (0, 1)))
    if why == "a result":
        outputs.append(wide)
    (found, *_), kernels = run([a, b], outputs, [x, w])
    exact = w * 0.01 if why != "exp" else np.exp(w * 0.01)
    close(found, x.astype("f8") @ exact)
    assert kernels == 2


def test_the_leaf_may_be_replaced_in_the_same_program():
    x, w, *_ = given(2)
    a, b = leaves_of(x, w)
    y = matmul(a, cast(b, float32))
    program = compile_graph([a, b], [], [y], {1: b + b}, device="cpu")
    buffers = [Buffer.of(x), Buffer.of(w)]
    found = program(buffers, [])
    close(found[0].array(y.form), x.astype("f8") @ w)


def test_weights_that_change_in_place_are_read_anew():
    x, w, s, _ = (torch.tensor(a) for a in given(40))
    step = torch.compile(lambda x, w, s: x @ (w.float() * s))
    with torch.no_grad():
        for _ in range(5):
            close(step(x, w, s).numpy(), x.numpy().astype("f8") @ (w.numpy() * s.numpy()))
        w.copy_(-w)
        close(step(x, w, s).numpy(), x.numpy().astype("f8") @ (w.numpy() * s.numpy()))


def test_the_same_bits_on_any_number_of_threads():
    x, w, s, _ = (torch.tensor(a) for a in given(33, 1056, 2000))
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        found.append((x @ (w.float() * s)).numpy().tobytes())
    torch.set_num_threads(before)
    assert len(set(found)) == 1
