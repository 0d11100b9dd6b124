"""Whether two results are equal: as `torch.testing.assert_close` has it, with the database's own
tolerances; for values that PyTorch leaves open, only what it promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

HALF = (torch.float16, torch.bfloat16)
# Where a result that differs from PyTorch's is looked at in a wider type.
WIDER = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}
# Memory as it was found: only the form is promised.
_UNSET = {
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
    "resize_", "resize_as_",
}  # fmt: skip


def equal(name: str, found: Any, wanted: Any, tolerance: tuple[float, float] | None) -> None:
    """Raises AssertionError that says how they differ."""
    if isinstance(wanted, torch.Tensor):
        assert isinstance(found, torch.Tensor), f"{type(found).__name__} for a tensor"
        _tensors(found, wanted, tolerance, name in _UNSET)
    elif isinstance(wanted, list | tuple):
        assert isinstance(found, list | tuple), f"{type(found).__name__} for a tuple"
        assert len(found) == len(wanted), f"{len(found)} results for {len(wanted)}"
        special = _UP_TO.get(name)
        if special is not None and len(wanted) > 1:
            special(found, wanted, tolerance)
            return
        for f, w in zip(found, wanted, strict=True):
            equal(name, f, w, tolerance)
    elif isinstance(wanted, float | complex):
        _tensors(torch.tensor(found), torch.tensor(wanted), tolerance, False)
    else:
        assert found == wanted, f"{found!r} for {wanted!r}"


def _tensors(found, wanted, tolerance, form_only: bool) -> None:
    assert tuple(found.shape) == tuple(wanted.shape), (
        f"shape {tuple(found.shape)} for {tuple(wanted.shape)}"
    )
    assert found.dtype == wanted.dtype, f"{found.dtype} for {wanted.dtype}"
    if form_only:
        return
    wanted = wanted.detach().resolve_conj().resolve_neg()
    rtol, atol = tolerance or (None, None)
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol, equal_nan=True)


def no_worse(found: Any, wanted: Any, exact: Any) -> None:
    """Half types: nowhere farther from the result in float32 than PyTorch is, but for half a unit
    in the last place. PyTorch rounds between the parts of some operations, which is its freedom.
    float32 and complex64: the worst element is no farther from the result in float64 than PyTorch's
    worst is, which is far where the problem is ill-conditioned (but not where PyTorch computes
    something else in float64, as with random numbers)."""
    if isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), f"{len(found)} results for {len(wanted)}"
        for f, w, e in zip(found, wanted, exact, strict=True):
            no_worse(f, w, e)
        return
    _tensors(found, wanted, None, True)
    if wanted.dtype not in HALF:
        if wanted.dtype not in WIDER or not _no_farther(found, wanted, exact):
            _tensors(found, wanted, None, False)
        return
    ours, theirs = found.double(), wanted.double()
    exact = exact.double()
    theirs = torch.where(theirs.isnan(), exact, theirs)  # where PyTorch has nothing to compare with
    allowed = (theirs - exact).abs() + exact.abs() * torch.finfo(wanted.dtype).eps
    wrong = ~(((ours - exact).abs() <= allowed + 1e-7) | (ours == theirs))
    wrong &= ~(ours.isnan() & theirs.isnan())
    assert not wrong.any(), f"{int(wrong.sum())} of {wrong.numel()} farther from the exact result"


def _no_farther(found, wanted, exact) -> bool:
    kept = ~exact.isnan()
    if not torch.equal(found.isnan(), ~kept) or not kept.any():
        return False
    ours, theirs = ((x.to(exact.dtype) - exact)[kept].abs().max() for x in (found, wanted))
    return bool(ours <= theirs <= exact[kept].abs().max() / 10)


def _largest(found, wanted, tolerance) -> None:
    """Equal values; which of several equal ones is open."""
    _tensors(found[0], wanted[0], tolerance, False)
    _tensors(found[1], wanted[1], tolerance, True)


def _sorted(found, wanted, tolerance) -> None:
    """Equal values; each place once, those of equal values in any order."""
    _largest(found, wanted, tolerance)
    places = [x[1].flatten().sort().values for x in (found, wanted)]
    _tensors(*places, tolerance, False)


# ---------- factorisations: unique up to signs and phases ----------
def _spectral(found, wanted, tolerance) -> None:
    """Values equal; vectors of length 1 that span the same."""
    w, v = wanted
    _tensors(found[0], w, tolerance, False)
    _close((found[1] * found[0].unsqueeze(-2)) @ found[1].mH, (v * w.unsqueeze(-2)) @ v.mH)


def _singular(found, wanted, tolerance) -> None:
    for f, w in zip(found, wanted, strict=True):
        _tensors(f, w, None, True)
    u, s, v = found
    _tensors(s, wanted[1], tolerance, False)
    k = s.shape[-1]
    made = (u[..., :k] * s.unsqueeze(-2)) @ v[..., :k, :]
    _close(made, (wanted[0][..., :k] * wanted[1].unsqueeze(-2)) @ wanted[2][..., :k, :])
    for unitary in (u, v.mH):
        eye = torch.eye(unitary.shape[-1], dtype=unitary.dtype)
        _close(unitary.mH @ unitary, eye.expand(*unitary.shape[:-2], *eye.shape))


def _old_singular(found, wanted, tolerance) -> None:
    """`torch.svd` gives V where `torch.linalg.svd` gives its adjoint."""
    turned = [(x[0], x[1], x[2].mH) for x in (found, wanted)]
    _singular(*turned, tolerance)


def _eigen(found, wanted, tolerance) -> None:
    values = [torch.view_as_real(x[0]).sort(-2).values for x in (found, wanted)]
    _close(*values)
    w, v = found
    _close(v * w.unsqueeze(-2) @ torch.linalg.inv(v), _joined(*wanted))


def _joined(w, v):
    return v * w.unsqueeze(-2) @ torch.linalg.inv(v)


def _close(found, wanted) -> None:
    scale = float(wanted.abs().max()) if wanted.numel() else 1.0
    tight = wanted.dtype in (torch.float64, torch.complex128)
    torch.testing.assert_close(
        found, wanted, rtol=1e-3, atol=max(1.0, scale) * (1e-8 if tight else 1e-4)
    )


def _low_rank(found, wanted, tolerance) -> None:
    """`torch.svd_lowrank`: V where `torch.linalg.svd` gives its adjoint, and only some columns."""
    for f, w in zip(found, wanted, strict=True):
        _tensors(f, w, None, True)
    _close(found[1], wanted[1])
    (u, s, v), (u2, s2, v2) = found, wanted
    _close((u * s.unsqueeze(-2)) @ v.mH, (u2 * s2.unsqueeze(-2)) @ v2.mH)


_UP_TO: dict[str, Callable] = {
    "svd_lowrank": _low_rank,
    "pca_lowrank": _low_rank,
    "sort": _sorted,
    "topk": _largest,
    "linalg.eigh": _spectral,
    "linalg.svd": _singular,
    "svd": _old_singular,
    "linalg.eig": _eigen,
}
