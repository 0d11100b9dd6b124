"""The example programs under Gemel, and next to the originals where those are installed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
DIGITS = ["digits_torch.py", "digits_keras.py", "digits_tf1.py"]
NEEDS = {
    "digits_torch.py": "torch",
    "torch_listing.py": "torch",
    "torch_tensor_listing.py": "torch",
    "digits_keras.py": "tensorflow",
    "digits_tf1.py": "tensorflow",
    "keras_listing.py": "tensorflow",
    "session_inside_listing.py": "tensorflow",
}


def run(name, *arguments, original=False):
    """Standard output of an example; fails the test when the example fails."""
    machinery = [] if original else ["-m", "gemel", "run"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *machinery, str(EXAMPLES / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def record(name, folder, original=False):
    """What a digit program hands over with --json."""
    path = folder / "run.json"
    run(name, "--json", path, original=original)
    return json.loads(path.read_text())


def needs(name):
    package = NEEDS[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("name", DIGITS)
def test_digits_learn(name, tmp_path):
    found = record(name, tmp_path)
    assert found["accuracy"] >= 0.96
    assert len(found["losses"]) == 20
    assert found["steps"] == 20 * 45
    assert np.isfinite(found["losses"]).all()
    assert found["losses"][-1] < 0.05


def test_the_torch_program_prints_the_recorded_losses(tmp_path):
    """Recorded with `python examples/digits_torch.py --json FILE` under PyTorch 2.13, no times."""
    theirs = json.loads((ROOT / "tests" / "recorded" / "digits_torch.json").read_text())
    ours = record("digits_torch.py", tmp_path)
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=0, atol=1e-4)
    wrong = np.sum(np.array(ours["predicted"]) != theirs["predicted"])
    assert wrong <= 1


@pytest.mark.parametrize("name", ["session_listing.py", "session_inside_listing.py"])
def test_session_listings(name):
    assert run(name) == "[[19 22]\n [43 50]]\n"


def test_tensor_listing():
    loss, *weights = run("torch_tensor_listing.py").splitlines()
    assert loss == "Loss: 1.772472"
    assert weights == ["[[3.51 4.08]", " [7.66 8.85]]"]


def test_torch_listing():
    assert run("torch_listing.py").startswith("Accuracy: ")


def test_keras_listing():
    printed = run("keras_listing.py")
    assert "Epoch 5/5" in printed
    assert "accuracy" in printed


@pytest.mark.oracle
@pytest.mark.parametrize("name", sorted(NEEDS))
def test_examples_run_under_the_originals(name):
    needs(name)
    run(name, original=True)


@pytest.mark.oracle
def test_the_torch_program_prints_pytorchs_losses(tmp_path):
    needs("digits_torch.py")
    theirs = record("digits_torch.py", tmp_path, original=True)
    ours = record("digits_torch.py", tmp_path)
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=0, atol=1e-4)
    assert ours["accuracy"] == pytest.approx(theirs["accuracy"], abs=0.003)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["torch_listing.py", "torch_tensor_listing.py"])
def test_torch_listings_print_the_same(name):
    needs(name)
    assert run(name) == run(name, original=True)


@pytest.mark.oracle
def test_the_tf1_program_prints_tensorflows_losses(tmp_path):
    needs("digits_tf1.py")
    theirs = record("digits_tf1.py", tmp_path, original=True)
    ours = record("digits_tf1.py", tmp_path)
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=0, atol=1e-4)
