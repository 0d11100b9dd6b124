"""What Keras asks a backend's `core` for: variables, conversion, control flow, shape inference."""

from .arithmetic import stop_gradient
from .control import (
    associative_scan,
    cond,
    custom_gradient,
    device_scope,
    fori_loop,
    map,
    remat,
    scan,
    switch,
    vectorized_map,
    while_loop,
)
from .indexing import scatter, scatter_update, slice, slice_update
from .shaping import unstack
from .specs import compute_output_spec
from .tensors import cast, convert_to_numpy, convert_to_tensor, is_tensor, shape
from .variable import Variable

SUPPORTS_SPARSE_TENSORS = False
SUPPORTS_RAGGED_TENSORS = False
SUPPORTS_COMPLEX_DTYPES = False
# callbacks run on the training thread: a step is shorter than handing its logs to another one
IS_THREAD_SAFE = False


def random_seed_dtype() -> str:
    """As on TensorFlow, whose streams the seeds drive."""
    return "int64"


__all__ = [
    "IS_THREAD_SAFE", "SUPPORTS_COMPLEX_DTYPES", "SUPPORTS_RAGGED_TENSORS",
    "SUPPORTS_SPARSE_TENSORS", "Variable", "associative_scan", "cast", "compute_output_spec",
    "cond", "convert_to_numpy", "convert_to_tensor", "custom_gradient", "device_scope",
    "fori_loop", "is_tensor", "map", "random_seed_dtype", "remat", "scan", "scatter",
    "scatter_update", "shape", "slice", "slice_update", "stop_gradient", "switch", "unstack",
    "vectorized_map", "while_loop",
]  # fmt: skip
