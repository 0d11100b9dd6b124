"""Generic tests over the op table: compiled against reference, gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
from op_table import SAMPLES, Sample

from gemel.autodiff.reverse import gradients
from gemel.graph.form import dtype_of, float64, form, int64
from gemel.graph.node import order
from gemel.graph.verifier import verify
from gemel.ops.record import PRIMITIVES, leaf
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64", "uint8", "uint16")


def cases():
    for sample in SAMPLES:
        for shapes in sample.shapes:
            yield pytest.param(sample, shapes, id=f"{sample.name}-{'-'.join(map(str, shapes))}")


def differentiable_cases():
    for sample in SAMPLES:
        if sample.differentiable and "f" in sample.kinds:
            for shapes in sample.shapes:
                if all(0 not in s for s in shapes):
                    name = f"{sample.name}-{'-'.join(map(str, shapes))}"
                    yield pytest.param(sample, shapes, id=name)


def inputs(sample: Sample, shapes, dtype: str, seed: int = 0) -> list[np.ndarray]:
    """Random arguments in the sample's range; the labels last where there are any."""
    rng = np.random.default_rng(seed)
    out = []
    for i, shape in enumerate(shapes):
        if sample.labels and i == len(shapes) - 1:
            out.append(rng.integers(0, min(sample.labels, 5), shape))
        elif dtype in FLOATS:
            out.append(rng.uniform(sample.low, sample.high, shape).astype(dtype))
        else:
            out.append(rng.integers(0, 20, shape).astype(dtype))
    return [np.asarray(a) for a in out]


def leaves_of(arrays) -> list:
    return [leaf(i, form(a.shape, dtype_of(a.dtype))) for i, a in enumerate(arrays)]


def run(leaves, outputs, arrays, device: str) -> list[np.ndarray]:
    verify(outputs)
    program = compile_graph(leaves, [], list(outputs), {}, device=device)
    results = program([Buffer.of(a) for a in arrays], [])
    return [b.array(o.form).copy() for b, o in zip(results, outputs, strict=True)]


def assert_near(got, want, tolerance: float) -> None:
    assert got.shape == want.shape and got.dtype == want.dtype
    if got.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("sample,shapes", cases())
def test_compiled_equals_reference(sample, shapes):
    kinds = [*(FLOATS if "f" in sample.kinds else ()), *(INTEGERS if "i" in sample.kinds else ())]
    for dtype in kinds:
        arrays = inputs(sample, shapes, dtype)
        leaves = leaves_of(arrays)
        out = sample.build(*leaves)
        got = run(leaves, [out], arrays, "cpu")
        want = run(leaves, [out], arrays, "reference")
        assert_near(got[0], want[0], TOLERANCE.get(dtype, 1e-6))


def gradient_nodes(sample, leaves):
    out = sample.build(*leaves)
    targets = [x for x in leaves if x.dtype.is_float]
    cotangent = leaf(len(leaves), out.form)
    return out, targets, cotangent, gradients([out], [cotangent], targets)


@pytest.mark.parametrize("sample,shapes", differentiable_cases())
def test_gradient_against_differences(sample, shapes):
    """Along a random direction, in float64: <gradient, direction> = d/de f(x + e direction)."""
    arrays = inputs(sample, shapes, "float64")
    leaves = leaves_of(arrays)
    out, targets, cotangent, grads = gradient_nodes(sample, leaves)
    if not out.dtype.is_float or out.dtype is not float64:
        pytest.skip("the result has another type")
    rng = np.random.default_rng(1)
    weights = rng.standard_normal(out.shape)
    got = run([*leaves, cotangent], [g for g in grads if g is not None], [*arrays, weights], "cpu")
    found = iter(got)
    full = [
        np.zeros(x.shape) if g is None else next(found) for x, g in zip(targets, grads, strict=True)
    ]
    program = compile_graph(leaves, [], [out], {}, device="reference")
    directions = [rng.standard_normal(a.shape) for a in arrays]

    def value(step: float) -> float:
        moved = [
            a + step * d if a.dtype.kind == "f" else a
            for a, d in zip(arrays, directions, strict=True)
        ]
        (result,) = program([Buffer.of(np.asarray(m)) for m in moved], [])
        return float((result.array(out.form) * weights).sum())

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    floats = [d for a, d in zip(arrays, directions, strict=True) if a.dtype.kind == "f"]
    along = sum(float((g * d).sum()) for g, d in zip(full, floats, strict=True))
    assert along == pytest.approx(slope, rel=2e-4, abs=2e-5)


@pytest.mark.parametrize("sample,shapes", differentiable_cases())
def test_second_gradient(sample, shapes):
    """The gradient of the gradient, compiled and along a direction against differences."""
    if not sample.twice:
        pytest.skip("not differentiable twice on the sample")
    arrays = inputs(sample, shapes, "float64")
    leaves = leaves_of(arrays)
    out, targets, cotangent, grads = gradient_nodes(sample, leaves)
    pairs = [(t, g) for t, g in zip(targets, grads, strict=True) if g is not None]
    if out.dtype is not float64 or not pairs:
        pytest.skip("no gradient")
    rng = np.random.default_rng(2)
    directions = [rng.standard_normal(t.shape) for t, _ in pairs]
    extra = [leaf(len(leaves) + 1 + i, t.form) for i, (t, _) in enumerate(pairs)]
    second = gradients([g for _, g in pairs], extra, targets)
    wanted = [(t, s) for t, s in zip(targets, second, strict=True) if s is not None]
    if not wanted:
        return
    weights = rng.standard_normal(out.shape)
    given = [*leaves, cotangent, *extra]
    values = [*arrays, weights, *directions]
    nodes = [s for _, s in wanted]
    got = run(given, nodes, values, "cpu")
    want = run(given, nodes, values, "reference")
    for a, b in zip(got, want, strict=True):
        assert_near(a, b, 1e-9)
    program = compile_graph([*leaves, cotangent], [], [g for _, g in pairs], {}, device="reference")
    steps = {t.attrs[0]: rng.standard_normal(t.shape) for t, _ in wanted}

    def value(step: float) -> float:
        moved = [a + step * steps[i] if i in steps else a for i, a in enumerate(arrays)]
        results = program([Buffer.of(np.asarray(m)) for m in [*moved, weights]], [])
        parts = zip(results, pairs, directions, strict=True)
        return sum(float((r.array(g.form) * d).sum()) for r, (_, g), d in parts)

    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    along = sum(
        float((s * steps[t.attrs[0]]).sum()) for (t, _), s in zip(wanted, want, strict=True)
    )
    assert along == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.oracle
@pytest.mark.parametrize("sample,shapes", cases())
def test_against_pytorch(sample, shapes):
    torch = pytest.importorskip("torch")
    if sample.torch is None:
        pytest.skip("no PyTorch expression")
    kinds = [*(FLOATS if "f" in sample.kinds else ()), *(("int64",) if "i" in sample.kinds else ())]
    for dtype in kinds:
        arrays = inputs(sample, shapes, dtype)
        leaves = leaves_of(arrays)
        out, targets, cotangent, grads = gradient_nodes(sample, leaves)
        tensors = [torch.from_numpy(a.copy()) for a in arrays]
        for x in tensors:
            x.requires_grad_(x.is_floating_point())
        want = sample.torch(torch, *tensors)
        got = run(leaves, [out], arrays, "cpu")[0]
        assert_near(got, want.detach().numpy().reshape(got.shape), TOLERANCE.get(dtype, 1e-6))
        if sample.differentiable and want.requires_grad:
            weights = np.random.default_rng(3).standard_normal(out.shape).astype(got.dtype)
            want.backward(torch.from_numpy(weights))
            have = [(x, g) for x, g in zip(targets, grads, strict=True) if g is not None]
            got = run([*leaves, cotangent], [g for _, g in have], [*arrays, weights], "cpu")
            for (x, _), value in zip(have, got, strict=True):
                wanted = tensors[x.attrs[0]].grad.numpy()
                assert_near(value, wanted, 10 * TOLERANCE[dtype])


# primitives without numbers of their own, and those with tables of their own
ELSEWHERE = {
    "leaf": "an input",
    "scalar": "run-time numbers: test_programs.py",
    "native": "random words and sorting: test_random_torch.py, test_torch_ops.py",
    "check_range": "faults: test_programs.py",
    "copy": "put in by a pass: every sample that stores a view",
    "stop_gradient": "softmax and log_softmax",
    "host": "NumPy's functions: test_host_calls.py, test_torch_linalg.py",
    "attention": "with its composite: test_attention.py",
    "loop": "sub-graphs: test_loops.py, test_torch_recurrent.py",
    "result": "of a loop: test_loops.py",
    "after": "puts off what is computed again: test_checkpoint.py",
}


def test_every_primitive_has_a_sample():
    used = set(ELSEWHERE)
    for sample in SAMPLES:
        arrays = inputs(sample, sample.shapes[0], "float64" if "f" in sample.kinds else "int64")
        used |= {n.op.name for n in order([sample.build(*leaves_of(arrays))])}
    assert set(PRIMITIVES) - used == set()


def test_budget_of_primitives():
    assert len(PRIMITIVES) <= 64


def test_labels_are_int64():
    assert int64.numpy == np.int64
