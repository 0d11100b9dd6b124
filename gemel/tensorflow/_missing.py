"""What a missing name says. Imports nothing, so that every module of the face may use it."""

from __future__ import annotations


def missing(namespace: str, name: str) -> AttributeError:
    """The error of a name that is not in the face; `namespace` is '' for the top level."""
    where = f"tensorflow.{namespace}" if namespace else "tensorflow"
    return AttributeError(
        f"module '{where}' has no attribute '{name}': it is not in Gemel's TensorFlow face. Run "
        "`gemel coverage tensorflow` to see what is."
    )
