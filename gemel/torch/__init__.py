"""Gemel's PyTorch face: `import gemel.torch as torch`.

Names and behaviour of PyTorch over Gemel's engine. A name that is not here is an AttributeError
that says so; `gemel coverage torch` lists what there is.
"""

import importlib as _importlib
import math as _math

from gemel import __version__ as _gemel_version

from . import autograd as autograd
from . import copying as copying
from . import inplace as inplace
from . import kinds as _kinds  # noqa: F401
from . import resizing as _resizing  # noqa: F401
from . import return_types as return_types
from . import special as special
from . import storage as storage
from .arithmetic import add as add
from .arithmetic import addcdiv as addcdiv
from .arithmetic import addcmul as addcmul
from .arithmetic import allclose as allclose
from .arithmetic import clamp as clamp
from .arithmetic import clamp_max as clamp_max
from .arithmetic import clamp_min as clamp_min
from .arithmetic import clip as clip
from .arithmetic import div as div
from .arithmetic import divide as divide
from .arithmetic import equal as equal
from .arithmetic import float_power as float_power
from .arithmetic import isclose as isclose
from .arithmetic import lerp as lerp
from .arithmetic import logit as logit
from .arithmetic import nan_to_num as nan_to_num
from .arithmetic import pow as pow
from .arithmetic import round as round
from .arithmetic import rsub as rsub
from .arithmetic import sub as sub
from .arithmetic import subtract as subtract
from .arithmetic import where as where
from .autograd.gradients import detach as detach
from .autograd.modes import enable_grad as enable_grad
from .autograd.modes import inference_mode as inference_mode
from .autograd.modes import is_grad_enabled as is_grad_enabled
from .autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from .autograd.modes import no_grad as no_grad
from .autograd.modes import set_grad_enabled as set_grad_enabled
from .calculus import cumulative_trapezoid as cumulative_trapezoid
from .calculus import diff as diff
from .calculus import gradient as gradient
from .calculus import trapezoid as trapezoid
from .calculus import trapz as trapz
from .complex_numbers import adjoint as adjoint
from .complex_numbers import angle as angle
from .complex_numbers import complex as complex
from .complex_numbers import conj as conj
from .complex_numbers import conj_physical as conj_physical
from .complex_numbers import imag as imag
from .complex_numbers import is_complex as is_complex
from .complex_numbers import is_conj as is_conj
from .complex_numbers import is_neg as is_neg
from .complex_numbers import isreal as isreal
from .complex_numbers import polar as polar
from .complex_numbers import real as real
from .complex_numbers import resolve_conj as resolve_conj
from .complex_numbers import resolve_neg as resolve_neg
from .complex_numbers import sgn as sgn
from .complex_numbers import vdot as vdot
from .complex_numbers import view_as_complex as view_as_complex
from .complex_numbers import view_as_real as view_as_real
from .copies import alias_copy as alias_copy
from .copies import as_strided_copy as as_strided_copy
from .copies import as_strided_scatter as as_strided_scatter
from .copies import detach_copy as detach_copy
from .copies import diagonal_copy as diagonal_copy
from .copies import diagonal_scatter as diagonal_scatter
from .copies import expand_copy as expand_copy
from .copies import narrow_copy as narrow_copy
from .copies import permute_copy as permute_copy
from .copies import select_copy as select_copy
from .copies import select_scatter as select_scatter
from .copies import slice_copy as slice_copy
from .copies import slice_scatter as slice_scatter
from .copies import split_copy as split_copy
from .copies import split_with_sizes_copy as split_with_sizes_copy
from .copies import squeeze_copy as squeeze_copy
from .copies import t_copy as t_copy
from .copies import transpose_copy as transpose_copy
from .copies import unbind_copy as unbind_copy
from .copies import unfold_copy as unfold_copy
from .copies import unsqueeze_copy as unsqueeze_copy
from .copies import view_as_complex_copy as view_as_complex_copy
from .copies import view_as_real_copy as view_as_real_copy
from .copies import view_copy as view_copy
from .creation import clone as clone
from .creation import empty as empty
from .creation import empty_like as empty_like
from .creation import full as full
from .creation import full_like as full_like
from .creation import ones as ones
from .creation import ones_like as ones_like
from .creation import scalar_tensor as scalar_tensor
from .creation import tensor as tensor
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .device import device as device
from .diagonals import block_diag as block_diag
from .diagonals import diag as diag
from .diagonals import diag_embed as diag_embed
from .diagonals import diagflat as diagflat
from .diagonals import trace as trace
from .diagonals import tril as tril
from .diagonals import triu as triu
from .drawing import _sample_dirichlet as _sample_dirichlet
from .drawing import _standard_gamma as _standard_gamma
from .drawing import bernoulli as bernoulli
from .drawing import binomial as binomial
from .drawing import multinomial as multinomial
from .drawing import normal as normal
from .drawing import poisson as poisson
from .drawing import rand as rand
from .drawing import rand_like as rand_like
from .drawing import randint as randint
from .drawing import randint_like as randint_like
from .drawing import randn as randn
from .drawing import randn_like as randn_like
from .drawing import randperm as randperm
from .dtypes import bfloat16 as bfloat16
from .dtypes import bool as bool
from .dtypes import cdouble as cdouble
from .dtypes import cfloat as cfloat
from .dtypes import complex64 as complex64
from .dtypes import complex128 as complex128
from .dtypes import double as double
from .dtypes import dtype as dtype
from .dtypes import finfo as finfo
from .dtypes import float as float
from .dtypes import float16 as float16
from .dtypes import float32 as float32
from .dtypes import float64 as float64
from .dtypes import get_default_dtype as get_default_dtype
from .dtypes import half as half
from .dtypes import iinfo as iinfo
from .dtypes import int as int
from .dtypes import int8 as int8
from .dtypes import int16 as int16
from .dtypes import int32 as int32
from .dtypes import int64 as int64
from .dtypes import long as long
from .dtypes import set_default_dtype as set_default_dtype
from .dtypes import short as short
from .dtypes import uint8 as uint8
from .dtypes import uint16 as uint16
from .dtypes import uint32 as uint32
from .dtypes import uint64 as uint64
from .eigenpairs import lobpcg as lobpcg
from .exchange import as_tensor as as_tensor
from .exchange import asarray as asarray
from .exchange import from_dlpack as from_dlpack
from .exchange import from_numpy as from_numpy
from .exchange import frombuffer as frombuffer
from .forms import complete as _complete
from .forms import load_later as _load_later
from .forms import loaded as _loaded
from .hashing import hash_tensor as hash_tensor
from .histograms import histc as histc
from .histograms import histogram as histogram
from .histograms import histogramdd as histogramdd
from .indexing import _unsafe_masked_index as _unsafe_masked_index
from .indexing import _unsafe_masked_index_put_accumulate as _unsafe_masked_index_put_accumulate
from .indexing import index_put as index_put
from .inplace import fill as fill
from .interop import typename as typename
from .joining import _chunk_cat as _chunk_cat
from .joining import atleast_1d as atleast_1d
from .joining import atleast_2d as atleast_2d
from .joining import atleast_3d as atleast_3d
from .joining import cartesian_prod as cartesian_prod
from .joining import cat as cat
from .joining import column_stack as column_stack
from .joining import concat as concat
from .joining import concatenate as concatenate
from .joining import constant_pad_nd as constant_pad_nd
from .joining import dstack as dstack
from .joining import flip as flip
from .joining import fliplr as fliplr
from .joining import flipud as flipud
from .joining import hstack as hstack
from .joining import meshgrid as meshgrid
from .joining import repeat_interleave as repeat_interleave
from .joining import roll as roll
from .joining import rot90 as rot90
from .joining import row_stack as row_stack
from .joining import stack as stack
from .joining import tile as tile
from .joining import vstack as vstack
from .legacy import BFloat16Tensor as BFloat16Tensor
from .legacy import BoolTensor as BoolTensor
from .legacy import ByteTensor as ByteTensor
from .legacy import CharTensor as CharTensor
from .legacy import DoubleTensor as DoubleTensor
from .legacy import FloatTensor as FloatTensor
from .legacy import HalfTensor as HalfTensor
from .legacy import IntTensor as IntTensor
from .legacy import LongTensor as LongTensor
from .legacy import ShortTensor as ShortTensor
from .linear import addmm as addmm
from .linear import addmv as addmv
from .linear import addr as addr
from .linear import baddbmm as baddbmm
from .linear import bmm as bmm
from .linear import chain_matmul as chain_matmul
from .linear import dot as dot
from .linear import einsum as einsum
from .linear import ger as ger
from .linear import inner as inner
from .linear import kron as kron
from .linear import matmul as matmul
from .linear import mm as mm
from .linear import mv as mv
from .linear import outer as outer
from .linear import tensordot as tensordot
from .linear_solving import cholesky_inverse as cholesky_inverse
from .linear_solving import cholesky_solve as cholesky_solve
from .linear_solving import det as det
from .linear_solving import logdet as logdet
from .linear_solving import lu_unpack as lu_unpack
from .linear_solving import triangular_solve as triangular_solve
from .low_rank import pca_lowrank as pca_lowrank
from .low_rank import svd_lowrank as svd_lowrank
from .machine import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
from .machine import backends as backends
from .machine import get_float32_matmul_precision as get_float32_matmul_precision
from .machine import get_num_interop_threads as get_num_interop_threads
from .machine import get_num_threads as get_num_threads
from .machine import mps as mps
from .machine import set_float32_matmul_precision as set_float32_matmul_precision
from .machine import set_num_interop_threads as set_num_interop_threads
from .machine import set_num_threads as set_num_threads
from .machine import use_deterministic_algorithms as use_deterministic_algorithms
from .machine import version as version
from .matrices import addbmm as addbmm
from .matrices import cholesky as cholesky
from .matrices import cross as cross
from .matrices import frobenius_norm as frobenius_norm
from .matrices import inverse as inverse
from .matrices import lu as lu
from .matrices import lu_solve as lu_solve
from .matrices import nuclear_norm as nuclear_norm
from .matrices import orgqr as orgqr
from .matrices import qr as qr
from .matrices import slogdet as slogdet
from .matrices import svd as svd
from .matrices import vander as vander
from .matrix_products import matrix_power as matrix_power
from .memory_format import channels_last as channels_last
from .memory_format import channels_last_3d as channels_last_3d
from .memory_format import contiguous_format as contiguous_format
from .memory_format import layout as layout
from .memory_format import memory_format as memory_format
from .memory_format import preserve_format as preserve_format
from .memory_format import sparse_coo as sparse_coo
from .memory_format import sparse_csc as sparse_csc
from .memory_format import sparse_csr as sparse_csr
from .memory_format import strided as strided
from .missing_methods import mark_missing as _mark_missing
from .number_parts import frexp as frexp
from .number_parts import gcd as gcd
from .number_parts import lcm as lcm
from .number_parts import ldexp as ldexp
from .number_parts import nextafter as nextafter
from .ordering import argsort as argsort
from .ordering import bincount as bincount
from .ordering import cummax as cummax
from .ordering import cummin as cummin
from .ordering import cumprod as cumprod
from .ordering import cumsum as cumsum
from .ordering import kthvalue as kthvalue
from .ordering import logcumsumexp as logcumsumexp
from .ordering import median as median
from .ordering import msort as msort
from .ordering import sort as sort
from .ordering import topk as topk
from .parts import chunk as chunk
from .parts import diagonal as diagonal
from .parts import dsplit as dsplit
from .parts import hsplit as hsplit
from .parts import narrow as narrow
from .parts import select as select
from .parts import split as split
from .parts import split_with_sizes as split_with_sizes
from .parts import tensor_split as tensor_split
from .parts import unbind as unbind
from .parts import unsafe_chunk as unsafe_chunk
from .parts import unsafe_split as unsafe_split
from .parts import unsafe_split_with_sizes as unsafe_split_with_sizes
from .parts import vsplit as vsplit
from .pointwise import abs as abs
from .pointwise import absolute as absolute
from .pointwise import acos as acos
from .pointwise import acosh as acosh
from .pointwise import arccos as arccos
from .pointwise import arccosh as arccosh
from .pointwise import arcsin as arcsin
from .pointwise import arcsinh as arcsinh
from .pointwise import arctan as arctan
from .pointwise import arctan2 as arctan2
from .pointwise import arctanh as arctanh
from .pointwise import asin as asin
from .pointwise import asinh as asinh
from .pointwise import atan as atan
from .pointwise import atan2 as atan2
from .pointwise import atanh as atanh
from .pointwise import bitwise_and as bitwise_and
from .pointwise import bitwise_left_shift as bitwise_left_shift
from .pointwise import bitwise_not as bitwise_not
from .pointwise import bitwise_or as bitwise_or
from .pointwise import bitwise_right_shift as bitwise_right_shift
from .pointwise import bitwise_xor as bitwise_xor
from .pointwise import ceil as ceil
from .pointwise import copysign as copysign
from .pointwise import cos as cos
from .pointwise import cosh as cosh
from .pointwise import deg2rad as deg2rad
from .pointwise import eq as eq
from .pointwise import erf as erf
from .pointwise import exp as exp
from .pointwise import exp2 as exp2
from .pointwise import expm1 as expm1
from .pointwise import fix as fix
from .pointwise import floor as floor
from .pointwise import floor_divide as floor_divide
from .pointwise import fmax as fmax
from .pointwise import fmin as fmin
from .pointwise import fmod as fmod
from .pointwise import frac as frac
from .pointwise import ge as ge
from .pointwise import greater as greater
from .pointwise import greater_equal as greater_equal
from .pointwise import gt as gt
from .pointwise import heaviside as heaviside
from .pointwise import hypot as hypot
from .pointwise import isfinite as isfinite
from .pointwise import isinf as isinf
from .pointwise import isnan as isnan
from .pointwise import isneginf as isneginf
from .pointwise import isposinf as isposinf
from .pointwise import le as le
from .pointwise import less as less
from .pointwise import less_equal as less_equal
from .pointwise import log as log
from .pointwise import log1p as log1p
from .pointwise import log2 as log2
from .pointwise import log10 as log10
from .pointwise import logaddexp as logaddexp
from .pointwise import logaddexp2 as logaddexp2
from .pointwise import logical_and as logical_and
from .pointwise import logical_not as logical_not
from .pointwise import logical_or as logical_or
from .pointwise import logical_xor as logical_xor
from .pointwise import lt as lt
from .pointwise import maximum as maximum
from .pointwise import minimum as minimum
from .pointwise import mul as mul
from .pointwise import multiply as multiply
from .pointwise import ne as ne
from .pointwise import neg as neg
from .pointwise import negative as negative
from .pointwise import not_equal as not_equal
from .pointwise import positive as positive
from .pointwise import rad2deg as rad2deg
from .pointwise import reciprocal as reciprocal
from .pointwise import relu as relu
from .pointwise import remainder as remainder
from .pointwise import rsqrt as rsqrt
from .pointwise import sigmoid as sigmoid
from .pointwise import sign as sign
from .pointwise import signbit as signbit
from .pointwise import sin as sin
from .pointwise import sinc as sinc
from .pointwise import sinh as sinh
from .pointwise import sqrt as sqrt
from .pointwise import square as square
from .pointwise import tan as tan
from .pointwise import tanh as tanh
from .pointwise import true_divide as true_divide
from .pointwise import trunc as trunc
from .pointwise import xlogy as xlogy
from .positions import argwhere as argwhere
from .positions import masked_select as masked_select
from .positions import nonzero as nonzero
from .positions import nonzero_static as nonzero_static
from .positions import unravel_index as unravel_index
from .printing import set_printoptions as set_printoptions
from .quantiles import nanmedian as nanmedian
from .quantiles import nanquantile as nanquantile
from .quantiles import quantile as quantile
from .random import Generator as Generator
from .random import default_generator as default_generator
from .random import fork_rng as fork_rng
from .random import get_rng_state as get_rng_state
from .random import initial_seed as initial_seed
from .random import manual_seed as manual_seed
from .random import seed as seed
from .random import set_rng_state as set_rng_state
from .reductions import all as all
from .reductions import amax as amax
from .reductions import amin as amin
from .reductions import aminmax as aminmax
from .reductions import any as any
from .reductions import argmax as argmax
from .reductions import argmin as argmin
from .reductions import count_nonzero as count_nonzero
from .reductions import dist as dist
from .reductions import log_softmax as log_softmax
from .reductions import logsumexp as logsumexp
from .reductions import max as max
from .reductions import mean as mean
from .reductions import min as min
from .reductions import norm as norm
from .reductions import prod as prod
from .reductions import renorm as renorm
from .reductions import softmax as softmax
from .reductions import std as std
from .reductions import std_mean as std_mean
from .reductions import sum as sum
from .reductions import var as var
from .reductions import var_mean as var_mean
from .scattering import index_add as index_add
from .scattering import index_copy as index_copy
from .scattering import index_fill as index_fill
from .scattering import index_reduce as index_reduce
from .scattering import put as put
from .scattering import scatter as scatter
from .scattering import scatter_add as scatter_add
from .scattering import scatter_reduce as scatter_reduce
from .searching import bucketize as bucketize
from .searching import isin as isin
from .searching import searchsorted as searchsorted
from .segments import _segment_reduce as _segment_reduce
from .segments import segment_reduce as segment_reduce
from .selection import gather as gather
from .selection import index_select as index_select
from .selection import masked_fill as masked_fill
from .selection import masked_scatter as masked_scatter
from .selection import take as take
from .selection import take_along_dim as take_along_dim
from .sequences import arange as arange
from .sequences import eye as eye
from .sequences import linspace as linspace
from .sequences import logspace as logspace
from .sequences import range as range
from .sequences import tril_indices as tril_indices
from .sequences import triu_indices as triu_indices
from .size import Size as Size
from .special import digamma as digamma
from .special import erfc as erfc
from .special import erfinv as erfinv
from .special import i0 as i0
from .special import igamma as igamma
from .special import igammac as igammac
from .special import lgamma as lgamma
from .special import mvlgamma as mvlgamma
from .special import polygamma as polygamma
from .spectral import geqrf as geqrf
from .spectral import matrix_exp as matrix_exp
from .spectral import ormqr as ormqr
from .spectral import pinverse as pinverse
from .spectrograms import bartlett_window as bartlett_window
from .spectrograms import blackman_window as blackman_window
from .spectrograms import hamming_window as hamming_window
from .spectrograms import hann_window as hann_window
from .spectrograms import istft as istft
from .spectrograms import kaiser_window as kaiser_window
from .spectrograms import stft as stft
from .statistics import cdist as cdist
from .statistics import combinations as combinations
from .statistics import corrcoef as corrcoef
from .statistics import cov as cov
from .statistics import mode as mode
from .statistics import nanmean as nanmean
from .statistics import nansum as nansum
from .strided import as_strided as as_strided
from .strided import empty_permuted as empty_permuted
from .strided import empty_strided as empty_strided
from .tensor import Tensor as Tensor
from .tensor import is_floating_point as is_floating_point
from .tensor import is_nonzero as is_nonzero
from .tensor import is_tensor as is_tensor
from .tensor import numel as numel
from .typing import can_cast as can_cast
from .typing import promote_types as promote_types
from .typing import result_type as result_type
from .uniqueness import unique as unique
from .uniqueness import unique_consecutive as unique_consecutive
from .views import broadcast_shapes as broadcast_shapes
from .views import broadcast_tensors as broadcast_tensors
from .views import broadcast_to as broadcast_to
from .views import flatten as flatten
from .views import moveaxis as moveaxis
from .views import movedim as movedim
from .views import permute as permute
from .views import ravel as ravel
from .views import reshape as reshape
from .views import squeeze as squeeze
from .views import swapaxes as swapaxes
from .views import swapdims as swapdims
from .views import t as t
from .views import transpose as transpose
from .views import unflatten as unflatten
from .views import unsqueeze as unsqueeze

__version__ = f"2.13.0+gemel{_gemel_version}"

pi = _math.pi
e = _math.e
inf = _math.inf
nan = _math.nan
newaxis = None

# parts that are loaded when they are first named
_PARTS = (
    "nn", "optim", "utils", "linalg", "func", "masked", "fft", "ops", "signal", "amp", "cpu", "cuda"
)  # fmt: skip
# functions that live in those parts: name -> module
_ELSEWHERE = {
    "save": "serialization",
    "load": "serialization",
    "compile": "compiling",
    "vmap": "func",
    "is_anomaly_enabled": "autograd.anomaly_mode",
    "is_anomaly_check_nan_enabled": "autograd.anomaly_mode",
}
# layers as functions: module -> names
_LAYERS = {
    "nn.functional": (
        "adaptive_avg_pool1d adaptive_max_pool1d avg_pool1d bilinear celu celu_ channel_shuffle "
        "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
        "cosine_similarity hardshrink max_pool1d max_pool1d_with_indices max_pool2d max_pool3d "
        "native_channel_shuffle pairwise_distance pdist pixel_shuffle pixel_unshuffle prelu "
        "rms_norm rrelu rrelu_ selu selu_ threshold threshold_"
    ),
    "nn.lowered": (
        "alpha_dropout batch_norm binary_cross_entropy_with_logits cosine_embedding_loss "
        "ctc_loss dropout embedding feature_alpha_dropout group_norm hinge_embedding_loss "
        "instance_norm kl_div layer_norm margin_ranking_loss poisson_nll_loss "
        "triplet_margin_loss"
    ),
    "nn.native": (
        "_batch_norm_with_update _native_batch_norm_legit native_batch_norm native_group_norm "
        "native_layer_norm"
    ),
    "nn.dropping": "feature_dropout native_dropout",
    "nn.recurrent": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    "amp.autocast_mode": (
        "autocast autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache "
        "get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype "
        "is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled "
        "set_autocast_cache_enabled set_autocast_cpu_dtype set_autocast_cpu_enabled "
        "set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype"
    ),
    "nn.sampling": "affine_grid_generator grid_sampler grid_sampler_2d grid_sampler_3d",
}
_ELSEWHERE |= {name: place for place, names in _LAYERS.items() for name in names.split()}


_complete(globals())
_load_later(_ELSEWHERE)
_mark_missing(Tensor)


def __getattr__(name):
    """Load a part on first use; say what is missing."""
    if name in _PARTS or name in _ELSEWHERE:
        found = _importlib.import_module("." + _ELSEWHERE.get(name, name), __name__)
        found = getattr(found, name, None) if name in _ELSEWHERE else found
        if found is not None:
            found = _loaded(name, found)
            globals()[name] = found
            return found
    if name in ("complex32", "chalf"):
        raise AttributeError(f"Gemel holds no torch.{name}: use complex64 (torch.cfloat)")
    if name.startswith("_foreach_"):
        globals().update(_importlib.import_module(".foreach", __name__).FUNCTIONS)
        if name in globals():
            return globals()[name]
    if name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
        return getattr(Tensor, name)  # torch.relu_(x) and its like
    raise AttributeError(
        f"module 'torch' has no attribute '{name}' in Gemel's PyTorch face (not yet, or not at "
        "all); run `gemel coverage torch` to see what there is"
    )
