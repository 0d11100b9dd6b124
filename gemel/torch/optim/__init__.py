"""`torch.optim`: optimizers and learning-rate schedulers."""

import importlib as _importlib

from . import lr_scheduler
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "lr_scheduler",
]

# optimizers that are loaded when they are first named
_PLACES = {
    "ASGD": "asgd",
    "Adadelta": "adadelta",
    "Adafactor": "adafactor",
    "Adamax": "adamax",
    "LBFGS": "lbfgs",
    "Muon": "adafactor",
    "NAdam": "adamax",
    "RAdam": "adamax",
    "Rprop": "asgd",
    "SparseAdam": "sparse_adam",
}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'torch.optim' has no attribute '{name}'")
    found = getattr(_importlib.import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = found
    return found
