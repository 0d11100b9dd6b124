"""Gemel's TensorFlow face: `import gemel.tensorflow as tf`.

Role: the public names, one line each. TensorFlow 1's names stand at the top level as well as under
`tf.compat.v1`, so that scripts of either age run as written. Eager mode is on until
`tf.disable_eager_execution()`. `tf.keras` is the Keras package over Gemel, loaded when it is first
asked for.
"""

# ruff: noqa: F401 -- names are given on, some under another name
import sys as _sys

from . import dtypes as dtypes
from . import errors as errors
from . import experimental as experimental
from . import linalg as linalg
from . import math as math
from . import nn as nn
from . import operators as _operators
from . import random as random
from .array import boolean_mask as boolean_mask
from .array import broadcast_to as broadcast_to
from .array import concat as concat
from .array import constant as constant
from .array import ensure_shape as ensure_shape
from .array import expand_dims as expand_dims
from .array import eye as eye
from .array import fill as fill
from .array import gather as gather
from .array import gather_nd as gather_nd
from .array import identity as identity
from .array import is_tensor as is_tensor
from .array import lin_space as lin_space
from .array import linspace as linspace
from .array import matrix_band_part as matrix_band_part
from .array import meshgrid as meshgrid
from .array import one_hot as one_hot
from .array import ones as ones
from .array import ones_like as ones_like
from .array import pad as pad
from .array import range as range
from .array import rank as rank
from .array import repeat as repeat
from .array import reshape as reshape
from .array import reverse as reverse
from .array import roll as roll
from .array import scatter_nd as scatter_nd
from .array import shape as shape
from .array import shape_n as shape_n
from .array import size as size
from .array import slice as slice
from .array import split as split
from .array import squeeze as squeeze
from .array import stack as stack
from .array import stop_gradient as stop_gradient
from .array import tensor_scatter_nd_add as tensor_scatter_nd_add
from .array import tensor_scatter_nd_sub as tensor_scatter_nd_sub
from .array import tensor_scatter_nd_update as tensor_scatter_nd_update
from .array import tile as tile
from .array import transpose as transpose
from .array import unstack as unstack
from .array import where as where
from .array import zeros as zeros
from .array import zeros_like as zeros_like
from .context import disable_eager_execution as disable_eager_execution
from .context import disable_tensor_equality as disable_tensor_equality
from .context import disable_v2_behavior as disable_v2_behavior
from .context import enable_eager_execution as enable_eager_execution
from .context import enable_tensor_equality as enable_tensor_equality
from .context import enable_v2_behavior as enable_v2_behavior
from .context import executing_eagerly as executing_eagerly
from .context import executing_eagerly_outside_functions as executing_eagerly_outside_functions
from .context import get_default_graph as get_default_graph
from .context import get_default_session as get_default_session
from .context import reset_default_graph as reset_default_graph
from .control import case as case
from .control import cond as cond
from .control import control_dependencies as control_dependencies
from .control import device as device
from .control import group as group
from .control import init_scope as init_scope
from .control import name_scope as name_scope
from .control import no_op as no_op
from .control import recompute_grad as recompute_grad
from .control import tuple_ as tuple
from .control import while_loop as while_loop
from .convert import convert_to_tensor as convert_to_tensor
from .dtypes import DType as DType
from .dtypes import as_dtype as as_dtype
from .dtypes import bfloat16 as bfloat16
from .dtypes import bool_ as bool
from .dtypes import complex64 as complex64
from .dtypes import complex128 as complex128
from .dtypes import double as double
from .dtypes import float16 as float16
from .dtypes import float32 as float32
from .dtypes import float64 as float64
from .dtypes import half as half
from .dtypes import int8 as int8
from .dtypes import int16 as int16
from .dtypes import int32 as int32
from .dtypes import int64 as int64
from .dtypes import uint8 as uint8
from .dtypes import uint16 as uint16
from .dtypes import uint32 as uint32
from .dtypes import uint64 as uint64
from .function import TensorSpec as TensorSpec
from .function import TypeSpec as TypeSpec
from .function import function as function
from .gradients import gradients as gradients
from .gradients import hessians as hessians
from .graph import Graph as Graph
from .graph_keys import GraphKeys as GraphKeys
from .graph_keys import add_to_collection as add_to_collection
from .graph_keys import add_to_collections as add_to_collections
from .graph_keys import all_variables as all_variables
from .graph_keys import get_collection as get_collection
from .graph_keys import get_collection_ref as get_collection_ref
from .graph_keys import global_variables as global_variables
from .graph_keys import local_variables as local_variables
from .graph_keys import model_variables as model_variables
from .graph_keys import trainable_variables as trainable_variables
from .linalg import diag as diag
from .linalg import diag_part as diag_part
from .linalg import einsum as einsum
from .linalg import matmul as matmul
from .linalg import matrix_transpose as matrix_transpose
from .linalg import norm as norm
from .linalg import tensordot as tensordot
from .linalg import trace as trace
from .math import abs as abs
from .math import accumulate_n as accumulate_n
from .math import acos as acos
from .math import acosh as acosh
from .math import add as add
from .math import add_n as add_n
from .math import argmax as arg_max
from .math import argmax as argmax
from .math import argmin as arg_min
from .math import argmin as argmin
from .math import asin as asin
from .math import asinh as asinh
from .math import atan as atan
from .math import atan2 as atan2
from .math import atanh as atanh
from .math import cast as cast
from .math import ceil as ceil
from .math import clip_by_global_norm as clip_by_global_norm
from .math import clip_by_norm as clip_by_norm
from .math import clip_by_value as clip_by_value
from .math import confusion_matrix as confusion_matrix
from .math import cos as cos
from .math import cosh as cosh
from .math import count_nonzero as count_nonzero
from .math import cumprod as cumprod
from .math import cumsum as cumsum
from .math import div as div
from .math import div_no_nan as div_no_nan
from .math import divide as divide
from .math import equal as equal
from .math import erf as erf
from .math import erfc as erfc
from .math import exp as exp
from .math import expm1 as expm1
from .math import floor as floor
from .math import floordiv as floordiv
from .math import floormod as floormod
from .math import global_norm as global_norm
from .math import greater as greater
from .math import greater_equal as greater_equal
from .math import is_finite as is_finite
from .math import is_inf as is_inf
from .math import is_nan as is_nan
from .math import less as less
from .math import less_equal as less_equal
from .math import log as log
from .math import log1p as log1p
from .math import log_sigmoid as log_sigmoid
from .math import logical_and as logical_and
from .math import logical_not as logical_not
from .math import logical_or as logical_or
from .math import logical_xor as logical_xor
from .math import maximum as maximum
from .math import minimum as minimum
from .math import mod as mod
from .math import multiply as multiply
from .math import negative as negative
from .math import not_equal as not_equal
from .math import pow as pow
from .math import realdiv as realdiv
from .math import reciprocal as reciprocal
from .math import reduce_all as reduce_all
from .math import reduce_any as reduce_any
from .math import reduce_logsumexp as reduce_logsumexp
from .math import reduce_max as reduce_max
from .math import reduce_mean as reduce_mean
from .math import reduce_min as reduce_min
from .math import reduce_prod as reduce_prod
from .math import reduce_sum as reduce_sum
from .math import rint as rint
from .math import round as round
from .math import rsqrt as rsqrt
from .math import saturate_cast as saturate_cast
from .math import scalar_mul as scalar_mul
from .math import sigmoid as sigmoid
from .math import sign as sign
from .math import sin as sin
from .math import sinh as sinh
from .math import sqrt as sqrt
from .math import square as square
from .math import squared_difference as squared_difference
from .math import subtract as subtract
from .math import tan as tan
from .math import tanh as tanh
from .math import to_double as to_double
from .math import to_float as to_float
from .math import to_int32 as to_int32
from .math import to_int64 as to_int64
from .math import truediv as truediv
from .placeholders import placeholder as placeholder
from .placeholders import placeholder_with_default as placeholder_with_default
from .random import get_seed as get_seed
from .random import multinomial as multinomial
from .random import normal as random_normal
from .random import set_random_seed as set_random_seed
from .random import shuffle as random_shuffle
from .random import truncated_normal as truncated_normal
from .random import uniform as random_uniform
from .scopes import AUTO_REUSE as AUTO_REUSE
from .scopes import VariableScope as VariableScope
from .scopes import get_variable as get_variable
from .scopes import get_variable_scope as get_variable_scope
from .scopes import variable_scope as variable_scope
from .session import InteractiveSession as InteractiveSession
from .session import Session as Session
from .shape import Dimension as Dimension
from .shape import TensorShape as TensorShape
from .symbolic import Operation as Operation
from .symbolic import Tensor as Tensor
from .tape import GradientTape as GradientTape
from .tape import UnconnectedGradients as UnconnectedGradients
from .variables import Variable as Variable

newaxis = None
VERSION = "2.21.0"
# the release whose behaviour is followed
__version__ = "2.21.0"


def join_keras() -> None:
    """Keras's tensors, errors and seed are those of this face, and its variables are watched."""
    from ._names import keras

    keras()


if "gemel.keras_backend" in _sys.modules and hasattr(_sys.modules.get("keras"), "Model"):
    join_keras()


def __getattr__(name: str):
    from ._names import late

    return late(name)


def __dir__() -> list[str]:
    from ._names import LATE

    return sorted({*globals(), *LATE})
