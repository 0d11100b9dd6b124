"""The small GPT as a Keras program. Runs on every backend, Gemel's too."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from .networks_keras import training
from .workload import Job

LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 4, 256, 8, 128, 65


def _block(x):
    norm = layers.LayerNormalization(epsilon=1e-5)(x)
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
    x = x + attention(norm, norm, use_causal_mask=True)
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = layers.Dense(4 * WIDTH, activation="gelu")(y)
    return x + layers.Dense(WIDTH)(y)


class Positions(layers.Layer):
    """Adds a learned vector to each place. (An `Embedding` of a constant would be a constant of the
    model: never trained, and of its own random numbers.)"""

    def build(self, shape):
        self.vectors = self.add_weight(shape=tuple(shape[1:]), name="embeddings")

    def call(self, x):
        return x + self.vectors


def gpt() -> keras.Model:
    """Tokens [batch, context] to logits."""
    start = layers.Input((CONTEXT,), dtype="int32")
    x = Positions()(layers.Embedding(VOCABULARY, WIDTH)(start))
    for _ in range(LAYERS):
        x = _block(x)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    return keras.Model(start, layers.Dense(VOCABULARY)(x))


def train(tokens: np.ndarray) -> Job:
    """AdamW; tokens (batches, batch, context + 1)."""
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.01)
    x, y = tokens[:, :, :-1].astype(np.int32), tokens[:, :, 1:].astype(np.int32)
    return training(gpt(), optimizer, x, y)
