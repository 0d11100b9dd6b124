"""A slice of PyTorch's database of operations; `python -m tools.conformance opinfo` runs all."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

NAMES = (
    "add", "bmm", "clamp", "cumsum", "einsum", "exp", "index_add", "linalg.qr",
    "log_softmax", "masked.sum", "matmul", "max", "nn.functional.conv2d",
    "nn.functional.cross_entropy", "nn.functional.layer_norm", "nn.functional.max_pool2d",
    "pow", "scatter_add", "sort", "special.i0e", "stack", "std", "take_along_dim", "unfold",
    "where",
)  # fmt: skip
CHECKS = ("forward", "gradient", "second", "method", "inplace", "out", "errors")
SAMPLES = 3


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_right(name):
    opinfo = pytest.importorskip("tools.conformance.opinfo")
    numbers = [number for number, known in opinfo.entries() if known == name]
    assert numbers
    for number in numbers:
        tallies = opinfo.examine(number, CHECKS, ("float32",), SAMPLES)
        assert ("forward", "float32") in tallies
        wrong = {key: t.faults for key, t in tallies.items() if t.passed < t.total}
        assert not wrong, wrong


def test_a_lost_process_is_a_result():
    pool = pytest.importorskip("tools.conformance.pool")
    tasks = [("dies", (3,)), ("stays", (0,)), ("sleeps", (-1,))]
    found = dict(pool.run(leave, tasks, workers=2, limit=20.0))
    assert found["stays"] == 0
    assert "exit status 3" in found["dies"].reason
    assert found["sleeps"].reason == "took too long"


def leave(status: int) -> int:
    import os
    import time

    if status < 0:
        time.sleep(60)
    if status:
        os._exit(status)
    return status


def test_a_score_may_only_rise(tmp_path, monkeypatch, capsys):
    score = pytest.importorskip("tools.conformance.score")
    monkeypatch.setattr(score, "FILE", tmp_path / "score.json")
    assert score.settle("suite", {"right": 5}, record=True) == 0
    assert score.settle("suite", {"right": 4}, record=True) == 1
    assert "FALLEN" in capsys.readouterr().out
    assert score.settle("suite", {"right": 6}, record=True) == 0
    assert score._read() == {"suite": {"right": 6}}
