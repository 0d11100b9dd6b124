"""Calls of the faces that draw random numbers, as expressions: Gemel and the originals evaluate
them after the same seed.

A row is one expression, perhaps after statements that end in ";". `t` is the PyTorch face, `tf`
the TensorFlow face. Used by `tests/test_random_faces.py` and `tools/record_random.py`.
"""

import zlib

import numpy as np

SEED = 42

TORCH = """
t.rand(3, 4)
t.rand((3, 4), dtype=t.float64)
t.rand(50, dtype=t.bfloat16)
t.rand(5, generator=t.Generator().manual_seed(3))
o = t.empty(0); t.rand(20, out=o); o
t.randn(50, dtype=t.float16)
t.randn(50, dtype=t.bfloat16)
t.randn(5, dtype=t.complex64)
t.randn(50, dtype=t.complex128)
t.randn(size=(3, 20))
t.randint(2, 10, (3,), dtype=t.float16)
o = t.empty(3, dtype=t.int64); t.randint(2, 10, (3,), out=o); o
t.randint_like(t.ones(3, 4), 2, 10, dtype=t.int32)
t.randperm(10, dtype=t.float64, generator=t.Generator().manual_seed(2**40 + 1))
t.empty(50, dtype=t.float16).uniform_(-1, 1.3)
t.empty(50, dtype=t.bfloat16).log_normal_()
t.empty(50, dtype=t.bfloat16).geometric_(0.2)
t.empty(50, dtype=t.float16).exponential_()
t.empty(50, dtype=t.float16).random_()
t.empty(50, dtype=t.complex64).normal_(1, 2)
t.empty(5, 10).t().bernoulli_(0.5)
t.empty(5, 5).bernoulli_(t.full((5, 5), 0.3, dtype=t.float64))
t.bernoulli(t.full((5, 5), 0.3), 0.7)
t.multinomial(t.tensor([[.1, .2, .7], [3., 2, 1]]), 2)
t.multinomial(t.tensor([.1, .2, .7], dtype=t.float16), 20, True)
t.normal(t.arange(20.), t.arange(1., 21))
t.normal(2.0, t.arange(1., 21), generator=t.Generator())
t.normal(t.arange(4.).view(4, 1), t.arange(1., 6))
t.normal(2.0, 3.0, (4, 5), dtype=t.float64)
t.poisson(t.tensor([0., .5, 1, 3, 9.9, 10, 12, 50, 300.]))
t.poisson(t.rand(300).double() * 30)
t.binomial(t.full((300,), 100.), t.rand(300))
t.binomial(t.full((300,), 9.).double(), t.rand(300).double())
t._standard_gamma(t.rand(301) * 4)
t._standard_gamma(t.rand(301).double() * 4)
t._sample_dirichlet(t.rand(4, 5) * 4)
g = t.Generator().manual_seed(5); s = g.get_state(); t.randn(3, generator=g); [s, g.get_state()]
s = t.get_rng_state(); t.rand(3); t.set_rng_state(s); t.rand(3)
t.nn.init.trunc_normal_(t.empty(50, 6), std=.02)
t.nn.init.trunc_normal_(t.empty(50, 6), 0, 1, -.3, .3)
t.nn.init.trunc_normal_(t.empty(50, 6), 0, 1, 2.5, 9)
t.nn.init.trunc_normal_(t.empty(50, 6).double(), 0, 1, -9, -2.5)
t.nn.init.uniform_(t.empty(5, 6), -1, 2)
t.nn.init.normal_(t.empty(5, 6), -1, 2)
t.nn.init.xavier_uniform_(t.empty(5, 6), 2.)
t.nn.init.xavier_normal_(t.empty(5, 6))
t.nn.init.kaiming_uniform_(t.empty(5, 6), mode='fan_out', nonlinearity='relu')
t.nn.init.kaiming_normal_(t.empty(5, 6, 3, 3))
t.nn.init.sparse_(t.empty(20, 6), .3)
t.nn.init.dirac_(t.empty(4, 2, 3), 2)
t.nn.functional.dropout(t.ones(5, 6, dtype=t.float16), .3)
t.nn.functional.dropout1d(t.ones(2, 5, 6), .3)
t.nn.functional.dropout2d(t.ones(2, 5, 6, 2), .3)
t.nn.functional.dropout3d(t.ones(2, 5, 6, 2, 2), .3)
t.nn.functional.alpha_dropout(t.ones(5, 6), .3, True)
t.nn.functional.feature_alpha_dropout(t.ones(5, 6, 2), .3, True)
list(t.nn.Conv2d(5, 3, 3).parameters())
list(t.nn.ConvTranspose2d(5, 3, 3).parameters())
list(t.nn.Bilinear(3, 4, 5).parameters())
list(t.nn.Embedding(5, 3, padding_idx=1).parameters())
d = t.utils.data; [x for x in d.DataLoader(range(23), 5, shuffle=True)]
d = t.utils.data; [list(s.indices) for s in d.random_split(range(23), [.3, .7])]
list(t.utils.data.WeightedRandomSampler([.1, .9, .4], 10))
list(t.utils.data.WeightedRandomSampler([.1, .9, .4], 2, False))
list(t.utils.data.RandomSampler(range(40), replacement=True, num_samples=70))
list(t.utils.data.SubsetRandomSampler(range(9)))
t.rand_like(t.ones(3, 4).t())
t.randn_like(t.ones(3, 40).t())
t.nn.functional.dropout(t.ones(6, 5).t(), .3)
t.feature_dropout(t.ones(5, 6, 2), .3, True)
list(t.native_dropout(t.ones(5, 6, 2), .3, True))
list(t.nn.LSTM(5, 7, 2, bidirectional=True).parameters())
list(t.nn.GRU(5, 7, 2).parameters())
list(t.nn.LSTMCell(3, 4).parameters())
list(t.nn.MultiheadAttention(8, 2, kdim=4, vdim=6, add_bias_kv=True).parameters())
list(t.nn.TransformerEncoderLayer(8, 2, 16).parameters())
list(t.nn.TransformerDecoderLayer(8, 2, 16).parameters())
list(t.nn.EmbeddingBag(5, 3).parameters())
""".strip().splitlines()

TENSORFLOW = """
tf.random.uniform([5], 1, 3, tf.float64)
tf.random.uniform([5], maxval=10, dtype=tf.int64)
tf.random.normal([2, 3], mean=[1., 2, 3], stddev=[1., 2, 3])
[tf.random.uniform([3], seed=4), tf.random.uniform([3], seed=4), tf.random.uniform([2], seed=4)]
tf.random.shuffle(tf.range(12), seed=2)
tf.random.categorical([[.1, .5, .4], [1., 2, 3]], 7)
tf.random.gamma([3], [.5, 1., 3.], beta=2.)
tf.random.gamma([3], .5, seed=4)
tf.random.stateless_gamma([5, 3], [1, 2], [.5, 1., 3.], beta=3.)
tf.random.stateless_uniform([5], [1, 2], -3, 9, tf.int32)
tf.random.stateless_truncated_normal([50], [1, 2])
tf.random.experimental.stateless_shuffle(tf.range(9), [1, 2])
tf.random.Generator.from_seed(3).uniform_full_int([4])
tf.random.Generator.from_seed(3).make_seeds(2)
tf.random.Generator.from_key_counter(5, [1, 2], 'philox').normal([3])
tf.random.Generator.from_state([1, 2, 3], alg='philox').truncated_normal([3])
[g.normal([2]) for g in tf.random.Generator.from_seed(3).split(2)]
g = tf.random.Generator.from_seed(3); g.skip(5); g.normal([3])
g = tf.random.Generator.from_seed(3); g.reset([4, 5, 6]); [g.normal([3]), g.key, g.state]
tf.random.create_rng_state(-7, alg='philox')
tf.nn.dropout(tf.ones([5, 5]), .3, noise_shape=[5, 1])
f = tf.function(lambda: tf.random.uniform([3])); [f(), f()]
f = tf.function(lambda: tf.random.uniform([3], seed=4)); [f(), f()]
tf.random_normal_initializer(seed=3)([3, 4])
tf.random_uniform_initializer(seed=3)([3, 4])
tf.random_normal_initializer()([3, 4])
tf.compat.v1.random_uniform([3], seed=2)
tf.compat.v1.glorot_uniform_initializer(seed=2)([3, 4])
""".strip().splitlines()


def outcome(row: str, names: dict) -> list[np.ndarray]:
    """The arrays that a row gives."""
    *before, last = row.split("; ")
    for statement in before:
        exec(statement, names)
    return _arrays(eval(last, names))


def _arrays(value) -> list[np.ndarray]:
    if isinstance(value, list | tuple):
        return [array for part in value for array in _arrays(part)]
    if hasattr(value, "detach"):
        value = value.detach()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    return [np.asarray(value.numpy() if hasattr(value, "numpy") else value)]


def torch_outcomes(torch) -> dict[str, list[np.ndarray]]:
    return {row: torch_outcome(torch, row) for row in TORCH}


def torch_outcome(torch, row: str) -> list[np.ndarray]:
    """The arrays of a row, and a check sum of the state that it leaves."""
    torch.manual_seed(SEED)
    arrays = outcome(row, {"t": torch})
    return [*arrays, np.array(zlib.crc32(torch.get_rng_state().numpy().tobytes()))]


def tensorflow_outcomes(tf) -> dict[str, list[np.ndarray]]:
    found = {}
    for row in TENSORFLOW:
        tf.random.set_seed(SEED)
        found[row] = outcome(row, {"tf": tf})
    return found
