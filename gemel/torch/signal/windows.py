"""`torch.signal.windows`: vectors that frames of a signal are weighted with.

M: how many values. sym: does the window end as it begins, or is it one period?
"""

from __future__ import annotations

from collections.abc import Iterable

from gemel.ops import signal_windows
from gemel.ops.elementwise import cast
from gemel.ops.record import Call
from gemel.tensor import record_n

from .. import dtypes
from ..tensor import Tensor

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip

WINDOW = Call(
    "window",
    lambda attrs: cast(getattr(signal_windows, attrs[0])(*attrs[2:]), attrs[1]),
    False,
)
STRIDED = ("torch.strided", "strided")


def _made(name: str, shape: str, M, sym, options: dict, *attrs) -> Tensor:
    """A window of `ops.signal_windows` with the arguments that all windows have."""
    from ..creation import _finished

    dtype = options.get("dtype") or dtypes.get_default_dtype()
    layout = options.get("layout")
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not None and str(layout) not in STRIDED:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    unknown = set(options) - {"dtype", "layout", "device", "requires_grad"}
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument '{min(unknown)}'")
    given = tuple(a if a is None or isinstance(a, tuple) else float(a) for a in attrs)
    made = record_n(WINDOW, Tensor, (), (shape, dtype.engine, int(M), *given, bool(sym)))
    return _finished(made, bool(options.get("requires_grad")))


def exponential(M, *, center=None, tau=1.0, sym=True, **options) -> Tensor:
    """exp(-|n - center| / tau)."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return _made("exponential", "exponential", M, sym, options, center, tau)


def cosine(M, *, sym=True, **options) -> Tensor:
    """Half a wave of the sine."""
    return _made("cosine", "cosine", M, sym, options)


def gaussian(M, *, std=1.0, sym=True, **options) -> Tensor:
    """A bell with this standard deviation."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _made("gaussian", "gaussian", M, sym, options, std)


def kaiser(M, *, beta=12.0, sym=True, **options) -> Tensor:
    """A Bessel function of a half circle."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _made("kaiser", "kaiser", M, sym, options, beta)


def general_cosine(M, *, a: Iterable, sym=True, **options) -> Tensor:
    """A sum of cosines with the coefficients a."""
    return _cosines("general_cosine", M, a, sym, options)


def _cosines(name: str, M, a: Iterable, sym, options: dict) -> Tensor:
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    weights = tuple(float(x) for x in a)
    if not weights:
        raise ValueError("Coefficients cannot be empty")
    return _made(name, "cosines", M, sym, options, weights)


def general_hamming(M, *, alpha=0.54, sym=True, **options) -> Tensor:
    """alpha less (1 - alpha) cosines."""
    return _cosines("general_hamming", M, (alpha, 1.0 - alpha), sym, options)


def hamming(M, *, sym=True, **options) -> Tensor:
    """The general Hamming window of 0.54."""
    return _cosines("hamming", M, (0.54, 0.46), sym, options)


def hann(M, *, sym=True, **options) -> Tensor:
    """The general Hamming window of a half."""
    return _cosines("hann", M, (0.5, 0.5), sym, options)


def blackman(M, *, sym=True, **options) -> Tensor:
    """Three cosines."""
    return _cosines("blackman", M, (0.42, 0.5, 0.08), sym, options)


def nuttall(M, *, sym=True, **options) -> Tensor:
    """Four cosines."""
    return _cosines("nuttall", M, (0.3635819, 0.4891775, 0.1365995, 0.0106411), sym, options)


def bartlett(M, *, sym=True, **options) -> Tensor:
    """A triangle."""
    return _made("bartlett", "bartlett", M, sym, options)
