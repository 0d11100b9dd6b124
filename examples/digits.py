"""What the three digit programs share: the data, its split, and the record of a training run.

Role: keeps `digits_torch.py`, `digits_keras.py` and `digits_tf1.py` about their framework alone.
Input: the digits that ship with Gemel, and `--json PATH` on the command line. Output: NumPy
arrays; lines on standard output; with `--json`, the run as a JSON file. Needs NumPy only, so that
the programs also run under the original frameworks.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
# Beside the package in a checkout, inside it when installed.
PLACES = (HERE.parent / "gemel" / "data", HERE.parent / "data")
EPOCHS = 20
BATCH = 32
LEARNING_RATE = 0.005


def load():
    """(train images, train labels), (test images, test labels): float32 in 0..1 and int64.

    Every fifth digit is held out, so that each writer is in both parts.
    """
    file = next(place / "digits.csv.gz" for place in PLACES if (place / "digits.csv.gz").exists())
    with gzip.open(file, "rt", encoding="ascii") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    images = np.ascontiguousarray(table[:, :64]) / np.float32(16)
    labels = table[:, 64].astype(np.int64)
    held_out = np.arange(len(table)) % 5 == 0
    return (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out])


class Record:
    """One training run: prints a line an epoch, and keeps what the report wants to show."""

    def __init__(self, program):
        parser = argparse.ArgumentParser()
        parser.add_argument("--json", type=Path, help="also write the run to this file")
        self.path = parser.parse_args().json
        self.program = program
        self.losses = []
        self.steps = 0
        self.first_step = 0.0
        self.started = 0.0
        self.seconds = 0.0

    def start(self):
        """Call right before the first training step."""
        self.started = time.perf_counter()

    def step(self):
        """Call after each training step."""
        self.steps += 1
        if self.steps == 1:
            self.first_step = time.perf_counter() - self.started

    def epoch(self, loss):
        """Call after each epoch with its mean loss."""
        self.seconds = time.perf_counter() - self.started
        self.losses.append(float(loss))
        print(f"epoch {len(self.losses):2d}  loss {loss:.6f}", flush=True)

    def finish(self, predicted, labels):
        """Call last, with the predicted and the true classes of the test images."""
        predicted = np.asarray(predicted)
        accuracy = float((predicted == labels).mean())
        print(f"test accuracy {accuracy:.4f}")
        if self.path is not None:
            run = {
                "program": self.program,
                "losses": self.losses,
                "accuracy": accuracy,
                "predicted": predicted.tolist(),
                "steps": self.steps,
                "seconds": self.seconds,
                "first_step": self.first_step,
            }
            self.path.write_text(json.dumps(run))
