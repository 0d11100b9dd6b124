"""Runs Keras's own tests over Gemel and keeps score.

Input: test files of the installed Keras (all of FILES, or those named as arguments). Output: one
line per file and docs/keras-conformance.json, file -> [passed, failed, skipped]. `--list FILE`
prints the tests of a file that fail.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCORE = ROOT / "docs" / "keras-conformance.json"
FILES = (
    "ops/core_test.py",
    "ops/math_test.py",
    "ops/nn_test.py",
    "ops/numpy_test.py",
    "ops/linalg_test.py",
    "ops/image_test.py",
    "ops/operation_test.py",
    "ops/function_test.py",
    "backend/common/variables_test.py",
    "backend/common/compute_output_spec_test.py",
    "backend/common/dtypes_test.py",
    "random/random_test.py",
    "random/seed_generator_test.py",
    "initializers/random_initializers_test.py",
    "initializers/constant_initializers_test.py",
    "layers/layer_test.py",
    "layers/core/*_test.py",
    "layers/activations/*_test.py",
    "layers/merging/*_test.py",
    "layers/normalization/*_test.py",
    "layers/regularization/*_test.py",
    "layers/reshaping/*_test.py",
    "layers/pooling/*_test.py",
    "layers/convolutional/*_test.py",
    "layers/rnn/*_test.py",
    "layers/attention/*_test.py",
    "losses/*_test.py",
    "metrics/*_test.py",
    "optimizers/*_test.py",
    "optimizers/schedules/*_test.py",
    "regularizers/*_test.py",
    "constraints/*_test.py",
    "activations/*_test.py",
    "models/*_test.py",
    "trainers/*_test.py",
    "trainers/data_adapters/*_test.py",
    "callbacks/*_test.py",
    "saving/*_test.py",
    "utils/*_test.py",
)
LIMIT = 900  # seconds a file may take
# what Keras's tests import from the conftest.py of its repository, which is not in its wheel
CONFTEST = """
import unittest
import keras

def skip_if_backend(name, reason):
    return unittest.skipIf(keras.backend.backend() == name, reason)
"""


def sources() -> Path:
    """Where the installed Keras keeps its sources."""
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        raise SystemExit("Keras is not installed: pip install 'gemel[keras]'")
    return Path(spec.origin).parent / "src"


def adapted(path: Path, folder: str) -> Path:
    """The file itself, or a copy that picks Gemel's trainer where it asks for one by name."""
    text = path.read_text()
    if "Invalid backend" not in text:
        return path
    text = text.replace('elif backend.backend() == "numpy":', 'elif backend.backend() == "gemel":')
    text = text.replace("backend.numpy.trainer import NumpyTrainer",
                        "backend.gemel.trainer import GemelTrainer")  # fmt: skip
    copy = Path(folder, path.name)
    copy.write_text(text)
    return copy


def run(path: Path, *options: str) -> str:
    """pytest's output for one file, with Keras joined to Gemel first."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "conftest.py").write_text(CONFTEST)
        path = adapted(path, folder)
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "gemel.keras_backend",
            "-p", "no:cacheprovider", "--no-header", "-c", os.devnull,
            "--rootdir", str(path.parent), "--import-mode=append", *options, str(path),
        ]  # fmt: skip
        search = f"{ROOT}{os.pathsep}{folder}"
        environment = {**os.environ, "PYTHONPATH": search, "CUDA_VISIBLE_DEVICES": ""}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT, env=environment, cwd="/"
            )
        except subprocess.TimeoutExpired:
            return "1 error in 0s"
    return done.stdout


def count(output: str) -> list[int]:
    """[passed, failed, skipped] of pytest's last line."""
    last = output.strip().splitlines()[-1] if output.strip() else ""
    found = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", last)}
    failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
    return [found.get("passed", 0), failed, found.get("skipped", 0)]


def main(arguments: list[str]) -> None:
    """Run the files and write the score; `--list FILE` shows failures instead."""
    root = sources()
    if arguments[:1] == ["--list"]:
        print(run(root / arguments[1], "--tb=line", *arguments[2:]))
        return
    score = json.loads(SCORE.read_text()) if SCORE.exists() else {}
    for pattern in arguments or FILES:
        for path in sorted(root.glob(pattern)):
            name = str(path.relative_to(root))
            score[name] = count(run(path, "--tb=no"))
            print(f"{name:<60} {score[name]}", flush=True)
            SCORE.write_text(json.dumps(score, indent=1, sort_keys=True) + "\n")
    passed, failed, skipped = (sum(row[i] for row in score.values()) for i in range(3))
    print(f"passed {passed}, failed {failed}, skipped {skipped}")


if __name__ == "__main__":
    main(sys.argv[1:])
