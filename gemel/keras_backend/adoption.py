"""How TensorFlow's face takes Keras in: its tensors, its errors, its seeds and its tapes.

Importing this imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable

from gemel import tensor as lazy

from .errors import adopt_invalid_argument
from .gradient import WATCHERS
from .order import adopt_global_seed
from .tensors import adopt as adopt_tensors


def adopt(
    tensors: type[lazy.Tensor],
    invalid_argument: type[BaseException],
    global_seed: Callable[[], int | None],
    watch: Callable | None = None,
) -> None:
    """Make the backend part of another face.

    tensors           the class of what Keras makes and returns
    invalid_argument  raised where a program finds a value that an op cannot take
    global_seed       gives the seed that shuffling follows, or None
    watch             called with each trainable Keras variable that is read; its storage's tensor
                      is `variable._value`
    """
    adopt_tensors(tensors)
    adopt_invalid_argument(invalid_argument)
    adopt_global_seed(global_seed)
    if watch is not None:
        WATCHERS.append(watch)
