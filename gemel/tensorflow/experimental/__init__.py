"""`tf.experimental`: of it, tensors shared with other libraries."""

from . import dlpack

__all__ = ["dlpack"]


def __getattr__(name: str):
    from gemel.tensorflow._missing import missing

    raise missing("experimental", name)
