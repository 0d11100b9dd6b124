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
from . import transforms as transforms
from .bernoulli import Bernoulli as Bernoulli
from .categorical import Categorical as Categorical
from .continuous import Chi2 as Chi2
from .continuous import Exponential as Exponential
from .continuous import Gamma as Gamma
from .continuous import Gumbel as Gumbel
from .continuous import Laplace as Laplace
from .continuous import Uniform as Uniform
from .counts import Binomial as Binomial
from .counts import Geometric as Geometric
from .counts import NegativeBinomial as NegativeBinomial
from .counts import Poisson as Poisson
from .distribution import Distribution as Distribution
from .folded import HalfCauchy as HalfCauchy
from .folded import HalfNormal as HalfNormal
from .heavy_tails import Cauchy as Cauchy
from .heavy_tails import StudentT as StudentT
from .independent import Independent as Independent
from .kl import kl_divergence as kl_divergence
from .kl import register_kl as register_kl
from .mixture import MixtureSameFamily as MixtureSameFamily
from .multinomial import Multinomial as Multinomial
from .multivariate_normal import MultivariateNormal as MultivariateNormal
from .normal import Normal as Normal
from .of_normals import LogisticNormal as LogisticNormal
from .of_normals import LogNormal as LogNormal
from .one_hot import OneHotCategorical as OneHotCategorical
from .one_hot import OneHotCategoricalStraightThrough as OneHotCategoricalStraightThrough
from .shares import Beta as Beta
from .shares import Dirichlet as Dirichlet
from .transformed import TransformedDistribution as TransformedDistribution
from .transforms import AbsTransform as AbsTransform
from .transforms import AffineTransform as AffineTransform
from .transforms import ComposeTransform as ComposeTransform
from .transforms import ExpTransform as ExpTransform
from .transforms import IndependentTransform as IndependentTransform
from .transforms import PowerTransform as PowerTransform
from .transforms import SigmoidTransform as SigmoidTransform
from .transforms import SoftmaxTransform as SoftmaxTransform
from .transforms import SoftplusTransform as SoftplusTransform
from .transforms import StickBreakingTransform as StickBreakingTransform
from .transforms import TanhTransform as TanhTransform
from .transforms import Transform as Transform
from .transforms import identity_transform as identity_transform
