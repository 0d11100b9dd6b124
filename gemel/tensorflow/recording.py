"""Which gradient tapes are recording. Apart from `tape`, so that variables can tell them."""

from __future__ import annotations

TAPES: list = []


def accessed(variable) -> None:
    """A trainable variable was read: tapes that watch accessed variables take it."""
    if variable.trainable and variable.form.dtype.is_float:
        for tape in TAPES:
            if tape.watches_accessed:
                tape.watch(variable)
                tape.seen(variable)
