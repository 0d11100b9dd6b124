"""A step of Keras's `fit` over Gemel against the same over TensorFlow.

Keras takes one backend a process, so each runs in a process of its own; they take turns.
"""

import sys
import time

from timing import in_processes, pin, ratio_row

BOUND = 0.1
ROUNDS = 3
EPOCHS = 20
WARM_UP = 2


def main() -> None:
    """Print the figure; with an argument, measure one backend in this process."""
    pin()
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
        return
    seconds = in_processes(__file__, ["gemel", "TensorFlow"], ROUNDS)
    ratio_row("Keras fit, a step", seconds, "TensorFlow", BOUND)


def measure(backend: str) -> float:
    """Seconds per step of `fit` on the digits, after some epochs that warm up."""
    if backend == "gemel":
        import gemel.keras_backend  # noqa: F401 (joins Keras to Gemel)
    import keras

    from gemel.data.digits import load_digits

    images, labels = load_digits()
    model = keras.Sequential(
        [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"batch_size": 32, "verbose": 0}
    model.fit(images / 16, labels, epochs=WARM_UP, **options)
    started = time.perf_counter()
    model.fit(images / 16, labels, epochs=EPOCHS, **options)
    steps = EPOCHS * -(-len(labels) // 32)
    return (time.perf_counter() - started) / steps


if __name__ == "__main__":
    main()
