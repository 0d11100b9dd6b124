"""Layers around windows that hold no weights: padding, unfold and fold, pixel shuffles."""

from __future__ import annotations

from . import functional as F
from .module import Module


class _Pad(Module):
    """Cells added around the last `_rank` dimensions; `padding` from the last dimension on."""

    _rank = 0
    _mode = "constant"

    def __init__(self, padding):
        super().__init__()
        one = isinstance(padding, int)
        self.padding = (padding,) * (2 * self._rank) if one else tuple(padding)

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


def _layer(name: str, base: type, rank: int, text: str, **more) -> type:
    """A padding layer for one number of dimensions."""
    wanted = "[N, C, " + ", ".join("DHW"[-rank:] if rank > 1 else "L") + "]"
    members = {"_rank": rank, "__doc__": f"{text} around {wanted}.", "__module__": __name__, **more}
    return type(name, (base,), members)


ConstantPad1d, ConstantPad2d, ConstantPad3d = (
    _layer(f"ConstantPad{r}d", _ConstantPad, r, "A constant") for r in (1, 2, 3)
)
ZeroPad1d, ZeroPad2d, ZeroPad3d = (
    _layer(f"ZeroPad{r}d", _ZeroPad, r, "Zeros") for r in (1, 2, 3)
)
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = (
    _layer(f"ReflectionPad{r}d", _Pad, r, "Mirrored cells", _mode="reflect") for r in (1, 2, 3)
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = (
    _layer(f"ReplicationPad{r}d", _Pad, r, "The outer cells again", _mode="replicate")
    for r in (1, 2, 3)
)
CircularPad1d, CircularPad2d, CircularPad3d = (
    _layer(f"CircularPad{r}d", _Pad, r, "Cells of the other end", _mode="circular")
    for r in (1, 2, 3)
)


class Unfold(Module):
    """The windows of [N, C, H, W] as columns."""

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """Columns added up at their windows' places."""

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding,
                      self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )


class PixelShuffle(Module):
    """Channels become pixels: r times as many along both sides."""

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: r times fewer along both sides."""

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"
