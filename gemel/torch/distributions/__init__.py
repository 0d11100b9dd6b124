"""`torch.distributions`: distributions over tensors, their samples and their densities.

A kind stands in the file of its family; `utils` and the files that programs import by PyTorch's
names are the same modules.
"""

from __future__ import annotations

from . import constraints as constraints
from . import continuous as exponential  # noqa: F401
from . import continuous as gamma  # noqa: F401
from . import continuous as gumbel  # noqa: F401
from . import continuous as laplace  # noqa: F401
from . import continuous as uniform  # noqa: F401
from . import parameters as utils  # noqa: F401
from . import shares as beta  # noqa: F401
from . import shares as dirichlet  # noqa: F401
from .bernoulli import Bernoulli as Bernoulli
from .categorical import Categorical as Categorical
from .continuous import Exponential as Exponential
from .continuous import Gamma as Gamma
from .continuous import Gumbel as Gumbel
from .continuous import Laplace as Laplace
from .continuous import Uniform as Uniform
from .distribution import Distribution as Distribution
from .independent import Independent as Independent
from .kl import kl_divergence as kl_divergence
from .kl import register_kl as register_kl
from .normal import Normal as Normal
from .shares import Beta as Beta
from .shares import Dirichlet as Dirichlet
