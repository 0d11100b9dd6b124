"""`hash_tensor`: one word for all elements."""

from __future__ import annotations

from gemel.ops import hashing, reduction
from gemel.ops.record import Call
from gemel.tensor import record1

from .reductions import dims, positions, reducing
from .tensor import Tensor


def _hash(attrs, x):
    dim, keepdim = attrs
    axes = positions(dim, x)
    found = hashing.folded(x, axes)
    return reduction.reshape(found, reduction.kept_shape(x.shape, axes)) if keepdim else found


HASH = Call("hash_tensor", _hash, False)


@reducing
def hash_tensor(input, dim=(), *, keepdim=False, mode=0) -> Tensor:
    """The exclusive or over dim of the elements' 64-bit forms, as uint64."""
    if mode != 0:
        raise RuntimeError(f"hash_tensor: Unknown mode: {mode}")
    return record1(HASH, input, (dims(dim), keepdim))
