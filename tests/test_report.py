"""The demo's report, and the parts of the doctor that need hardware, with stand-ins."""

import ctypes
import re

import numpy as np

from gemel.cli import doctor, report
from gemel.cli.demo import Run


def test_report_is_one_file_that_marks_the_wrong_digits():
    labels = np.arange(40) % 10
    images = np.random.RandomState(0).randint(0, 17, (40, 64)).astype(np.float32)
    guesses = labels.copy()
    guesses[[3, 17]] = (labels[[3, 17]] + 1) % 10
    runs = [
        Run(name, [1.0, 0.5, 0.25], 0.95, guesses.tolist(), 60, 0.5, 0.1, 1.5)
        for name in ("PyTorch", "Keras", "<TF 1>")
    ]
    page = report.page(runs, images, labels, original=False)
    assert page.count('class="digit"') == 3 * 38
    assert page.count('class="digit miss"') == 3 * 2
    assert page.count("7→8") == 3
    assert "&lt;TF 1&gt;" in page and "<TF 1>" not in page
    assert "$" not in page
    assert not re.search(r"https?:|<script|@import", page)
    assert re.findall(r"url\((.{21})", page) == ["data:image/png;base64"]


def test_rate_leaves_the_first_step_out():
    run = Run("PyTorch", [1.0], 0.9, [0], 101, 2.0, 1.0)
    assert run.rate == 100.0


class Driver:
    """A CUDA driver with two devices."""

    def cuInit(self, flags):
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device, index):
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, text, size, device):
        ctypes.memmove(text, b"Card %d\0" % device.value, 7)
        return 0


def test_doctor_names_the_gpus(monkeypatch):
    monkeypatch.setattr(doctor, "_driver", Driver)
    assert doctor._gpu() == [("found", "Card 0, Card 1")]


def test_doctor_without_a_driver(monkeypatch):
    monkeypatch.setattr(doctor, "_driver", lambda: None)
    assert doctor._gpu() == [("found", "no (no CUDA driver)")]
