"""Programs of much code are several modules: the same results, fewer copies, errors as ever."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from gemel.autodiff.reverse import gradients
from gemel.codegen import parts
from gemel.codegen.llvm import Module
from gemel.graph.form import float32, form
from gemel.ops import activations, linear, statistics
from gemel.ops.record import leaf
from gemel.ops.reduction import sum_
from gemel.passes import native
from gemel.passes.compile import compile_graph
from gemel.passes.pipeline import build
from gemel.runtime import jit
from gemel.runtime.buffer import Buffer

BAD = "define i32 @bad() { ret i64 1 }"


def good(number: int) -> str:
    return f"define i32 @f{number}() {{ ret i32 {number} }}"


def step(rows: int, width: int, layers: int):
    """Leaves, and the gradients of layers of the same shapes, one on the other."""
    x = leaf(0, form((rows, width), float32))
    weights = [leaf(i + 1, form((width, width), float32)) for i in range(layers)]
    y = x
    for w in weights:
        y = activations.relu(linear.linear(statistics.layer_norm(y, (1,), None, None, 1e-5), w))
    return [x, *weights], gradients([sum_(y)], [None], weights)


def arrays(leaves):
    random = np.random.default_rng(5)
    return [random.standard_normal(n.shape).astype("f4") for n in leaves]


@pytest.fixture
def cut(monkeypatch, tmp_path):
    """Everything is compiled again, in parts of few characters."""
    monkeypatch.setenv("GEMEL_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "_loaded", {})
    monkeypatch.setattr(parts, "PART", 3000)
    monkeypatch.setattr(jit, "usable_cores", lambda: 3)


def results(leaves, outputs):
    program = compile_graph(leaves, [], outputs, {}, device="cpu")
    out = program([Buffer.of(a) for a in arrays(leaves)], [])
    return [b.array(o.form).copy() for b, o in zip(out, outputs, strict=True)]


@pytest.mark.parametrize("rows, width", [(5, 24), (256, 384)])
def test_parts_give_what_the_whole_gives_and_are_found_on_disk(rows, width, request, monkeypatch):
    """Straight programs, and those that a team runs."""
    leaves, outputs = step(rows, width, 3)
    wanted = results(leaves, outputs)
    request.getfixturevalue("cut")
    facts, image = build("entry", len(leaves), outputs, {}, [])
    assert len(facts["objects"]) > 2
    assert sum(facts["objects"]) == len(image)
    for _ in range(2):
        for a, b in zip(wanted, results(leaves, outputs), strict=True):
            np.testing.assert_array_equal(a, b)
        native._loaded.clear()
        monkeypatch.setattr(jit, "compile_objects", None)


def test_little_code_is_one_module():
    leaves, outputs = step(5, 24, 1)
    facts, _ = build("entry", len(leaves), outputs, {}, [])
    assert len(facts["objects"]) == 1


def test_equal_layers_are_compiled_once(monkeypatch):
    compiled: list[str] = []
    usual = jit.compile_objects
    monkeypatch.setattr(jit, "compile_objects", lambda t: compiled.extend(t) or usual(t))

    def functions(layers: int) -> int:
        compiled.clear()
        leaves, outputs = step(32, 64, layers)
        build("entry", len(leaves), outputs, {}, [])
        return sum(text.count("void @k") - text.count("call void @k") for text in compiled)

    assert 0 < functions(4) == functions(12)


def test_parts_share_what_they_call_and_nothing_else():
    module = Module()
    helper = module.function("helper", internal=True)
    helper.ret()
    heads = []
    for name in ("one", "two", "three"):
        f = module.function(name, internal=True)
        f.emit(";" * parts.PART)
        if name != "three":
            f.call(helper)
        f.ret()
        heads.append(f)
    entry = module.function("entry", [], "i32")
    for f in heads:
        entry.call(f)
    entry.ret(0)
    *made, rest = parts.module_texts(module, heads)
    assert sum("define internal void @helper" in text for text in made) == 2
    assert len(made) == 3
    assert all("@entry" not in text for text in made)
    assert all(f"declare void @{f.name}()" in rest for f in heads)
    assert "@helper" not in rest


def test_objects_of_threads_are_those_of_one(monkeypatch):
    texts = [good(number) for number in range(7)]
    alone = [jit.compile_object(text) for text in texts]
    for cores in (1, 2, 4):
        monkeypatch.setattr(jit, "usable_cores", lambda cores=cores: cores)
        assert jit.compile_objects(texts) == alone
    names = [f"f{number}" for number in range(7)]
    image, sizes = b"".join(alone), [len(a) for a in alone]
    library = jit.load_object(image, names, sizes)
    assert [library.function(n, ctypes.c_int32)() for n in names] == list(range(7))


@pytest.mark.parametrize("cores", [1, 3])
def test_a_bad_module_is_an_error_and_the_next_ones_compile(cores, monkeypatch):
    monkeypatch.setattr(jit, "usable_cores", lambda: cores)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="ret"):
        jit.compile_objects([good(1), BAD, good(2), good(3)])
    assert threading.active_count() == before
    assert all(jit.compile_objects([good(1), good(2), good(3)]))
