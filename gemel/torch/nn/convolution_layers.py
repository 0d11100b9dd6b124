"""Convolution layers: weights, initial values and padding modes around `functional`'s."""

from __future__ import annotations

import math

from gemel.torch.creation import empty

from . import functional as F
from . import init
from .convolution import each
from .module import Module
from .parameter import Parameter

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all convolution layers hold. `_rank`: dimensions that the window moves along."""

    _rank = 0
    _transposed = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride, padding, dilation,
                 output_padding, groups: int, bias: bool, padding_mode: str, device, dtype):
        super().__init__()
        rank = self._rank
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = each(kernel_size, rank)
        self.stride = each(stride, rank)
        self.padding = padding if isinstance(padding, str) else each(padding, rank)
        self.dilation = each(dilation, rank)
        self.transposed = self._transposed
        self.output_padding = each(output_padding, rank)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check()
        pair = (out_channels, in_channels // groups)
        if self._transposed:
            pair = (in_channels, out_channels // groups)
        self.weight = Parameter(empty((*pair, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        if self.out_channels % self.groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string '{self.padding}', should be one of "
                    "{'same', 'valid'}"
                )
            if self.padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in _MODES:
            raise ValueError(
                f"padding_mode must be one of {set(_MODES)}, but got "
                f"padding_mode='{self.padding_mode}'"
            )

    def reset_parameters(self) -> None:
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init.fans(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def _widths(self) -> list[int]:
        """The padding as `functional.pad` takes it: (before, after) from the last dimension on."""
        out: list[int] = []
        for i in reversed(range(self._rank)):
            total = 2 * self.padding[i] if not isinstance(self.padding, str) else 0
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
            out += [total // 2, total - total // 2]
        return out

    def extra_repr(self) -> str:
        rank = self._rank
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        for name, plain in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (plain,) * rank:
                text += f", {name}={getattr(self, name)}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_Convolution):
    """A convolution; subclasses say over how many dimensions."""

    _function = staticmethod(F.conv2d)

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0,
                 dilation=1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device=None, dtype=None):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0,
                         groups, bias, padding_mode, device, dtype)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._widths(), mode=self.padding_mode), 0
        return self._function(input, self.weight, self.bias, self.stride, padding, self.dilation,
                              self.groups)


class Conv1d(_Conv):
    """Convolution of [N, C, L] or [C, L]."""

    _rank = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Convolution of [N, C, H, W] or [C, H, W]."""

    _rank = 2


class Conv3d(_Conv):
    """Convolution of [N, C, D, H, W] or [C, D, H, W]."""

    _rank = 3
    _function = staticmethod(F.conv3d)


class _ConvTranspose(_Convolution):
    """A transposed convolution; subclasses say over how many dimensions."""

    _transposed = True
    _function = staticmethod(F.conv_transpose2d)

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0,
                 output_padding=0, groups: int = 1, bias: bool = True, dilation=1,
                 padding_mode: str = "zeros", device=None, dtype=None):
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}'
            )
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation,
                         output_padding, groups, bias, padding_mode, device, dtype)

    def forward(self, input, output_size=None):
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra(input, list(output_size))
        return self._function(input, self.weight, self.bias, self.stride, self.padding, extra,
                              self.groups, self.dilation)

    def _extra(self, input, wanted: list[int]) -> tuple[int, ...]:
        """The output padding that gives a result of the wanted size."""
        rank = self._rank
        wanted = wanted[-rank:] if len(wanted) == input.ndim else wanted
        if len(wanted) != rank:
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have {rank} or "
                f"{input.ndim} elements (got {len(wanted)})"
            )
        sizes = input.shape[-rank:]
        rows = zip(sizes, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in rows]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not a <= n <= b for n, a, b in zip(wanted, least, most, strict=True)):
            raise ValueError(
                f"requested an output size of {tuple(wanted)}, but valid sizes range from {least} "
                f"to {most} (for an input of {sizes})"
            )
        return tuple(n - a for n, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of [N, C, L] or [C, L]."""

    _rank = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of [N, C, H, W] or [C, H, W]."""

    _rank = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of [N, C, D, H, W] or [C, D, H, W]."""

    _rank = 3
    _function = staticmethod(F.conv_transpose3d)
