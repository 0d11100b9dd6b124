"""`functional`'s dropout: values or whole channels, to 0 or to the saturated value of SELU.

All draw their noise from PyTorch's stream as part of the program.
"""

from __future__ import annotations

import math

from gemel.graph.form import bool_
from gemel.tensor import fill, random
from gemel.torch.tensor import Tensor

from .noise import bernoulli_noise
from .operands import checked

_SATURATED = 1.7580993408473766  # minus the limit of SELU at minus infinity


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _drop(input: Tensor, p: float, training: bool, in_place: bool, shape=None) -> Tensor:
    """input times noise that is 0 with probability p, else 1 / (1 - p)."""
    _check_probability(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    noise = bernoulli_noise(input, shape or input.form.shape, p)
    return input.mul_(noise) if in_place else input * noise


def dropout(input: Tensor, p: float = 0.5, training: bool = True,
            inplace: bool = False) -> Tensor:
    """In training, zero each value with probability p and scale the rest by 1 / (1 - p)."""
    return _drop(checked("dropout", input), p, training, inplace)


def _channels(shape: tuple[int, ...], unbatched: int = -1) -> tuple[int, ...]:
    """The noise's shape where whole channels go; `unbatched` axes are without a batch axis."""
    if len(shape) == unbatched:
        return (shape[0],) + (1,) * (len(shape) - 1)
    return shape[:2] + (1,) * (len(shape) - 2)


def _feature_dropout(name: str, input: Tensor, p, training, in_place, dims: int) -> Tensor:
    input = checked(name, input)
    _check_probability(p)
    if not training or p == 0:
        return input
    return _drop(input, p, training, in_place, _channels(input.form.shape, dims))


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True,
              inplace: bool = False) -> Tensor:
    """Zero whole channels of [N, C, L] or [C, L]."""
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _feature_dropout("dropout1d", input, p, training, inplace, 2)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True,
              inplace: bool = False) -> Tensor:
    """Zero whole channels of [N, C, H, W]."""
    return _feature_dropout("dropout2d", input, p, training, inplace, -1)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True,
              inplace: bool = False) -> Tensor:
    """Zero whole channels of [N, C, D, H, W] or [C, D, H, W]."""
    return _feature_dropout("dropout3d", input, p, training, inplace, 4)


def _drop_alpha(input: Tensor, p: float, training: bool, in_place: bool, shape) -> Tensor:
    """Dropped values become SELU's limit; then mean and variance are put back."""
    _check_probability(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    dtype = input.form.dtype
    if p == 1:
        return _scaled(input, fill(shape, 0.0, dtype, Tensor), None, in_place)
    kept = random.bernoulli(random.default_generator, Tensor, shape, dtype, 1.0 - p)
    scale = 1.0 / math.sqrt((_SATURATED * _SATURATED * p + 1.0) * (1.0 - p))
    shift = (kept - 1.0) * (_SATURATED * scale) + _SATURATED * scale * p
    return _scaled(input, kept * scale, shift, in_place)


def _scaled(input: Tensor, factor: Tensor, shift: Tensor | None, in_place: bool) -> Tensor:
    y = input.mul_(factor) if in_place else input * factor
    if shift is None:
        return y
    return y.add_(shift) if in_place else y + shift


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False,
                  inplace: bool = False) -> Tensor:
    """Dropout that keeps zero mean and unit variance (Klambauer et al. 2017)."""
    shape = checked("alpha_dropout", input).form.shape
    return _drop_alpha(input, p, training, inplace, shape)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False,
                          inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of [N, C, ...]."""
    shape = checked("feature_alpha_dropout", input).form.shape
    _check_probability(p)
    if training and p != 0 and len(shape) < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _drop_alpha(input, p, training, inplace, _channels(shape))


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout of whole channels of [N, C, ...]."""
    shape = checked("feature_dropout", input).form.shape
    return _drop(input, p, train, False, _channels(shape))


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """(dropout of input, where values were kept)."""
    shape = checked("native_dropout", input).form.shape
    if train is False or p == 0 or input.numel() == 0:
        return input.clone(), fill(shape, True, bool_, Tensor)
    if p == 1:
        return input * 0.0, fill(shape, False, bool_, Tensor)
    kept = random.bernoulli(random.default_generator, Tensor, shape, input.form.dtype, 1.0 - p)
    return input * kept * (1.0 / (1.0 - p)), kept != 0


def native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Tensor:
    """The gradient of `native_dropout`."""
    return grad_output * mask * scale
