"""`import gemel.keras`: the Keras package over Gemel.

Importing this module joins the backend to Keras and then *is* the `keras` package itself.
Raises ImportError where Keras is missing or is not the release that the backend is made for.
"""

import importlib
import sys

import gemel.keras_backend  # noqa: F401

# not an import statement: it must come after the bridge, whatever sorts imports
sys.modules[__name__] = importlib.import_module("keras")
