"""Attention written out by programs: found, computed block by block, and the numbers it has."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gemel
import gemel.tensorflow as tf
import gemel.torch as torch
import gemel.torch.nn.functional as F
from gemel.torch.utils.checkpoint import checkpoint

T, HEADS, WIDTH = 260, 3, 8
SCALE = 1 / math.sqrt(WIDTH)
HEADED = ((2, HEADS, T, WIDTH),) * 3
EARLIER = np.tril(np.ones((T, T), bool))
PADDED = np.random.RandomState(5).rand(2, 1, 1, T) > 0.3
DEAD = np.random.RandomState(6).rand(2, 1, T, T) > 0.4
DEAD[0, 0, 5] = False


def shares(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def expected(q, k, v, g, shown=None, low=-np.inf, added=0.0, scale=SCALE):
    """The result and the gradients, all scores in memory; a row of nothing but -inf gives NaN."""
    turned = np.swapaxes
    scores = q @ turned(k, -1, -2) * scale + added
    shown = np.broadcast_to(True if shown is None else shown, scores.shape)
    with np.errstate(invalid="ignore"):
        p = shares(np.where(shown, scores, low))
        change = g @ turned(v, -1, -2)
        slope = np.where(shown, p * (change - (p * change).sum(-1, keepdims=True)), 0) * scale
        return p @ v, slope @ k, turned(slope, -1, -2) @ q, turned(p, -1, -2) @ g


# ---------- ways to write it ----------
def plain(q, k, v):
    return F.softmax(q @ k.transpose(-2, -1) / math.sqrt(WIDTH), dim=-1) @ v


def causal(q, k, v):
    mask = torch.tensor(EARLIER).float().view(1, 1, T, T)
    scores = (q @ k.transpose(-2, -1)) * SCALE
    scores = scores.masked_fill(mask[:, :, :T, :T] == 0, float("-inf"))
    return F.softmax(scores, dim=-1) @ v


def causal_by_numbers(q, k, v):
    mask = torch.triu(torch.full((T, T), float("-inf")), diagonal=1)
    return torch.softmax(torch.matmul(q, k.mT) * SCALE + mask, dim=-1).matmul(v)


def in_place(q, k, v):
    scores = q @ k.transpose(-2, -1)
    scores /= math.sqrt(WIDTH)
    scores.masked_fill_(torch.tril(torch.ones(T, T)) == 0, -math.inf)
    return scores.softmax(-1) @ v


def low_number(q, k, v):
    scores = (q @ k.mT / math.sqrt(WIDTH)).masked_fill(torch.tensor(DEAD) == 0, -1e9)
    return torch.matmul(scores.softmax(dim=-1), v)


def chosen(q, k, v):
    return torch.where(torch.tensor(DEAD), q @ k.mT * SCALE, -1e9).softmax(-1) @ v


def dead_rows(q, k, v):
    scores = (q @ k.mT * SCALE).masked_fill(~torch.tensor(DEAD), -math.inf)
    return scores.softmax(-1) @ v


def two_masks(q, k, v):
    scores = (q @ k.mT * SCALE).masked_fill(torch.tensor(~EARLIER), -math.inf)
    return scores.masked_fill(torch.tensor(~PADDED), -math.inf).softmax(-1) @ v


def added_then_hidden(q, k, v):
    scores = q @ k.mT * SCALE + torch.tensor(EARLIER).float() * 0.3
    return scores.masked_fill(torch.tensor(~EARLIER), -math.inf).softmax(-1) @ v


def batches_merged(q, k, v):
    flat = [x.reshape(2 * HEADS, T, WIDTH) for x in (q, k, v)]
    scores = torch.bmm(flat[0], flat[1].transpose(1, 2)).view(2, HEADS, T, T) * SCALE
    scores = scores.masked_fill(torch.tensor(~PADDED), -math.inf).view(2 * HEADS, T, T)
    return torch.bmm(scores.softmax(-1), flat[2]).view(2, HEADS, T, WIDTH)


def einsums(q, k, v):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * SCALE
    return torch.einsum("bhql,blhd->bqhd", scores.softmax(dim=3), v).transpose(1, 2)


def by_hand(q, k, v):
    scores = q @ k.mT * SCALE
    e = torch.exp(scores - scores.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True) @ v


def again(q, k, v):
    return checkpoint(causal, q, k, v, use_reentrant=False)


FOUND = [
    (plain, {}),
    (causal, {"shown": EARLIER}),
    (causal_by_numbers, {"shown": EARLIER}),
    (in_place, {"shown": EARLIER}),
    (low_number, {"shown": DEAD, "low": -1e9}),
    (chosen, {"shown": DEAD, "low": -1e9}),
    (dead_rows, {"shown": DEAD}),
    (two_masks, {"shown": EARLIER & PADDED}),
    (added_then_hidden, {"shown": EARLIER, "added": 0.3}),
    (batches_merged, {"shown": PADDED}),
    (einsums, {}),
    (by_hand, {}),
    (again, {"shown": EARLIER}),
]


def given(shapes=HEADED):
    random = np.random.RandomState(0)
    return [random.randn(*s).astype("f4") for s in (*shapes, shapes[0])]


def leaves(arrays):
    found = [torch.tensor(x) for x in arrays]
    for x in found[:3]:
        x.requires_grad_()
    return found


def stepped(function, *, looks=False):
    """A training step: the result, and the gradients of three tensors."""
    *sides, g = leaves(given())

    def step():
        y = function(*sides)
        loss = (y * g).sum()
        if looks:
            loss.item()
        grads = torch.autograd.grad(loss, sides)
        return [x.detach().numpy() for x in (y, *grads)]

    return step


def told(step):
    """What the step's kernels do, and its peak of memory."""
    step()
    found = gemel.explain(step, calls=0)
    return [k.does for p in found.programs for k in p.kernels], found.peak


@pytest.mark.parametrize("function, masks", FOUND, ids=lambda x: getattr(x, "__name__", ""))
def test_it_is_found_and_its_numbers_stay(function, masks):
    step = stepped(function)
    does, _ = told(step)
    assert sum("attention" in x for x in does) == (3 if function is again else 2)
    assert not any("matmul" in x for x in does)
    wanted = expected(*(x.astype("f8") for x in given()), **masks)
    for found, right in zip(step(), wanted, strict=True):
        np.testing.assert_array_equal(np.isnan(found), np.isnan(right))
        fine = ~np.isnan(right)
        limit = 2e-6 * np.abs(right[fine]).max()
        np.testing.assert_allclose(found[fine], right[fine], rtol=0, atol=limit)


def test_memory_grows_with_the_length_only():
    does, peak = told(stepped(plain))
    assert any("attention's gradients" in x for x in does)
    assert peak < 2 * HEADS * T * T * 4


def test_a_look_in_between_keeps_the_result_and_no_scores():
    step = stepped(plain, looks=True)
    does, peak = told(step)
    assert sum("attention's gradients" in x for x in does) == 1
    assert sum("attention" in x for x in does) == 2 and peak < 2 * HEADS * T * T * 4
    wanted = expected(*(x.astype("f8") for x in given()))
    for found, right in zip(step(), wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=2e-6 * np.abs(right).max())


# ---------- where it stays as it is written ----------
def shares_are_read(q, k, v):
    p = (q @ k.mT * SCALE).softmax(-1)
    return p @ v + p.amax()


def learned(q, k, v):
    return (q @ k.mT * SCALE + q[..., :1] * k[..., 0][..., None, :]).softmax(-1) @ v


def mild(q, k, v):
    return (q @ k.mT).masked_fill(torch.tensor(~EARLIER), -3.0).softmax(-1) @ v


@pytest.mark.parametrize("function", [shares_are_read, learned, mild])
def test_it_stays_as_it_is(function):
    does, _ = told(stepped(function))
    assert not any("attention" in x for x in does)


def test_short_lengths_stay_as_they_are():
    q, k, v = (torch.ones(2, 64, 8) for _ in range(3))
    assert not any("attention" in x for x in told(lambda: plain(q, k, v).sum().item())[0])


def test_shares_that_are_held_are_the_softmax():
    q, k, v, _ = (torch.tensor(x) for x in given())

    def step():
        p = (q @ k.mT * SCALE).softmax(-1)
        y = p @ v
        return y.sum().item(), p

    does, _ = told(step)
    assert not any("attention" in x for x in does)
    np.testing.assert_allclose(step()[1].sum(-1).numpy(), 1, rtol=1e-5)


def test_gradients_of_gradients():
    found = []
    for function in (plain, lambda q, k, v: F.scaled_dot_product_attention(q, k, v)):
        *sides, g = leaves(given())
        (first,) = torch.autograd.grad((function(*sides) * g).sum(), sides[:1], create_graph=True)
        found.append([x.numpy() for x in torch.autograd.grad((first**2).sum(), sides)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_the_reference_device_computes_the_same():
    from gemel.passes.compile import device

    with device("reference"):
        slow = stepped(causal)()
    for a, b in zip(stepped(causal)(), slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_lanes_of_a_transform():
    """vmap over heads that are written without them."""
    q, k, v, _ = (torch.tensor(x) for x in given())
    one = torch.func.vmap(torch.func.vmap(plain))
    right = expected(*(x.astype("f8") for x in given()))[0]
    np.testing.assert_allclose(one(q, k, v).numpy(), right, rtol=0, atol=1e-5)


# ---------- other faces ----------
def tf_chosen(q, k, v):
    scores = tf.where(EARLIER, tf.matmul(q, k, transpose_b=True) * SCALE, -1e9)
    return tf.matmul(tf.nn.softmax(scores, axis=-1), v)


def tf_added(q, k, v):
    scores = tf.matmul(q, k, transpose_b=True) / tf.math.sqrt(tf.cast(tf.shape(k)[-1], tf.float32))
    scores += (1 - tf.constant(EARLIER.astype("f4"))) * -1e9
    return tf.matmul(tf.nn.softmax(scores, axis=-1), v)


@pytest.mark.parametrize("function", [tf_chosen, tf_added, tf.function(tf_chosen)])
def test_in_tensorflow(function):
    *sides, g = given()
    variables = [tf.Variable(x) for x in sides]

    def step():
        with tf.GradientTape() as tape:
            y = function(*variables)
            loss = tf.reduce_sum(y * g)
        return [x.numpy() for x in (y, *tape.gradient(loss, variables))]

    does, _ = told(step)
    assert sum("attention" in x for x in does) == 2
    for found, right in zip(step(), expected(*given(), shown=EARLIER), strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=2e-6 * np.abs(right).max())


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_keras_multi_head_attention(rate):
    """With a rate of dropout it is written out, also where nothing is dropped."""
    import gemel.keras as keras

    layer = keras.layers.MultiHeadAttention(2, 8, dropout=rate)
    x = np.random.RandomState(0).randn(1, T, 16).astype("f4")
    layer(x, x, use_causal_mask=True)
    does, _ = told(lambda: np.asarray(layer(x, x, use_causal_mask=True)).sum())
    assert sum("attention" in d for d in does) == 1
