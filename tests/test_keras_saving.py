"""`.keras` files and weights: what is saved comes back; damaged files say what is wrong."""

import zipfile

import numpy as np
import pytest

import gemel.keras as keras


def trained(dropout=0.2):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(2),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    rng = np.random.RandomState(0)
    x, y = rng.randn(40, 4), rng.randn(40, 2)
    model.fit(x, y, epochs=2, verbose=0)
    return model, x, y


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model, x, y = trained()
    path = tmp_path_factory.mktemp("models") / "model.keras"
    model.save(path)
    return model, x, y, path


def test_a_model_comes_back_whole(saved):
    model, x, y, path = saved
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_training_goes_on_where_it_stood(tmp_path):
    # without dropout: a file holds no seeds, as over TensorFlow
    model, x, y = trained(dropout=0.0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    histories = [m.fit(x, y, epochs=2, verbose=0).history["loss"] for m in (model, loaded)]
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-6)


def test_weights_alone(saved, tmp_path):
    model, x, _, _ = saved
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras.models.clone_model(model)
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))


def test_functional_and_subclassed_models(tmp_path):
    inputs = keras.Input((3,), name="in")
    outputs = keras.layers.Dense(2)(keras.layers.LayerNormalization()(inputs))
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "f.keras")
    x = np.random.RandomState(2).randn(5, 3)
    found = keras.models.load_model(tmp_path / "f.keras").predict(x, verbose=0)
    np.testing.assert_array_equal(found, model.predict(x, verbose=0))


def test_not_a_keras_file(tmp_path):
    path = tmp_path / "bad.keras"
    path.write_bytes(b"this is no zip file")
    with pytest.raises(ValueError, match="bad.keras"):
        keras.models.load_model(path)


def test_half_a_keras_file(saved, tmp_path):
    path = tmp_path / "half.keras"
    whole = saved[-1].read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="half.keras"):
        keras.models.load_model(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match="nothing.keras"):
        keras.models.load_model(tmp_path / "nothing.keras")


def rewritten(source, target, name, change):
    """A copy of a .keras file in which one member is changed or left out (None)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.namelist():
            data = old.read(item)
            if item == name:
                data = change(data)
            if data is not None:
                new.writestr(item, data)


def test_a_damaged_member(saved, tmp_path):
    rewritten(saved[-1], tmp_path / "a.keras", "model.weights.h5", lambda data: data[:100])
    with pytest.raises(OSError):
        keras.models.load_model(tmp_path / "a.keras")
    rewritten(saved[-1], tmp_path / "b.keras", "config.json", lambda data: data[:50])
    with pytest.raises(ValueError):
        keras.models.load_model(tmp_path / "b.keras")
    rewritten(saved[-1], tmp_path / "c.keras", "config.json", lambda data: None)
    with pytest.raises(KeyError, match="config.json"):
        keras.models.load_model(tmp_path / "c.keras")


def test_weights_of_another_shape(saved, tmp_path):
    saved[0].save_weights(tmp_path / "m.weights.h5")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
    with pytest.raises(ValueError, match="shape|layers|objects"):
        other.load_weights(tmp_path / "m.weights.h5")
