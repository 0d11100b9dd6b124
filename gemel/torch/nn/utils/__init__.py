"""`torch.nn.utils`: gradient clipping, parameters as one vector, packed sequences."""

import importlib as _importlib

from .clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]


def __getattr__(name: str):
    if name != "rnn":
        raise AttributeError(f"module 'torch.nn.utils' has no attribute '{name}'")
    return _importlib.import_module(".rnn", __name__)
