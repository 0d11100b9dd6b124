"""The old type names: `torch.FloatTensor([1, 2])`, `isinstance(x, torch.LongTensor)`."""

from __future__ import annotations

from . import dtypes
from .creation import legacy_tensor
from .tensor import Tensor


class _Kind(type):
    """Calls make tensors; instances are the tensors of that element type."""

    held: dtypes.dtype

    def __call__(cls, *data):
        return legacy_tensor(data, cls.held)

    def __instancecheck__(cls, x) -> bool:
        return isinstance(x, Tensor) and x.form.dtype is cls.held.engine


def _kind(d: dtypes.dtype) -> _Kind:
    return _Kind(f"{d._short}Tensor", (), {"held": d, "dtype": d, "__module__": "torch"})


HalfTensor = _kind(dtypes.float16)
BFloat16Tensor = _kind(dtypes.bfloat16)
FloatTensor = _kind(dtypes.float32)
DoubleTensor = _kind(dtypes.float64)
LongTensor = _kind(dtypes.int64)
IntTensor = _kind(dtypes.int32)
ShortTensor = _kind(dtypes.int16)
CharTensor = _kind(dtypes.int8)
ByteTensor = _kind(dtypes.uint8)
BoolTensor = _kind(dtypes.bool)
