"""`tf.compat`: TensorFlow 1's names (`v1`), and TensorFlow 2's (`v2`, the face itself)."""

from __future__ import annotations

from . import v1 as v1


def as_text(value, encoding: str = "utf-8") -> str:
    return value.decode(encoding) if isinstance(value, bytes) else value


def as_bytes(value, encoding: str = "utf-8") -> bytes:
    return value.encode(encoding) if isinstance(value, str) else value


as_str = as_text


def __getattr__(name: str):
    if name == "v2":
        import sys

        from .. import __name__ as face

        return sys.modules[face]
    from .._missing import missing

    raise missing("compat", name)
