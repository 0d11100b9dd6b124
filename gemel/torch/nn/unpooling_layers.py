"""Layers of unpooling, of random windows, of power averages, and of channels that change places."""

from __future__ import annotations

from . import functional as F
from .convolution import each
from .module import Module


class _MaxUnpool(Module):
    """Values at the places that a max pooling gave, zeros elsewhere."""

    _rank = 2

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = each(kernel_size, self._rank)
        self.stride = each(stride if stride is not None else kernel_size, self._rank)
        self.padding = each(padding, self._rank)

    def forward(self, input, indices, output_size=None):
        unpool = getattr(F, f"max_unpool{self._rank}d")
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Unpooling of [N, C, L]."""

    _rank = 1


class MaxUnpool2d(_MaxUnpool):
    """Unpooling of [N, C, H, W]."""


class MaxUnpool3d(_MaxUnpool):
    """Unpooling of [N, C, D, H, W]."""

    _rank = 3


class _FractionalMaxPool(Module):
    """The largest values of windows at random places (Graham 2014)."""

    _rank = 2

    def __init__(self, kernel_size, output_size=None, output_ratio=None,
                 return_indices: bool = False, _random_samples=None):
        super().__init__()
        name = type(self).__name__
        self.kernel_size = each(kernel_size, self._rank)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else each(output_size, self._rank)
        self.output_ratio = output_ratio
        if output_ratio is not None and not isinstance(output_ratio, tuple | list):
            self.output_ratio = (output_ratio,) * self._rank
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(
                f"output_ratio must be between 0 and 1 (got {output_ratio})"
            )

    def forward(self, input):
        pool = getattr(F, f"fractional_max_pool{self._rank}d")
        return pool(input, self.kernel_size, self.output_size, self.output_ratio,
                    self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """Fractional max pooling of [N, C, H, W]."""


class FractionalMaxPool3d(_FractionalMaxPool):
    """Fractional max pooling of [N, C, D, H, W]."""

    _rank = 3


class _LPPool(Module):
    """The p-norm of each window."""

    _rank = 2

    def __init__(self, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input):
        pool = getattr(F, f"lp_pool{self._rank}d")
        return pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """Power averages of [N, C, L]."""

    _rank = 1


class LPPool2d(_LPPool):
    """Power averages of [N, C, H, W]."""


class LPPool3d(_LPPool):
    """Power averages of [N, C, D, H, W]."""

    _rank = 3


class ChannelShuffle(Module):
    """One channel of each group after the other."""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
