"""`tf.compat.v1.nn`: as `tf.nn`, with TensorFlow 1's rules where they differ."""

# ruff: noqa: F401 -- names are given on, some under another name

from __future__ import annotations

from ...nn import avg_pool as avg_pool
from ...nn import avg_pool1d as avg_pool1d
from ...nn import avg_pool2d as avg_pool2d
from ...nn import batch_normalization as batch_normalization
from ...nn import bias_add as bias_add
from ...nn import conv1d as conv1d
from ...nn import conv2d as conv2d
from ...nn import crelu as crelu
from ...nn import dropout_by_keeping as dropout
from ...nn import elu as elu
from ...nn import embedding_lookup as embedding_lookup
from ...nn import gelu as gelu
from ...nn import in_top_k as in_top_k
from ...nn import l2_loss as l2_loss
from ...nn import l2_normalize as l2_normalize
from ...nn import leaky_relu as leaky_relu
from ...nn import log_sigmoid as log_sigmoid
from ...nn import log_softmax as log_softmax
from ...nn import max_pool as max_pool
from ...nn import max_pool1d as max_pool1d
from ...nn import max_pool2d as max_pool2d
from ...nn import moments as moments
from ...nn import relu as relu
from ...nn import relu6 as relu6
from ...nn import selu as selu
from ...nn import sigmoid as sigmoid
from ...nn import sigmoid_cross_entropy_with_logits as sigmoid_cross_entropy_with_logits
from ...nn import silu as silu
from ...nn import softmax as softmax
from ...nn import softmax_cross_entropy_with_logits as softmax_cross_entropy_with_logits_v2
from ...nn import (
    softmax_cross_entropy_without_label_gradient as softmax_cross_entropy_with_logits,
)
from ...nn import softplus as softplus
from ...nn import softsign as softsign
from ...nn import (
    sparse_softmax_cross_entropy_with_logits as sparse_softmax_cross_entropy_with_logits,
)
from ...nn import swish as swish
from ...nn import tanh as tanh
from ...nn import top_k as top_k
from ...nn import weighted_cross_entropy_with_logits as weighted_cross_entropy_with_logits
from ...nn import xw_plus_b as xw_plus_b
from ...nn import zero_fraction as zero_fraction


def __getattr__(name: str):
    from ..._missing import missing

    raise missing("compat.v1.nn", name)
