"""Keras's `fit`, `evaluate` and `predict` over Gemel: every step is one compiled program.

Forward pass, loss, metrics, gradients and the optimizer's updates are recorded once for each form
of batch; a step is then one program run. Logs hold tensors that are read when somebody looks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
from keras.src import callbacks as callbacks_module
from keras.src import optimizers as optimizers_module
from keras.src import tree
from keras.src.backend import config
from keras.src.trainers import trainer as base_trainer
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils
from keras.src.utils import traceback_utils
from keras.src.utils.python_utils import pythonify_logs

from .batches import as_input, source
from .gradient import GradientTape
from .hooks import BatchHooks
from .layouts import Layout
from .rounds import Pace, Rounds
from .steps import Step
from .tensors import convert_to_numpy, convert_to_tensor


class GemelTrainer(base_trainer.Trainer):
    """The trainer that `keras.Model` inherits from."""

    def __init__(self) -> None:
        super().__init__()
        self.train_function = None
        self.test_function = None
        self.predict_function = None

    # ---------- one step; subclasses may override ----------
    def train_step(self, data):
        """Forward, loss, gradients, update; returns the metrics' results."""
        x, y, sample_weight = data_adapter_utils.unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True) if self._call_has_training_arg else self(x)
            loss = self._compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            self._track_loss(loss, x)
            if self.optimizer is not None:
                loss = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        if weights:
            self.optimizer.apply(tape.gradient(loss, weights), weights)
        else:
            tape.release()
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        """Forward and loss; returns the metrics' results."""
        x, y, sample_weight = data_adapter_utils.unpack_x_y_sample_weight(data)
        y_pred = self._predicted(x)
        loss = self._compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
        )
        self._track_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data):
        """The model's output."""
        x, _, _ = data_adapter_utils.unpack_x_y_sample_weight(data)
        return self._predicted(x)

    def _predicted(self, x):
        return self(x, training=False) if self._call_has_training_arg else self(x)

    def _track_loss(self, loss, x) -> None:
        first = next(i for i in tree.flatten(x) if i is not None)
        self._loss_tracker.update_state(loss, sample_weight=first.shape[0])

    # ---------- step functions ----------
    def _step(self, function) -> Step:
        def run(data):
            result = function(data)
            # the losses of layers are values of this step, not of the model
            self._clear_losses()
            return result

        run.__name__ = function.__name__
        return Step(run, self.run_eagerly)

    def _function(self, function):
        step = self._step(function)

        def run(iterator):
            """Run steps_per_execution steps on what the iterator gives; the last one's result."""
            logs = None
            for _, data in zip(range(self.steps_per_execution), iterator, strict=False):
                logs = step(*_as_batch(data))
            return logs

        run.step = step
        return run

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self.train_function = self._function(self.train_step)
        return self.train_function

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self.test_function = self._function(self.test_step)
        return self.test_function

    def make_predict_function(self, force=False):
        if self.predict_function is None or force:
            self.predict_function = self._function(self.predict_step)
        return self.predict_function

    # ---------- epochs ----------
    def _rounds(self, x, y, sample_weight, batch_size, steps, shuffle=False, class_weight=None):
        batches = source(x, y, sample_weight, batch_size, steps, shuffle, class_weight)
        return Rounds(batches, steps, self.steps_per_execution)

    def _callback_list(self, callbacks, rounds: Rounds, verbose, epochs: int, history=False):
        if isinstance(callbacks, callbacks_module.CallbackList):
            return callbacks
        return callbacks_module.CallbackList(
            callbacks,
            add_history=history,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=rounds.num_batches,
            model=self,
        )

    def _run(self, rounds: Rounds, function, hooks: BatchHooks, stop: str) -> dict:
        """One pass over the data; the logs of its last step."""
        step = getattr(function, "step", None)
        logs: dict = {}
        setattr(self, stop, False)
        rounds.free = step is not None and not hooks.watched
        pace = Pace(hooks.bar is not None)
        for first, last, blocks in pace.keep(rounds):
            hooks.begin(first)
            if step is None:
                logs = function(iter(_filled(blocks)))
            else:
                for block in blocks:
                    logs = step.through(block)[-1]
            hooks.end(last, logs)
            if getattr(self, stop):
                break
        return logs

    @traceback_utils.filter_traceback
    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Trains for a number of epochs; see `keras.Model.fit`."""
        self._assert_compile_called("fit")
        epochs = _limited(epochs)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = array_slicing.train_validation_split(
                (x, y, sample_weight), validation_split=validation_split
            )
        rounds = self._rounds(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
        validation = None
        if validation_data is not None:
            given = data_adapter_utils.unpack_x_y_sample_weight(validation_data)
            validation = self._rounds(
                *given, validation_batch_size or batch_size, validation_steps
            )
        self._symbolic_build(data_batch=rounds.sample())
        callbacks = self._callback_list(callbacks, rounds, verbose, epochs, history=True)
        self.stop_training = False
        self.make_train_function()
        callbacks.on_train_begin()
        hooks = BatchHooks(callbacks, "train")
        logs = None
        for epoch in range(self._initial_epoch or initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            hooks.restart()
            logs = self._run_training(rounds, hooks)
            if validation is not None and self._should_eval(epoch, validation_freq):
                found = self._evaluate(validation, callbacks)
                logs.update({f"val_{name}": value for name, value in found.items()})
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if isinstance(self.optimizer, optimizers_module.Optimizer) and epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_weights)
        callbacks.on_train_end(logs=logs)
        return self.history

    def _run_training(self, rounds: Rounds, hooks: BatchHooks) -> dict:
        logs = self._run(rounds, self.train_function, hooks, "stop_training")
        return self._final(logs, type(self).train_step is GemelTrainer.train_step)

    def _final(self, logs, own_step: bool) -> dict:
        """Logs of an epoch: the metrics' results, which the last own step has just given."""
        if not own_step:
            logs = self._get_metrics_result_or_logs(logs)
        return pythonify_logs(logs)

    # ---------- evaluation ----------
    def _evaluate(self, rounds: Rounds, callbacks) -> dict:
        self.make_test_function()
        callbacks.on_test_begin()
        self.reset_metrics()
        hooks = BatchHooks(callbacks, "test")
        logs = self._run(rounds, self.test_function, hooks, "stop_evaluating")
        logs = self._final(logs, type(self).test_step is GemelTrainer.test_step)
        callbacks.on_test_end(logs)
        return logs

    @traceback_utils.filter_traceback
    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """Loss and metrics on data; see `keras.Model.evaluate`."""
        self._assert_compile_called("evaluate")
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        rounds = self._rounds(x, y, sample_weight, batch_size, steps)
        self._symbolic_build(data_batch=rounds.sample())
        callbacks = self._callback_list(callbacks, rounds, verbose, 1)
        logs = self._evaluate(rounds, callbacks)
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    # ---------- prediction ----------
    @traceback_utils.filter_traceback
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The model's outputs as NumPy arrays; see `keras.Model.predict`."""
        rounds = self._rounds(x, None, None, batch_size, steps)
        callbacks = self._callback_list(callbacks, rounds, verbose, 1)
        self._build_for_prediction(rounds)
        function = self.make_predict_function()
        callbacks.on_predict_begin()
        hooks = BatchHooks(callbacks, "predict")
        made: list = []
        self.stop_predicting = False
        rounds.free = not hooks.watched
        for first, last, blocks in Pace(hooks.bar is not None).keep(rounds):
            hooks.begin(first)
            for block in blocks:
                parts = function.step.through(block, every=True)
                whole = len(parts) < block.runs
                made.extend(tree.map_structure(partial(_rows, whole), part) for part in parts)
            hooks.end(last, {"outputs": parts[-1]} if hooks.ends else None)
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        if not made:
            raise ValueError("predict() was given data without batches")
        if len(made) == 1:
            return made[0]
        return tree.map_structure(lambda *rows: np.concatenate(rows), *made)

    def _build_for_prediction(self, rounds: Rounds) -> None:
        """A model that was never built makes its variables before anything is recorded."""
        if all(layer.built for layer in self._flatten_layers()):
            return
        x, _, _ = data_adapter_utils.unpack_x_y_sample_weight(rounds.sample())
        self._build_from(x)

    def _build_from(self, x) -> None:
        from keras.src import backend

        symbols = tree.map_structure(
            lambda v: backend.KerasTensor(v.shape, backend.standardize_dtype(v.dtype)), x
        )
        backend.compute_output_spec(self._predicted, symbols)

    # ---------- single batches ----------
    def _on_batch(self, function, data) -> dict:
        data = tree.map_structure(lambda v: v if v is None else as_input(v), data)
        self._symbolic_build(data_batch=data)
        self.reset_metrics()
        return pythonify_logs(function()(iter([data])))

    def train_on_batch(
        self, x, y=None, sample_weight=None, class_weight=None, return_dict=False
    ):
        """One training step on one batch; see `keras.Model.train_on_batch`."""
        self._assert_compile_called("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "Arguments `sample_weight` and `class_weight` cannot be specified at the same "
                    f"time. Received: sample_weight={sample_weight}, class_weight={class_weight}"
                )
            sample_weight = data_adapter_utils.class_weight_to_sample_weights(y, class_weight)
        logs = self._on_batch(self.make_train_function, (x, y, sample_weight))
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics on one batch; see `keras.Model.test_on_batch`."""
        self._assert_compile_called("test_on_batch")
        logs = self._on_batch(self.make_test_function, (x, y, sample_weight))
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    def predict_on_batch(self, x):
        """The model's outputs on one batch as NumPy arrays."""
        x = tree.map_structure(as_input, x)
        if not all(layer.built for layer in self._flatten_layers()):
            self._build_from(x)
        found = self.make_predict_function()(iter([(x,)]))
        return tree.map_structure(convert_to_numpy, found)


def _filled(blocks: list) -> Iterator:
    """The batches of blocks in the user's structure."""
    for block in blocks:
        for tensors in block.batches():
            yield block.layout.filled(tensors)


def _rows(several: bool, x) -> np.ndarray:
    """A prediction as an array; `several`: of batches one behind the other, as one batch."""
    found = convert_to_numpy(x)
    return found.reshape(-1, *found.shape[2:]) if several else found


def _as_batch(data):
    """(layout, tensors) of a batch in the user's structure."""
    layout = Layout(data)
    flat = tree.flatten(data)
    return layout, [convert_to_tensor(flat[i]) for i in layout.places]


def _limited(epochs: int) -> int:
    most = config.max_epochs()
    if most and most < epochs:
        warnings.warn(f"Limiting epochs to {most}", stacklevel=3)
        return most
    return epochs
