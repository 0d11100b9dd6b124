"""`torch.utils.dlpack`: tensors shared with other libraries through DLPack, without a copy.

Role: the names of PyTorch; what a capsule is stands in the engine.
"""

from __future__ import annotations

from enum import IntEnum

from gemel.tensor import dlpack
from gemel.torch.device import check_device
from gemel.torch.tensor import Tensor


class DLDeviceType(IntEnum):
    """Kinds of devices, as DLPack numbers them."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17


def capsule(t: Tensor, max_version=None, dl_device=None, copy=None):
    """What `Tensor.__dlpack__` gives; BufferError where the tensor cannot be exported."""
    if t.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if dl_device is not None and tuple(map(int, dl_device)) != (1, 0):
        raise BufferError(f"cannot export a tensor of the CPU to the device {dl_device}")
    return dlpack.capsule(t, max_version, copy)


def to_dlpack(tensor: Tensor):
    """A capsule over the tensor's memory, for libraries that take capsules."""
    return capsule(tensor)


def from_dlpack(ext_tensor, *, device=None, copy=None) -> Tensor:
    """A tensor over the memory of an object with `__dlpack__`, or of a capsule.

    RuntimeError for a capsule that was used before, BufferError for memory of another device.
    """
    check_device(device)
    return dlpack.imported(ext_tensor, Tensor, copy)
