"""`torch.autograd`: gradients, grad modes, custom functions."""

from . import anomaly_mode as anomaly_mode
from . import function as function
from . import graph as graph
from . import modes as grad_mode  # noqa: F401
from .anomaly_mode import detect_anomaly as detect_anomaly
from .anomaly_mode import set_detect_anomaly as set_detect_anomaly
from .function import Function as Function
from .function import NestedIOFunction as NestedIOFunction
from .gradients import backward as backward
from .gradients import grad as grad
from .graph import Node as Node
from .modes import enable_grad as enable_grad
from .modes import inference_mode as inference_mode
from .modes import is_grad_enabled as is_grad_enabled
from .modes import is_multithreading_enabled as is_multithreading_enabled
from .modes import no_grad as no_grad
from .modes import set_grad_enabled as set_grad_enabled
from .modes import set_multithreading_enabled as set_multithreading_enabled
from .variable import Variable as Variable

# loaded when they are first named: name -> module
_PARTS = {
    "functional": "functional",
    "forward_ad": "forward_ad",
    "gradcheck": "checking",
    "gradgradcheck": "checking",
    "GradcheckError": "checking",
}


def __getattr__(name):
    """The derivatives of functions are loaded when they are first named."""
    if name not in _PARTS:
        raise AttributeError(
            f"module 'torch.autograd' has no attribute '{name}' in Gemel's PyTorch face; run "
            "`gemel coverage torch torch.autograd` to see what there is"
        )
    import importlib

    module = importlib.import_module(f".{_PARTS[name]}", __name__)
    found = module if _PARTS[name] == name else getattr(module, name)
    globals()[name] = found
    return found
