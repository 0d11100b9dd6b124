"""The backend package as Keras sees it: its parts, and the names of `core` once more."""

import os
import sys

import keras
from keras.src.backend.common.name_scope import name_scope
from keras.src.utils import module_utils

from gemel.tensor.state import not_the_user

from . import image_ops as image
from . import interface as core
from . import linalg_ops as linalg
from . import math_ops as math
from . import nn_ops as nn
from . import numpy_ops as numpy
from . import random_ops as random
from .bridge import forget_choice
from .interface import (
    IS_THREAD_SAFE,
    SUPPORTS_COMPLEX_DTYPES,
    SUPPORTS_RAGGED_TENSORS,
    SUPPORTS_SPARSE_TENSORS,
    Variable,
    cast,
    compute_output_spec,
    cond,
    convert_to_numpy,
    convert_to_tensor,
    device_scope,
    is_tensor,
    random_seed_dtype,
    scatter,
    shape,
    stop_gradient,
    vectorized_map,
)
from .rnn_ops import bidirectional_gru, bidirectional_lstm, cudnn_ok, gru, lstm, rnn

forget_choice()
# a fault is reported at the user's line, not at Keras's
not_the_user(os.path.dirname(keras.__file__))
# Keras looks for TensorFlow beside its backend (to seed it, to recognise its datasets). Where
# `tensorflow` is Gemel's own face that is right; the original would only be loaded for nothing.
_tensorflow = sys.modules.get("tensorflow")
if _tensorflow is None or not _tensorflow.__name__.startswith("gemel."):
    module_utils.tensorflow._available = False

__all__ = [
    "IS_THREAD_SAFE", "SUPPORTS_COMPLEX_DTYPES", "SUPPORTS_RAGGED_TENSORS",
    "SUPPORTS_SPARSE_TENSORS", "Variable", "bidirectional_gru", "bidirectional_lstm", "cast",
    "compute_output_spec", "cond", "convert_to_numpy", "convert_to_tensor", "core", "cudnn_ok",
    "device_scope", "gru", "image", "is_tensor", "linalg", "lstm", "math", "name_scope", "nn",
    "numpy", "random", "random_seed_dtype", "rnn", "scatter", "shape", "stop_gradient",
    "vectorized_map",
]  # fmt: skip
