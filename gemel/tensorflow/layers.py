"""`tf.layers` of TensorFlow 1: functions that make their variables by `get_variable`."""

from __future__ import annotations

from . import nn
from .array import reshape
from .control import cond
from .convert import convert_to_tensor
from .initializers import zeros_initializer
from .linalg import matmul, tensordot
from .scopes import get_variable, variable_scope


def dense(
    inputs,
    units: int,
    activation=None,
    use_bias: bool = True,
    kernel_initializer=None,
    bias_initializer=None,
    kernel_regularizer=None,
    bias_regularizer=None,
    activity_regularizer=None,
    kernel_constraint=None,
    bias_constraint=None,
    trainable: bool = True,
    name: str | None = None,
    reuse=None,
):
    """A fully connected layer on the last axis: [..., n] to [..., units]."""
    inputs = convert_to_tensor(inputs)
    size = inputs.shape[-1]
    if size is None:
        raise ValueError("The last dimension of the inputs to a Dense layer should be defined. "
                         f"Found None. Full input shape received: {inputs.shape}")
    with variable_scope(name, default_name="dense", reuse=reuse):
        kernel = get_variable(
            "kernel", [size, units], inputs.dtype, kernel_initializer, kernel_regularizer,
            trainable,
        )
        outputs = matmul(inputs, kernel) if inputs.shape.rank == 2 else tensordot(inputs, kernel, 1)
        if use_bias:
            start = bias_initializer or zeros_initializer()
            bias = get_variable(
                "bias", [units], inputs.dtype, start, bias_regularizer, trainable
            )
            outputs = nn.bias_add(outputs, bias)
        return outputs if activation is None else activation(outputs)


def dropout(inputs, rate=0.5, noise_shape=None, seed=None, training=False, name=None):
    """Dropout where `training` holds (a truth value, or a tensor of one)."""
    inputs = convert_to_tensor(inputs)
    if isinstance(training, bool | int):
        return nn.dropped(inputs, rate, noise_shape, seed, name) if training else inputs
    return cond(training, lambda: nn.dropped(inputs, rate, noise_shape, seed, name), lambda: inputs)


def flatten(inputs, name=None):
    """All axes but the first as one."""
    inputs = convert_to_tensor(inputs)
    sizes = inputs.shape.as_list()[1:]
    width = -1
    if None not in sizes:
        width = 1
        for n in sizes:
            width *= n
    return reshape(inputs, [-1 if width != -1 else inputs.shape[0], width], name=name or "flatten")


def conv2d(
    inputs,
    filters: int,
    kernel_size,
    strides=(1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate=(1, 1),
    activation=None,
    use_bias: bool = True,
    kernel_initializer=None,
    bias_initializer=None,
    kernel_regularizer=None,
    bias_regularizer=None,
    activity_regularizer=None,
    kernel_constraint=None,
    bias_constraint=None,
    trainable: bool = True,
    name: str | None = None,
    reuse=None,
):
    """A convolution over images [batch, rows, columns, channels]."""
    if data_format != "channels_last":
        raise NotImplementedError("tf.layers.conv2d takes data_format='channels_last'")
    inputs = convert_to_tensor(inputs)
    window = _two(kernel_size)
    with variable_scope(name, default_name="conv2d", reuse=reuse):
        kernel = get_variable(
            "kernel", [*window, inputs.shape[-1], filters], inputs.dtype, kernel_initializer,
            kernel_regularizer, trainable,
        )
        outputs = nn.conv2d(inputs, kernel, _two(strides), padding.upper(),
                            dilations=_two(dilation_rate))
        if use_bias:
            start = bias_initializer or zeros_initializer()
            bias = get_variable(
                "bias", [filters], inputs.dtype, start, bias_regularizer, trainable
            )
            outputs = nn.bias_add(outputs, bias)
        return outputs if activation is None else activation(outputs)


def max_pooling2d(
    inputs, pool_size, strides, padding="valid", data_format="channels_last", name=None
):
    """The largest value of each window."""
    return nn.max_pool2d(inputs, _two(pool_size), _two(strides), padding.upper(), name=name)


def average_pooling2d(
    inputs, pool_size, strides, padding="valid", data_format="channels_last", name=None
):
    """The mean of each window."""
    return nn.avg_pool2d(inputs, _two(pool_size), _two(strides), padding.upper(), name=name)


def _two(value) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def __getattr__(name: str):
    from ._missing import missing

    raise missing("layers", name)
