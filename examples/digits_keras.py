"""Handwritten digits with Keras: a 64-64-10 network, Adam, 20 epochs.

    python digits_keras.py          under Keras on TensorFlow
    gemel run digits_keras.py       under Gemel
"""

import digits
import keras
import numpy as np


class Watch(keras.callbacks.Callback):
    """Hands each step and each epoch to the record."""

    def __init__(self, record):
        super().__init__()
        self.record = record

    def on_train_begin(self, logs=None):
        self.record.start()

    def on_train_batch_end(self, batch, logs=None):
        self.record.step()

    def on_epoch_end(self, epoch, logs=None):
        self.record.epoch(logs["loss"])


def main():
    record = digits.Record("Keras")
    (train_images, train_labels), (test_images, test_labels) = digits.load()

    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(
        optimizer=keras.optimizers.Adam(digits.LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        train_images,
        train_labels,
        batch_size=digits.BATCH,
        epochs=digits.EPOCHS,
        verbose=0,
        callbacks=[Watch(record)],
    )

    probabilities = model.predict(test_images, verbose=0)
    record.finish(np.argmax(probabilities, axis=1), test_labels)


if __name__ == "__main__":
    main()
