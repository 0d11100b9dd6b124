"""Records what PyTorch and TensorFlow draw, for the tests that run without them.

Input: the installed originals and the rows of `tests/random_cases.py`. Output:
tests/recorded/random_torch.npz and random_tensorflow.npz; a key is "seed/row"; and of the rows of
`tests/random_rows.py`: random_faces.npz, "row/number". Run it again when a row or a pinned version
changes.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def record_torch(folder: Path) -> None:
    import random_cases as cases
    import torch

    found = {"version": np.array(torch.__version__)}
    for seed in cases.SEEDS:
        values, state = cases.torch_theirs(torch, seed)
        found.update({f"{seed}/{name}": value for name, value in values.items()})
        found[f"{seed}/state"] = state
    np.savez_compressed(folder / "random_torch.npz", **found)


def record_tensorflow(folder: Path) -> None:
    import random_cases as cases
    import tensorflow as tf

    found = {"version": np.array(tf.__version__)}
    for seed in cases.STATELESS_SEEDS:
        drawn = cases.stateless_theirs(tf, seed)
        found.update({f"{seed}/{name}": value for name, value in drawn.items()})
        for name in cases.BIT_TYPES:
            bits = tf.random.stateless_uniform([31], seed, None, None, name)
            found[f"{seed}/bits {name}"] = bits.numpy()
        found[f"{seed}/split"] = tf.random.split(seed, 3).numpy()
        found[f"{seed}/fold_in"] = tf.random.fold_in(seed, 9).numpy()
    for seeds in cases.STATEFUL_SEEDS:
        drawn = cases.stateful_theirs(tf, seeds)
        found.update({f"{seeds}/{name}": value for name, value in drawn.items()})
    found.update(_unseeded(tf))
    found.update(_generator(tf))
    np.savez_compressed(folder / "random_tensorflow.npz", **found)


def _unseeded(tf) -> dict[str, np.ndarray]:
    """Operations without seeds of their own, eager and in a graph."""
    tf.random.set_seed(99)
    found = {f"eager/{i}": tf.random.normal([5]).numpy() for i in range(3)}
    with tf.Graph().as_default():
        tf.compat.v1.set_random_seed(99)
        drawn = [tf.random.normal([5]) for _ in range(3)]
        with tf.compat.v1.Session() as session:
            for turn in (1, 2):
                for i, value in enumerate(session.run(drawn)):
                    found[f"graph/{i} {turn}"] = value
    return found


def _generator(tf) -> dict[str, np.ndarray]:
    g = tf.random.Generator.from_seed(42)
    found = {"generator/start": g.state.numpy()}
    found["generator/uniform"] = g.uniform([5]).numpy()
    found["generator/normal"] = g.normal([7]).numpy()
    found["generator/end"] = g.state.numpy()
    return found


def record_faces(folder: Path) -> None:
    import random_rows as rows
    import tensorflow as tf
    import torch

    found = {}
    for row, arrays in (rows.torch_outcomes(torch) | rows.tensorflow_outcomes(tf)).items():
        found[f"{row}/count"] = np.array(len(arrays))
        found.update({f"{row}/{i}": array for i, array in enumerate(arrays)})
    np.savez_compressed(folder / "random_faces.npz", **found)


def main() -> None:
    folder = ROOT / "tests" / "recorded"
    folder.mkdir(exist_ok=True)
    record_faces(folder)
    record_torch(folder)
    record_tensorflow(folder)


if __name__ == "__main__":
    main()
