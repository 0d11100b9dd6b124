"""`import gemel.keras`: the Keras package over Gemel.

Importing this module joins the backend to Keras and then *is* the `keras` package itself.
Raises ImportError where Keras is missing or is not the release that the backend is made for.
"""

import sys

import keras

import gemel.keras_backend  # noqa: F401

sys.modules[__name__] = keras
