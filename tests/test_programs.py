"""Programs: faults, results that share memory, memory plan, the cache of objects, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from gemel.graph.errors import Fault
from gemel.graph.form import float32, float64, form, int64
from gemel.graph.node import recorded_at
from gemel.graph.verifier import InvalidGraph, verify
from gemel.ops import activations, elementwise, indexing, movement, reduction
from gemel.ops.record import const, leaf, scalar
from gemel.passes.compile import compile_graph, device
from gemel.runtime.buffer import Buffer

VECTOR = form((40,), float32)


def run(leaves, outputs, arrays, updates=None, scalars=(), numbers=(), on="cpu"):
    program = compile_graph(leaves, list(scalars), outputs, updates or {}, device=on)
    buffers = [Buffer.of(a) for a in arrays]
    return program, buffers, program(buffers, list(numbers))


@pytest.mark.parametrize("on", ["cpu", "reference"])
def test_a_fault_names_value_and_line(on):
    x, i = leaf(0, form((5, 3), float32)), leaf(1, form((4,), int64))
    fault = Fault(IndexError, "index {value} is out of range")
    with recorded_at(("script.py", 12)):
        checked = elementwise.check_range(i, 0, 5, fault)
    y = indexing.gather(x, checked, 0)
    data = [np.ones((5, 3), "f4"), np.array([0, 1, 7, 2])]
    with pytest.raises(IndexError, match=r"index 7 is out of range.*script.py:12"):
        run([x, i], [y], data, on=on)
    data[1][2] = 3
    run([x, i], [y], data, on=on)


def test_a_fault_stops_before_updates():
    x, i = leaf(0, VECTOR), leaf(1, form((1,), int64))
    fault = Fault(ValueError, "label {value}")
    row = indexing.gather(x, elementwise.check_range(i, 0, 40, fault), 0)
    new = x + row
    program = compile_graph([x, i], [], [], {0: new}, device="cpu")
    buffers = [Buffer.of(np.ones(40, "f4")), Buffer.of(np.array([41]))]
    with pytest.raises(ValueError, match="label 41"):
        program(buffers, [])
    assert (buffers[0].array(VECTOR) == 1).all()


def test_an_output_may_be_a_leaf():
    x = leaf(0, VECTOR)
    _, buffers, (same, double) = run([x], [x, x + x], [np.ones(40, "f4")])
    assert same is buffers[0]
    assert (double.array(VECTOR) == 2).all()


def test_update_in_place_keeps_the_older_reader():
    """sum reads the old value although the update overwrites it."""
    x = leaf(0, VECTOR)
    flipped = movement.flip(x, (0,))
    _, buffers, (old, new) = run([x], [flipped * 2.0], [np.arange(40, dtype="f4")], {0: x + 1.0})
    assert new is None
    assert (old.array(VECTOR) == 2 * np.arange(40)[::-1]).all()
    assert (buffers[0].array(VECTOR) == np.arange(40) + 1).all()


def test_leaves_may_exchange_values():
    a, b = leaf(0, VECTOR), leaf(1, VECTOR)
    data = [np.zeros(40, "f4"), np.ones(40, "f4")]
    program, buffers, results = run([a, b], [], data, {0: b, 1: a})
    new = dict(zip(program.updates, results, strict=True))
    assert (new[0].array(VECTOR) == 1).all() and (new[1].array(VECTOR) == 0).all()


def test_run_time_numbers():
    x, s, n, t = leaf(0, VECTOR), scalar(0, float), scalar(1, int), scalar(2, bool)
    y = x * elementwise.cast(s, float32) + elementwise.cast(n, float32)
    y = elementwise.where(t, y, const(0, float32))
    _, _, (got,) = run([x], [y], [np.ones(40, "f4")], scalars=(s, n, t), numbers=(0.5, 3, True))
    assert (got.array(VECTOR) == 3.5).all()


def test_nothing_is_left_in_an_empty_value():
    x = leaf(0, form((0, 4), float32))
    _, _, (got,) = run([x], [x + 1.0], [np.zeros((0, 4), "f4")])
    assert got.array(x.form).shape == (0, 4)


def test_a_wider_type_that_is_only_read_sets_the_lanes():
    """float64 rows read into float32 arithmetic: 60 columns are no row of registers then."""
    x = leaf(0, form((20, 60), float64))
    rows = activations.softmax(elementwise.cast(x, float32), 1)
    columns = reduction.sum_(rows, 0)
    outputs = [rows, columns, reduction.amax(rows, 0)]
    data = np.random.default_rng(0).random((20, 60))
    _, _, got = run([x], outputs, [data])
    _, _, want = run([x], outputs, [data], on="reference")
    for a, b, node in zip(got, want, outputs, strict=True):
        np.testing.assert_allclose(a.array(node.form), b.array(node.form), rtol=1e-5)


def test_device_is_checked():
    with pytest.raises(ValueError, match="unknown device"), device("tpu"):
        pass


def test_verifier_finds_a_wrong_form():
    x = leaf(0, VECTOR)
    y = x + x
    y.form = form((3,), float32)
    with pytest.raises(InvalidGraph):
        verify([y])


def test_one_program_from_two_threads():
    x = leaf(0, VECTOR)
    program = compile_graph([x], [], [elementwise.EXP(x)], {}, device="cpu")
    wrong = []

    def work(value):
        for _ in range(300):
            (got,) = program([Buffer.of(np.full(40, value, "f4"))], [])
            if not np.allclose(got.array(VECTOR), np.exp(value)):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(v,)) for v in (0.5, 1.5, 2.5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


SCRIPT = """
import numpy as np
from gemel.graph.form import float32, form
from gemel.ops.elementwise import EXP
from gemel.ops.record import leaf
from gemel.passes.compile import compile_graph
from gemel.runtime.buffer import Buffer
x = leaf(0, form((40,), float32))
(y,) = compile_graph([x], [], [EXP(x) + 2.0], {})([Buffer.of(np.zeros(40, 'f4'))], [])
assert (y.array(x.form) == 3).all()
import sys
print('codegen' if 'gemel.passes.pipeline' in sys.modules else 'loaded')
"""


def test_a_warm_process_compiles_nothing(tmp_path):
    """The second process finds the object; a damaged one is compiled anew."""
    env = {**os.environ, "GEMEL_CACHE": str(tmp_path)}
    env.pop("GEMEL_SHOW", None)

    def once() -> str:
        made = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        return made.stdout.strip()

    assert once() == "codegen"
    assert once() == "loaded"
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0xFF
            path.write_bytes(bytes(data))
    assert once() == "codegen"
    assert once() == "loaded"


def test_a_number_that_each_reader_computes_is_lowered_once():
    """Each of 64 numbers reads the one before twice: as trees these would be 2 ** 64 nodes."""
    x, n = leaf(0, VECTOR), scalar(0, float)
    total, wanted = elementwise.cast(n, float32), np.float32(0.001)
    for _ in range(64):
        total, wanted = total * total + total, wanted * wanted + wanted
    _, _, (found,) = run([x], [x + total], [np.ones(40, "f4")], scalars=[n], numbers=(0.001,))
    assert np.allclose(found.array(VECTOR), 1 + wanted)
