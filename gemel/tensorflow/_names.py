"""Names that are found late.

Keras is loaded when it is first asked for. `tf.losses` is TensorFlow 1's in graph mode and Keras's
in eager mode, as the two releases have it.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from . import context, recording
from ._missing import missing
from .eager import EagerTensor
from .errors import InvalidArgumentError

_joined: list[ModuleType] = []
_OF_KERAS = ("initializers", "losses", "metrics", "optimizers")


def keras() -> ModuleType:
    """The Keras package over Gemel's backend; its tensors, errors, seed and tapes are ours."""
    importlib.import_module("gemel.keras_backend")
    package = importlib.import_module("keras")
    if not _joined:
        _joined.append(package)
        adoption = importlib.import_module("gemel.keras_backend.adoption")
        adoption.adopt(EagerTensor, InvalidArgumentError, _global_seed, recording.foreign_read)
    return package


def _global_seed() -> int | None:
    from .random import EAGER

    return EAGER.global_seed


def late(name: str):
    """A top-level name that is not bound at import."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "keras":
        return keras()
    if name == "losses" and not context.executing_eagerly():
        return importlib.import_module("gemel.tensorflow.graph_losses")
    if name in _OF_KERAS:
        return getattr(keras(), name)
    raise missing("", name)


def late_v1(name: str):
    """A name of `tf.compat.v1` that is not bound at import."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "keras":
        return keras()
    raise missing("compat.v1", name)
