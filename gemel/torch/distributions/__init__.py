"""`torch.distributions`: distributions over tensors, their samples and their densities."""

from __future__ import annotations

from . import constraints as constraints
from . import parameters as utils  # noqa: F401  (as programs import it)
from .bernoulli import Bernoulli as Bernoulli
from .categorical import Categorical as Categorical
from .distribution import Distribution as Distribution
from .normal import Normal as Normal
