"""Half types: stored in 16 bits, computed in float32, rounded once per operation."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from op_table import SAMPLES
from test_ops import leaves_of, run

from gemel.graph.form import bfloat16, float16, float32
from gemel.ops.elementwise import CAST
from gemel.ops.record import Call

HALVES = (float16, bfloat16)
# pairs of halves are no complex type, and what depends on the number of bits is another operation
FLOATING = [
    s for s in SAMPLES if "f" in s.kinds and "complex" not in s.name and s.name != "same_bits"
]
EDGES = [
    0.0, -0.0, np.inf, -np.inf, np.nan, 65504.0, 65519.9, 65520.0, -70000.0, 6.1e-5, 6e-8, 2.98e-8,
    2.9e-8, 3.3895e38, 3.4e38, 1e-40, 1.00390625, 1.01171875, 1.0009765625, 1.00048828125, 1e-45,
]  # fmt: skip


def rounded(x: np.ndarray, dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return x.astype(np.float32).astype(dtype.numpy)


def same(got: np.ndarray, want: np.ndarray) -> None:
    assert got.dtype == want.dtype and got.shape == want.shape
    if got.dtype.itemsize == 2 and got.dtype.kind not in "iu":
        got, want = got.astype(np.float32), want.astype(np.float32)
    np.testing.assert_array_equal(got, want)


def differences(sample, dtype, shapes):
    """The sample's result in a half type on both devices, and in float32, rounded."""
    rng = np.random.default_rng(1)
    wide = [rng.uniform(sample.low, sample.high, s).astype(np.float32) for s in shapes]
    if sample.labels:
        wide[-1] = rng.integers(0, min(sample.labels, 5), shapes[-1])
    halves = [rounded(x, dtype) if x.dtype.kind == "f" else x for x in wide]
    wide = [x.astype(np.float32) if x.dtype == dtype.numpy else x for x in halves]
    call = Call(sample.name, lambda attrs, *nodes: sample.build(*nodes))
    leaves = leaves_of(halves)
    out = call.expand((), *leaves)
    found = [run(leaves, [out], halves, device)[0] for device in ("cpu", "reference")]
    plain = leaves_of(wide)
    want = run(plain, [call.expand((), *plain)], wide, "cpu")[0]
    return *found, rounded(want, dtype) if want.dtype == np.float32 else want


@pytest.mark.parametrize("dtype", HALVES, ids=repr)
@pytest.mark.parametrize("sample", FLOATING, ids=lambda s: s.name)
def test_an_operation_is_the_one_in_float32_rounded_once(sample, dtype):
    got, reference, want = differences(sample, dtype, sample.shapes[-1])
    same(got, want)
    # the reference rounds values that differ in float32's last place
    assert reference.dtype == want.dtype
    near = float(ml_dtypes.finfo(dtype.numpy).eps)
    np.testing.assert_allclose(
        reference.astype(np.float32), want.astype(np.float32), rtol=near, atol=near
    )


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", HALVES, ids=repr)
def test_conversions_round_to_nearest_even(dtype, device):
    tail = np.random.default_rng(0).standard_normal(37).astype(np.float32)
    for source in (np.float32, np.float64):
        x = np.concatenate([np.array(EDGES, source), tail.astype(source)])
        (leaf,) = leaves_of([x])
        same(run([leaf], [CAST(leaf, attrs=(dtype,))], [x], device)[0], rounded(x, dtype))
    halves = rounded(x, dtype)
    (leaf,) = leaves_of([halves])
    same(run([leaf], [CAST(leaf, attrs=(float32,))], [halves], device)[0], halves.astype("f4"))


@pytest.mark.parametrize("dtype", HALVES, ids=repr)
def test_every_pair_of_bits_survives(dtype):
    bits = np.arange(1 << 16, dtype=np.uint16).view(dtype.numpy)
    (leaf,) = leaves_of([bits])
    wide = CAST(leaf, attrs=(float32,))
    got, back = run([leaf], [wide, CAST(wide, attrs=(dtype,))], [bits], "cpu")
    np.testing.assert_array_equal(got, bits.astype(np.float32))
    np.testing.assert_array_equal(back.astype(np.float32), bits.astype(np.float32))


def test_a_gradient_comes_back_in_the_half_type():
    import gemel.torch as torch

    x = torch.tensor([0.5, -1.25, 3.0], dtype=torch.bfloat16, requires_grad=True)
    (torch.tanh(x) * x.sum()).sum().backward()
    wide = x.detach().float().requires_grad_()
    (torch.tanh(wide) * wide.sum()).sum().backward()
    assert x.grad.dtype is torch.bfloat16
    assert torch.allclose(x.grad.float(), wide.grad, rtol=2e-2)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_steps_and_limits_are_those_of_the_half_type(name):
    import gemel.torch as torch

    dtype = getattr(torch, name)
    x = torch.tensor([1.0, -2.0, 0.0], dtype=dtype)
    stepped = torch.nextafter(x, torch.full((3,), 4.0, dtype=dtype))
    moved = torch.tensor([1, -1, 1], dtype=torch.int16)
    assert torch.equal(stepped.view(torch.int16), x.view(torch.int16) + moved)
    most = torch.finfo(dtype).max
    assert torch.tensor([float("inf")], dtype=dtype).nan_to_num().tolist() == [most]
    wide = torch.tensor([float("inf")], dtype=dtype).float().nan_to_num()
    assert wide.tolist() == [torch.finfo(torch.float32).max]
