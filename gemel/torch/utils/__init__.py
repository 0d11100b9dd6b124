"""`torch.utils`: data sets and loaders."""

from . import data, dlpack

__all__ = ["data", "dlpack"]
