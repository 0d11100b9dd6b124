"""A functional Keras model with two inputs: fit with callbacks, evaluate, predict."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

keras.utils.set_random_seed(12)
rng = np.random.RandomState(12)
count, words, length = 800, 16, 12
text = rng.randint(1, words, (count, length))
facts = rng.randn(count, 5).astype("float32")
score = (text < 4).sum(1) + 2.0 * facts[:, 0] - facts[:, 1]
target = (score > np.median(score)).astype("float32")
urgency = (facts[:, :2].sum(1) + 0.1 * rng.randn(count)).astype("float32")

words_in = keras.Input((length,), name="words", dtype="int32")
facts_in = keras.Input((5,), name="facts")
x = layers.Embedding(words, 16)(words_in)
x = layers.Conv1D(16, 3, padding="same", activation="relu")(x)
pooled = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
z = layers.BatchNormalization()(layers.Dense(8, activation="relu")(facts_in))
both = layers.Dropout(0.2)(layers.Concatenate()([pooled, z]))
both = layers.Dense(24, activation="relu", kernel_regularizer=keras.regularizers.l2(1e-3))(both)
kind = layers.Dense(1, activation="sigmoid", name="kind")(both)
hurry = layers.Dense(1, name="hurry")(both)
model = keras.Model([words_in, facts_in], [kind, hurry])
print(model.count_params(), "parameters")

schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 40, 0.9)
model.compile(
    optimizer=keras.optimizers.Adam(schedule),
    loss={"kind": "binary_crossentropy", "hurry": "mse"},
    loss_weights={"kind": 1.0, "hurry": 0.3},
    metrics={"kind": ["accuracy", keras.metrics.AUC(name="auc")], "hurry": ["mae"]},
)
given = {"words": text, "facts": facts}
wanted = {"kind": target, "hurry": urgency}
stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
history = model.fit(
    given, wanted, batch_size=32, epochs=8, validation_split=0.2, verbose=0, callbacks=[stop]
).history
for epoch in range(len(history["loss"])):
    shown = (f"{name} {history[name][epoch]:.4f}" for name in ("kind_accuracy", "val_loss", "loss"))
    print(f"epoch {epoch + 1}", *shown)
found = model.evaluate(given, wanted, batch_size=64, verbose=0, return_dict=True)
print(f"auc {found['kind_auc']:.4f} mae {found['hurry_mae']:.4f} loss {found['loss']:.4f}")
predicted = model.predict(given, verbose=0)
print([tuple(p.shape) for p in predicted], f"{float(tf.reduce_mean(predicted[0])):.4f}")
