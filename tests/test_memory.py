"""Memory: the peak is known before a program runs, what cannot fit is refused, nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gemel
import gemel.torch as torch
from gemel.runtime import buffer
from gemel.runtime.needs import DoesNotFit
from gemel.torch import nn

ROOT = Path(__file__).resolve().parent.parent


def step_of(rows, width=64, layers=6):
    torch.manual_seed(0)
    parts = [nn.Sequential(nn.Linear(width, 2 * width), nn.Tanh(), nn.Linear(2 * width, width))
             for _ in range(layers)]  # fmt: skip
    model = nn.Sequential(*parts)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.randn(rows, width)

    def step():
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_the_peak_is_known_before():
    step = step_of(4096)
    for _ in range(2):
        step().item()
    told = gemel.explain(step, calls=0)
    buffer.release_pool()
    held = buffer.given_bytes()
    buffer.most_given_bytes(forget=True)
    step().item()
    most = buffer.most_given_bytes() - held
    (program,) = [p for p in told.programs if p.memory.arena > 1 << 20]
    assert program.memory.peak == told.peak
    # results replace gradients that were given up, so they are no new memory
    assert program.memory.arena + program.memory.scratch == pytest.approx(most, rel=0.05)
    assert program.largest[0][0] == 4096 * 128 * 4
    assert program.largest[0][3][0] == __file__
    assert "known before it runs" in str(told)
    assert told.to_dict()["programs"][0]["memory"]["peak"] > 0


SAID = """
import gemel
import gemel.torch as torch
from gemel.explaining import explanation
from gemel.runtime import buffer
from gemel.torch import nn

explanation._peaks = lambda threads: {"float32": 1e2, "levels": {
    name: {"read": 1e1, "write": 1e1, "copy": 1e1} for name in ("L1", "L2", "L3", "memory")
}, "caches": {"L1": 1 << 15, "L2": 1 << 20, "L3": 1 << 25}}
explanation.BUDGET = 0.002
torch.set_num_threads(1)
(torch.ones(3) + 1).tolist()
before = resident()
model = nn.Sequential(nn.Linear(512, 2048), nn.Tanh(), nn.Linear(2048, 512))
optimizer = torch.optim.Adam(model.parameters())
x = torch.randn(2048, 512)

def step():
    optimizer.zero_grad()
    loss = (model(x) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss.item()

for _ in range(3):
    step()
grown, given = resident("VmHWM:") - before, buffer.given_bytes()
told = gemel.explain(step, calls=0)
print(json.dumps({"grown": grown, "given": given, "peak": told.peak, "before": before,
                  "said": told.to_dict()["resident"], "text": str(told)}))
"""


def test_what_is_said_of_the_process_is_what_it_takes():
    """The tensors' peak is what the allocator took, the whole is what the system counts."""
    told = in_a_process(SAID)
    said = told["said"]
    assert said["tensors"] == told["peak"]
    assert told["given"] == pytest.approx(told["peak"], rel=0.05)
    assert said["tensors"] + said["other"] == pytest.approx(told["given"], rel=0.005)
    assert said["total"] - told["before"] == pytest.approx(told["grown"], rel=0.05)
    assert said["code"] > 0 and said["compiler"] > 0 and said["python"] > 0
    assert "the process takes" in told["text"] and "LLVM's library" in told["text"]


def test_memory_that_nobody_takes_goes_back():
    """While new memory is asked for; what is taken now and then stays."""
    buffer.release_pool()
    idle, used = 3 << 20, 6 << 20
    for size in (idle, used):
        buffer.Buffer(size)
    for k in range(6):
        buffer.Buffer(used)
        held = buffer.Buffer((20 + k) << 20)
    del held
    before = buffer.given_bytes()
    for size in (used, idle):
        buffer.Buffer(size)
        assert (buffer.given_bytes() == before) == (size == used)
    buffer.release_pool()


def test_runs_of_any_size_share_a_workspace():
    """Whatever is idle serves what needs less; what needs more takes its place."""
    buffer.release_pool()
    before = buffer.given_bytes()
    large = buffer.Workspace(200 << 20)
    address, taken = large.address, buffer.given_bytes()
    del large
    small = buffer.Workspace(3 << 20)
    assert small.address == address and buffer.given_bytes() == taken
    other = buffer.Workspace(2 << 20)  # of a second thread
    assert other.address != address and buffer.given_bytes() > taken
    del small, other
    assert buffer.pooled_bytes() == buffer.given_bytes() - before
    larger = buffer.Workspace(300 << 20)
    assert 300 << 20 <= buffer.given_bytes() - before < 303 << 20
    del larger
    held = [buffer.Workspace(size << 20) for size in (150, 140, 20)]
    del held
    assert buffer.pooled_bytes() < 450 << 20  # the largest, and a little
    buffer.release_pool()
    assert buffer.given_bytes() == before


@pytest.mark.parametrize("kind", [buffer.Buffer, buffer.Workspace])
def test_memory_that_there_is_not_leaves_nothing_behind(kind, monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    used = buffer.given_bytes() - buffer.pooled_bytes()
    with pytest.raises(MemoryError):
        kind(1 << 62)
    assert buffer.given_bytes() - buffer.pooled_bytes() == used and not said


def test_texts_of_all_lengths_take_no_new_memory():
    """Once the longest has been seen."""
    w = torch.randn(64, 1024)

    def longest(length):
        rows = torch.ones(length, 64) @ w
        return torch.softmax(rows @ w.T @ w, 1).max().item()

    buffer.release_pool()
    longest(1500)
    longest(1400)
    longest(1501)
    buffer.most_given_bytes(forget=True)
    most = buffer.most_given_bytes()
    for length in range(1499, 1300, -13):
        longest(length)
    assert buffer.most_given_bytes() - most < 2 << 20


def test_what_cannot_fit_is_refused(monkeypatch):
    step = step_of(4112, layers=10)
    buffer.release_pool()
    before = buffer.given_bytes()
    monkeypatch.setenv("GEMEL_MEMORY_LIMIT", str(before + (8 << 20)))
    with pytest.raises(DoesNotFit) as caught:
        step().item()
    text = str(caught.value)
    assert "GEMEL_MEMORY_LIMIT" in text and "float32[4112,128]" in text
    assert f"{__file__}:" in text and "checkpoint" in text
    monkeypatch.delenv("GEMEL_MEMORY_LIMIT")
    assert step().item() > 0


def test_a_limit_that_is_no_number(monkeypatch):
    monkeypatch.setenv("GEMEL_MEMORY_LIMIT", "much")
    with pytest.raises(ValueError, match="must be a number of bytes"):
        (torch.ones(7, 3) + 1).tolist()


def test_the_counts_of_the_allocator():
    buffer.release_pool()
    before = buffer.given_bytes()
    held = buffer.Buffer(3 << 20)
    assert buffer.given_bytes() - before >= 3 << 20
    del held
    assert buffer.pooled_bytes() >= 3 << 20
    buffer.release_pool()
    assert buffer.given_bytes() == before


RESIDENT = """
import json
from pathlib import Path

def resident(what="VmRSS:"):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) * 1024 for x in lines if x.startswith(what))
"""


def in_a_process(text: str) -> dict:
    """What a program prints last, as JSON."""
    given = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", RESIDENT + text], capture_output=True, text=True, env=given
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


REBUILDS = """
import gemel.torch as torch
from gemel.torch import nn

def rebuild():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(5, 8), torch.tensor([0, 1, 2, 3, 0])
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        model(x).argmax(1).tolist()

sizes = []
for k in range(240):
    rebuild()
    if k in (60, 150, 239):
        sizes.append(resident())
print(json.dumps({"sizes": sizes}))
"""


def test_rebuilt_models_leave_nothing():
    """Resident memory of a process that builds, trains and forgets a model again and again."""
    first, _, last = in_a_process(REBUILDS)["sizes"]
    assert last - first < 3 << 20


def test_a_loop_that_never_looks_is_bounded():
    """10,000 additions of losses: values of the turns are not held until somebody looks."""
    told = in_a_process(ADDED)
    assert told["later"] - told["early"] < 4 << 20


ADDED = """
import gemel.torch as torch

x = torch.randn(64, 256)
total = torch.zeros(())
for k in range(10_000):
    total = total + ((x * (k % 7)).tanh() ** 2).sum()
    if k == 2_000:
        early = resident()
later = resident()
total.item()
print(json.dumps({"early": early, "later": later}))
"""
