"""Gemel: one deep-learning engine under two faces.

Role: the package's root. Importing it loads nothing else; the faces are imported by name
(`import gemel.torch as torch`, `import gemel.tensorflow as tf`). Output: the version; and, loaded
when they are asked for, `gemel.explain(f, *args)` and `gemel.compile(step, steps=n)`.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    if name == "explain":
        from .explaining import explain

        return explain
    if name == "compile":
        from .steps import compile

        return compile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
