"""Keras over Gemel: the backend package of the unmodified Keras distribution.

Role: what `keras.src.backend.<name>` is for Keras, laid out in files named for what they hold;
`bridge.py` says which of them Keras sees under which name. Importing this package installs the
bridge; nothing of Keras is imported before somebody imports `keras` itself.
Invariants: no file of Keras is changed or copied; nothing computes with NumPy on an op's path.
"""

from .bridge import KERAS_VERSION, install

install()

__all__ = ["KERAS_VERSION", "install"]
