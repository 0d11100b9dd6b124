"""`torch.utils`: data sets and loaders, exchange, checkpoints."""

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
