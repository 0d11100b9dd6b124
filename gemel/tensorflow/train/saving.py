"""`tf.train.Saver`: a session's variables in a file, and back.

The file is NumPy's .npz with one array per variable name: plain data, nothing in it runs. It is
not TensorFlow's checkpoint format.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .. import errors
from ..graph_keys import global_variables

SUFFIX = ".gemel.npz"


class Saver:
    """Saves and restores variables.

    var_list     the variables, or a dict name -> variable; all global ones where None
    max_to_keep  older files beyond so many are deleted
    """

    def __init__(self, var_list=None, max_to_keep: int = 5, **options):
        found = global_variables() if var_list is None else var_list
        if not isinstance(found, dict):
            found = {v.op.name: v for v in found}
        if not found:
            raise ValueError("No variables to save")
        self._variables = found
        self._max = max_to_keep
        self.last_checkpoints: list[str] = []

    def save(self, sess, save_path: str, global_step=None, **options) -> str:
        """Write the variables' values in the session; returns the path without its ending."""
        if global_step is not None:
            step = global_step if isinstance(global_step, int) else int(sess.run(global_step))
            save_path = f"{save_path}-{step}"
        values = sess.run({name: v for name, v in self._variables.items()})
        target = Path(str(save_path) + SUFFIX)
        if not target.parent.is_dir():
            raise ValueError(f"Parent directory of {save_path} doesn't exist, can't save.")
        part = target.with_name(target.name + f".{os.getpid()}.part")
        with open(part, "wb") as file:
            np.savez(file, **{name.replace("/", "|"): v for name, v in values.items()})
        os.replace(part, target)
        self._note(str(save_path))
        return str(save_path)

    def _note(self, path: str) -> None:
        kept = [p for p in self.last_checkpoints if p != path] + [path]
        while self._max and len(kept) > self._max:
            Path(kept.pop(0) + SUFFIX).unlink(missing_ok=True)
        self.last_checkpoints = kept
        note = Path(path).parent / "checkpoint"
        note.write_text(f'model_checkpoint_path: "{Path(path).name}"\n', encoding="utf-8")

    def restore(self, sess, save_path: str) -> None:
        """Give the variables their saved values in the session.

        ValueError where there is no such file, NotFoundError for a variable that is not in it,
        InvalidArgumentError for another shape.
        """
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        if not checkpoint_exists(save_path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {save_path}")
        with np.load(str(save_path) + SUFFIX, allow_pickle=False) as file:
            values = {name.replace("|", "/"): file[name] for name in file.files}
        for name, variable in self._variables.items():
            if name not in values:
                raise errors.NotFoundError(None, None, f"Key {name} not found in {save_path}")
            value = values[name]
            if value.shape != tuple(variable.shape):
                raise errors.InvalidArgumentError(
                    None,
                    None,
                    f"Tensor {name} has shape {value.shape} in {save_path}, but the variable has "
                    f"shape {variable.shape}",
                )
            variable.load(value, sess)


def checkpoint_exists(checkpoint_prefix: str) -> bool:
    return Path(str(checkpoint_prefix) + SUFFIX).is_file()


def latest_checkpoint(checkpoint_dir: str, latest_filename: str = "checkpoint") -> str | None:
    """The path of the newest file in the folder, None where there is none."""
    note = Path(checkpoint_dir) / latest_filename
    if not note.is_file():
        return None
    name = note.read_text(encoding="utf-8").partition('"')[2].partition('"')[0]
    path = str(Path(checkpoint_dir) / name)
    return path if checkpoint_exists(path) else None


