"""`torch.autograd`: gradients, grad modes, custom functions."""

from . import function as function
from .function import Function as Function
from .gradients import Node as Node
from .gradients import backward as backward
from .gradients import grad as grad
from .modes import detect_anomaly as detect_anomaly
from .modes import enable_grad as enable_grad
from .modes import inference_mode as inference_mode
from .modes import is_grad_enabled as is_grad_enabled
from .modes import no_grad as no_grad
from .modes import set_detect_anomaly as set_detect_anomaly
from .modes import set_grad_enabled as set_grad_enabled
from .variable import Variable as Variable


def __getattr__(name):
    """The derivatives of functions are loaded when they are first named."""
    if name not in ("functional", "gradcheck"):
        raise AttributeError(
            f"module 'torch.autograd' has no attribute '{name}' in Gemel's PyTorch face; run "
            "`gemel coverage torch torch.autograd` to see what there is"
        )
    import importlib

    functional = importlib.import_module(".functional", __name__)
    globals().update(functional=functional, gradcheck=functional.gradcheck)
    return globals()[name]
