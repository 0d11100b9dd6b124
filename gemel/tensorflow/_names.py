"""Names that are found late: what few programs need is loaded when it is asked for.

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
from .shape import TensorShape

_joined: list[ModuleType] = []
# module -> the names that it gives to the top level; name=other: under another name there
_HOMES = {
    "app": "flags",
    "assigning": "assign assign_add assign_sub scatter_add scatter_sub scatter_update",
    "complex_numbers": "complex=complex_ conj imag real",
    "config": "ConfigProto GPUOptions RunMetadata RunOptions",
    "debugging": (
        "Assert assert_equal assert_greater assert_greater_equal assert_less "
        "assert_less_equal assert_rank check_numerics"
    ),
    "initialization": (
        "global_variables_initializer initialize_all_variables is_variable_initialized "
        "local_variables_initializer report_uninitialized_variables tables_initializer "
        "variables_initializer"
    ),
    "initializers": (
        "constant_initializer glorot_normal_initializer glorot_uniform_initializer "
        "ones_initializer truncated_normal_initializer variance_scaling_initializer "
        "zeros_initializer"
    ),
    "seeded_initializers": "random_normal_initializer random_uniform_initializer",
    "logging": "get_logger",
    "mapping": "foldl foldr map_fn scan vectorized_map",
    "module": "Module",
    "ordering": "argsort sequence_mask sort unique",
    "printing": "print=print_",
    "tensor_arrays": "TensorArray",
}
_LATE = {
    name.partition("=")[0]: (home, name.partition("=")[2] or name)
    for home, names in _HOMES.items()
    for name in names.split()
}
_MODULES = (
    "app bitwise compat config data debugging initializers layers logging signal train".split()
)
_OF_KERAS = ("losses", "metrics", "optimizers")
LATE = (*_LATE, *_MODULES, *_OF_KERAS, "keras")


def keras() -> ModuleType:
    """The Keras package over Gemel's backend; its tensors, errors, seed and tapes are ours."""
    importlib.import_module("gemel.keras_backend")
    package = importlib.import_module("keras")
    if not _joined:
        _joined.append(package)
        adoption = importlib.import_module("gemel.keras_backend.adoption")
        watch = recording.foreign_read
        adoption.adopt(EagerTensor, InvalidArgumentError, _global_seed, watch, TensorShape)
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
    if name in _MODULES:
        return importlib.import_module(f"{__package__}.{name}")
    if name in _LATE:
        home, there = _LATE[name]
        return getattr(importlib.import_module(f"{__package__}.{home}"), there)
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
