"""How TensorFlow's face takes Keras in: its tensors, its errors, its seeds and its tapes.

Importing this imports Keras.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from keras.src.utils import module_utils
from keras.src.utils.rng_utils import get_random_seed

from gemel import tensor as lazy

from .errors import adopt_invalid_argument
from .gradient import WATCHERS
from .order import adopt_global_seed
from .tensors import adopt as adopt_tensors


def own_seed(global_seed: Callable[[], int | None]) -> int | None:
    """The face's seed, else the one that Keras was given before it was adopted."""
    found = global_seed()
    return get_random_seed() if found is None else found


def adopt(
    tensors: type[lazy.Tensor],
    invalid_argument: type[BaseException],
    global_seed: Callable[[], int | None],
    watch: Callable | None = None,
    shapes: type = tuple,
) -> None:
    """Make the backend part of another face.

    tensors           the class of what Keras makes and returns
    invalid_argument  raised where a program finds a value that an op cannot take
    global_seed       gives the seed that shuffling follows, or None
    watch             called with each trainable Keras variable that is read; its storage's tensor
                      is `variable._value`
    shapes            the class of variables' shapes
    """
    adopt_tensors(tensors, shapes)
    adopt_invalid_argument(invalid_argument)
    adopt_global_seed(lambda: own_seed(global_seed))
    face = sys.modules.get("gemel.tensorflow")
    if face is not None:
        # Keras seeds TensorFlow too, and knows its namespace: now it is there
        module_utils.tensorflow.module = face
        module_utils.tensorflow._available = True
    if watch is not None:
        WATCHERS.append(watch)
