"""`tf.train` of TensorFlow 1: optimizers, learning-rate schedules, the global step, the saver."""

from .averages import ExponentialMovingAverage as ExponentialMovingAverage
from .optimizers import AdadeltaOptimizer as AdadeltaOptimizer
from .optimizers import AdagradOptimizer as AdagradOptimizer
from .optimizers import AdamOptimizer as AdamOptimizer
from .optimizers import GradientDescentOptimizer as GradientDescentOptimizer
from .optimizers import MomentumOptimizer as MomentumOptimizer
from .optimizers import Optimizer as Optimizer
from .optimizers import RMSPropOptimizer as RMSPropOptimizer
from .saving import Saver as Saver
from .saving import checkpoint_exists as checkpoint_exists
from .saving import latest_checkpoint as latest_checkpoint
from .schedules import cosine_decay as cosine_decay
from .schedules import exponential_decay as exponential_decay
from .schedules import inverse_time_decay as inverse_time_decay
from .schedules import natural_exp_decay as natural_exp_decay
from .schedules import piecewise_constant as piecewise_constant
from .schedules import piecewise_constant_decay as piecewise_constant_decay
from .schedules import polynomial_decay as polynomial_decay
from .steps import create_global_step as create_global_step
from .steps import get_global_step as get_global_step
from .steps import get_or_create_global_step as get_or_create_global_step
from .steps import global_step as global_step


def __getattr__(name: str):
    from .._missing import missing

    raise missing("train", name)
