"""The networks as Keras programs, trained with `fit`. Runs on every backend, Gemel's too."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from .workload import Job, weights


def mlp(widths: Sequence[int]) -> keras.Model:
    """Dense layers with ReLU between."""
    hidden = [layers.Dense(n, activation="relu") for n in widths[1:-1]]
    return keras.Sequential([layers.Input((widths[0],)), *hidden, layers.Dense(widths[-1])])


def cnn() -> keras.Model:
    """Two convolutions, pooling, two dense layers; images (batch, 28, 28, 1)."""
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )


def _norm(x):
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)


def _block(x, outputs: int, stride: int):
    out = layers.Conv2D(outputs, 3, stride, padding="same", use_bias=False)(x)
    out = layers.ReLU()(_norm(out))
    out = _norm(layers.Conv2D(outputs, 3, padding="same", use_bias=False)(out))
    if stride > 1 or x.shape[-1] != outputs:
        x = _norm(layers.Conv2D(outputs, 1, stride, use_bias=False)(x))
    return layers.ReLU()(layers.Add()([out, x]))


def resnet18(classes: int, small: bool) -> keras.Model:
    """He et al. 2015; `small`: the form for 32x32 images, which starts with a 3x3 convolution."""
    size, stride, side = (3, 1, 32) if small else (7, 2, 224)
    start = layers.Input((side, side, 3))
    x = layers.Conv2D(64, size, stride, padding="same", use_bias=False)(start)
    x = layers.ReLU()(_norm(x))
    if not small:
        x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for outputs, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        x = _block(_block(x, outputs, first), outputs, 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(start, layers.Dense(classes)(x))


def fill(model: keras.Model) -> keras.Model:
    """Give every weight its value by its place."""
    values = []
    for i, w in enumerate(model.weights):
        shape = tuple(w.shape)
        values.append(weights(f"{i} {w.name}", shape, int(np.prod(shape[:-1]))))
    model.set_weights(values)
    return model


def training(model: keras.Model, optimizer, images: np.ndarray, labels: np.ndarray) -> Job:
    """`fit` over all batches a call; the arrays have a leading axis of batches."""
    fill(model)
    count, batch = labels.shape[:2]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    x = images.reshape(count * batch, *images.shape[2:])
    y = labels.reshape(count * batch, *labels.shape[2:])

    def run(steps: int) -> None:
        epochs = steps // count
        model.fit(x, y, batch_size=batch, epochs=epochs, shuffle=False, verbose=0)

    def results() -> list[np.ndarray]:
        return [np.array([model.train_on_batch(images[0], labels[0]) for _ in range(3)])]

    return Job(run, results, count)


def inference(model: keras.Model, images: np.ndarray) -> Job:
    """The model applied to one batch."""
    fill(model)

    def run(steps: int) -> None:
        for _ in range(steps):
            model.predict_on_batch(images)

    return Job(run, lambda: [np.asarray(model.predict_on_batch(images))])


def train_mlp(widths, images, labels) -> Job:
    """Adam on a multilayer perceptron."""
    return training(mlp(widths), keras.optimizers.Adam(), images, labels)


def train_cnn(images, labels) -> Job:
    """Adam on the convolutional network."""
    return training(cnn(), keras.optimizers.Adam(), images, labels)


def train_resnet(images, labels) -> Job:
    """SGD with momentum on ResNet-18."""
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    return training(resnet18(10, small=True), optimizer, images, labels)


def infer_resnet(images) -> Job:
    """ResNet-18 on images (batch, 224, 224, 3)."""
    return inference(resnet18(1000, small=False), images)
