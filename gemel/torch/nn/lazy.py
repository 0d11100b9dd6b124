"""Lazy layers: the sizes of their inputs follow from the first one they see."""

from __future__ import annotations

from gemel.tensor import no_grad, rebind
from gemel.torch.creation import empty
from gemel.torch.tensor import Tensor

from . import convolution_layers as convolutions
from . import normalization
from .linear import Linear
from .module import Module
from .parameter import Buffer, Parameter


class _Uninitialized:
    """A tensor without a shape, until `materialize` gives it one."""

    __slots__ = ()
    _becomes: type = Parameter

    def materialize(self, shape, device=None, dtype=None) -> None:
        made = empty(shape, device=device, dtype=dtype or super().dtype)
        with no_grad():
            rebind(self, made)
        self.__class__ = self._becomes

    @property
    def shape(self):
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def __repr__(self, *, tensor_contents=None) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter without a shape."""

    __slots__ = ()

    def __new__(cls, requires_grad: bool = True, device=None, dtype=None):
        return super().__new__(cls, empty(0, device=device, dtype=dtype), requires_grad)

    def __init__(self, requires_grad: bool = True, device=None, dtype=None):
        pass


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer without a shape."""

    __slots__ = ()
    _becomes = Tensor

    def __new__(cls, requires_grad: bool = False, device=None, dtype=None,
                persistent: bool = True):
        return super().__new__(cls, empty(0, device=device, dtype=dtype), persistent=persistent)

    def __init__(self, requires_grad: bool = False, device=None, dtype=None,
                 persistent: bool = True):
        pass


def is_lazy(t) -> bool:
    """Is it a parameter or buffer without a shape?"""
    return isinstance(t, _Uninitialized)


class LazyModuleMixin(Module):
    """A module that makes its parameters when it is first called, and then is `cls_to_become`."""

    cls_to_become: type | None = None

    def has_uninitialized_params(self) -> bool:
        tables = (self._parameters, self._buffers)
        return any(is_lazy(t) for table in tables for t in table.values())

    def initialize_parameters(self, *args, **kwargs):
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def _settled(self) -> None:
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become

    def __call__(self, *args, **kwargs):
        if self.has_uninitialized_params():
            self.initialize_parameters(*args, **kwargs)
        if self.has_uninitialized_params():
            raise RuntimeError(
                f"module {type(self).__name__} has not been fully initialized"
            )
        self._settled()
        return Module.__call__(self, *args, **kwargs)  # no longer of this class

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        """Values that are loaded give shapes to what has none."""
        for table in (self._parameters, self._buffers):
            for name, t in table.items():
                given = state_dict.get(prefix + name)
                if is_lazy(t) and given is not None and not is_lazy(given):
                    with no_grad():
                        t.materialize(given.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` whose `in_features` follow from its first input."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__(0, 0, False, device, dtype)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input) -> None:
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        self.reset_parameters()


class _LazyConvolution(LazyModuleMixin):
    """A convolution whose `in_channels` follow from its first input."""

    def _forget(self, out_channels: int, bias: bool, device, dtype) -> None:
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs) -> None:
        rank = self._rank
        if input.dim() not in (rank + 1, rank + 2):
            raise RuntimeError(
                f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        self.in_channels = input.shape[-rank - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        pair = (self.out_channels, self.in_channels // self.groups)
        if self.transposed:
            pair = (self.in_channels, self.out_channels // self.groups)
        self.weight.materialize((*pair, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvolution):
    def __init__(self, out_channels: int, kernel_size, stride=1, padding=0, dilation=1,
                 groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device=None,
                 dtype=None):
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False,
                         padding_mode, device, dtype)
        self._forget(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvolution):
    def __init__(self, out_channels: int, kernel_size, stride=1, padding=0, output_padding=0,
                 groups: int = 1, bias: bool = True, dilation=1, padding_mode: str = "zeros",
                 device=None, dtype=None):
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False,
                         dilation, padding_mode, device, dtype)
        self._forget(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, convolutions.Conv1d):
    """`Conv1d` whose `in_channels` follow from its first input."""

    cls_to_become = convolutions.Conv1d


class LazyConv2d(_LazyConv, convolutions.Conv2d):
    """`Conv2d` whose `in_channels` follow from its first input."""

    cls_to_become = convolutions.Conv2d


class LazyConv3d(_LazyConv, convolutions.Conv3d):
    """`Conv3d` whose `in_channels` follow from its first input."""

    cls_to_become = convolutions.Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, convolutions.ConvTranspose1d):
    """`ConvTranspose1d` whose `in_channels` follow from its first input."""

    cls_to_become = convolutions.ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, convolutions.ConvTranspose2d):
    """`ConvTranspose2d` whose `in_channels` follow from its first input."""

    cls_to_become = convolutions.ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, convolutions.ConvTranspose3d):
    """`ConvTranspose3d` whose `in_channels` follow from its first input."""

    cls_to_become = convolutions.ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    """A normalisation whose `num_features` follow from its first input."""

    def __init__(self, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device=None, dtype=None):
        super().__init__(0, eps, momentum, False, False, device=device, dtype=dtype)
        self.affine = affine
        self.track_running_stats = track_running_stats
        made = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**made)
            self.bias = UninitializedParameter(**made)
        if track_running_stats:
            from gemel.torch import dtypes
            from gemel.torch.creation import tensor

            self.running_mean = UninitializedBuffer(**made)
            self.running_var = UninitializedBuffer(**made)
            self.register_buffer("num_batches_tracked", tensor(0, dtype=dtypes.int64))

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input) -> None:
        self.num_features = input.shape[1]
        for table in (self._parameters, self._buffers):
            for t in table.values():
                if is_lazy(t):
                    t.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, normalization.BatchNorm1d):
    """`BatchNorm1d` whose `num_features` follow from its first input."""

    cls_to_become = normalization.BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, normalization.BatchNorm2d):
    """`BatchNorm2d` whose `num_features` follow from its first input."""

    cls_to_become = normalization.BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, normalization.BatchNorm3d):
    """`BatchNorm3d` whose `num_features` follow from its first input."""

    cls_to_become = normalization.BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, normalization.InstanceNorm1d):
    """`InstanceNorm1d` whose `num_features` follow from its first input."""

    cls_to_become = normalization.InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, normalization.InstanceNorm2d):
    """`InstanceNorm2d` whose `num_features` follow from its first input."""

    cls_to_become = normalization.InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, normalization.InstanceNorm3d):
    """`InstanceNorm3d` whose `num_features` follow from its first input."""

    cls_to_become = normalization.InstanceNorm3d
