"""The order in which an epoch visits the samples."""

from __future__ import annotations

import numpy as np


def epoch_order(size: int, shuffle, batch_size: int) -> np.ndarray | None:
    """Sample positions of one epoch, or None for the order they are in.

    shuffle  True: all samples; "batch": the batches as wholes
    """
    if not shuffle or size < 2:
        return None
    if shuffle == "batch":
        full = size // batch_size * batch_size
        rows = np.arange(full).reshape(-1, batch_size)
        np.random.shuffle(rows)
        return np.concatenate([rows.reshape(-1), np.arange(full, size)])
    return np.random.permutation(size)
