"""`gemel.explain` and GEMEL_SHOW: kernels, their lines, what they cost. Times are only positive."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from machine_code import loop_of_multiply_adds, spilled

import gemel
import gemel.torch as torch
from gemel.explaining import explanation, peaks
from gemel.explaining.quantities import count, duration
from gemel.explaining.report import as_text
from gemel.passes import showing
from gemel.passes.observed import watching
from gemel.runtime.machine import machine
from gemel.tensor import state

nn = torch.nn
F = torch.nn.functional
LEVELS = {"L1": 4e2, "L2": 1e2, "L3": 5e1, "memory": 1e1}
PEAKS = {
    "threads": 1,
    "float32": 100.0,
    "float64": 50.0,
    "levels": {n: {"bytes": 1, "read": s, "write": s, "copy": s} for n, s in LEVELS.items()},
    "caches": {"L1": 1 << 15, "L2": 1 << 20, "L3": 1 << 25},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No time is spent on measuring the machine, and little on timing."""
    monkeypatch.setattr(explanation, "_peaks", lambda threads: PEAKS)
    monkeypatch.setattr(explanation, "BUDGET", 0.002)


def line_of(function, text: str) -> tuple[str, int]:
    """(file, line) of the function's line that holds the text."""
    lines, start = inspect.getsourcelines(function)
    return __file__, start + next(i for i, line in enumerate(lines) if text in line)


def filled(*shape):
    return torch.tensor(np.random.RandomState(0).rand(*shape).astype(np.float32))


# ---------- an MLP ----------
class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(48, 24)
        self.fc2 = nn.Linear(24, 5)

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        return self.fc2(h)


def test_inference_has_two_products_with_lines_and_exact_costs():
    torch.manual_seed(0)
    model = Mlp()
    x = filled(16, 48)
    with torch.no_grad():
        told = gemel.explain(model, x, calls=0)
    first, second = told.kernels
    assert first.does == "matmul 16x24x48 + bias + relu"
    assert second.does == "matmul 16x5x24 + bias"
    assert first.line == line_of(Mlp.forward, "self.fc1")
    assert second.line == line_of(Mlp.forward, "self.fc2")
    assert first.flops == 2 * 16 * 24 * 48 + 16 * 24
    assert second.flops == 2 * 16 * 5 * 24 + 16 * 5
    assert (first.read, first.written) == (4 * (16 * 48 + 24 * 48 + 24), 4 * 16 * 24)
    assert told.flops == first.flops + second.flops and told.wall is None
    for kernel in told.kernels:
        assert kernel.seconds > 0 and kernel.limit > 0 and kernel.pieces == (1,) and kernel.plan
        assert kernel.share == kernel.limit / kernel.seconds
    assert np.array_equal(told.result.numpy(), model(x).detach().numpy())


def times_turned(x, w):
    return x @ w.T


@pytest.mark.parametrize("wrapped", [torch.compile, lambda f: f])
def test_a_product_of_a_turned_operand_has_its_line(wrapped):
    with torch.no_grad():
        (kernel,) = gemel.explain(wrapped(times_turned), filled(21, 35), filled(19, 35)).kernels
    assert kernel.line == line_of(times_turned, "x @ w.T")


def training(compiled):
    torch.manual_seed(0)
    model = Mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x, y = filled(16, 48), torch.tensor(np.arange(16) % 5)

    def step():
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item() if not compiled else loss

    return model, torch.compile(step) if compiled else step


@pytest.mark.parametrize("compiled", [False, True])
def test_explaining_is_calling(compiled):
    """The function's effects are those of 1 + calls ordinary calls, bit for bit."""
    explained, step = training(compiled)
    plain, again = training(compiled)
    step(), again()
    told = gemel.explain(step, calls=2)
    for _ in range(3):
        again()
    for a, b in zip(explained.parameters(), plain.parameters(), strict=True):
        assert np.array_equal(a.detach().numpy(), b.detach().numpy())
    assert told.wall > 0 and told.seconds > 0
    products = [k.does for k in told.kernels if "matmul" in k.does]
    # two forward, two for the weights, one for the hidden values
    assert len(products) == 5
    step(), again()
    ends = [next(iter(m.parameters())).detach().numpy() for m in (explained, plain)]
    assert np.array_equal(*ends)


def test_programs_that_run_again_are_told_once():
    x = filled(8, 8)

    def f():
        for _ in range(3):
            (x * 2.0 + 1.0).numpy()

    told = gemel.explain(f, calls=0)
    (program,) = told.programs
    assert program.calls == 3 and told.flops == 3 * 128
    assert "8x8: mul, add" in [k.does for k in told.kernels] or told.kernels[0].flops == 128


def test_a_call_is_timed_with_its_results():
    """What the function returns is computed inside of the timed calls."""
    x = filled(8, 8)
    with watching() as calls:
        gemel.explain(lambda: x * 3.0 - 1.0, calls=2)
    assert len(calls) == 2


def test_weights_that_stay_are_packed_before_the_kernels_are_timed():
    """Kernels apart keep what the program itself keeps between runs."""
    x, w = filled(1, 8, 12, 12), filled(16, 8, 3, 3)
    with watching() as calls:
        F.conv2d(x, w, padding=1).numpy()
    program = calls[0].program
    assert program.usual.keeps and program.apart.keeps
    assert program.apart.facts["kept"]["leaves"] == program.usual.facts["kept"]["leaves"]
    assert (calls[0].laps(3) > 0).all()


# ---------- a convolution ----------
def test_convolution_and_its_gradients_cost_the_same():
    x, w = filled(2, 8, 12, 12).requires_grad_(), filled(16, 8, 3, 3).requires_grad_()

    def f():
        y = F.conv2d(x, w, padding=1)
        x.grad = w.grad = None
        y.backward(torch.ones_like(y))
        return x.grad.numpy(), w.grad.numpy(), y.detach().numpy()

    told = gemel.explain(f, calls=0)
    windows = [k for k in told.kernels if "2x8x12x12" in k.does or "16x8x3x3" in k.does]
    names = {k.does.split(" 2x")[0]: k for k in windows}
    assert set(names) == {"convolution", "convolution's input gradient", "weight gradient"}
    products = 2 * 2 * 16 * 8 * 9 * 12 * 12
    for kernel in windows:
        assert kernel.flops == products and kernel.line == line_of(f, "conv2d")
    assert names["convolution"].written == 4 * 2 * 16 * 12 * 12


# ---------- other ways to call ----------
def test_session_and_keras():
    code = """
import numpy as np, gemel
from gemel.explaining import explanation
import gemel.tensorflow.compat.v1 as tf
explanation.BUDGET = 0.002
tf.disable_eager_execution()
x = tf.placeholder(tf.float32, [None, 6])
w = tf.Variable(tf.ones([6, 3]))
loss = tf.reduce_mean(tf.matmul(x, w))
step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
session = tf.Session()
session.run(tf.global_variables_initializer())
feed = {x: np.ones((4, 6), np.float32)}
first = session.run(loss, feed)
told = gemel.explain(session.run, [step, loss], feed, calls=1)
assert told.result[1] == first, told.result
assert any("matmul 4x3x6" in k.does for k in told.kernels), str(told)
second = session.run(loss, feed)
assert np.isclose(second, first - 2 * 0.5 * 6 * 3 / 9), (first, second)
print("well")
"""
    assert run(code).stdout == "well\n"


def test_what_runs_no_program_is_said():
    with pytest.raises(ValueError, match="runs no program"):
        gemel.explain(lambda: 3)
    with pytest.raises(ValueError, match="calls must not be negative"):
        gemel.explain(lambda: 3, calls=-1)


def test_errors_of_the_function_pass_through():
    x = filled(3)

    def f():
        (x + 1.0).numpy()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        gemel.explain(f)
    assert np.array_equal((x + 1.0).numpy(), x.numpy() + 1)


# ---------- what is shown ----------
def test_table_dictionary_and_notebook():
    torch.manual_seed(0)
    model, x = Mlp(), filled(16, 48)
    with torch.no_grad():
        told = gemel.explain(model, x, calls=1)
    lines = as_text(told, 110).splitlines()
    assert max(map(len, lines)) <= 112
    assert "matmul 16x24x48" in lines[1] and "_explain.py:" in lines[1]
    assert str(told).count("GB/s") >= 2
    found = json.loads(json.dumps(told.to_dict()))
    assert found["flops"] == told.flops and len(found["programs"][0]["kernels"]) == 2
    assert found["programs"][0]["kernels"][0]["bytes"] == told.kernels[0].bytes
    html = told._repr_html_()
    assert html.count("<tr>") == 3 and "matmul 16x24x48" in html and __file__ in html


def test_quantities():
    assert [duration(x) for x in (0, 2.5e-9, 1.234e-3, 0.9999e-3, 12)] == [
        "0 ns", "2.5 ns", "1.23 ms", "1000 us", "12 s",
    ]  # fmt: skip
    assert [count(x) for x in (0, 7, 1500, 2.5e9)] == ["0", "7", "1.5 k", "2.5 G"]
    assert count(2048, "B") == "2.05 kB"


# ---------- GEMEL_SHOW ----------
PROGRAM = """
import numpy as np
import gemel.torch as torch
x, w = torch.tensor(np.ones((8, 6), 'f')), torch.tensor(np.ones((6, 4), 'f'))
y = torch.softmax(x @ w, -1)
y.numpy()
"""


def run(code, **environment):
    root = str(Path(gemel.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    "level, wanted",
    [
        ("graph", "contract(%0, %1)"),
        ("passes", "--- simplify"),
        ("groups", "group k0: matmul 8x4x6"),
        ("kernels", "product b"),
        ("plans", "plan k0: pieces 1"),
        ("llvm", "define internal void @k0"),
        ("asm", "gemel_program:"),
    ],
)
def test_every_level_is_shown(level, wanted):
    assert wanted in run(PROGRAM, GEMEL_SHOW=level).stdout


def test_one_kernel_is_chosen_by_name():
    shown = run(PROGRAM, GEMEL_SHOW="llvm:k1,asm:k1,plans:k1,groups:k7").stdout
    assert "@k1(" in shown and "\nk1:" in shown and "plan k1" in shown
    assert "@k0(" not in shown and "\nk0:" not in shown and "plan k0" not in shown
    assert "groups: this program has no kernel k7" in shown


def test_unknown_levels_are_said_and_the_rest_is_shown(capsys):
    showing.wanted.cache_clear()
    assert showing.wanted("kernels,nonsense,passes:k1,asm:k3,asm:k4") == {
        "kernels": frozenset(),
        "asm": frozenset({"k3", "k4"}),
    }
    said = capsys.readouterr().err
    assert "'nonsense'" in said and "'passes:k1'" in said


def test_example_of_a_slow_kernel():
    root = Path(gemel.__file__).parent.parent
    path = root / "examples" / "slow_kernel.py"
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stderr
    assert "weight gradient" in done.stdout and "GEMEL_SHOW=asm:k" in done.stdout
    assert str(path) in done.stdout.split("most time")[1]


def test_this_file_is_the_users():
    assert state.user_line()[0] == __file__


@pytest.mark.parametrize("elem", ["float", "double"])
def test_the_limit_is_measured_in_registers(elem):
    """Sums on the stack would make it half of what the processor can do."""
    lanes = machine().lanes(4 if elem == "float" else 8)
    lines = loop_of_multiply_adds(peaks.fma_module(elem, lanes, 100), 12)
    assert spilled(lines) == []
