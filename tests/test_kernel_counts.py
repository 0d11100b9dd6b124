"""How many kernels a program has: facts about fusion, not about time."""

from __future__ import annotations

import pytest

from gemel.autodiff.reverse import gradients
from gemel.graph.form import float32, form, int64
from gemel.ops import activations, linear, losses, movement, pooling, statistics, updates, windows
from gemel.ops.elementwise import EXP
from gemel.ops.record import leaf, scalar
from gemel.ops.reduction import sum_
from gemel.passes.compile import compile_graph
from gemel.passes.pipeline import GRAPH_PASSES
from gemel.passes.schedule import schedule


def kernels(leaves, outputs, new=None, scalars=()) -> int:
    return len(compile_graph(leaves, list(scalars), outputs, new or {}, device="cpu").kernels)


def whole_arrays(outputs, cells: int) -> list[int]:
    """How many arrays of at least so many cells each kernel reads and writes."""
    for _, function in GRAPH_PASSES:
        outputs = function(outputs)
    planned = schedule(outputs, {})
    return [sum(n.form.size >= cells for n in k.buffers) for k in planned.kernels]


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
    """Two products and the loss forward; the loss, two weights, one input and one bias backward;
    all that is left of the optimizer."""
    assert kernels(*mlp_step()) <= 9


def test_training_step_updates_in_place():
    leaves, outputs, new, scalars = mlp_step()
    program = compile_graph(leaves, list(scalars), outputs, new, device="cpu")
    assert program.donated == frozenset(new)


# ---------- convolutional networks ----------
SAME = windows.Convolution((1, 1), (1, 1), ((1, 1), (1, 1)))
LAYOUTS = pytest.mark.parametrize("channel", [1, 3], ids=["channels first", "channels last"])


def normalized(x, weight, bias, channel: int):
    """Batch norm over all axes but the channels: (values, mean, variance)."""
    axes = tuple(a for a in range(4) if a != channel)
    center, spread = statistics.moments(x, axes)
    shape = center.shape
    scale, shift = movement.reshape(weight, shape), movement.reshape(bias, shape)
    return statistics.batch_norm(x, center, spread, scale, shift, 1e-5), center, spread


def image(channel: int, count: int = 32, side: int = 16):
    shape = [4, side, side]
    shape.insert(channel, count)
    return tuple(shape)


@LAYOUTS
def test_batch_norm_with_relu_and_residual_is_one_kernel_each_way(channel):
    shape = image(channel)
    x, w, b, way, g = tensors(shape, (32,), (32,), shape, shape)
    y, center, spread = normalized(x, w, b, channel)
    out = activations.relu(y + way)
    assert kernels([x, w, b, way, g], [out, center, spread]) == 1
    targets = [x, w, b, way]
    assert kernels([x, w, b, way, g], gradients([out], [g], targets)) <= 2


def test_convolution_takes_bias_relu_and_residual_along():
    x, k, b, way = tensors(image(1), (32, 32, 3, 3), (32,), image(1))
    y = windows.convolution(x, k, SAME, b)
    assert kernels([x, k, b, way], [activations.relu(y + way)]) == 1


def test_evaluated_batch_norm_joins_the_convolution():
    shape = image(1)
    x, k, w, b, m, v = tensors(shape, (32, 32, 3, 3), *[(1, 32, 1, 1)] * 4)
    y = statistics.batch_norm(windows.convolution(x, k, SAME), m, v, w, b, 1e-5)
    # what is made of the statistics alone, and the convolution
    assert kernels([x, k, w, b, m, v], [activations.relu(y)]) <= 3


def residual_block(channel: int = 1):
    """conv, norm, relu, conv, norm, add, relu (He et al. 2015)."""
    shape = image(channel)
    x, k1, k2, g = tensors(shape, (32, 32, 3, 3), (32, 32, 3, 3), shape)
    w1, b1, w2, b2 = (leaf(4 + i, form((32,), float32)) for i in range(4))
    y, *first = normalized(windows.convolution(x, k1, SAME), w1, b1, channel)
    y, *second = normalized(windows.convolution(activations.relu(y), k2, SAME), w2, b2, channel)
    out = activations.relu(y + x)
    parameters = [k1, k2, w1, b1, w2, b2]
    return [x, k1, k2, g, w1, b1, w2, b2], out, [*first, *second], [x, *parameters], g


def test_residual_block():
    """Forward: a kernel per convolution and norm. Backward: two gradients per convolution, one
    kernel per norm, whose relu and residual are part of the neighbours."""
    leaves, out, kept, targets, g = residual_block()
    assert kernels(leaves, [out, *kept]) == 4
    step = [out, *kept, *gradients([out], [g], targets)]
    assert kernels(leaves, step) <= 4 + 6


def test_residual_block_keeps_only_what_the_convolutions_made():
    """Neither differences from the mean nor truth values are kept: forward, a norm reads what the
    convolution made (and the residual) and leaves its result; backward it reads the gradient and
    what the convolution made again, and a convolution takes relu and residual along."""
    leaves, out, kept, targets, g = residual_block()
    cells = leaves[0].form.size
    assert whole_arrays([out, *kept], cells) == [2, 2, 2, 3]
    # the second norm's gradient is computed with its result: g is there
    step = whole_arrays([out, *kept, *gradients([out], [g], targets)], cells)
    assert step[:3] == [2, 2, 2]
    assert sum(step[3:]) <= 19


@pytest.mark.parametrize("layout", [(2, 3), (1, 2)], ids=["channels first", "channels last"])
def test_pooling_is_one_kernel_each_way(layout):
    shape = image(3 if layout == (1, 2) else 1)
    x, g = tensors(shape, tuple(n // 2 if a in layout else n for a, n in enumerate(shape)))
    pool = pooling.Pool(layout, (2, 2), (2, 2), (1, 1), (0, 0), (8, 8))
    for kind in (pooling.largest, pooling.average):
        y = activations.relu(kind(x, pool))
        assert kernels([x, g], [y]) == 1
        assert kernels([x, g], gradients([y], [g], [x])) == 1


def test_convolution_relu_and_pooling():
    """Forward: the convolution and the pooling. Backward: one kernel gives the gradient of what the
    convolution made, and its sum for the bias; then the weight's and the input's."""
    x, k, b, g = tensors(image(1), (16, 32, 3, 3), (16,), image(1, 16, 8))
    pool = pooling.Pool((2, 3), (2, 2), (2, 2), (1, 1), (0, 0), (8, 8))
    y = pooling.largest(activations.relu(windows.convolution(x, k, SAME, b)), pool)
    assert kernels([x, k, b, g], [y]) == 2
    assert kernels([x, k, b, g], [y, *gradients([y], [g], [x, k, b])]) <= 2 + 3


# ---------- a Transformer's feed-forward block ----------
def feed_forward():
    """x + linear(gelu(linear(norm(x))))"""
    x, w, b, w1, b1, w2, b2, g = tensors(
        (64, 48), (48,), (48,), (192, 48), (192,), (48, 192), (48,), (64, 48)
    )
    inner = activations.gelu(linear.linear(statistics.layer_norm(x, (1,), w, b, 1e-5), w1, b1))
    out = x + linear.linear(inner, w2, b2)
    return [x, w, b, w1, b1, w2, b2, g], out, g


def test_feed_forward_block():
    """Forward: the norm, and two products with bias, gelu and residual. Backward: two gradients per
    product, the norm's, and each bias's sum with what is on the way."""
    leaves, out, g = feed_forward()
    assert kernels(leaves, [out]) == 3
    assert kernels(leaves, [out, *gradients([out], [g], leaves[:-1])]) <= 3 + 7


def test_what_ends_in_itself_is_one_kernel():
    """SGD with momentum for many parameters of different shapes."""
    shapes = [(7, 5), (13,), (3, 3, 3), (64,), (2, 9)]
    leaves = tensors(*shapes, *shapes, *shapes)
    new = {}
    for p, g, v in zip(leaves[:5], leaves[5:10], leaves[10:], strict=True):
        velocity = updates.momentum(v, g, 0.9, 0.0)
        new[p.attrs[0]] = updates.sgd(p, velocity, 0.1)
        new[v.attrs[0]] = velocity
    assert kernels(leaves, [], dict(sorted(new.items()))) == 1
