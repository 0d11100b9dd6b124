"""Keras's steps in bulk give what they give one by one, bit for bit, to everybody who looks."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gemel.keras as keras
from gemel.keras_backend import steps
from gemel.passes.compile import default_device
from gemel.runtime import bulk as native_bulk

layers = keras.layers
native = pytest.mark.skipif(default_device() != "cpu", reason="counts native calls")


def data(samples=50):
    rng = np.random.RandomState(0)
    return rng.randn(samples, 6).astype("float32"), rng.randint(0, 3, samples)


def classifier(**options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    settings = {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"], **options}
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", **settings)
    return model


@pytest.fixture
def calls(monkeypatch):
    """How many steps each native call took."""
    found = []
    run = native_bulk.Bulk.run

    def counted(self, first, last):
        found.append(last - first)
        run(self, first, last)

    monkeypatch.setattr(native_bulk.Bulk, "run", counted)
    return found


def outcome(**options):
    """Everything that one can see of a training: history, weights, evaluation, predictions."""
    compiled = {k: options.pop(k) for k in ("steps_per_execution",) if k in options}
    x, y = options.pop("data", data())
    model = classifier(**compiled)
    options = {"batch_size": 8, "epochs": 3, "verbose": 0, **options}
    history = model.fit(x, y, **options).history
    seen = model.evaluate(x, y, batch_size=16, verbose=0)
    return history, [w.tolist() for w in model.get_weights()], seen, model.predict(x, verbose=0)


def same(a, b):
    assert a[:3] == b[:3]
    np.testing.assert_array_equal(a[3], b[3])


OPTIONS = {
    "shuffled": {},
    "in_order": {"shuffle": False},
    "whole_batches": {"data": data(48)},
    "batches_shuffled": {"shuffle": "batch"},
    "one_batch": {"batch_size": 64},
    "class_weight": {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
    "sample_weight": {"sample_weight": np.linspace(0.1, 2.0, 50)},
    "validation": {"validation_split": 0.3, "validation_batch_size": 5},
    "together": {"steps_per_execution": 3},
    "steps": {"steps_per_epoch": 2, "epochs": 5},
    "early": {
        "validation_split": 0.3,
        "epochs": 8,
        "callbacks": lambda: [keras.callbacks.EarlyStopping(patience=1, monitor="val_loss")],
    },
}


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("name", OPTIONS)
def test_bulk_is_one_by_one(name, monkeypatch):
    def found():
        given = OPTIONS[name].get("callbacks")
        more = {} if given is None else {"callbacks": given()}
        return outcome(**{**OPTIONS[name], **more})

    bulk = found()
    monkeypatch.setattr(steps, "can_run", lambda traced: False)
    same(bulk, found())


@native
def test_an_epoch_is_one_native_call(calls):
    x, y = data(48)
    model = classifier()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert calls == [6, 6]
    model.evaluate(x, y, batch_size=8, verbose=0)
    model.predict(x, batch_size=8, verbose=0)
    assert calls == [6] * 4


def test_callbacks_that_look_at_batches_see_every_one():
    def logged(**options):
        seen = []

        class Watch(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                seen.append(("begin", batch))

            def on_train_batch_end(self, batch, logs=None):
                seen.append(("end", batch, logs["loss"], logs["accuracy"]))

        same(outcome(callbacks=[Watch()], **options), outcome(**options))
        return seen

    seen = logged()
    assert [what[:2] for what in seen[:4]] == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]
    assert len(seen) == 2 * 3 * 7
    ends = [what for what in seen if what[0] == "end"]
    grouped = [what for what in logged(steps_per_execution=3) if what[0] == "end"]
    assert [what[1] for what in grouped] == [2, 5, 8] * 3
    # the last of a group shows the numbers of its step
    assert [what[2:] for what in grouped[:2]] == [what[2:] for what in (ends[2], ends[5])]


def test_a_generator_is_read_as_far_as_its_steps():
    x, y = data(48)
    taken, threads = [], set()

    def batches():
        k = 0
        while True:
            taken.append(k)
            threads.add(threading.current_thread())
            yield x[8 * (k % 6) : 8 * (k % 6) + 8], y[8 * (k % 6) : 8 * (k % 6) + 8]
            k += 1

    model = classifier()
    # Keras's own adapter has looked at one batch when the first step runs
    losses = model.fit(batches(), steps_per_epoch=6, epochs=3, verbose=0).history["loss"]
    assert len(taken) == 18
    assert losses == outcome(data=(x, y), shuffle=False)[0]["loss"]


def test_an_error_in_a_generator_reaches_the_caller():
    x, y = data(16)

    def batches():
        yield x[:8], y[:8]
        yield x[8:], y[8:]
        raise OSError("no more")

    model = classifier()
    with pytest.raises(OSError, match="no more"):
        model.fit(batches(), verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 2


def test_two_outputs_and_inputs():
    def predicted():
        keras.utils.set_random_seed(1)
        a, b = layers.Input((4,), name="a"), layers.Input((3,), name="b")
        both = layers.Concatenate()([a, b])
        outs = {"sum": layers.Dense(1)(both), "kind": layers.Dense(2)(both)}
        model = keras.Model({"a": a, "b": b}, outs)
        model.compile("rmsprop", {"sum": "mse", "kind": "mae"})
        rng = np.random.RandomState(0)
        given = {"a": rng.randn(21, 4).astype("f4"), "b": rng.randn(21, 3).astype("f4")}
        wanted = {"sum": rng.randn(21, 1).astype("f4"), "kind": rng.randn(21, 2).astype("f4")}
        history = model.fit(given, wanted, batch_size=5, epochs=2, verbose=0).history
        return history, model.predict(given, batch_size=4, verbose=0)

    history, found = predicted()
    assert found["sum"].shape == (21, 1) and found["kind"].shape == (21, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "can_run", lambda traced: False)
        again, want = predicted()
    assert history == again
    for name, value in want.items():
        np.testing.assert_array_equal(found[name], value)
