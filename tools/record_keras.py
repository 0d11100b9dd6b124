"""Records what Keras on TensorFlow gives, for the tests that run without it.

Input: the installed originals and the programs of `tests/keras_scenarios.py`. Output:
tests/recorded/keras.npz (or the file named as argument); a key is "scenario/name".
"""

import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def record(path: Path) -> None:
    """Run every scenario and write what it found."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import keras_scenarios as scenarios
    import tensorflow as tf

    found = {"version": np.array(f"keras {keras.__version__}, tensorflow {tf.__version__}")}
    for scenario in scenarios.SCENARIOS:
        for name, value in scenario().items():
            found[f"{scenario.__name__}/{name}"] = value
    np.savez_compressed(path, allow_pickle=False, **found)


if __name__ == "__main__":
    default = ROOT / "tests" / "recorded" / "keras.npz"
    record(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
