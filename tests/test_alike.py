"""Ways of recording that differ in sizes only: one is replayed, and holds for the others."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.torch as torch
import gemel.torch.nn.functional as F
from gemel.passes import native, pipeline
from gemel.passes.compile import default_device, device
from gemel.tensor import alike
from gemel.tensor.state import drop_trie
from gemel.tensor.ways import forget_ways

pytestmark = pytest.mark.skipif(default_device() != "cpu", reason="other devices compile nothing")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    """No program of another test, no object on disk."""
    monkeypatch.setenv("GEMEL_CACHE", "off")
    monkeypatch.setattr(native, "_structures", {})
    monkeypatch.setattr(native, "_loaded", {})
    forget_ways()
    drop_trie()


def array(*shape) -> torch.Tensor:
    values = np.random.RandomState(sum(shape)).randn(*shape)
    return torch.from_numpy(values.astype(np.float32))


def words(*shape) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(sum(shape)).randint(0, 11, shape))


def replayed(function, sizes) -> list[int]:
    """How many plans and gradients took a replay, for each of the sizes; every result is held
    against the reference interpreter."""
    counts = []
    for size in sizes:
        size = size if isinstance(size, tuple) else (size,)
        before = alike.built[0]
        found = [x.detach().numpy() for x in function(*size)]
        counts.append(alike.built[0] - before)
        with device("reference"):
            wanted = [x.detach().numpy() for x in function(*size)]
        for a, b in zip(found, wanted, strict=True):
            scale = max(1.0, float(np.abs(b).max()))
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * scale, err_msg=str(size))
    return counts


def joined(n):
    """Keys put together with one more, and a look at all of them."""
    keys = torch.cat([array(2, n, 8), array(2, 1, 8)], 1)
    weights = F.softmax(array(2, 1, 8) @ keys.transpose(1, 2), -1)
    return weights @ keys, keys[:, 1:].reshape(-1) * 2


def cut(n):
    x = array(3, n)
    return x[:, :-1].reshape(-1) + x[:, 1:].reshape(-1), x[:, n // 2 :].sum(1)


def written(n):
    x = array(n, 4).clone()
    x[1:] += array(n - 1, 4)
    x[:-1].mul_(2.0)
    return (x,)


PROGRAMS = {
    "joined": joined,
    "cut": cut,
    "written": written,
    "views": lambda n: (array(2, n, 6).view(2, n, 2, 3).transpose(1, 2).reshape(4, n, 3).sum(1),),
    "attention": lambda n: (F.scaled_dot_product_attention(*(array(2, 2, n, 8),) * 3),),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_new_lengths_are_not_replayed(name):
    counts = replayed(PROGRAMS[name], [40, 33, *range(9, 30), 100, 64, 77])
    assert sum(counts[2:]) <= 1 and counts[-3:] == [0, 0, 0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_lengths_that_decide_are_replayed(name):
    """Some are other graphs: nothing to put together, attention of few places."""
    replayed(PROGRAMS[name], [12, 20, 31, 2, 3, 8, 7, 4, 2, 30])


def test_two_sizes_change_together_and_alone():
    def product(n, m):
        return F.softmax(array(n, 24) @ array(24, m), -1), array(n * m).view(n, m) + 1

    counts = replayed(product, [(16, 32), (20, 33), (8, 20), (9, 50), (40, 7), (3, 3), (5, 64)])
    assert counts[-1] == 0


class Reader(torch.nn.Module):
    """A text, each word said by those before it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = torch.nn.Embedding(11, 8)
        self.steps = torch.nn.GRU(8, 8, batch_first=True)
        self.norm = torch.nn.LayerNorm(8)
        self.head = torch.nn.Linear(8, 11)

    def loss(self, batch, length):
        text = words(batch, length)
        x = self.norm(self.steps(self.words(text[:, :-1]))[0])
        return F.cross_entropy(self.head(x).reshape(-1, 11), text[:, 1:].reshape(-1))


def trained(*size):
    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(2):
        loss = model.loss(*size)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss, *model.parameters()


@pytest.mark.parametrize(
    "sizes",
    [[(3, n) for n in range(10, 22)], [(n, 12) for n in range(4, 16)]],
    ids=["lengths", "batches"],
)
def test_training_steps_of_new_sizes_are_not_replayed(sizes):
    counts = replayed(trained, sizes)
    assert sum(counts[3:]) == 0


def test_gradients_of_new_sizes_are_not_replayed():
    def slope(n):
        x, w = array(n, 5).requires_grad_(), array(5).requires_grad_()
        y = F.relu(torch.cat([x, x[1:]]) @ w).sum()
        y.backward()
        return y, x.grad, w.grad

    assert replayed(slope, range(10, 20))[3:] == [0] * 7


def test_a_gradient_that_is_wrong_is_wrong_for_every_size():
    def twice(n):
        x = array(n).requires_grad_()
        y = x * x
        y.mul_(2.0)
        z = (y * y).sum()
        y.mul_(3.0)
        z.backward()

    for n in (7, 8, 9, 10):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            twice(n)


def test_what_numbers_decide_is_checked_for_every_size():
    def rows(n, index):
        return (array(n, 3)[torch.tensor([0, index])],)

    replayed(lambda n: rows(n, n - 1), range(10, 16))
    for n in range(16, 20):
        with pytest.raises(IndexError):
            rows(n, n)[0].tolist()


def test_the_same_sizes_are_the_same_program_after_the_trie_was_dropped():
    sizes = list(range(10, 16))
    first = [joined(n)[0].numpy() for n in sizes]
    before = pipeline.compiled_count[0], alike.built[0]
    drop_trie()
    assert [joined(n)[0].numpy().tobytes() for n in sizes] == [x.tobytes() for x in first]
    assert pipeline.compiled_count[0] == before[0]


def test_other_settings_are_other_ways():
    def scaled(n, by, axis):
        return (F.softmax(array(n, n) * by, axis),)

    counts = replayed(scaled, [(n, 2.0, 0) for n in (8, 9, 10)] + [(11, 2.0, 1), (12, 3.0, 0)])
    assert counts[2:] == [0, 1, 0]  # a number is an argument, an axis is not


def test_ways_that_are_not_told_are_replayed(monkeypatch):
    monkeypatch.setattr(alike, "KINDS", 2)
    replayed(joined, [9, 10, 11, 12])
    assert len(alike._kinds) <= 2


def _grown(turns, inner):
    """A text grows by a row in each turn, which nobody looks at; turns hold a loop of their own."""
    text = torch.ones(1, 16)
    with torch.no_grad():
        for _ in range(turns):
            seen = text
            for _ in range(inner):
                seen = (seen * 0.5).tanh() + seen.sum(0)
            text = torch.cat([text, seen[-1:]])
    return text


def test_a_text_that_grows_unseen_is_cut_by_turns():
    """Its pieces are alike, so sixty lengths take the programs of a few."""
    before = alike.built[0]
    found = _grown(60, 12).numpy()
    assert alike.built[0] - before <= 6
    with device("reference"):
        np.testing.assert_allclose(found, _grown(60, 12).numpy(), rtol=1e-5, atol=1e-6)
