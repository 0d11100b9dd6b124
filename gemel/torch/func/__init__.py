"""`torch.func`: transformations of functions, which go together in any order."""

from .derivatives import grad as grad
from .derivatives import grad_and_value as grad_and_value
from .derivatives import jvp as jvp
from .derivatives import linearize as linearize
from .derivatives import vjp as vjp
from .functional import debug_unwrap as debug_unwrap
from .functional import functionalize as functionalize
from .jacobians import hessian as hessian
from .jacobians import jacfwd as jacfwd
from .jacobians import jacrev as jacrev
from .mapping import vmap as vmap
from .modules import functional_call as functional_call
from .modules import replace_all_batch_norm_modules_ as replace_all_batch_norm_modules_
from .modules import stack_module_state as stack_module_state
