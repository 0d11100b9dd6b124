"""Gemel: one deep-learning engine under two faces.

Role: the package's root. Importing it loads nothing else; the faces are imported by name
(`import gemel.torch as torch`, `import gemel.tensorflow as tf`). Output: the version.
"""

__version__ = "0.1.0"
