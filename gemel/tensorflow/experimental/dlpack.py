"""`tf.experimental.dlpack`: tensors to and from DLPack capsules, without a copy."""

from __future__ import annotations

from gemel.tensor import dlpack
from gemel.tensorflow.eager import EagerTensor


def to_dlpack(tf_tensor: EagerTensor):
    """A capsule over the tensor's memory. Who takes it must not write there: the values of tensors
    do not change."""
    return dlpack.capsule(tf_tensor)


def from_dlpack(dlcapsule) -> EagerTensor:
    """A tensor over the memory of a capsule."""
    return dlpack.imported(dlcapsule, EagerTensor)
