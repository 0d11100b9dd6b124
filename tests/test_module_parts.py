"""Programs of much code are several modules: the same results, fewer copies, errors as ever."""

from __future__ import annotations

import ctypes
import re
import threading

import numpy as np
import pytest

import gemel.torch as torch
from gemel.autodiff.reverse import gradients
from gemel.codegen import parts
from gemel.codegen.llvm import POINTER, Module, Value
from gemel.graph.form import float32, form
from gemel.ops import activations, linear, statistics
from gemel.ops.record import leaf
from gemel.ops.reduction import sum_
from gemel.passes import native
from gemel.passes.compile import compile_graph
from gemel.passes.pipeline import build
from gemel.runtime import jit, kernel_objects
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
    monkeypatch.setattr(parts, "LEAST", 3000)
    monkeypatch.setattr(kernel_objects, "_kept", [])
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
        kernel_objects.clear()
        leaves, outputs = step(32, 64, layers)
        build("entry", len(leaves), outputs, {}, [])
        return sum(len(re.findall(r"^define [^@]*@k", text, re.MULTILINE)) for text in compiled)

    assert 0 < functions(4) == functions(12)


def test_parts_share_what_they_call_and_nothing_else():
    module = Module()
    helper = module.function("helper", internal=True)
    helper.ret()
    heads = []
    for name in ("one", "two", "three"):
        f = module.function(name, internal=True)
        f.emit(";" * parts.PART + name)
        if name != "three":
            f.call(helper)
        f.ret()
        heads.append(f)
    entry = module.function("entry", [], "i32")
    for f in heads:
        entry.call(f)
    entry.ret(0)
    *made, rest = parts.cut(module, heads, lambda heads: ())
    assert sum("define internal void @helper" in part.text for part in made) == 2
    assert len(made) == 3
    assert all("@entry" not in part.text for part in made)
    names = [name for part in made for name in part.heads]
    assert sum(part.text.count("define weak_odr") for part in made) == len(names) == 3
    assert all(f"declare void @{name}()" in rest.text for name in names)
    assert all(f"call void @{name}()" in rest.text for name in names)
    assert "@helper" not in rest.text and not rest.heads


def kernels_of(*order: str) -> dict[str, str]:
    """The names that heads get which are emitted in this order: a table, a helper of their own."""
    module = Module()
    heads = []
    for number, kind in enumerate(order):
        own = module.function(f"k{number}_step0", internal=True)
        own.emit(f"; {kind}")
        own.ret()
        f = module.function(f"k{number}", [("ptr", "sizes"), ("i64", "n")], internal=True)
        f.load(f.gep(Value(f, f.module.table("i64", [len(kind), 7]), POINTER), 1, "i64"), "i64")
        f.emit(";" * parts.PART)
        f.call(own)
        f.ret()
        f.drop_first_if_unread()
        heads.append(f)
    made = parts.cut(module, heads, lambda heads: ())[:-1]
    return {kind: n for kind in order for part in made for n in part.heads if kind in part.text}


def test_a_head_is_named_by_what_it_does():
    one, other = kernels_of("sum", "mean", "norm"), kernels_of("norm", "sum", "other")
    assert one["sum"] == other["sum"] and one["norm"] == other["norm"]
    assert len({*one.values(), *other.values()}) == 4


@pytest.fixture
def compiled(cut, monkeypatch):
    """How many heads of kernels are compiled from here on, a number for each program."""
    monkeypatch.setattr(native, "_structures", {})
    found: list[int] = []
    usual = jit.compile_objects

    def counting(texts):
        found.append(sum(text.count("define weak_odr") for text in texts))
        return usual(texts)

    monkeypatch.setattr(jit, "compile_objects", counting)
    return found


def test_a_program_links_what_others_have_compiled(compiled, monkeypatch):
    """The same step with one value more."""
    leaves, outputs = step(256, 384, 3)
    more = [*outputs, sum_(activations.relu(leaves[0]))]
    results(leaves, outputs)
    found = results(leaves, more)
    kernel_objects.clear()
    native._loaded.clear()
    monkeypatch.setenv("GEMEL_CACHE", "off")
    again = results(leaves, more)
    alone, beside, anew = compiled
    assert 0 < 2 * beside < alone < anew
    for a, b in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_kernels_without_sizes_are_those_of_all_sizes(compiled):
    """Training with another number of rows at each step: a first step, a usual one, one for all
    sizes. The optimizer's kernel does not know of rows."""
    weights = torch.nn.Parameter(torch.ones(64, 256))
    optimizer = torch.optim.AdamW([weights], lr=0.1)

    def turn(rows: int) -> float:
        optimizer.zero_grad()
        loss = torch.tanh(torch.ones(rows, 64) @ weights).logsumexp(1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    for rows in (40, 41, 42, 43, 44):
        turn(rows)
    _, usual, sizes = filter(None, compiled)
    assert sizes < usual


def test_objects_are_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(kernel_objects, "_kept", [])
    monkeypatch.setattr(kernel_objects, "KEPT", 30)
    made = [kernel_objects.KernelObject(b"0123456789", {f"k{n}": 10, "all": 1}) for n in range(4)]
    kernel_objects.keep(made)
    assert kernel_objects.holding(["k0"]) == []
    assert kernel_objects.holding(["k1", "all"]) == [made[1]]
    kernel_objects.keep([made[0]])  # the one that was asked for last stays
    assert kernel_objects.holding(["k1"]) == [made[1]]
    assert kernel_objects.holding(["k2"]) == []
    assert kernel_objects.holding(["all"]) == []  # not worth an object


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
