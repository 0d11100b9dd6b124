"""How many kernels a program has: facts about fusion, not about time."""

from __future__ import annotations

import pytest

from gemel.autodiff.reverse import gradients
from gemel.graph.form import float32, form, int64
from gemel.ops import activations, linear, losses, statistics, updates
from gemel.ops.elementwise import EXP
from gemel.ops.record import leaf, scalar
from gemel.ops.reduction import sum_
from gemel.passes.compile import compile_graph


def kernels(leaves, outputs, new=None, scalars=()) -> int:
    return len(compile_graph(leaves, list(scalars), outputs, new or {}, device="cpu").kernels)


def tensors(*shapes):
    return [leaf(i, form(s, float32)) for i, s in enumerate(shapes)]


@pytest.mark.parametrize("cols", [10, 64, 65, 1000])
def test_softmax_is_one_kernel_each_way(cols):
    x, g = tensors((32, cols), (32, cols))
    y = activations.softmax(x, 1)
    assert kernels([x], [y]) == 1
    (back,) = gradients([y], [g], [x])
    assert kernels([x, g], [back]) == 1


@pytest.mark.parametrize("cols", [10, 64, 768])
def test_layer_norm_is_one_kernel_each_way(cols):
    x, w, b, g = tensors((32, cols), (cols,), (cols,), (32, cols))
    y = statistics.layer_norm(x, (1,), w, b, 1e-5)
    assert kernels([x, w, b], [y]) == 1
    assert kernels([x, w, b, g], gradients([y], [g], [x, w, b])) == 1


@pytest.mark.parametrize("classes", [10, 1000])
def test_cross_entropy_is_one_kernel_each_way(classes):
    (x,) = tensors((32, classes))
    y = leaf(1, form((32,), int64))
    loss = statistics.mean(losses.cross_entropy(x, y))
    assert kernels([x, y], [loss]) == 1
    assert kernels([x, y], gradients([loss], [None], [x])) == 1
    assert kernels([x, y], [loss, *gradients([loss], [None], [x])]) == 1


def test_elementwise_chain_is_one_kernel():
    x, y = tensors((40, 30), (30,))
    z = EXP(x * y) + x
    assert kernels([x, y], [z, z * 2.0, sum_(z)]) == 1


def test_bias_and_activation_join_the_contraction():
    x, w, b = tensors((32, 64), (48, 64), (48,))
    assert kernels([x, w, b], [activations.relu(linear.linear(x, w, b))]) == 1


def mlp_step():
    """Forward, cross entropy, backward and Adam of a 64-64-10 network, batch 32."""
    x, w1, b1, w2, b2 = tensors((32, 64), (64, 64), (64,), (10, 64), (10,))
    y = leaf(5, form((32,), int64))
    hidden = activations.relu(linear.linear(x, w1, b1))
    loss = statistics.mean(losses.cross_entropy(linear.linear(hidden, w2, b2), y))
    parameters = [w1, b1, w2, b2]
    first = [leaf(6 + i, p.form) for i, p in enumerate(parameters)]
    second = [leaf(10 + i, p.form) for i, p in enumerate(parameters)]
    rate, root = scalar(0, float), scalar(1, float)
    new = {}
    grads = gradients([loss], [None], parameters)
    for p, g, m, v in zip(parameters, grads, first, second, strict=True):
        found = updates.adam(p, g, m, v, rate, root, 0.9, 0.999, 1e-8)
        new.update(zip((p.attrs[0], m.attrs[0], v.attrs[0]), found, strict=True))
    leaves = [x, w1, b1, w2, b2, y, *first, *second]
    return leaves, [loss, *grads], new, (rate, root)


def test_training_step():
    assert kernels(*mlp_step()) <= 12


def test_training_step_updates_in_place():
    leaves, outputs, new, scalars = mlp_step()
    program = compile_graph(leaves, list(scalars), outputs, new, device="cpu")
    assert program.donated == frozenset(new)
