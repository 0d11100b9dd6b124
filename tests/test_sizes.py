"""Sizes become arguments at the second different value in a place: many sizes, few compilations,
and the numbers of the reference interpreter."""

from __future__ import annotations

import numpy as np
import pytest

import gemel.keras as keras
import gemel.tensorflow as tf
import gemel.torch as torch
import gemel.torch.nn.functional as F
from gemel.codegen.sizes import Space, divides, evaluator, guessing, least, most
from gemel.passes import native, pipeline
from gemel.passes.compile import device


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    """No program of another test, no object on disk."""
    monkeypatch.setenv("GEMEL_CACHE", "off")
    monkeypatch.setattr(native, "_structures", {})
    monkeypatch.setattr(native, "_loaded", {})


# ---------- the arithmetic ----------
def test_equal_polynomials_are_equal():
    n, m = Space().symbol("s0", 100), Space().symbol("s0", 100)
    assert n != m  # of different programs
    assert n * 4 == 2 * n + 2 * n and hash(n * 4) == hash(4 * n)
    assert (16 * n + 3) // 16 == n and (16 * n) % 16 == 0 and 5 * n // n == 5
    assert isinstance(n, int) and n - n == 0
    assert divides(8, 16 * n) and not divides(8, n)


def test_what_follows_from_polynomials_is_no_guard():
    space = Space()
    n, m = space.symbol("s0", 100), space.symbol("s1", 7)
    assert 4 * n > n and n * m - n > 0 and n != 1 and n and not n < 2
    assert least(n, 2 * n) == n and most(3, n + 1) == n + 1
    assert space.guards == {}


def test_decisions_are_guards():
    space = Space()
    n = space.symbol("s0", 100)
    assert n > 64 and len(range(n)) == 100
    holds = evaluator(["s0"], space.guards)
    assert all(holds(100)) and not all(holds(101)) and not all(holds(64))


def test_guesses_are_no_guards():
    space = Space()
    n = space.symbol("s0", 100)
    with guessing():
        assert n > 64 and int(n) == 100 and n / 8 == 12.5
    assert space.guards == {}


@pytest.mark.parametrize("value", [2, 7, 15, 16, 17, 1000])
def test_texts_give_the_values(value):
    n = Space().symbol("s0", 33)
    sizes = [-(-n // 16), (n + 5) // 4 * 4, n % 16, least(n, 16), most(n, 2 * (n // 8)), n * n - 3]
    wanted = [-(-value // 16), (value + 5) // 4 * 4, value % 16, min(value, 16)]
    wanted += [max(value, 2 * (value // 8)), value * value - 3]
    assert list(evaluator(["s0"], [s.text for s in sizes])(value)) == wanted


# ---------- programs ----------
def array(*shape) -> torch.Tensor:
    values = np.random.RandomState(sum(shape)).randn(*shape)
    return torch.from_numpy(values.astype(np.float32))


def gradients(function, *leaves):
    leaves = [x.requires_grad_() for x in leaves]
    total = function(*leaves).sum()
    total.backward()
    return [total, *(x.grad for x in leaves)]


def classes(count: int, among: int) -> torch.Tensor:
    return torch.from_numpy(np.arange(count) * 7 % among)


def over_and_over(x: torch.Tensor) -> tuple:
    """Rows of unknown length, normalised many times; an early value is needed at the end."""
    first, y = torch.exp(x), x
    for _ in range(6):
        y = F.softmax(y * 5, -1)
    return y, y * first, F.log_softmax(y, -1)


PROGRAMS = {
    "elementwise": lambda n: torch.exp(array(n, 64) * array(64)) + 1,
    "softmax of rows": lambda n: F.softmax(array(n, 64), -1),
    "softmax of columns": lambda n: F.softmax(array(16, n), -1),
    "rows over and over": lambda n: over_and_over(array(16, n)),
    "layer norm": lambda n: gradients(
        lambda x, w, b: F.layer_norm(x, (64,), w, b) ** 2, array(n, 64), array(64), array(64)
    ),
    "sums": lambda n: (array(n, 64).sum(0), array(12, n).mean(1), array(12, n).var(0)),
    "extremes": lambda n: (array(12, n).argmax(1), array(n, 9).max()),
    "transposed": lambda n: array(12, n).t().contiguous(),
    "pieces": lambda n: torch.cat([array(n + 3, 4), array(n + 3, 5)], 1)[1:-1] * 2,
    "index": lambda n: torch.arange(n) + array(n),
    "cross entropy": lambda n: gradients(
        lambda x: F.cross_entropy(x, classes(n, 10)), array(n, 10)
    ),
    "embedding": lambda n: gradients(
        lambda w: F.embedding(classes(n, 7), w) ** 2, array(7, 33)
    ),
    "gelu": lambda n: gradients(F.gelu, array(8, n)),
    "rows of a product": lambda n: F.relu(F.linear(array(3, n, 64), array(48, 64), array(48))),
    "columns of a product": lambda n: array(40, 64) @ array(64, n),
    "depth of a product": lambda n: (array(40, n) @ array(n, 48), array(n) @ array(n)),
    "transposed products": lambda n: (
        array(n, 64) @ array(48, 64).t(),
        array(n, 8).t() @ array(n, 9),
    ),
    "matrix and vector": lambda n: (array(n, 64) @ array(64), array(n) @ array(n, 48)),
    "products side by side": lambda n: array(n, 7, 16) @ array(n, 16, 9),
    "scores": lambda n: F.softmax(array(4, n, 16) @ array(4, n, 16).mT, -1) @ array(4, n, 16),
}  # fmt: skip
FEW = [13, 40, 33, 64, 100, 7, 9, 31, 2, 3, 17]
MANY = [400, 333, 1000, 70, 999, 48]


def on(name: str, function, *sizes) -> list[np.ndarray]:
    with device(name):
        found = function(*sizes)
        found = found if isinstance(found, (tuple, list)) else [found]
        return [x.detach().numpy() for x in found]


def compilations(function, sizes) -> int:
    """How many programs were compiled; every result is compared."""
    before = pipeline.compiled_count[0]
    for size in sizes:
        size = size if isinstance(size, tuple) else (size,)
        for a, b in zip(on("cpu", function, *size), on("reference", function, *size), strict=True):
            scale = max(1.0, float(np.abs(b).max()))
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * scale, err_msg=str(size))
    return pipeline.compiled_count[0] - before


@pytest.mark.parametrize("sizes", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_many_sizes_are_few_compilations(name, sizes):
    assert compilations(PROGRAMS[name], sizes) <= 3


def test_two_sizes_at_a_time():
    def product(n, m):
        return F.softmax(array(n, 24) @ array(24, m), -1)

    sizes = [(16, 32), (16, 20), (8, 20), (9, 50), (40, 7), (3, 3), (5, 64), (64, 5)]
    assert compilations(product, sizes) <= 4  # rows of few and of many


def test_what_needs_constants_is_compiled_with_constants():
    weight = array(4, 3, 3, 3)
    assert compilations(lambda n: F.conv2d(array(n, 3, 8, 8), weight), [2, 3, 4]) == 3


def test_dropout_draws_as_many_numbers_as_there_are():
    def dropped(n, m):
        torch.manual_seed(0)
        return F.dropout(F.relu(F.dropout(array(n, m), 0.3)), 0.5)

    assert compilations(dropped, [(4, 5), (4, 9), (4, 17), (3, 33), (8, 64), (2, 9)]) <= 3


def seeded(function):
    def run(*sizes):
        torch.manual_seed(0)
        return function(*sizes)

    return run


DRAWN = {
    "normals": lambda n: torch.randn(n, 3) * 2,
    "uniforms": lambda n: torch.empty(n).uniform_(-1, 2),
    "a permutation": lambda n: torch.randperm(n),
    "sorted": lambda n: torch.sort(torch.rand(n, 3), 0),
    "sorted places": lambda n: torch.argsort(torch.rand(2, n), 1),
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_and_sorts_take_sizes(name):
    assert compilations(seeded(DRAWN[name]), [40, 64, 33, 100, 80, 500, 17]) == 2


def test_rows_longer_than_a_line_are_sorted_by_other_code():
    assert compilations(seeded(DRAWN["sorted"]), [40, 700, 64, 1000, 999, 2000, 700]) <= 5


# ---------- whole models: fifty lengths, twenty batch sizes ----------
WIDTH, HEADS, WORDS = 16, 2, 23
LENGTHS = [(3, length) for length in range(8, 58)]  # attention is another graph below 8
BATCHES = [(batch, 12) for batch in range(2, 22)]
LOOKED_AT = {(3, 9), (3, 40), (2, 12), (21, 12)}  # compared with the reference


class Block(torch.nn.Module):
    def __init__(self, whole: bool):
        super().__init__()
        self.whole = whole
        self.first, self.second = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.qkv, self.out = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        parts = self.qkv(self.first(x)).split(WIDTH, 2)
        q, k, v = (t.view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2) for t in parts)
        if self.whole:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            later = torch.tril(torch.ones(length, length)) == 0
            scores = (q @ k.mT / (WIDTH // HEADS) ** 0.5).masked_fill(later, float("-inf"))
            y = F.softmax(scores, -1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(F.gelu(self.up(self.second(x))))


class GPT(torch.nn.Module):
    def __init__(self, whole: bool = True):
        super().__init__()
        self.words, self.places = torch.nn.Embedding(WORDS, WIDTH), torch.nn.Embedding(64, WIDTH)
        self.block, self.head = Block(whole), torch.nn.Linear(WIDTH, WORDS)

    def forward(self, tokens):
        return self.head(
            self.block(self.words(tokens) + self.places(torch.arange(tokens.shape[1])))
        )


class LSTM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(WORDS, WIDTH)
        self.steps = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.head = torch.nn.Linear(WIDTH, WORDS)

    def forward(self, tokens):
        return self.head(self.steps(self.words(tokens))[0])


def model(make):
    torch.manual_seed(0)
    made = make()
    for p in made.parameters():
        p.detach().numpy()  # computed: the step is a program of its own
    return made


def predict(made, batch, length):
    with torch.no_grad():
        return made(classes(batch * length, WORDS).view(batch, length))


def train(made, batch, length):
    optimizer = torch.optim.AdamW(made.parameters(), 1e-3)
    tokens = classes(batch * length, WORDS).view(batch, length)
    loss = F.cross_entropy(made(tokens).view(-1, WORDS), tokens.view(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [loss, *made.parameters()]


MODELS = {
    "GPT": GPT,
    "GPT with its scores": lambda: GPT(whole=False),
    "LSTM": LSTM,
}


@pytest.mark.parametrize("run", [predict, train], ids=["inference", "training"])
@pytest.mark.parametrize("name", MODELS)
def test_fifty_lengths_and_twenty_batch_sizes(name, run):
    with device("cpu"):
        kept = model(MODELS[name])  # whatever its beginning compiles
    before = pipeline.compiled_count[0]
    for sizes in [*LENGTHS, *BATCHES]:
        if sizes not in LOOKED_AT:
            on("cpu", run, kept, *sizes)
            continue
        with device("reference"):
            wanted = on("reference", run, model(MODELS[name]), *sizes)
        with device("cpu"):
            found = on("cpu", run, model(MODELS[name]), *sizes)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-3, err_msg=str(sizes))
    assert pipeline.compiled_count[0] - before <= 3


# ---------- the other ways in ----------
COUNTS = [5, 9, 17, 33, 2, 8, 100, 64, 31]


def rows(count: int) -> np.ndarray:
    return np.random.RandomState(count).randn(count, 8).astype(np.float32)


def test_functions_of_tensorflow():
    first, second = tf.Variable(rows(16).T), tf.Variable(rows(16)[:, :4])

    @tf.function
    def traced_for_each(x):
        return tf.nn.softmax(tf.nn.relu(x @ first) @ second)

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32)])
    def traced_once(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.nn.relu(x @ first) @ second))
        return tape.gradient(loss, [first, second])

    def wanted(x):
        hidden = x @ first.numpy()
        out = np.maximum(hidden, 0) @ second.numpy()
        back = 2 * out / out.size
        return [(x.T @ (back @ second.numpy().T * (hidden > 0))), np.maximum(hidden, 0).T @ back]

    for function in (traced_for_each, traced_once):
        before = pipeline.compiled_count[0]
        for count in COUNTS:
            found = function(tf.constant(rows(count)))
            if function is traced_for_each:
                np.testing.assert_allclose(found.numpy().sum(1), 1, rtol=1e-5)
            else:
                for a, b in zip(found, wanted(rows(count)), strict=True):
                    np.testing.assert_allclose(a.numpy(), b, rtol=1e-4, atol=1e-5)
        assert pipeline.compiled_count[0] - before <= 3


def test_batches_of_keras():
    layers = keras.layers
    network = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(4)])
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.train_on_batch(rows(3), np.arange(3))
    network.predict_on_batch(rows(3))
    for step in (
        lambda n: network.predict_on_batch(rows(n)),
        lambda n: network.train_on_batch(rows(n), np.arange(n) % 4),
    ):
        before = pipeline.compiled_count[0]
        for count in range(4, 24):
            step(count)
        assert pipeline.compiled_count[0] - before <= 2


def test_sizes_that_belong_together_by_chance():
    """Windows of many sizes, whose gradients write slices: where a template does not hold
    together, the sizes are constants."""
    for rows in (3, 4, 5, 6, 7, 9):
        for columns in (4, 5, 6, 8):
            values = np.random.default_rng(0).normal(size=(1, 2, rows, columns))
            x = torch.from_numpy(values).requires_grad_(True)
            torch.nn.functional.max_pool2d(x, 2).square().sum().backward()
            inside = values[:, :, : rows // 2 * 2, : columns // 2 * 2]
            blocks = inside.reshape(1, 2, rows // 2, 2, columns // 2, 2)
            largest = blocks.max((3, 5), keepdims=True)
            want = np.zeros_like(values)
            written = np.where(blocks == largest, 2 * largest, 0.0)
            want[:, :, : rows // 2 * 2, : columns // 2 * 2] = written.reshape(inside.shape)
            np.testing.assert_allclose(x.grad.numpy(), want)
