"""The thread team: every piece once and in order, the same bits on any number of threads, and
nothing left hanging when processes fork, stop or are interrupted."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import gemel.tensorflow as tf
import gemel.torch as torch
from gemel.graph.errors import Fault
from gemel.graph.form import float32, form, int64
from gemel.ops import contraction, elementwise, indexing, reduction
from gemel.ops.record import leaf
from gemel.passes import native
from gemel.passes.compile import compile_graph
from gemel.runtime import jit, team, team_code
from gemel.runtime.buffer import Buffer
from gemel.runtime.machine import cgroup_quota, usable_cores

several = pytest.mark.skipif(bool(team_code.lacking()), reason=team_code.lacking())
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def default_size():
    yield
    team.set_threads(0)


# ---------- the native part ----------
# count: table[piece] += 1, and table[4095] counts pieces that ran before the phase that each word
# of table[4000...] names was over.  meet: waits until all pieces of its phase run.
_IR = """
declare i32 @sched_yield()

define void @count(ptr %t, i64 %i, ptr %s) {
  %p = getelementptr i64, ptr %t, i64 %i
  %o = atomicrmw add ptr %p, i64 1 monotonic, align 8
  ret void
}
define void @meet(ptr %t, i64 %i, ptr %s) {
entry:
  %o = atomicrmw add ptr %t, i64 1 seq_cst, align 8
  br label %look
look:
  %n = load atomic i64, ptr %t seq_cst, align 8
  %want = getelementptr i64, ptr %t, i64 1
  %all = load i64, ptr %want, align 8
  %there = icmp uge i64 %n, %all
  br i1 %there, label %end, label %wait
wait:
  %y = call i32 @sched_yield()
  br label %look
end:
  ret void
}
; table[0]: pieces done; table[1 + piece]: how many were done when the piece began
define void @order(ptr %t, i64 %i, ptr %s) {
  %n = load atomic i64, ptr %t seq_cst, align 8
  %i1 = add i64 %i, 1
  %p = getelementptr i64, ptr %t, i64 %i1
  store i64 %n, ptr %p, align 8
  %o = atomicrmw add ptr %t, i64 1 seq_cst, align 8
  ret void
}
; every piece fills the memory of its thread and looks whether it stays so
define void @alone(ptr %t, i64 %i, ptr %s) {
entry:
  br label %fill
fill:
  %k = phi i64 [ 0, %entry ], [ %k1, %fill ]
  %p = getelementptr i64, ptr %s, i64 %k
  store volatile i64 %i, ptr %p, align 8
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, 4096
  br i1 %more, label %fill, label %check
check:
  %j = phi i64 [ 0, %fill ], [ %j1, %check ]
  %bad = phi i64 [ 0, %fill ], [ %bad1, %check ]
  %q = getelementptr i64, ptr %s, i64 %j
  %v = load volatile i64, ptr %q, align 8
  %other = icmp ne i64 %v, %i
  %one = zext i1 %other to i64
  %bad1 = add i64 %bad, %one
  %j1 = add i64 %j, 1
  %again = icmp ult i64 %j1, 4096
  br i1 %again, label %check, label %end
end:
  %o = atomicrmw add ptr %t, i64 %bad1 monotonic, align 8
  ret void
}
; three times over: the pieces of the record whose address the own record holds, and their number
define void @inner(ptr %t, i64 %i, ptr %s, ptr %record) {
entry:
  %pst = getelementptr i64, ptr %t, i64 100
  %st = load ptr, ptr %pst, align 8
  %at = getelementptr i8, ptr %st, i64 SHARE
  %share = load ptr, ptr %at, align 8
  %pwhat = getelementptr i64, ptr %record, i64 1
  %what = load ptr, ptr %pwhat, align 8
  %pn = getelementptr i64, ptr %record, i64 2
  %n = load i64, ptr %pn, align 8
  br label %again
again:
  %k = phi i64 [ 0, %entry ], [ %k1, %again ]
  call void %share(ptr %st, ptr %t, ptr %what, i64 %n, i64 %n, ptr %s)
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, 3
  br i1 %more, label %again, label %end
end:
  ret void
}
define i32 @enter(ptr %st, ptr %t, ptr %f, ptr %n, i64 %phases, ptr %s) {
  %at = getelementptr i8, ptr %st, i64 RUN
  %run = load ptr, ptr %at, align 8
  %r = call i32 %run(ptr %st, ptr %t, ptr %f, ptr %n, i64 %phases, ptr %s)
  ret i32 %r
}
"""


class Phases:
    """A program of phases, each (function, pieces), over a table of 64-bit words; inner(function,
    pieces) is a phase of one piece that lets the team at those three times."""

    names = ("count", "meet", "order", "alone", "inner")
    library = None

    def __init__(self, *phases: tuple):
        if Phases.library is None:
            text = _IR.replace("RUN", str(team_code.RUN)).replace("SHARE", str(team_code.SHARE))
            Phases.library = jit.load(text, [*self.names, "enter"])
        word = ctypes.c_void_p
        self.enter = self.library.function(
            "enter", ctypes.c_int, word, word, word, word, ctypes.c_int64, word
        )
        self.inner = np.array(
            [(self.library.address(p[1] if p[0] == "inner" else p[0]), 0, 0) for p in phases],
            np.uint64,
        )
        self.functions = self.inner.copy()
        for k, (name, *what) in enumerate(phases):
            if name == "inner":
                where = self.inner[k : k + 1].ctypes.data
                self.functions[k] = (self.library.address("inner"), where, what[1])
        self.counts = np.array([(p[1], p[1] - 1) if len(p) == 2 else (1, 0) for p in phases])
        self.scratch = np.zeros(4096, np.int64)

    def run(self, table: np.ndarray) -> None:
        if len(table) > 100:
            table[100] = team.address()
        arrays = [table, self.functions, self.counts]
        addresses = [a.ctypes.data for a in arrays]
        for _ in range(3):
            code = self.enter(
                team.address(), *addresses, len(self.counts), self.scratch.ctypes.data
            )
            if code == 0:
                return
            assert code == team.NOT_STARTED
            team.start()
        raise AssertionError("the team does not start")


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_piece_runs_once(threads):
    team.set_threads(threads)
    random = np.random.RandomState(threads)
    for _ in range(300):
        counts = [int(n) for n in random.choice([1, 1, 2, 3, 7, 40], random.randint(1, 12))]
        table = np.zeros(64, np.int64)
        Phases(*[("count", n) for n in counts]).run(table)
        assert table.tolist() == [sum(n > i for n in counts) for i in range(64)]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_a_phase_waits_for_the_one_before(threads):
    team.set_threads(threads)
    for _ in range(300):
        table = np.zeros(64, np.int64)
        Phases(("order", 1), ("order", 40), ("count", 1), ("order", 7)).run(table)
        # words 1 to 7 were written again by the last phase, when 41 pieces and a count were done
        assert (table[1:8] >= 42).all() and (table[8:41] >= 1).all()
        assert table[0] == 1 + 40 + 1 + 7


@several
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_so_many_threads_are_at_work_together(threads):
    """A phase whose pieces wait for each other ends only when each has a thread of its own."""
    team.set_threads(threads)
    for _ in range(20):
        table = np.zeros(8, np.int64)
        table[1] = threads
        Phases(("meet", threads), ("count", 1)).run(table)
        assert table[0] == threads + 1


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_a_piece_lets_the_team_at_its_own(threads):
    """First, last, in between, and next to each other."""
    team.set_threads(threads)
    inner = ("inner", "count", 40)
    table = np.zeros(101, np.int64)
    for _ in range(300):
        table[:100] = 0
        Phases(inner, ("count", 7), inner, ("count", 1), inner, ("count", 50), inner).run(table)
        counts = [40] * 12 + [7, 1, 50]
        assert table[:64].tolist() == [sum(n > i for n in counts) for i in range(64)]
        table[:100] = 0
        Phases(("order", 5), ("inner", "order", 20), ("count", 30)).run(table)
        assert table[0] == 5 + 3 * 20 + 1
        assert (table[1:21] >= 5 + 2 * 20).all()  # they began behind two rounds


@several
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_all_threads_are_at_work_in_a_piece(threads):
    team.set_threads(threads)
    table = np.zeros(101, np.int64)
    table[1] = threads
    for _ in range(20):
        table[0] = 0
        Phases(("inner", "meet", threads), ("count", 1)).run(table)
        assert table[0] == 3 * threads + 1


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_each_thread_has_memory_of_its_own(threads):
    team.set_threads(threads)
    team.reserve(4096 * 8)
    for _ in range(20):
        table = np.zeros(8, np.int64)
        Phases(("alone", 24)).run(table)
        assert table[0] == 0


@several
def test_a_busy_team_is_not_waited_for():
    """A program that comes while another has the team runs on its own thread."""
    team.set_threads(2)
    waiting = np.zeros(8, np.int64)
    waiting[1] = 3  # two pieces of the team, and one more that comes from here
    other = threading.Thread(target=Phases(("meet", 2)).run, args=(waiting,))
    other.start()
    until = time.monotonic() + 60
    while waiting[0] < 2:
        assert time.monotonic() < until
    table = np.zeros(101, np.int64)
    Phases(("count", 40), ("inner", "count", 40)).run(table)
    assert (table[:40] == 4).all()
    Phases(("count", 1)).run(waiting)  # lets the other go
    other.join(60)
    assert not other.is_alive()


# ---------- the same bits ----------
def _arrays(*shapes):
    torch.manual_seed(3)
    return [torch.randn(*shape) for shape in shapes]


def product():
    a, b, c = _arrays((300, 257), (257, 310), (310,))
    return [torch.relu(a @ b + c)]


def batched():
    a, b = _arrays((24, 65, 70), (24, 70, 90))
    return [a @ b]


def reductions():
    (x,) = _arrays((700, 513))
    return [x.sum(), x.sum(0), x.sum(1), x.max(), x.argmax(1), x.var(), (x * x).mean(0)]


def rows():
    (x,) = _arrays((900, 333))
    y = torch.nn.functional.layer_norm(x, (333,))
    return [torch.softmax(x, 1), y, torch.logsumexp(x, 0)]


def convolution():
    x, w, b = _arrays((6, 8, 30, 30), (16, 8, 3, 3), (16,))
    for t in (x, w, b):
        t.requires_grad_()
    y = torch.nn.functional.conv2d(x, w, b, padding=1)
    y = torch.nn.functional.max_pool2d(torch.relu(y), 2)
    (y * y).sum().backward()
    return [y, x.grad, w.grad, b.grad]


def embedding():
    table, up = _arrays((500, 64), (64, 500))
    table.requires_grad_()
    index = torch.arange(4000) * 7 % 500
    out = torch.nn.functional.embedding(index, table) @ up
    torch.nn.functional.cross_entropy(out, index).backward()
    return [out, table.grad]


def training():
    torch.manual_seed(5)
    model = torch.nn.Sequential(
        torch.nn.Linear(200, 300), torch.nn.Tanh(), torch.nn.Linear(300, 40)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x, y = torch.randn(256, 200), torch.arange(256) % 40
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return [*losses, *(p.detach() for p in model.parameters())]


def recurrence():
    torch.manual_seed(6)
    model = torch.nn.LSTM(48, 256, batch_first=True)
    x = torch.randn(32, 5, 48, requires_grad=True)
    y, (h, _) = model(x)
    (y.square().mean() + h.sum()).backward()
    return [y, x.grad, *(p.grad for p in model.parameters())]


def steps_until():
    """A loop that data ends, with a product and a loop in each step."""
    (w,) = _arrays((256, 256))
    w = tf.constant(w.numpy() / 16)

    def step(k, x):
        inner = tf.while_loop(lambda j, _: j < 2, lambda j, y: (j + 1, tf.tanh(y @ w)), (0, x))
        return k + 1, inner[1] @ w + 0.1

    start = (tf.constant(0), tf.ones((64, 256)))
    run = tf.function(lambda k, x: tf.while_loop(lambda k, x: k < 4, step, (k, x)))
    return [torch.from_numpy(run(*start)[1].numpy())]


CASES = [
    product, batched, reductions, rows, convolution, embedding, training, recurrence, steps_until,
]  # fmt: skip


def bits(case) -> list[bytes]:
    return [t.detach().numpy().tobytes() for t in case()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_same_bits_on_any_number_of_threads(case):
    team.set_threads(1)
    expected = bits(case)
    for threads in (2, 3, 8):
        team.set_threads(threads)
        for _ in range(8):
            assert bits(case) == expected, threads


def large_program():
    """x @ y over 400 x 400, and its sums."""
    shape = form((400, 400), float32)
    x, y = leaf(0, shape), leaf(1, shape)
    z = contraction.matmul(x, y)
    return compile_graph([x, y], [], [z, reduction.sum_(z, (0,))], {}, device="cpu")


def test_two_python_threads_at_once():
    program = large_program()
    random = np.random.RandomState(0)
    arrays = [random.randn(400, 400).astype("f4") for _ in range(4)]
    pairs = [[Buffer.of(a) for a in arrays[k : k + 2]] for k in (0, 2)]
    expected = [[_content(b) for b in program(pair, [])] for pair in pairs]
    wrong = []

    def work(k: int) -> None:
        for _ in range(60):
            if [_content(b) for b in program(pairs[k], [])] != expected[k]:
                wrong.append(k)

    for threads in (1, 2, 3):
        team.set_threads(threads)
        workers = [threading.Thread(target=work, args=(k,)) for k in (0, 1, 0)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


def _content(buffer: Buffer) -> bytes:
    return ctypes.string_at(buffer.address, buffer.nbytes)


def test_little_work_stays_on_one_thread(monkeypatch):
    """The step of a small network is a program without a team; a large product has one. A program
    that serves all sizes, which other tests may have left, has one too."""
    monkeypatch.setattr(native, "_structures", {})
    shape = form((64, 64), float32)
    x, y = leaf(0, shape), leaf(1, shape)
    small = compile_graph([x, y], [], [contraction.matmul(x, y)], {}, device="cpu")
    assert not small.facts["team"]
    large = large_program()
    assert large.facts["team"]
    assert max(max(k["pieces"]) for k in large.facts["kernels"]) > 1


@pytest.mark.parametrize("threads", [1, 3])
def test_a_fault_stops_a_program_of_many_pieces(threads):
    """Nothing after the failed check runs: the leaf that would be overwritten is as it was."""
    team.set_threads(threads)
    shape = form((400, 400), float32)
    x, i = leaf(0, shape), leaf(1, form((400,), int64))
    fault = Fault(IndexError, "index {value}")
    z = contraction.matmul(x, x)
    rows = indexing.gather(z, elementwise.check_range(i, 0, 400, fault), 0)
    program = compile_graph([x, i], [], [], {0: contraction.matmul(rows, x) * 2.0}, device="cpu")
    assert program.facts["team"]
    ones = np.ones((400, 400), "f4")
    buffers = [Buffer.of(ones), Buffer.of(np.full(400, 411))]
    for _ in range(5):
        with pytest.raises(IndexError, match="index 411"):
            program(buffers, [])
        assert (buffers[0].array(shape) == 1).all()
    buffers[1] = Buffer.of(np.arange(400))
    (new,) = program(buffers, [])
    result = (new or buffers[0]).array(shape)
    assert (result == 2 * 400 * 400).all()


@pytest.mark.parametrize("bad", [[3], [900], [3, 500, 900], list(range(1000))])
def test_the_same_fault_on_any_number_of_threads(bad):
    """Of several bad labels in several pieces it is always the same one that is named."""
    labels = torch.tensor([1000 + k if k in bad else k % 600 for k in range(1000)])
    good = torch.tensor([k % 600 for k in range(1000)])
    logits = torch.tensor(np.ones((1000, 600), "f4"))
    told = set()
    for threads in (1, 2, 8):
        team.set_threads(threads)
        for _ in range(5):
            with pytest.raises(IndexError) as caught:
                torch.nn.functional.cross_entropy(logits, labels).item()
            told.add(str(caught.value).partition("\n")[0])
            assert torch.nn.functional.cross_entropy(logits, good).item() > 6
    assert len(told) == 1 and str(1000 + bad[-1]) in told.pop()


# ---------- the size ----------
def test_sizes_in_the_faces():
    assert torch.get_num_threads() == usable_cores()
    assert tf.config.threading.get_intra_op_parallelism_threads() == 0
    torch.set_num_threads(3)
    assert torch.get_num_threads() == (1 if team_code.lacking() else 3)
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(5)
    assert tf.config.threading.get_intra_op_parallelism_threads() == 2
    assert tf.config.threading.get_inter_op_parallelism_threads() == 5
    assert torch.get_num_threads() == (1 if team_code.lacking() else 2)
    tf.config.threading.set_intra_op_parallelism_threads(0)
    assert torch.get_num_threads() == usable_cores()


@several
def test_a_session_names_its_threads():
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=3)
    tf.compat.v1.Session(graph=tf.compat.v1.Graph(), config=config)
    assert torch.get_num_threads() == 3
    config = tf.compat.v1.ConfigProto()
    config.intra_op_parallelism_threads = 2
    tf.compat.v1.Session(graph=tf.compat.v1.Graph(), config=config)
    assert torch.get_num_threads() == 2
    tf.config.threading.set_intra_op_parallelism_threads(0)


@pytest.mark.parametrize("bad", [0, -1, "2", 1.0, True, None])
@pytest.mark.parametrize("name", ["set_num_threads", "set_num_interop_threads"])
def test_bad_numbers_of_threads_in_pytorch(name, bad):
    with pytest.raises(RuntimeError, match=f"{name} expects"):
        getattr(torch, name)(bad)
    assert torch.get_num_threads() == usable_cores()


@pytest.mark.parametrize("bad, error", [("2", TypeError), (1.5, TypeError), (-1, ValueError)])
def test_bad_numbers_of_threads_in_tensorflow(bad, error):
    with pytest.raises(error):
        tf.config.threading.set_intra_op_parallelism_threads(bad)
    assert torch.get_num_threads() == usable_cores()


def in_process(code: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a script that has run a program on the team before."""
    head = """
import os, signal, sys, threading, time
import gemel.torch as torch
from gemel.runtime import team
def work():
    a = torch.ones(400, 400)
    return float((a @ a).sum())
assert work() == 400.0 ** 3
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GEMEL_NUM_THREADS": "3", **variables}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", head + code],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@several
def test_the_variable_sets_the_size():
    done = in_process("print(torch.get_num_threads(), threading.active_count())")
    assert done.stdout.split() == ["3", "3"], done.stderr


@pytest.mark.parametrize("bad", ["0", "-2", "many", "1.5"])
def test_a_bad_variable_is_named(bad):
    done = in_process("", GEMEL_NUM_THREADS=bad)
    assert done.returncode == 1
    assert "ValueError: GEMEL_NUM_THREADS must be a positive whole number" in done.stderr
    assert repr(bad) in done.stderr


# ---------- processes ----------
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_parent_and_child_have_a_team_each():
    done = in_process(
        """
for _ in range(5):
    child = os.fork()
    if child == 0:
        good = threading.active_count() == 1 and work() == 400.0 ** 3
        os._exit(0 if good and team.helped() >= 0 and threading.active_count() == 3 else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert work() == 400.0 ** 3
print("well")
"""
    )
    assert done.stdout == "well\n", done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "",
        "sys.exit(0)",
        "threading.Thread(target=lambda: [work() for _ in range(50)]).start()",
        "threading.Thread(target=lambda: [work() for _ in range(10**6)], daemon=True).start()",
        "team.set_threads(8); work()",
    ],
)
def test_the_process_ends(code):
    done = in_process(code)
    assert done.returncode == 0, done.stderr


def test_an_interrupt_leaves_the_team_in_order():
    done = in_process(
        """
# a shell's background job starts with interrupts ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
me = os.getpid()
for _ in range(10):
    threading.Timer(0.02, os.kill, (me, signal.SIGINT)).start()
    try:
        while True:
            work()
    except KeyboardInterrupt:
        pass
    assert work() == 400.0 ** 3
print("well")
"""
    )
    assert done.stdout == "well\n", done.stderr


# ---------- quotas ----------
def _written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    "files, cores",
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "nonsense\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/outer/inner\n",
                "sys/fs/cgroup/outer/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "3:cpuset:/other\n2:cpu,cpuacct:/mine\n0::/\n",
                "sys/fs/cgroup/cpu/mine/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/mine/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/other/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/other/cpu.cfs_period_us": "100000\n",
            },
            4.0,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_quotas_of_control_groups(tmp_path, files, cores):
    assert cgroup_quota(_written(tmp_path, files)) == cores
