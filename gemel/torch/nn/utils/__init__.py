"""`torch.nn.utils`: gradient clipping, parameters as one vector, packed
sequences, parameters that are computed from others."""

import importlib as _importlib

from .clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert_parameters import parameters_to_vector, vector_to_parameters

# Functions that are called like their modules: these must be loaded before, or whoever loads one
# later puts it in the function's place.
from .spectral_norm import remove_spectral_norm, spectral_norm
from .weight_norm import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "remove_spectral_norm",
    "remove_weight_norm",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]

# what is loaded when it is first named: name -> module
_PLACES = {
    "rnn": "rnn",
    "fusion": "fusion",
    "fuse_conv_bn_eval": "fusion",
    "fuse_conv_bn_weights": "fusion",
    "fuse_linear_bn_eval": "fusion",
    "fuse_linear_bn_weights": "fusion",
    "prune": "prune",
    "parametrize": "parametrize",
    "parametrizations": "parametrizations",
    "skip_init": "skipping",
    "stateless": "stateless",
}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'torch.nn.utils' has no attribute '{name}'")
    place = _importlib.import_module(f".{_PLACES[name]}", __name__)
    found = getattr(place, name, place)
    globals()[name] = found
    return found
