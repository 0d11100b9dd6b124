"""Short Fourier transforms of `torch`, and the windows under their older names."""

from __future__ import annotations

from gemel.graph.errors import Fault
from gemel.graph.form import uint8
from gemel.ops import reduction
from gemel.ops.elementwise import ABS, cast, check_range, eq, lt, where
from gemel.ops.movement import zeros
from gemel.ops.record import Call
from gemel.tensor import record2

from . import dtypes
from .complex_numbers import view_as_real
from .sequences import arange
from .signal import windows
from .tensor import Tensor


# ---------- windows ----------
def _check_window(name: str, length, dtype, layout) -> None:
    if length < 0:
        raise RuntimeError(
            f"{name} requires non-negative window_length, got window_length={length}"
        )
    if layout is not None and str(layout) not in windows.STRIDED:
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout}")
    if dtype is not None and not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")


def _periodic(name: str, make, length, periodic, options: dict, **more) -> Tensor:
    dtype = options.pop("dtype", None) or dtypes.get_default_dtype()
    _check_window(name, length, dtype, options.get("layout"))
    requires_grad = options.pop("requires_grad", False)
    options.pop("pin_memory", None)
    wide = dtypes.float64 if dtype is dtypes.float64 else dtypes.float32
    made = make(length, sym=not periodic, dtype=wide, **more, **options).to(dtype)
    return made.requires_grad_() if requires_grad else made


def bartlett_window(window_length, periodic=True, **options) -> Tensor:
    """A triangle."""
    return _periodic("bartlett_window", windows.bartlett, window_length, periodic, options)


def blackman_window(window_length, periodic=True, **options) -> Tensor:
    """Three cosines."""
    return _periodic("blackman_window", windows.blackman, window_length, periodic, options)


def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, **options) -> Tensor:
    """alpha - beta cos."""
    make = windows.general_cosine
    a = (alpha, beta)
    return _periodic("hamming_window", make, window_length, periodic, options, a=a)


def hann_window(window_length, periodic=True, **options) -> Tensor:
    """A squared sine."""
    return _periodic("hann_window", windows.hann, window_length, periodic, options)


def kaiser_window(window_length, periodic=True, beta=12.0, **options) -> Tensor:
    """A Bessel function of a half circle."""
    make = windows.kaiser
    return _periodic("kaiser_window", make, window_length, periodic, options, beta=beta)


# ---------- frames ----------
def _window_for(window, win_length: int, n_fft: int, like: Tensor, name: str) -> Tensor | None:
    """The window in the middle of a frame; None where every value counts the same."""
    from .nn.functional import pad

    if window is None:
        if win_length == n_fft:
            return None
        kind = like.dtype.to_real() if like.form.dtype.is_complex else like.dtype
        window = like.new_ones((win_length,), dtype=kind)
    if window.form.ndim != 1 or window.form.shape[0] != win_length:
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={win_length}, but "
            f"got window with size {list(window.form.shape)}"
        )
    left = (n_fft - win_length) // 2
    return pad(window, (left, n_fft - win_length - left))


def _check_lengths(name: str, n_fft: int, hop: int, win_length: int) -> None:
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(
            f"{name}: expected 0 < win_length <= n_fft, but got win_length={win_length}"
        )


def stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True,
         pad_mode="reflect", normalized=False, onesided=None, return_complex=None,
         align_to_window=None) -> Tensor:  # fmt: skip
    """Fourier transforms of overlapping frames: [..., frequencies, frames], complex, or with the
    parts in a last dimension where `return_complex` is False."""
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    is_complex = input.form.dtype.is_complex or window is not None and window.is_complex()
    if return_complex is None:
        if not is_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if input.form.dtype.kind not in "fc":
        raise RuntimeError("stft: expected a tensor of floating point or complex values")
    if not 1 <= input.form.ndim <= 2:
        raise RuntimeError("stft: expected a 1D or 2D tensor")
    x = _centered(input, n_fft, pad_mode) if center else input
    if not 0 < n_fft <= x.form.shape[-1]:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {x.form.shape[-1]}, but got n_fft={n_fft}")
    _check_lengths("stft", n_fft, hop, length)
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    frames = x.unfold(-1, n_fft, hop)
    weights = _window_for(window, length, n_fft, input, "stft")
    frames = frames if weights is None else frames * weights
    found = _transformed(frames, normalized, not is_complex and onesided is not False)
    return found if return_complex else view_as_real(found)


def _centered(x: Tensor, n_fft: int, mode: str) -> Tensor:
    """Frames are around their times: half a frame is added on either side."""
    from .nn.functional import pad

    shape = x.form.shape
    wide = x.reshape((1,) * (3 - len(shape)) + shape)
    return pad(wide, (n_fft // 2, n_fft // 2), mode).reshape((*shape[:-1], -1))


def _transformed(frames: Tensor, normalized: bool, onesided: bool) -> Tensor:
    from . import fft

    norm = "ortho" if normalized else None
    found = fft.rfft(frames, norm=norm) if onesided else fft.fft(frames, norm=norm)
    return found.transpose(-1, -2)


# ---------- back ----------
def _covered(attrs, x, envelope):
    """x over the envelope, which must be nowhere near zero."""
    fault = Fault(RuntimeError, "window overlap add min: 1")
    least = reduction.amin(ABS(envelope))
    bad = check_range(cast(lt(least, 1e-11), uint8), 0, 1, fault)
    return x / where(eq(bad, 0), envelope, zeros((), envelope.dtype))


COVERED = Call("istft", _covered)


def _overlapped(frames: Tensor, hop: int) -> Tensor:
    """The sum of frames [batch, frames, n] where they lie."""
    batch, count, n = frames.form.shape
    places = (arange(count).unsqueeze(1) * hop + arange(n)).reshape(-1)
    blank = frames.new_zeros((batch, n + hop * (count - 1)))
    return blank.index_add(1, places, frames.reshape(batch, -1))


def istft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False,
    onesided=None, length=None, return_complex=False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` this is, as far as the windows cover it."""
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    _check_spectrum(input, n_fft, window, onesided, return_complex)
    _check_lengths("istft", n_fft, hop, size)
    rows = input if input.form.ndim == 3 else input.unsqueeze(0)
    frames = _frames(rows, n_fft, normalized, return_complex)
    weights = _window_for(window, size, n_fft, frames, "istft")
    if weights is None:
        weights = frames.new_ones((n_fft,))
    total = _overlapped(frames * weights, hop)
    count = frames.form.shape[1]
    squares = (weights * weights).expand(1, count, n_fft)
    envelope = _overlapped(squares, hop)
    start = n_fft // 2 if center else 0
    whole = total.form.shape[-1]
    end = whole - start if length is None else min(start + length, whole)
    found = record2(COVERED, total[:, start:end], envelope[:, start:end])
    if length is not None and found.form.shape[-1] < length:
        from .nn.functional import pad

        found = pad(found, (0, length - found.form.shape[-1]))
    return found if input.form.ndim == 3 else found.squeeze(0)


def _check_spectrum(x: Tensor, n_fft: int, window, onesided, return_complex) -> None:
    if not x.form.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if not 2 <= x.form.ndim <= 3:
        raise RuntimeError(
            f"istft: expected a tensor with 2 or 3 dimensions, but got {x.form.ndim}"
        )
    rows = x.form.shape[-2]
    halved = not return_complex if onesided is None else onesided
    wanted = n_fft // 2 + 1 if _is_onesided(rows, n_fft, onesided) else n_fft
    if rows != wanted:
        raise RuntimeError(
            "istft: expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match {'n_fft / 2 + 1' if halved else 'n_fft'} when onesided={bool(halved)}, but got "
            f"{rows}"
        )
    if return_complex and _is_onesided(rows, n_fft, onesided):
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window.is_complex():
        raise RuntimeError("Complex windows are incompatible with return_complex=False")


def _is_onesided(rows: int, n_fft: int, onesided) -> bool:
    return rows != n_fft if onesided is None else bool(onesided)


def _frames(rows: Tensor, n_fft: int, normalized, return_complex) -> Tensor:
    """[batch, frames, n_fft] of the spectrum's columns; for a real signal half of them count."""
    from . import fft

    norm = "ortho" if normalized else None
    columns = rows.transpose(1, 2)
    if return_complex:
        return fft.ifft(columns, norm=norm)
    return fft.irfft(columns[..., : n_fft // 2 + 1], n_fft, norm=norm)


__all__ = [
    "bartlett_window", "blackman_window", "hamming_window", "hann_window", "istft",
    "kaiser_window", "stft",
]  # fmt: skip
