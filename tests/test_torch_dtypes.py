"""Element types of the PyTorch face beside PyTorch's: promotion, limits, files, conversions."""

from __future__ import annotations

import io

import numpy as np
import pytest

import gemel.torch as ours

NAMES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex64 complex128"
).split()
HELD = [n for n in NAMES if not n.startswith("complex")]
# PyTorch computes next to nothing in these
COMPUTED = [n for n in HELD if n not in ("uint16", "uint32", "uint64")]


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("torch")


def outcome(function, *arguments) -> str:
    try:
        return str(function(*arguments))
    except (RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.oracle
def test_pairs_of_types_promote_and_cast_alike(theirs):
    for a in NAMES:
        for b in NAMES:
            for name in ("promote_types", "can_cast"):
                found, wanted = (
                    outcome(getattr(t, name), getattr(t, a), getattr(t, b)) for t in (ours, theirs)
                )
                assert found.split("\n")[0] == wanted.split("\n")[0], (name, a, b)


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
def test_limits_and_attributes(theirs, name):
    mine, other = getattr(ours, name), getattr(theirs, name)
    for limits in ("finfo", "iinfo"):
        assert outcome(getattr(ours, limits), mine) == outcome(getattr(theirs, limits), other)
    for what in ("itemsize", "is_signed", "is_complex", "is_floating_point"):
        assert getattr(mine, what) == getattr(other, what)
    assert repr(mine) == repr(other) and str(mine.to_real()) == str(other.to_real())


@pytest.mark.oracle
@pytest.mark.parametrize("name", COMPUTED)
def test_results_of_tensors_of_both_ranks_and_numbers(theirs, name):
    def types(t):
        wide, single = (t.ones(shape, dtype=getattr(t, name)) for shape in ((2,), ()))
        for other in COMPUTED:
            for shape in ((2,), ()):
                yield (wide + t.ones(shape, dtype=getattr(t, other))).dtype
        for number in (1, 1.5, True):
            yield from ((wide * number).dtype, (single * number).dtype)
            yield t.result_type(wide, number)

    assert list(map(str, types(ours))) == list(map(str, types(theirs)))


@pytest.mark.oracle
def test_default_types_of_16_bits(theirs):
    def seen(t):
        t.set_default_dtype(t.bfloat16)
        try:
            x = t.tensor([0.1, 0.2])
            return [x, t.ones(3, dtype=t.int64) / 3, t.tensor([1, 2]) * 0.5, t.zeros(2) + 1]
        finally:
            t.set_default_dtype(t.float32)

    for found, wanted in zip(seen(ours), seen(theirs), strict=True):
        assert str(found.dtype) == str(wanted.dtype) and found.tolist() == wanted.tolist()


@pytest.mark.oracle
@pytest.mark.parametrize("name", HELD)
def test_files_conversions_and_texts(theirs, name):
    values = theirs.tensor([0, 1, 2, 3, 5, 7]).to(getattr(theirs, name)).reshape(2, 3)
    file = io.BytesIO()
    theirs.save({"plain": values, "turned": values.t()}, file)
    file.seek(0)
    loaded = ours.load(file)
    assert loaded["turned"].tolist() == values.t().tolist() and repr(loaded["plain"]) == repr(
        values
    )
    file = io.BytesIO()
    ours.save(loaded, file)
    file.seek(0)
    again = theirs.load(file)
    assert again["plain"].dtype is values.dtype and again["turned"].stride() == (1, 3)
    for kind in "char byte half bfloat16 short int long float double bool".split():
        found, wanted = (getattr(t, kind)() for t in (loaded["plain"], values))
        assert str(found.dtype) == str(wanted.dtype) and found.tolist() == wanted.tolist()


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("values", [[1.5, 1e5, 3e-8], [1e-5, 1.0], [np.nan, np.inf, 1], [1e10], []])
def test_half_types_print(theirs, name, values):
    found, wanted = (repr(t.tensor(values, dtype=getattr(t, name))) for t in (ours, theirs))
    assert found == wanted


def test_numpy_has_no_bfloat16():
    with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
        ours.ones(2).bfloat16().numpy()
    assert ours.from_numpy(np.ones(2, np.uint16)).dtype is ours.uint16
    with pytest.raises(AttributeError, match="complex64"):
        _ = ours.complex32


LOWEST = -(2**31)


@pytest.mark.parametrize("source", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("count", [1, 64])
def test_floats_beyond_a_narrow_integer_type_become_what_x86_makes_of_them(source, count):
    """The low bits of int32, whose lowest number stands for what it cannot hold."""
    given = [-1.5, 300.0, -200.0, 2.0**16 + 2**9, 2.0**31, -(2.0**31), 3e9, np.nan, -np.inf]
    whole = [-1, 300, -200, 2**16 + 2**9, *[LOWEST] * 5]
    x = ours.tensor(given * count, dtype=getattr(ours, source))
    for name in ("int32", "int16", "int8", "uint16", "uint8"):
        wanted = np.array(whole * count, np.int32).astype(name)  # wraps
        assert np.array_equal(x.to(getattr(ours, name)).numpy(), wanted)
    far = ours.tensor([2.0**40, -(2.0**63), 2.0**63, np.nan], dtype=getattr(ours, source))
    assert far.long().tolist() == [2**40, -(2**63), -(2**63), -(2**63)]
