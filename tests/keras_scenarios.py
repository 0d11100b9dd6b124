"""Programs in Keras's own words, run over Gemel by the tests and over TensorFlow by the recorder.

Each scenario is a function without arguments that gives name -> array. The same seed, the same
data, no shuffling where the order is not the matter.
"""

import numpy as np


def _keras():
    import keras

    return keras


def _data(samples=96, features=12, classes=5):
    rng = np.random.RandomState(3)
    x = rng.randn(samples, features).astype("float32")
    y = (x @ rng.randn(features, classes)).argmax(1).astype("int64")
    return x, y


def _mlp(keras, last="softmax", units=5, extra=()):
    return keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, activation="relu"),
            *extra,
            keras.layers.Dense(units, activation=last),
        ]
    )


def _weights(model):
    return {f"weight {i}": np.array(w) for i, w in enumerate(model.get_weights())}


def initial_weights():
    """Every initialiser with random numbers, through a layer."""
    keras = _keras()
    found = {}
    for name in (
        "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
        "lecun_normal", "random_uniform", "random_normal", "truncated_normal", "variance_scaling",
    ):  # fmt: skip
        keras.utils.set_random_seed(42)
        layer = keras.layers.Dense(7, kernel_initializer=name)
        layer.build((None, 5))
        found[name] = np.array(layer.kernel)
    return found


def construction_order():
    """Weights of a whole model follow from the order in which its layers were made."""
    keras = _keras()
    keras.utils.set_random_seed(42)
    dropout = keras.layers.Dropout(0.4)
    model = _mlp(keras, extra=(dropout,))
    x = np.ones((6, 16), "float32")
    found = _weights(model)
    found["mask 1"] = np.array(dropout(x, training=True))
    found["mask 2"] = np.array(dropout(x, training=True))
    return found


def random_functions():
    keras = _keras()
    generator = keras.random.SeedGenerator(7)
    found = {}
    for turn in (1, 2):
        found[f"uniform {turn}"] = np.array(keras.random.uniform((5, 3), seed=generator))
        found[f"normal {turn}"] = np.array(keras.random.normal((4, 3), seed=generator))
        found[f"truncated {turn}"] = np.array(
            keras.random.truncated_normal((9,), stddev=2.0, seed=generator)
        )
        found[f"randint {turn}"] = np.array(keras.random.randint((11,), 3, 40, seed=generator))
        found[f"shuffle {turn}"] = np.array(keras.random.shuffle(np.arange(10), seed=generator))
    found["int seed"] = np.array(keras.random.uniform((4,), -1.0, 2.0, seed=5))
    return found


def _fit(keras, model, x, y, **options):
    settings = {"epochs": 4, "batch_size": 32, "shuffle": False, "verbose": 0, **options}
    history = model.fit(x, y, **settings).history
    return {name: np.array(values, "float64") for name, values in history.items()}


def optimizers():
    """Losses of a few epochs with every optimizer."""
    keras = _keras()
    x, y = _data()
    found = {}
    rates = {"SGD": 0.1, "Adadelta": 1.0}
    made = {
        name: getattr(keras.optimizers, name)(rates.get(name, 0.01))
        for name in (
            "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl",
            "Lion",
        )
    }  # fmt: skip
    made["momentum"] = keras.optimizers.SGD(0.05, momentum=0.9)
    made["nesterov"] = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    made["amsgrad"] = keras.optimizers.Adam(0.01, amsgrad=True)
    made["clipnorm"] = keras.optimizers.SGD(0.1, clipnorm=0.5)
    made["global_clipnorm"] = keras.optimizers.SGD(0.1, global_clipnorm=0.5)
    made["clipvalue"] = keras.optimizers.SGD(0.1, clipvalue=0.02)
    made["ema"] = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    made["accumulate"] = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    made["decay"] = keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True)
    )
    made["cosine"] = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 8))
    for name, optimizer in made.items():
        keras.utils.set_random_seed(1)
        model = _mlp(keras)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        for key, values in _fit(keras, model, x, y).items():
            found[f"{name} {key}"] = values
    return found


def losses():
    """Losses of training with every loss, and the metrics that go with them."""
    keras = _keras()
    x, y = _data()
    hot = np.eye(5, dtype="float32")[y]
    signs = np.where(hot > 0, 1.0, -1.0).astype("float32")
    rows = {
        "categorical_crossentropy": ("softmax", hot, ["categorical_accuracy"]),
        "sparse_categorical_crossentropy": ("softmax", y, ["sparse_top_k_categorical_accuracy"]),
        "binary_crossentropy": ("sigmoid", hot, ["binary_accuracy", "auc"]),
        "mean_squared_error": ("linear", hot, ["mae", "root_mean_squared_error"]),
        "mean_absolute_error": ("linear", hot, ["mse"]),
        "mean_absolute_percentage_error": ("sigmoid", hot + 1, ["mape"]),
        "mean_squared_logarithmic_error": ("sigmoid", hot, ["msle"]),
        "huber": ("linear", hot, []),
        "log_cosh": ("linear", hot, ["mae"]),
        "hinge": ("tanh", signs, ["hinge"]),
        "squared_hinge": ("tanh", signs, ["squared_hinge"]),
        "categorical_hinge": ("linear", hot, ["categorical_hinge"]),
        "kl_divergence": ("softmax", hot * 0.8 + 0.04, ["kl_divergence"]),
        "poisson": ("softplus", hot, ["poisson"]),
        "cosine_similarity": ("linear", hot, ["cosine_similarity"]),
        "binary_focal_crossentropy": ("sigmoid", hot, ["precision", "recall"]),
        "categorical_focal_crossentropy": ("softmax", hot, []),
        "dice": ("sigmoid", hot, []),
        "tversky": ("sigmoid", hot, []),
    }
    found = {}
    for name, (last, target, metrics) in rows.items():
        keras.utils.set_random_seed(2)
        model = _mlp(keras, last)
        model.compile(keras.optimizers.SGD(0.05), name, metrics=metrics)
        for key, values in _fit(keras, model, x, target, epochs=3).items():
            found[f"{name} {key}"] = values
    return found


def from_logits():
    keras = _keras()
    x, y = _data()
    found = {}
    for name in ("SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy"):
        target = y if name.startswith("Sparse") else np.eye(5, dtype="float32")[y]
        keras.utils.set_random_seed(4)
        model = _mlp(keras, None)
        loss = getattr(keras.losses, name)(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        found[name] = _fit(keras, model, x, target)["loss"]
    return found


def training_options():
    """Validation, weights of samples and classes, partial batches, regularisation, callbacks."""
    keras = _keras()
    x, y = _data(samples=90)
    weight = np.linspace(0.1, 2.0, 90).astype("float32")
    rows = {
        "validation_split": {"validation_split": 0.2},
        "validation_data": {"validation_data": (x[:40], y[:40]), "validation_freq": 2},
        "sample_weight": {"sample_weight": weight},
        "class_weight": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5, 3: 1.0, 4: 3.0}},
        "steps": {"steps_per_epoch": 2, "epochs": 3},
        "early": {
            "epochs": 9,
            "callbacks": [keras.callbacks.LearningRateScheduler(lambda e, r: r * 0.5)],
        },
    }
    found = {}
    for name, options in rows.items():
        keras.utils.set_random_seed(5)
        regularized = keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.01))
        model = _mlp(keras, extra=(regularized,))
        model.compile(
            keras.optimizers.Adam(0.02),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy"] if "weight" in name else None,
        )
        for key, values in _fit(keras, model, x, y, **options).items():
            found[f"{name} {key}"] = values
    return found


def dropout_training():
    """The masks inside a compiled step follow the seeds."""
    keras = _keras()
    x, y = _data()
    keras.utils.set_random_seed(6)
    model = _mlp(keras, extra=(keras.layers.Dropout(0.3), keras.layers.GaussianNoise(0.1)))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    found = _fit(keras, model, x, y, epochs=5)
    found.update(_weights(model))
    found["evaluated"] = np.array(model.evaluate(x, y, verbose=0))
    found["predicted"] = model.predict(x[:7], verbose=0)
    return found


def layers():
    """Outputs of layers on one input, and what training leaves in their weights."""
    keras = _keras()
    L = keras.layers
    x = np.random.RandomState(8).randn(6, 4, 10).astype("float32")
    keras.utils.set_random_seed(9)
    made = {
        "dense": L.Dense(3, activation="gelu"),
        "layer_norm": L.LayerNormalization(),
        "batch_norm": L.BatchNormalization(),
        "group_norm": L.GroupNormalization(5),
        "unit_norm": L.UnitNormalization(),
        "rms_norm": L.RMSNormalization(),
        "prelu": L.PReLU(alpha_initializer="glorot_uniform"),
        "leaky": L.LeakyReLU(negative_slope=0.3),
        "elu": L.ELU(),
        "softmax": L.Softmax(),
        "reshape": L.Reshape((5, 8)),
        "permute": L.Permute((2, 1)),
        "flatten": L.Flatten(),
        "repeat": L.TimeDistributed(L.Dense(2)),
        "gap": L.GlobalAveragePooling1D(),
        "gmp": L.GlobalMaxPooling1D(),
        "conv1d": L.Conv1D(3, 2, padding="same"),
        "max_pool1d": L.MaxPooling1D(2),
        "lstm": L.LSTM(3, return_sequences=True),
        "gru": L.GRU(3),
        "simple_rnn": L.SimpleRNN(3),
        "bidirectional": L.Bidirectional(L.LSTM(2)),
        "attention": L.MultiHeadAttention(2, 3),
        "einsum": L.EinsumDense("abc,cd->abd", (None, 3)),
        "cropping": L.Cropping1D(1),
        "padding": L.ZeroPadding1D(1),
    }
    found = {}
    for name, layer in made.items():
        keras.utils.set_random_seed(9)
        args = (x, x) if name == "attention" else (x,)
        for training in (True, False):
            takes = name in ("batch_norm", "attention")
            y = layer(*args, training=training) if takes else layer(*args)
            found[f"{name} {training}"] = np.array(y)
        for i, w in enumerate(layer.get_weights()):
            found[f"{name} weight {i}"] = np.array(w)
    return found


def images():
    """A small convolutional network learns."""
    keras = _keras()
    L = keras.layers
    rng = np.random.RandomState(10)
    x = rng.rand(40, 8, 8, 1).astype("float32")
    y = (x.mean((1, 2, 3)) > 0.5).astype("float32")
    keras.utils.set_random_seed(11)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, padding="same", activation="relu"),
            L.MaxPooling2D(),
            L.DepthwiseConv2D(3),
            L.SeparableConv2D(6, 2, activation="relu"),
            L.BatchNormalization(),
            L.GlobalAveragePooling2D(),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    found = _fit(keras, model, x, y, batch_size=8)
    found["predicted"] = model.predict(x[:5], verbose=0)
    return found


def text():
    """Embedding, masking and an LSTM on sequences of different lengths."""
    keras = _keras()
    L = keras.layers
    rng = np.random.RandomState(12)
    x = rng.randint(1, 20, (30, 7))
    x[::3, 4:] = 0
    y = (x.sum(1) % 2).astype("float32")
    keras.utils.set_random_seed(13)
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            L.Embedding(20, 6, mask_zero=True),
            L.LSTM(5),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    # not Adam: over TensorFlow its averages stand still for words that a batch does not hold
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    found = _fit(keras, model, x, y, batch_size=10)
    found["predicted"] = model.predict(x[:5], verbose=0)
    return found


def functional():
    """Two inputs, two outputs, shared layers, weighted losses."""
    keras = _keras()
    L = keras.layers
    x, y = _data()
    keras.utils.set_random_seed(14)
    a = keras.Input((12,), name="a")
    b = keras.Input((12,), name="b")
    shared = L.Dense(8, activation="tanh")
    both = L.Concatenate()([shared(a), shared(b), L.Add()([a, b])])
    first = L.Dense(5, activation="softmax", name="first")(both)
    second = L.Dense(1, name="second")(L.Multiply()([shared(a), shared(b)]))
    model = keras.Model({"a": a, "b": b}, {"first": first, "second": second})
    model.compile(
        keras.optimizers.Adam(0.01),
        {"first": "sparse_categorical_crossentropy", "second": "mse"},
        loss_weights={"first": 1.0, "second": 0.3},
        metrics={"first": ["accuracy"], "second": ["mae"]},
    )
    target = {"first": y, "second": x[:, :1]}
    found = _fit(keras, model, {"a": x, "b": x[::-1].copy()}, target)
    for name, value in model.predict({"a": x[:4], "b": x[4:8]}, verbose=0).items():
        found[f"predicted {name}"] = value
    return found


SCENARIOS = (
    initial_weights,
    construction_order,
    random_functions,
    optimizers,
    losses,
    from_logits,
    training_options,
    dropout_training,
    layers,
    images,
    text,
    functional,
)
