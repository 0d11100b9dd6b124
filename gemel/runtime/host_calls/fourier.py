"""Discrete Fourier transforms without factors, by NumPy's pocketfft.

Axes count from the end, so that any number of batches stands before them. Complex results are
written as pairs. Single precision is computed in double: transforms add many values.
"""

from __future__ import annotations

import numpy as np

from . import host_call


def _write(out: np.ndarray, values: np.ndarray) -> None:
    out[..., 0] = values.real
    out[..., 1] = values.imag


@host_call
def complex_to_complex(settings, out, x) -> None:
    """settings: (axes, is the exponent's sign negative?)."""
    axes, forward = settings
    if not x.size:
        return
    x = x.astype(np.complex128)
    if forward:
        _write(out, np.fft.fftn(x, axes=axes))
    else:
        _write(out, np.fft.ifftn(x, axes=axes, norm="forward"))


@host_call
def real_to_complex(settings, out, x) -> None:
    """settings: (axis,). The frequencies from 0 up to the half; the sign is negative."""
    if x.size:
        _write(out, np.fft.rfft(x.astype(np.float64), axis=settings[0]))


@host_call
def complex_to_real(settings, out, x) -> None:
    """settings: (axis,). From the frequencies up to the half; the sign is positive."""
    (axis,) = settings
    if out.size:
        x = x.astype(np.complex128)
        out[...] = np.fft.irfft(x, n=out.shape[axis], axis=axis, norm="forward")
