"""Keras programs over Gemel against what they gave over TensorFlow, and the trainer's own ways."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras_alone import keras_alone  # noqa: F401
from keras_scenarios import SCENARIOS

import gemel.keras as keras

HERE = Path(__file__).resolve().parent
RECORDED = np.load(HERE / "recorded" / "keras.npz")
# bit for bit: what follows from seeds alone and needs no transcendental function
EXACT = (
    "initial_weights/glorot_uniform", "construction_order/", "random_functions/uniform",
    "random_functions/randint", "random_functions/shuffle", "random_functions/int",
)  # fmt: skip


def compare(found, recorded):
    for key, value in found.items():
        want = recorded[key]
        value = np.asarray(value)
        assert value.shape == want.shape and value.dtype == want.dtype, key
        if key.startswith(EXACT):
            np.testing.assert_array_equal(value, want, err_msg=key)
        else:
            scale = np.abs(want).max(initial=1e-6)
            np.testing.assert_allclose(value, want, rtol=2e-4, atol=1e-4 * scale, err_msg=key)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_scenario_gives_what_it_gave_over_tensorflow(scenario):
    found = {f"{scenario.__name__}/{name}": value for name, value in scenario().items()}
    assert found
    compare(found, RECORDED)


@pytest.mark.oracle
def test_scenarios_live(tmp_path):
    path = tmp_path / "keras.npz"
    script = HERE.parent / "tools" / "record_keras.py"
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    subprocess.run([sys.executable, script, path], check=True, env=environment)
    fresh = np.load(path)
    assert set(fresh.files) == set(RECORDED.files)
    for key in fresh.files:
        if key != "version":
            np.testing.assert_allclose(fresh[key], RECORDED[key], rtol=1e-5, atol=1e-6)


def data(samples=64):
    rng = np.random.RandomState(0)
    return rng.randn(samples, 6).astype("float32"), rng.randint(0, 3, samples)


def classifier(**options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    settings = {"metrics": ["accuracy"], **options}
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", **settings)
    return model


class Order(keras.Model):
    """Remembers the samples that it is trained on."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x):
        return x

    def train_step(self, data):
        self.seen.append(np.array(data).ravel().astype(int).tolist())
        return {"loss": 0.0}


def test_samples_come_in_tensorflows_order():
    # TensorFlow's order for this seed; it is the same in every epoch
    keras.utils.set_random_seed(1)
    model = Order()
    model.compile("sgd", run_eagerly=True)
    model.fit(np.arange(10.0)[:, None], batch_size=4, epochs=2, verbose=0)
    assert model.seen == [[2, 4, 0, 8], [9, 1, 5, 6], [3, 7]] * 2


def test_without_a_seed_every_epoch_has_an_order_of_its_own(monkeypatch):
    from gemel.keras_backend import order

    monkeypatch.setattr(order, "_global_seed", [lambda: None])
    rows = [order.epoch_order(50, True, 8).tolist() for _ in range(2)]
    assert rows[0] != rows[1]
    assert sorted(rows[0]) == list(range(50))


def test_shuffled_batches_stay_together():
    from gemel.keras_backend.order import epoch_order

    rows = epoch_order(22, "batch", 4)
    assert sorted(rows) == list(range(22))
    assert all(np.array_equal(np.diff(rows[i : i + 4]), [1, 1, 1]) for i in range(0, 20, 4))


def test_a_step_is_one_program():
    model = classifier()
    x, y = data()
    model.fit(x, y, batch_size=32, epochs=2, verbose=0)
    assert len(model.train_function.step._recorded) == 1
    model.fit(x[:40], y[:40], batch_size=32, verbose=0)
    assert len(model.train_function.step._recorded) == 2  # the partial batch


def test_eager_and_compiled_steps_agree():
    x, y = data()
    histories = []
    for eager in (False, True):
        model = classifier(run_eagerly=eager)
        histories.append(model.fit(x, y, epochs=3, verbose=0).history)
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-5)


def test_callbacks_see_every_batch_and_numbers():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_train_batch_end(self, batch, logs=None):
            seen.append(("end", batch, sorted(logs), type(logs["loss"])))

        def on_epoch_end(self, epoch, logs=None):
            seen.append(("epoch", epoch))

    x, y = data()
    classifier().fit(x, y, batch_size=32, verbose=0, callbacks=[Watch()])
    ended = ["accuracy", "loss"], float
    assert seen == [
        ("begin", 0), ("end", 0, *ended), ("begin", 1), ("end", 1, *ended), ("epoch", 0),
    ]  # fmt: skip


def test_steps_per_execution_calls_batch_hooks_in_groups():
    seen = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: seen.append(b))
    x, y = data()
    model = classifier(steps_per_execution=3)
    history = model.fit(x, y, batch_size=8, verbose=0, callbacks=[watch], shuffle=False).history
    assert seen == [2, 5, 8]
    plain = classifier().fit(x, y, batch_size=8, verbose=0, shuffle=False).history
    np.testing.assert_allclose(history["loss"], plain["loss"], rtol=1e-6)


def test_early_stopping_and_stop_inside_an_epoch():
    x, y = data()

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    model = classifier()
    model.fit(x, y, batch_size=8, epochs=5, verbose=0, callbacks=[Stop()])
    assert int(model.optimizer.iterations.numpy()) == 3


def test_generators_datasets_and_steps():
    x, y = data()

    def batches():
        while True:
            yield x[:16], y[:16]

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return x[16 * i : 16 * i + 16], y[16 * i : 16 * i + 16]

    model = classifier()
    model.fit(batches(), steps_per_epoch=5, epochs=2, verbose=0, shuffle=False)
    assert int(model.optimizer.iterations.numpy()) == 10
    model.fit(Rows(), verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 14
    assert model.predict(Rows(), verbose=0).shape == (64, 3)
    np.testing.assert_allclose(
        model.evaluate(Rows(), verbose=0), model.evaluate(x, y, batch_size=16, verbose=0), rtol=1e-6
    )


def test_tensors_as_data():
    x, y = data()
    model = classifier()
    model.fit(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y), verbose=0)
    assert model.predict(keras.ops.convert_to_tensor(x), verbose=0).shape == (64, 3)


def test_on_batch_methods():
    x, y = data()
    model = classifier()
    losses = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(15)]
    assert losses[-1] < losses[0]
    loss, accuracy = model.test_on_batch(x, y)
    assert loss == pytest.approx(model.evaluate(x, y, batch_size=64, verbose=0)[0], rel=1e-5)
    np.testing.assert_allclose(
        model.predict_on_batch(x), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_train_step_of_a_subclass():
    from gemel.keras_backend.gradient import GradientTape

    class Custom(keras.Sequential):
        def train_step(self, data):
            x, y = data
            with GradientTape() as tape:
                loss = keras.ops.mean((self(x, training=True) - y) ** 2)
            weights = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"mine": loss}

    rng = np.random.RandomState(1)
    x = rng.randn(64, 4).astype("float32")
    y = x @ rng.randn(4, 1).astype("float32")
    keras.utils.set_random_seed(2)
    model = Custom([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1))
    history = model.fit(x, y, epochs=20, verbose=0).history
    assert list(history) == ["mine"] and history["mine"][-1] < 0.1 * history["mine"][0]


def test_a_custom_loop():
    from gemel.keras_backend.gradient import GradientTape

    x, y = data()
    model = classifier()
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    losses = []
    for _ in range(10):
        with GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(loss))
    assert losses[-1] < losses[0]


def test_a_step_that_looks_at_a_value_says_so():
    class Looks(keras.Sequential):
        def train_step(self, data):
            return {"loss": float(keras.ops.sum(data[0]))}

    model = Looks([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = data()
    with pytest.raises(RuntimeError, match="run_eagerly=True"):
        model.fit(x, y, verbose=0)


def test_frozen_layers_do_not_change():
    x, y = data()
    model = classifier()
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = [w.copy() for w in model.get_weights()]
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before[2], after[2])


def test_set_weights_between_epochs_counts():
    x, y = data()
    model = classifier()
    model.fit(x, y, verbose=0)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(np.log(3), rel=1e-5)


@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_is_shown(verbose, capsys):
    x, y = data()
    classifier().fit(x, y, batch_size=8, epochs=2, verbose=verbose)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown and "8/8" in shown and "accuracy" in shown


# ---------- bad input: the class that Keras on TensorFlow raises ----------
def test_a_label_outside_the_classes():
    from gemel.keras_backend.errors import InvalidArgumentError

    x, y = data()
    model = classifier()
    before = model.get_weights()
    said = r"label value of 7 .* \[0, 3\).*test_keras_fit.py"
    with pytest.raises(InvalidArgumentError, match=said):
        model.fit(x, np.full_like(y, 7), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_shapes_that_do_not_fit():
    x, y = data()
    with pytest.raises(ValueError, match="shape"):
        classifier().fit(x[:, :5], y, verbose=0)
    with pytest.raises(ValueError, match="[Ss]amples|cardinality"):
        classifier().fit(x, y[:10], verbose=0)


def test_not_compiled():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="compile"):
        model.fit(*data(), verbose=0)


TF_KERAS = '''
import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(1)
x = np.random.RandomState(0).randn(64, 6).astype("float32")
y = np.random.RandomState(1).randint(0, 3, 64)
model = tf.keras.Sequential(
    [tf.keras.Input((6,)), tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(3)]
)
assert isinstance(model(x), tf.Tensor)
optimizer = tf.keras.optimizers.Adam(0.01)
loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def step():
    with tf.GradientTape() as tape:
        loss = loss_of(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss


compiled = tf.function(step)
print(*(float(step()) for _ in range(3)), *(float(compiled()) for _ in range(3)))
model.compile(optimizer, loss_of)
print(*model.fit(x, y, epochs=2, verbose=0).history["loss"])
try:
    model.fit(x, y + 7, verbose=0)
except tf.errors.InvalidArgumentError:
    print("refused")
'''


def test_tf_keras_is_this_keras(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(TF_KERAS)
    done = subprocess.run(
        [sys.executable, "-m", "gemel", "run", str(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    steps, epochs, refused = done.stdout.splitlines()
    # from the same program under TensorFlow
    want = [1.2255287, 1.1963438, 1.1704379, 1.1474249, 1.1267072, 1.1080980]
    np.testing.assert_allclose([float(v) for v in steps.split()], want, rtol=1e-5)
    want = [1.0865316, 1.0595121]
    np.testing.assert_allclose([float(v) for v in epochs.split()], want, rtol=1e-5)
    assert refused == "refused"


def test_a_loader_of_the_pytorch_face():
    from gemel.torch import from_numpy
    from gemel.torch.utils.data import DataLoader, TensorDataset

    x, y = data()
    loader = DataLoader(TensorDataset(from_numpy(x), from_numpy(y)), batch_size=16)
    model = classifier()
    model.fit(loader, epochs=2, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 8
    assert model.predict(loader, verbose=0).shape == (64, 3)


def test_a_dataset_of_bare_tensors_gives_them_to_the_step_as_they_are():
    import gemel.tensorflow as tf

    shapes = []

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            shapes.append(tuple(data.shape))
            return {"loss": keras.ops.mean(self(data))}

    data = tf.data.Dataset.from_tensor_slices(np.ones((6, 3), "float32")).batch(2)
    model = Model()
    model.compile("sgd")
    model.fit(data, epochs=2, verbose=0)
    assert set(shapes) == {(2, 3)}
